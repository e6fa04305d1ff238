//! A tracker's and a client's network namespace with a virtual cable between them, gone when the benchmark ends.
//!
//! Each side of the cable takes in its packets on a core of its own, as two hosts would: in a kernel thread that is
//! pinned there, for every way in alike.

use super::frames::{Cable, FORGED_NETWORK};
use crate::bench::cpu::Core;
use crate::process;
use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, setns};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The tracker's address on the cable.
pub(in crate::bench) const TRACKER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The first two bytes of the addresses of honest clients, all of which the client's namespace takes for its own.
pub(super) const HONEST_NETWORK: [u8; 2] = [198, 18];
/// Link addresses of both ends, as seen from the client.
pub(in crate::bench) const CABLE: Cable =
    Cable { source: [0x02, 0, 0, 0, 0, 2], destination: [0x02, 0, 0, 0, 0, 1] };
/// For how long a kernel thread may take to appear.
const THREAD_LIMIT: Duration = Duration::from_secs(5);

/// Namespaces that exist now.
static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Both namespaces; dropping it removes them.
pub(in crate::bench) struct Network {
    pub(in crate::bench) tracker: Host,
    pub(in crate::bench) client: Host,
}

/// One namespace.
pub(in crate::bench) struct Host {
    pub(in crate::bench) namespace: String,
    /// The name of its end of the cable, which no other interface of this machine has.
    pub(in crate::bench) interface: String,
}

impl Network {
    /// Makes both.
    pub(in crate::bench) fn new() -> Result<Self> {
        let id = std::process::id();
        let host = |side: &str| Host {
            namespace: format!("otx-bench-{side}-{id}"),
            interface: format!("otx{side}{id}"),
        };
        let network = Self { tracker: host("t"), client: host("c") };
        for host in [&network.tracker, &network.client] {
            make_namespace(&host.namespace)?;
        }
        network.lay_cable()?;
        Ok(network)
    }

    fn lay_cable(&self) -> Result<()> {
        let Self { tracker, client } = self;
        ip(&format!(
            "link add {} netns {} address {} type veth peer name {} netns {} address {}",
            client.interface,
            client.namespace,
            text(CABLE.source),
            tracker.interface,
            tracker.namespace,
            text(CABLE.destination),
        ))?;
        let [first, second] = HONEST_NETWORK;
        for (host, address, other, link_address) in
            [(tracker, TRACKER, CLIENT, CABLE.source), (client, CLIENT, TRACKER, CABLE.destination)]
        {
            let Host { namespace, interface } = host;
            ip(&format!("-n {namespace} link set lo up"))?;
            ip(&format!("-n {namespace} link set {interface} addrgenmode none up"))?;
            ip(&format!("-n {namespace} address add {address}/24 dev {interface}"))?;
            ip(&format!(
                "-n {namespace} neighbour replace {other} lladdr {} dev {interface} nud permanent",
                text(link_address)
            ))?;
        }
        ip(&format!("-n {} route add {FORGED_NETWORK}.0.0.0/8 via {CLIENT}", tracker.namespace))?;
        ip(&format!("-n {} route add {first}.{second}.0.0/16 via {CLIENT}", tracker.namespace))?;
        ip(&format!("-n {} route add local {first}.{second}.0.0/16 dev lo", client.namespace))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove_all();
    }
}

impl Host {
    /// Runs `task` in this namespace, on `core`, in a thread of its own that is waited for.
    pub(in crate::bench) fn run<T: Send>(
        &self,
        core: Core,
        task: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        thread::scope(|scope| {
            let entered = scope.spawn(|| {
                self.enter(core)?;
                task()
            });
            entered.join().map_err(|_| anyhow!("a thread of the benchmark has panicked"))?
        })
    }

    /// Puts this thread into the namespace and onto the core, for good.
    pub(super) fn enter(&self, core: Core) -> Result<()> {
        let path = format!("/run/netns/{}", self.namespace);
        let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        setns(namespace, CloneFlags::CLONE_NEWNET).context("cannot enter a network namespace")?;
        pin(Pid::from_raw(0), core)
    }

    /// The number of its end of the cable. To be called in the namespace.
    pub(in crate::bench) fn interface_index(&self) -> Result<u32> {
        nix::net::if_::if_nametoindex(self.interface.as_str()).context("the cable is gone")
    }

    /// Lets the interface take in packets in a kernel thread on `core`. It needs a program in its driver or
    /// [`Self::group_packets`] first.
    pub(in crate::bench) fn receive_on(&self, core: Core) -> Result<()> {
        let Self { interface, .. } = self;
        self.set(interface, "threaded", 1)?;
        let started = Instant::now();
        while started.elapsed() < THREAD_LIMIT {
            let threads = kernel_threads(&format!("napi/{interface}"))?;
            if !threads.is_empty() {
                return threads.into_iter().try_for_each(|thread| pin(thread, core));
            }
            thread::yield_now();
        }
        bail!("no kernel thread receives for {interface}; it takes Linux 5.12")
    }

    /// Writes a setting of an interface of this namespace, by its name in /sys/class/net.
    pub(in crate::bench) fn set(&self, interface: &str, setting: &str, value: u32) -> Result<()> {
        let write = format!("echo {value} > /sys/class/net/{interface}/{setting}");
        ip_command(&["netns", "exec", &self.namespace, "sh", "-c", &write])
    }

    /// Turns generic receive offload on: a virtual cable then takes packets in like a card, in batches.
    pub(in crate::bench) fn group_packets(&self, core: Core) -> Result<()> {
        self.run(core, || tracker_assembly::interface::turn_on_gro(&self.interface))
    }
}

/// Makes a namespace, which [`remove_all`] removes.
pub(in crate::bench) fn make_namespace(name: &str) -> Result<()> {
    made().push(name.to_owned());
    ip(&format!("netns add {name}"))
}

/// Removes all namespaces that this process has made, and the cables with them.
pub(in crate::bench) fn remove_all() {
    for namespace in made().drain(..) {
        // It may not have come into being.
        process::succeeds(Command::new("ip").args(["netns", "delete", &namespace]));
    }
}

fn made() -> MutexGuard<'static, Vec<String>> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pin(thread: Pid, core: Core) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core as usize)?;
    sched_setaffinity(thread, &cores).with_context(|| format!("cannot pin thread {thread} to core {core}"))
}

/// Kernel threads whose names begin like this, as far as the kernel keeps names.
fn kernel_threads(name: &str) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|id| id.parse().ok()) else { continue };
        // A process may have ended meanwhile.
        let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if comm.starts_with(&name[..name.len().min(15)]) {
            found.push(Pid::from_raw(id));
        }
    }
    Ok(found)
}

/// Runs `ip` with these arguments, which have no blanks within.
pub(in crate::bench) fn ip(arguments: &str) -> Result<()> {
    ip_command(&arguments.split(' ').collect::<Vec<_>>())
}

fn ip_command(arguments: &[&str]) -> Result<()> {
    process::run(Command::new("ip").args(arguments))
}

fn text(link_address: [u8; 6]) -> String {
    link_address.map(|byte| format!("{byte:02x}")).join(":")
}
