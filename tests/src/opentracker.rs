//! opentracker as a child process: Debian's for tests that compare, started on loopback with a whitelist, and one with livesync
//! for tests of a cluster. It is known to listen when it accepts a connection, and gone with its [`Opentracker`].

use crate::daemon::{DEADLINE, binary};
use crate::temporary_directory::TemporaryDirectory;
use std::fs::{Permissions, set_permissions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Between two looks whether it listens already: it does not say so.
const PAUSE: Duration = Duration::from_millis(10);
/// How often it is started until it stays.
const ATTEMPTS: usize = 5;

/// A running opentracker. Dropping it kills it.
#[derive(Debug)]
pub struct Opentracker {
    child: Child,
    address: SocketAddr,
    _root: TemporaryDirectory,
}

/// Where `cargo xtask setup` unpacks Debian's.
fn unpacked() -> PathBuf {
    binary::target_directory().join("bench-tools/opentracker")
}

/// Where `cargo xtask setup` builds one with livesync.
fn with_livesync() -> PathBuf {
    binary::target_directory().join("test-tools/opentracker-livesync")
}

/// Its port where it has an address of its own.
const PORT: u16 = 6969;

impl Opentracker {
    /// Why Debian's cannot run here, if so.
    pub fn missing() -> Option<String> {
        missing(&unpacked().join("usr/bin/opentracker"))
    }

    /// Why one with livesync cannot run here, if so.
    pub fn missing_with_livesync() -> Option<String> {
        missing(&with_livesync())
    }

    /// Starts one with livesync on port 6969 of these addresses of this thread's namespace, for both protocols, with more lines of
    /// its configuration. It must be started as root.
    ///
    /// # Panics
    /// When it accepts no connection by [`DEADLINE`], or ends.
    pub fn start_with_livesync(addresses: [IpAddr; 2], more: &str) -> Self {
        let addresses = addresses.map(|address| SocketAddr::new(address, PORT));
        let listen = addresses.map(|address| format!("listen.tcp_udp {address}\n")).concat();
        let root = TemporaryDirectory::new();
        let text = format!("{listen}tracker.user nobody\n{more}");
        let mut opentracker = Self::spawn(Command::new(with_livesync()), root, &text, addresses[0]);
        let listens = opentracker.await_connection();
        listens.unwrap_or_else(|status| panic!("opentracker ended with {status} at its start"));
        opentracker
    }

    /// Starts it for these torrents, on a free port of 127.0.0.1 for both protocols, with more lines of its configuration.
    ///
    /// # Panics
    /// When it accepts no connection, or has not read its list, by [`DEADLINE`]; or ends again and again.
    pub fn start(whitelist: &str, more: &str) -> Self {
        // A port that was free may be somebody else's by the time that it is bound; then it ends.
        let mut attempts = (0..ATTEMPTS).map(|_| Self::start_once(whitelist, more));
        attempts
            .find_map(Result::ok)
            .unwrap_or_else(|| panic!("opentracker ended {ATTEMPTS} times at its start"))
    }

    fn start_once(whitelist: &str, more: &str) -> Result<Self, ExitStatus> {
        let root = TemporaryDirectory::new();
        // It becomes nobody before it reads the list.
        set_permissions(root.path(), Permissions::from_mode(0o755)).expect("the directory is ours");
        std::fs::write(root.path().join("whitelist.txt"), whitelist).expect("the directory is ours");
        let address = free_address();
        let path = root.path().display();
        let user = if nix::unistd::geteuid().is_root() { "tracker.user nobody\n" } else { "" };
        let text = format!(
            "listen.tcp_udp {address}\naccess.whitelist whitelist.txt\ntracker.rootdir {path}\n{user}{more}"
        );
        let mut command = Command::new(unpacked().join("usr/bin/opentracker"));
        command.env("LD_LIBRARY_PATH", unpacked().join("usr/lib"));
        let mut opentracker = Self::spawn(command, root, &text, address);
        opentracker.await_connection()?;
        opentracker.await_list()?;
        Ok(opentracker)
    }

    /// How it has ended, if it has.
    fn check_running(&mut self) -> Result<(), ExitStatus> {
        self.child.try_wait().expect("opentracker is this process's child").map_or(Ok(()), Err)
    }

    fn spawn(mut command: Command, root: TemporaryDirectory, text: &str, address: SocketAddr) -> Self {
        let config = root.path().join("opentracker.conf");
        std::fs::write(&config, text).expect("the directory is ours");
        command.arg("-f").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("opentracker is there");
        Self { child, address, _root: root }
    }

    /// Makes one connection: the first that it accepts.
    fn await_connection(&mut self) -> Result<(), ExitStatus> {
        let started = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(started.elapsed() < DEADLINE, "opentracker does not listen on {}", self.address);
            self.check_running()?;
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Waits until the list is read: a thread of its own reads it, and then waits for the signal to read it again. No request
    /// could ask for that without being counted. By then it has the port, too: it binds before.
    fn await_list(&mut self) -> Result<(), ExitStatus> {
        let waits_for_signal = |task: std::fs::DirEntry| {
            let call = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            call.starts_with(&format!("{} ", libc::SYS_rt_sigtimedwait))
        };
        let started = Instant::now();
        loop {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
            let tasks = tasks.expect("opentracker is this process's child").filter_map(Result::ok);
            if tasks.into_iter().any(waits_for_signal) {
                return Ok(());
            }
            self.check_running()?;
            assert!(started.elapsed() < DEADLINE, "opentracker does not come to an end with its list");
            std::thread::sleep(PAUSE);
        }
    }

    /// Where it listens, over TCP and UDP.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Opentracker {
    fn drop(&mut self) {
        // It may have ended already, which is nothing to complain of here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn missing(binary: &Path) -> Option<String> {
    (!binary.exists()).then(|| format!("{} is not there: run `cargo xtask setup`", binary.display()))
}

/// An address whose port is free for both protocols, for now.
fn free_address() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = tcp.local_addr().expect("the socket is bound");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}
