//! Real BitTorrent clients as child processes: each takes one torrent and knows other peers from the tracker and
//! from nowhere else. What a client needs for that is in its own file; here is what is the same for all.

pub mod aria2;
pub mod libtorrent;
pub mod transmission;

use crate::collected_log::CollectedLog;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a client may take to tell the tracker that it leaves, and to end.
const LEAVING_DEADLINE: Duration = Duration::from_secs(30);
/// Lines of a client's log that a failing test shows.
const SHOWN_LOG_LINES: usize = 60;

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// libtorrent (Rasterbar) 2, the engine of qBittorrent and Deluge, by its Python bindings.
    Libtorrent,
    /// transmission-daemon.
    Transmission,
    /// aria2c.
    Aria2,
}

/// What a client is started with.
#[derive(Clone, Copy, Debug)]
pub struct PeerSetup<'a> {
    /// The torrent file, with the announce URL in it.
    pub torrent: &'a Path,
    /// Where its content is or shall be: a client that finds it there seeds.
    pub directory: &'a Path,
    /// An empty directory for what the client remembers.
    pub state: &'a Path,
    /// The address on which peers reach it, where the client can be told.
    pub address: IpAddr,
}

impl Client {
    /// Why this client cannot run here, if so.
    pub fn missing(self) -> Option<String> {
        let programs: &[&str] = match self {
            Self::Libtorrent => return libtorrent::missing(),
            Self::Transmission => &["transmission-daemon", "transmission-remote"],
            Self::Aria2 => &["aria2c"],
        };
        let runs = |program: &str| Command::new(program).arg("--version").output().is_ok();
        programs.iter().find(|program| !runs(program)).map(|program| format!("{program} is not installed"))
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(self, setup: &PeerSetup<'_>) -> RunningClient {
        match self {
            Self::Libtorrent => {
                RunningClient::start(libtorrent::command(setup), Leaving::Signal(Signal::SIGTERM))
            }
            Self::Transmission => {
                let (command, stop_torrent) = transmission::commands(setup);
                RunningClient::start(command, Leaving::Command(stop_torrent))
            }
            // Its SIGTERM is a hurried end without a word to the tracker.
            Self::Aria2 => RunningClient::start(aria2::command(setup), Leaving::Signal(Signal::SIGINT)),
        }
    }
}

/// How a client is told to leave the swarm.
#[derive(Debug)]
enum Leaving {
    /// This signal ends it in order.
    Signal(Signal),
    /// This command stops the torrent; the client itself goes on.
    Command(Command),
}

/// A client's process. Dropping it kills it.
#[derive(Debug)]
pub struct RunningClient {
    child: Child,
    log: CollectedLog,
    leaving: Leaving,
}

impl RunningClient {
    fn start(mut command: Command, leaving: Leaving) -> Self {
        let (output, input) = std::io::pipe().expect("the process has file descriptors left");
        let same_input = input.try_clone().expect("the process has file descriptors left");
        command.stdin(Stdio::null()).stdout(input).stderr(same_input);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        // The pipe ends with the client, so the command's own copies of it must be gone.
        drop(command);
        Self { child, log: CollectedLog::drain(output), leaving }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let process = self.child.id().try_into().expect("process ids are below 2^22");
        kill(Pid::from_raw(process), signal)
            .expect("the client has not been waited for, so its id is its own");
    }

    /// Makes it leave the swarm: when it has said so to the tracker, if it ends by that, and before, if it goes on.
    ///
    /// # Panics
    /// With its log, when it does not take the order, or should end and still runs after 30 seconds.
    pub fn leave(&mut self) {
        match &mut self.leaving {
            Leaving::Signal(signal) => {
                let signal = *signal;
                self.signal(signal);
                assert!(self.log.await_end(LEAVING_DEADLINE), "the client still runs:\n{}", self.log());
                self.child.wait().expect("the client is this process's child");
            }
            Leaving::Command(command) => {
                let output = command.output().expect("the command is installed with its client");
                assert!(output.status.success(), "{output:?}\n{}", self.log());
            }
        }
    }

    /// The last lines that it wrote.
    pub fn log(&self) -> String {
        let text = self.log.text();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n")
    }
}

impl Drop for RunningClient {
    fn drop(&mut self) {
        // It may have ended already, which is nothing to complain of here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
