//! The cable as the tracker sees it: how requests reach its end, and when its core is told that there are some.
//!
//! What a socket sends into a virtual cable comes out as a packet of the network stack, which the kernel copies into a page
//! before it shows it to a program in the driver. A card's driver hands over pages, so by default the generator sends into a
//! cable of its own, where a program forwards every frame to the tracker's cable: the copy is made on the generator's side.

use crate::bench::cpu::{self, Core};
use crate::bench::xdp::network::{Host, Network, ip};
use anyhow::{Result, bail};
use clap::ValueEnum;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;
use tracker_assembly::Assembly;
use tracker_assembly::bpf::{self, MapKind, Place};

/// Looks for packets that find none, after which an end would have its core told of every packet again: never.
const LOOKS: u32 = i32::MAX as u32;
/// For how long the kernel threads go on, so that each end's timer begins on the core of its thread.
const SETTLING: Duration = Duration::from_millis(50);
/// Rounds of received packets that a core takes part in at least, in a measurement.
const LEAST_INTERRUPTS: u64 = 100;

/// How requests reach the tracker's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// In pages, as a card's driver hands them over, taken in by interrupts that a timer holds back
    Pages,
    /// In packets of the network stack, which are copied before a program sees them, taken in by a kernel thread
    Packets,
}

/// The generator's own cable, gone with the namespace, and what forwards from it.
pub(super) struct Feed {
    /// Where the generator sends.
    pub(super) interface: String,
    end: String,
    _attached: OwnedFd,
    _program: OwnedFd,
    _interfaces: OwnedFd,
}

impl Feed {
    /// Lays it in the client's namespace.
    pub(super) fn new(client: &Host, core: Core) -> Result<Self> {
        let (interface, end) = (format!("{}g", client.interface), format!("{}h", client.interface));
        let namespace = &client.namespace;
        ip(&format!("-n {namespace} link add {interface} type veth peer name {end}"))?;
        for name in [&interface, &end] {
            ip(&format!("-n {namespace} link set {name} addrgenmode none up"))?;
        }
        let interfaces = bpf::create_map(MapKind::Interfaces, 1)?;
        let program = bpf::load(&Assembly::forward_all(interfaces.as_raw_fd()))?;
        let attached = client.run(core, || {
            bpf::set_interface(interfaces.as_fd(), 0, client.interface_index()?)?;
            let end = nix::net::if_::if_nametoindex(end.as_str())?;
            bpf::attach(program.as_fd(), end, Place::Driver)
        })?;
        Ok(Self { interface, end, _attached: attached, _program: program, _interfaces: interfaces })
    }
}

/// Lets every end take packets in when a timer on its core rings, `micros` after the last look: as a card that holds its
/// interrupts back. To be called while packets flow in both directions.
pub(super) fn take_in_by_timer(network: &Network, feed: &Feed, micros: u32) -> Result<()> {
    let Network { tracker, client } = network;
    let ends = [(tracker, &tracker.interface), (client, &client.interface), (client, &feed.end)];
    for (host, interface) in ends {
        host.set(interface, "napi_defer_hard_irqs", LOOKS)?;
        host.set(interface, "gro_flush_timeout", micros * 1000)?;
    }
    thread::sleep(SETTLING);
    for (host, interface) in ends {
        host.set(interface, "threaded", 0)?;
    }
    Ok(())
}

/// Fails unless both cores have taken packets in since `before`, as hosts of their own do.
pub(super) fn check_cores(before: &[u64], cores: [Core; 2]) -> Result<()> {
    let now = cpu::receive_interrupts()?;
    for core in cores {
        let count = |counts: &[u64]| counts.get(core as usize).copied().unwrap_or(0);
        if count(&now).saturating_sub(count(before)) < LEAST_INTERRUPTS {
            bail!("core {core} took no packets in: the timers of the cable ring on another one");
        }
    }
    Ok(())
}
