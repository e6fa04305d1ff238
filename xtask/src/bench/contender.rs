//! The trackers that are compared: how each is configured alike, started, and known to be ready.

use super::child::{Output, PinnedChild};
use super::cpu::Core;
use crate::setup::BenchTools;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tracker_common::wire;

/// For how long a tracker may start.
const START_LIMIT: Duration = Duration::from_secs(30);
/// For how long one connect request is waited for before the next is sent.
const ANSWER_LIMIT: Duration = Duration::from_millis(50);
/// The name of opentracker's list of allowed torrents, in its root directory.
const WHITELIST: &str = "info-hashes.txt";

/// A tracker, or a way to run it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Contender {
    /// This tracker, release build
    OpentrackerXdp,
    /// Debian's opentracker
    Opentracker,
    /// aquatic_udp with use_io_uring = false
    AquaticMio,
    /// aquatic_udp with use_io_uring = true
    AquaticIoUring,
}

/// Where the contenders' binaries are and where they may write.
pub(super) struct Stable {
    /// This tracker; `None` if it is not to run.
    pub(super) daemon: Option<PathBuf>,
    /// All others.
    pub(super) tools: BenchTools,
    /// For configurations and logs.
    pub(super) directory: PathBuf,
}

/// What a tracker is to serve beside UDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Over {
    /// Nothing.
    UdpAlone,
    /// HTTP on the same port, by so many threads where it has a choice.
    Http {
        /// Threads.
        workers: u16,
    },
}

/// A tracker that answers.
pub(super) struct RunningTracker {
    pub(super) child: PinnedChild,
    pub(super) address: SocketAddrV4,
}

impl Contender {
    /// As it is called on the command line and in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OpentrackerXdp => "opentracker-xdp",
            Self::Opentracker => "opentracker",
            Self::AquaticMio => "aquatic-mio",
            Self::AquaticIoUring => "aquatic-io-uring",
        }
    }
}

impl Stable {
    /// The binary of a contender, if it is there.
    pub(super) fn binary(&self, contender: Contender) -> Option<PathBuf> {
        let binary = match contender {
            Contender::OpentrackerXdp => self.daemon.clone()?,
            Contender::Opentracker => self.tools.opentracker(),
            Contender::AquaticMio | Contender::AquaticIoUring => self.tools.binary("aquatic_udp"),
        };
        binary.exists().then_some(binary)
    }

    /// The contenders in their order: those that were asked for, or all that are there.
    pub(super) fn choose(&self, asked: &[Contender]) -> Result<Vec<Contender>> {
        let mut contenders = Vec::new();
        for contender in Contender::value_variants() {
            let is_asked = asked.contains(contender);
            match self.binary(*contender) {
                Some(_) if asked.is_empty() || is_asked => contenders.push(*contender),
                None if is_asked => bail!("{} is not installed", contender.name()),
                _ => {}
            }
        }
        if contenders.is_empty() {
            bail!("no tracker to measure is installed");
        }
        Ok(contenders)
    }

    /// Writes what all contenders need before any starts: the torrents of the load, one a line in hexadecimal.
    pub(super) fn prepare(&self, info_hashes_hex: &str) -> Result<()> {
        // opentracker changes its root to this directory and finds the list there.
        write(&self.opentracker_root().join(WHITELIST), info_hashes_hex)
    }

    /// Starts a contender on `core`, on a free port, and waits until it answers.
    pub(super) fn start(&self, contender: Contender, core: Core) -> Result<RunningTracker> {
        self.start_on(contender, &[core], Over::UdpAlone)
    }

    /// Starts a contender on some cores, on a free port, and waits until it answers.
    pub(super) fn start_on(
        &self,
        contender: Contender,
        cores: &[Core],
        over: Over,
    ) -> Result<RunningTracker> {
        let binary =
            self.binary(contender).with_context(|| format!("{} is not installed", contender.name()))?;
        let address = free_address()?;
        let mut command = Command::new(binary);
        match contender {
            Contender::OpentrackerXdp => add_daemon_arguments(&mut command, address, over),
            Contender::Opentracker => self.add_opentracker_arguments(&mut command, address, over)?,
            Contender::AquaticMio => self.add_aquatic_arguments(&mut command, address, false)?,
            Contender::AquaticIoUring => self.add_aquatic_arguments(&mut command, address, true)?,
        }
        let log = self.directory.join(format!("{}.log", contender.name()));
        let mut child = PinnedChild::spawn_on(&command, cores, &log, Output::ToLog)?;
        wait_until_it_answers(&mut child, address)?;
        Ok(RunningTracker { child, address })
    }

