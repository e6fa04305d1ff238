//! The real daemon as a child process: started, waited for, asked for its counters, stopped. It never outlives its
//! [`Daemon`], and nothing here sleeps: each wait is for a line of its log or for its end.

pub(crate) mod binary;

use crate::collected_log::CollectedLog;
use crate::http;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a daemon may take for anything before the test gives up. Generous: it is only ever waited for in full
/// when something is broken.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// What the log line begins with that says where the daemon listens.
const READY: &str = "ready: ";

/// A running daemon. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: CollectedLog,
    listening: Vec<(Transport, SocketAddr)>,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

/// How a daemon ended that was not expected to run.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Everything that it wrote to standard error.
    pub log: String,
}

impl Daemon {
    /// Builds the binary, which otherwise its first start does: for tests that give up the ordinary network before.
    ///
    /// # Panics
    /// When it does not build.
    pub fn build() {
        binary::path();
    }

    /// Starts the daemon with these arguments, and `-u root` where they name no user, and waits until it is ready.
    ///
    /// # Panics
    /// With the daemon's log, when it is not ready by [`DEADLINE`].
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_command(&mut Self::command(arguments))
    }

    /// Starts a command made by [`Daemon::command`], changed to the test's liking, and waits until it is ready.
    ///
    /// # Panics
    /// With the daemon's log, when it is not ready by [`DEADLINE`].
    pub fn start_command(command: &mut Command) -> Self {
        let mut daemon = Self::spawn(command);
        let line = daemon.await_log_line(READY);
        daemon.listening = listening_addresses(&line);
        daemon
    }

    /// The command line of the daemon: its current binary, these arguments, and `-u root` where the test is root
    /// and the arguments name no user. No option that is given is changed.
    pub fn command(arguments: &[&str]) -> Command {
        let mut command = Self::command_as_given(arguments);
        let names_a_user =
            arguments.iter().any(|given| given.starts_with("-u") || given.starts_with("tracker.user="));
        if nix::unistd::geteuid().is_root() && !names_a_user {
            command.args(["-u", "root"]);
        }
        command
    }

    /// The command line of the daemon with these arguments and no others.
    pub fn command_as_given(arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::path());
        command.args(arguments);
        command
    }

    /// Starts the daemon with arguments that it must refuse, and waits for its end.
    ///
    /// # Panics
    /// When it still runs at [`DEADLINE`].
    pub fn start_refused(arguments: &[&str]) -> Ended {
        Self::start_command_refused(&mut Self::command(arguments))
    }

    /// Starts a command made by [`Daemon::command`] that the daemon must refuse, and waits for its end.
    ///
    /// # Panics
    /// When it still runs at [`DEADLINE`].
    pub fn start_command_refused(command: &mut Command) -> Ended {
        let mut daemon = Self::spawn(command);
        let status = daemon.await_exit();
        Ended { status, log: daemon.log() }
    }

    /// Starts a command made by [`Daemon::command`] and does not wait until it is ready: it knows no addresses.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stderr = child.stderr.take().expect("standard error was asked to be a pipe");
        Self { child, log: CollectedLog::drain(stderr), listening: Vec::new() }
    }

    /// The first IPv4 address on which it speaks UDP.
    pub fn udp_v4(&self) -> SocketAddr {
        self.listener(Transport::Udp, SocketAddr::is_ipv4)
    }

    /// The first IPv6 address on which it speaks UDP.
    pub fn udp_v6(&self) -> SocketAddr {
        self.listener(Transport::Udp, SocketAddr::is_ipv6)
    }

    /// The first IPv4 address on which it speaks HTTP.
    pub fn tcp_v4(&self) -> SocketAddr {
        self.listener(Transport::Tcp, SocketAddr::is_ipv4)
    }

    /// The first IPv6 address on which it speaks HTTP.
    pub fn tcp_v6(&self) -> SocketAddr {
        self.listener(Transport::Tcp, SocketAddr::is_ipv6)
    }

    fn listener(&self, transport: Transport, of_family: fn(&SocketAddr) -> bool) -> SocketAddr {
        let found = self.listening.iter().find(|(kind, address)| *kind == transport && of_family(address));
        match found {
            Some((_, address)) => *address,
            None => panic!("the daemon has no such {transport:?} listener, only {:?}", self.listening),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Lines of its log so far: what [`Daemon::await_log_line_after`] starts from.
    pub fn log_lines(&self) -> usize {
        self.log.lines()
    }

    /// Waits for a line of its log, old or new, that has `contained` in it.
    ///
    /// # Panics
    /// With the log, when there is none by [`DEADLINE`] or the daemon ends before.
    pub fn await_log_line(&self, contained: &str) -> String {
        self.await_log_line_after(0, contained)
    }

    /// Waits for a line behind the first `seen_lines` that has `contained` in it.
    ///
    /// # Panics
    /// With the log, when there is none by [`DEADLINE`] or the daemon ends before.
    pub fn await_log_line_after(&self, seen_lines: usize, contained: &str) -> String {
        match self.log.await_line(seen_lines, contained, DEADLINE) {
            Some(line) => line,
            None => panic!("no line with {contained:?} in the daemon's log:\n{}", self.log()),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.process(), signal).expect("the daemon has not been waited for, so its id is its own");
    }

    /// Stops all its threads where they are, until it gets SIGCONT.
    ///
    /// # Panics
    /// When one of them still runs at [`DEADLINE`].
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        let end = Instant::now() + DEADLINE;
        while !self.is_paused() {
            assert!(Instant::now() < end, "it still runs");
            std::thread::yield_now();
        }
    }

    /// The third field of `stat` is the state of a thread (proc_pid_stat(5)); the second, its name, is in parentheses.
    fn is_paused(&self) -> bool {
        let path = format!("/proc/{}/task", self.pid());
        let threads = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let states =
            threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
        states.into_iter().all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    }

    /// Sends SIGTERM and waits for its end.
    ///
    /// # Panics
    /// When it still runs at [`DEADLINE`].
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.await_exit()
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// With its log, when it still runs at [`DEADLINE`].
    pub fn await_exit(&mut self) -> ExitStatus {
        self.await_exit_within(DEADLINE)
    }

    /// Waits until it ends by itself, this long at most.
    ///
    /// # Panics
    /// With its log, when it still runs then.
    pub fn await_exit_within(&mut self, deadline: Duration) -> ExitStatus {
        // Its end of the pipe closes when the process ends: an event to wait for with a deadline, which
        // `Child::wait` is not.
        if !self.log.await_end(deadline) {
            panic!("the daemon still runs; its log:\n{}", self.log());
        }
        self.child.wait().expect("the daemon is this process's child")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the daemon is this process's child").is_none()
    }

    fn process(&self) -> Pid {
        Pid::from_raw(self.pid().try_into().expect("process ids are below 2^22"))
    }

    /// Its statistics: `GET /stats?format=json` on its first TCP address.
    ///
    /// # Panics
    /// When the answer is not a 200 with JSON.
    pub fn stats(&self) -> Value {
        let response = http::get(self.listener(Transport::Tcp, |_| true), "/stats?format=json");
        assert_eq!(response.status, 200, "{response:?}");
        serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error} in {response:?}"))
    }

    /// Bytes of memory that it holds (`VmRSS`).
    pub fn resident_bytes(&self) -> u64 {
        let status = self.proc_status();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or_else(|| panic!("no VmRSS in {status}")) * 1024
    }

    /// `/proc/PID/status` as it is now.
    pub fn proc_status(&self) -> String {
        let path = format!("/proc/{}/status", self.pid());
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// What its open file descriptors are, such as `socket:[4711]`, in no order.
    pub fn open_files(&self) -> Vec<String> {
        let path = format!("/proc/{}/fd", self.pid());
        let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        // One that closes meanwhile is not open.
        let targets = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        targets.map(|target| target.to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already, which is nothing to complain of here.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("log of the daemon:\n{}", self.log());
        }
    }
}

/// The addresses in a line such as `… ready: udp 127.0.0.1:4321, udp [::1]:4322, tcp 127.0.0.1:4323`.
fn listening_addresses(line: &str) -> Vec<(Transport, SocketAddr)> {
    let (_, pairs) = line.split_once(READY).expect("the line was found by this");
    let parse = |pair: &str| {
        let (transport, address) = pair.trim().split_once(' ')?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            _ => return None,
        };
        Some((transport, address.parse().ok()?))
    };
    pairs.split(',').map(|pair| parse(pair).unwrap_or_else(|| panic!("{pair:?} in {line:?}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Transport, listening_addresses};

    #[test]
    fn the_ready_line_names_every_listener_in_order() {
        let line =
            "[2026-01-01T00:00:00Z INFO] ready: udp 127.0.0.1:4321, udp [::1]:4322, tcp 127.0.0.1:4323";
        let expected = [
            (Transport::Udp, "127.0.0.1:4321".parse().unwrap()),
            (Transport::Udp, "[::1]:4322".parse().unwrap()),
            (Transport::Tcp, "127.0.0.1:4323".parse().unwrap()),
        ];
        assert_eq!(listening_addresses(line), expected);
    }
}
