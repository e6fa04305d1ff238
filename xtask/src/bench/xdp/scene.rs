//! A tracker at one end of a cable and at the other a generator of packets, with a program that counts the answers to
//! forged sources.

use super::frames::{self, Template};
use super::network::{CABLE, Network, TRACKER};
use super::programs;
use crate::bench::child::{Output, PinnedChild};
use crate::bench::cpu::Core;
use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracker_assembly::bpf::{self, MapKind, Place};

/// The tracker's port. Its namespace is its own, so every port is free.
const PORT: u16 = 6969;
/// Runs of the generator before it looks whether to stop: to begin and to end a series costs the kernel 25 ms.
const BURST: u32 = 1 << 20;
/// For how long the tracker may start.
const START_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_millis(50);

/// How packets come in to the tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WayIn {
    /// The program in the driver.
    Native,
    /// The program before the network stack.
    Generic,
    /// Sockets alone.
    Sockets,
}

/// Where the tracker's end of the cable takes packets in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// In a thread on the tracker's core, as a host of its own would. What comes faster is lost before any program.
    OnTrackerCore,
    /// Where they are sent, at once: the sender is as slow as what becomes of its packets, and none is lost on the way.
    OnSenderCore,
}

/// What all measurements share.
pub(super) struct Setting {
    pub(super) daemon: PathBuf,
    /// The program that the daemon loads.
    pub(super) object: PathBuf,
    /// For logs.
    pub(super) directory: PathBuf,
    pub(super) tracker_core: Core,
    pub(super) client_core: Core,
}

/// A source of packets, not yet running.
pub(super) struct Generator {
    template: Template,
    program: OwnedFd,
    state: OwnedFd,
}

/// A tracker that answers, and the client's end of its cable. The order is that of the end: links before namespaces.
pub(super) struct Scene<'a> {
    setting: &'a Setting,
    tracker: PinnedChild,
    counters: OwnedFd,
    _counting: OwnedFd,
    pub(super) network: Network,
}

impl WayIn {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Native => "XDP native",
            Self::Generic => "XDP generic",
            Self::Sockets => "sockets",
        }
    }

    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Native => &["--set", "xdp.mode=xdp", "--set", "xdp.attach=native"],
            Self::Generic => &["--set", "xdp.mode=xdp", "--set", "xdp.attach=generic"],
            Self::Sockets => &["--set", "xdp.mode=socket"],
        }
    }
}

impl Generator {
    /// Of packets with this payload, at most `per_sec` in a second.
    pub(super) fn new(payload: &[u8], per_sec: Option<u32>) -> Result<Self> {
        let template = Template::new(CABLE, tracker_address(), payload);
        let state = bpf::create_map(MapKind::Numbers, 2)?;
        let interval_ns = per_sec.map_or(0, |per_sec| 1_000_000_000 / per_sec);
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        bpf::set_number(state.as_fd(), 0, Duration::from(now).as_nanos() as u64)?;
        let program = bpf::load(&programs::generate(&template, interval_ns, state.as_raw_fd()))?;
        Ok(Self { template, program, state })
    }

    /// Packets sent so far.
    pub(super) fn sent(&self) -> Result<u64> {
        bpf::number(self.state.as_fd(), 1)
    }
}

/// The tracker as clients know it.
pub(super) fn tracker_address() -> SocketAddr {
    (TRACKER, PORT).into()
}

impl<'a> Scene<'a> {
    /// Lays the cable, starts the tracker, and waits until it answers.
    pub(super) fn new(setting: &'a Setting, way_in: WayIn, receiving: Receiving) -> Result<Self> {
        let network = Network::new()?;
        let counters = bpf::create_map(MapKind::Numbers, 2)?;
        let program = bpf::load(&programs::count_answers(PORT, counters.as_raw_fd()))?;
        let client = &network.client;
        let attach = || bpf::attach(program.as_fd(), client.interface_index()?, Place::Driver);
        let counting = client.run(setting.client_core, attach)?;
        network.tracker.group_packets(setting.tracker_core)?;
        if receiving == Receiving::OnTrackerCore {
            network.tracker.receive_on(setting.tracker_core)?;
        }
        let tracker = start_tracker(setting, &network, way_in)?;
        let mut scene = Self { setting, tracker, counters, _counting: counting, network };
        scene.wait_until_it_answers()?;
        Ok(scene)
    }

    /// Answers to connects so far, and other answers, to forged sources.
    pub(super) fn answers(&self) -> Result<[u64; 2]> {
        Ok([bpf::number(self.counters.as_fd(), 0)?, bpf::number(self.counters.as_fd(), 1)?])
    }

    /// Fails if the tracker has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        self.tracker.check_running()
    }

    /// Sends packets from forged sources until `stop`.
    pub(super) fn generate(&self, generator: &Generator, stop: &AtomicBool) -> Result<()> {
        let client = &self.network.client;
        client.run(self.setting.client_core, || {
            let interface = client.interface_index()?;
            while !stop.load(Ordering::Relaxed) {
                bpf::run_live(generator.program.as_fd(), &generator.template.frame, interface, BURST)?;
            }
            Ok(())
        })
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            self.check()?;
            let answers = || {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                socket.set_read_timeout(Some(ANSWER_LIMIT))?;
                socket.send_to(&frames::connect(), tracker_address())?;
                Ok(socket.recv(&mut [0; 64]).is_ok())
            };
            if self.network.client.run(self.setting.client_core, answers)? {
                return Ok(());
            }
        }
        bail!("the tracker answered no connect request within {} s", START_LIMIT.as_secs())
    }
}

fn start_tracker(setting: &Setting, network: &Network, way_in: WayIn) -> Result<PinnedChild> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{}", network.tracker.namespace)).arg(&setting.daemon);
    command.args(["-i", &TRACKER.to_string(), "-P", &PORT.to_string(), "--udp-workers", "1", "-u", "root"]);
    command.args(way_in.settings()).arg("--xdp-object").arg(&setting.object);
    let log = log_path(&setting.directory, way_in);
    PinnedChild::spawn(&command, setting.tracker_core, &log, Output::ToLog)
        .with_context(|| format!("cannot start the tracker with {}", way_in.name()))
}

fn log_path(directory: &Path, way_in: WayIn) -> PathBuf {
    directory.join(format!("xdp-{way_in:?}.log").to_lowercase())
}