    fn opentracker_root(&self) -> PathBuf {
        self.directory.join("opentracker-root")
    }

    fn add_opentracker_arguments(
        &self,
        command: &mut Command,
        address: SocketAddrV4,
        over: Over,
    ) -> Result<()> {
        let transport = if over == Over::UdpAlone { "udp" } else { "tcp_udp" };
        // Debian builds it to serve only the torrents of a whitelist. It refuses to stay root.
        let config = format!(
            "listen.udp.workers 1\nlisten.{transport} {address}\naccess.stats 127.0.0.1\naccess.whitelist {WHITELIST}\ntracker.rootdir {}\n\
             tracker.user nobody\n",
            self.opentracker_root().display()
        );
        let path = self.directory.join("opentracker.conf");
        write(&path, &config)?;
        command.arg("-f").arg(path).env("LD_LIBRARY_PATH", self.tools.opentracker_libraries());
        Ok(())
    }

    fn add_aquatic_arguments(
        &self,
        command: &mut Command,
        address: SocketAddrV4,
        use_io_uring: bool,
    ) -> Result<()> {
        let config = format!(
            "socket_workers = 1\n[network]\naddress = \"{address}\"\nuse_io_uring = {use_io_uring}\n"
        );
        let path = self.directory.join("aquatic_udp.toml");
        write(&path, &config)?;
        command.arg("-c").arg(path);
        Ok(())
    }
}

fn add_daemon_arguments(command: &mut Command, address: SocketAddrV4, over: Over) {
    command.args(["-i", &address.ip().to_string(), "-P", &address.port().to_string(), "--udp-workers", "1"]);
    if let Over::Http { workers } = over {
        command.args(["-p", &address.port().to_string(), "--http-workers", &workers.to_string()]);
        command.args(["--set", "http.full_scrape_interval_secs=0"]);
    }
    if nix::unistd::geteuid().is_root() {
        command.args(["-u", "root"]);
    }
}

/// Writes a file and the directories on its way.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().context("a file is in a directory")?;
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// An address of loopback with a port that is free now, in both protocols: connections of a load that has ended have some of
/// TCP still.
pub(super) fn free_address() -> Result<SocketAddrV4> {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = socket.local_addr()?.port();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).context("cannot listen on loopback"),
        }
    }
}

/// Sends connect requests (BEP 15) until one is answered.
pub(super) fn wait_until_it_answers(child: &mut PinnedChild, tracker: SocketAddrV4) -> Result<()> {
    const TRANSACTION_ID: u32 = 0x6f74_7864;
    let mut request = [0; wire::request::HEADER_LEN];
    request[wire::request::CONNECTION_ID].copy_from_slice(&wire::PROTOCOL_ID.to_be_bytes());
    request[wire::request::ACTION].copy_from_slice(&wire::ACTION_CONNECT.to_be_bytes());
    request[wire::request::TRANSACTION_ID].copy_from_slice(&TRANSACTION_ID.to_be_bytes());

    // Not connected: such a socket learns nothing of a closed port and waits, so the loop does not spin.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(ANSWER_LIMIT))?;
    let started = Instant::now();
    while started.elapsed() < START_LIMIT {
        child.check_running()?;
        socket.send_to(&request, tracker)?;
        let mut answer = [0; 64];
        match socket.recv_from(&mut answer) {
            Ok((len, source)) => {
                let fits = source == tracker.into()
                    && len == 16
                    && answer[wire::response::ACTION] == wire::ACTION_CONNECT.to_be_bytes()
                    && answer[wire::response::TRANSACTION_ID] == TRANSACTION_ID.to_be_bytes();
                if fits {
                    return Ok(());
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error).context("cannot receive on loopback"),
        }
    }
    bail!("it answered no connect request within {} s", START_LIMIT.as_secs())
}
