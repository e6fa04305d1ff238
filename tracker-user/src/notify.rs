//! What systemd is told about the daemon's life (sd_notify(3)), where it asked to be told, and what it keeps for the next
//! start.
//!
//! The socket is connected before privileges are given up: its path is not there any more after a chroot. The crates that
//! speak this protocol look it up anew for every message.

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
use std::io::{IoSlice, Result};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The environment variable that names the socket.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
/// The environment variables that ask for signs of life: microseconds, and of which process.
const WATCHDOG_VARIABLE: &str = "WATCHDOG_USEC";
const WATCHDOG_PROCESS_VARIABLE: &str = "WATCHDOG_PID";

/// A state of the daemon that systemd knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Requests are answered, and what was to be reloaded is.
    Ready,
    /// The configuration is being read again.
    Reloading,
    /// New clients are turned away.
    Draining,
    /// The daemon is about to end.
    Stopping,
    /// Every worker is alive.
    Alive,
}

/// The way to systemd, or none where nobody asked.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Connects to the socket that the environment names. One that cannot be reached is logged and done without.
    pub fn from_environment() -> Self {
        let Some(name) = std::env::var_os(SOCKET_VARIABLE) else {
            return Self { socket: None, watchdog: None };
        };
        match connect(&name) {
            Ok(socket) => {
                let variable = |name| std::env::var(name).ok();
                let watchdog = watchdog(variable(WATCHDOG_VARIABLE), variable(WATCHDOG_PROCESS_VARIABLE));
                Self { socket: Some(socket), watchdog }
            }
            Err(error) => {
                log::warn!("systemd cannot be notified at {}: {error}", name.display());
                Self { socket: None, watchdog: None }
            }
        }
    }

    /// Whether there is anyone to tell.
    pub const fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// How long systemd waits for a sign of life before it ends the daemon, where it does.
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells that the start may take this much longer from now on, and why: systemd gives it 90 s otherwise
    /// (`TimeoutStartSec=`).
    pub fn ask_for_time(&self, reason: &str, time: Duration) {
        self.send(format!("STATUS={reason}\nEXTEND_TIMEOUT_USEC={}", time.as_micros()).as_bytes(), &[]);
    }

    /// Tells a state.
    pub fn tell(&self, state: State) {
        match state {
            State::Ready => self.send(b"READY=1\nSTATUS=serving", &[]),
            State::Reloading => self.send(reloading().as_bytes(), &[]),
            State::Draining => self.send(b"STATUS=draining", &[]),
            State::Stopping => self.send(b"STOPPING=1", &[]),
            State::Alive => self.send(b"WATCHDOG=1", &[]),
        }
    }

    /// Has a descriptor kept, to be passed to the next start under this name, where the unit's
    /// `FileDescriptorStoreMax=` allows it.
    pub fn keep(&self, name: &str, descriptor: BorrowedFd<'_>) {
        self.send(format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0").as_bytes(), &[descriptor]);
    }

    fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let Some(socket) = &self.socket else { return };
        let raw: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let attached = if raw.is_empty() { &[][..] } else { &rights };
        let message = [IoSlice::new(message)];
        // Without waiting: a service manager that does not read is no reason to stop.
        let sent = sendmsg::<()>(socket.as_raw_fd(), &message, attached, MsgFlags::MSG_DONTWAIT, None);
        if let Err(error) = sent {
            log::warn!("systemd could not be notified: {error}");
        }
    }
}

/// With the time, by which systemd tells that it is the answer to its signal: not the coarse clock, which may lie before.
fn reloading() -> String {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros())
}

/// The time that the environment gives this process, if it gives one.
fn watchdog(microseconds: Option<String>, process: Option<String>) -> Option<Duration> {
    if process.is_some_and(|process| process.parse() != Ok(std::process::id())) {
        return None;
    }
    let microseconds = microseconds?.parse().ok().filter(|microseconds| *microseconds > 0)?;
    Some(Duration::from_micros(microseconds))
}

/// A path, or behind an `@` an abstract name.
fn connect(name: &OsStr) -> Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::{connect, watchdog};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    #[test]
    fn an_abstract_name_is_reached_as_well_as_a_path() {
        let name = format!("opentracker-xdp-test-{}", std::process::id());
        let listening = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        connect(format!("@{name}").as_ref()).unwrap().send(b"x").unwrap();
        assert_eq!(listening.recv(&mut [0; 8]).unwrap(), 1);
        assert!(connect("/nowhere/notify".as_ref()).is_err());
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let (own, text) = (std::process::id().to_string(), |text: &str| Some(text.to_owned()));
        assert_eq!(watchdog(text("3000000"), None), Some(Duration::from_secs(3)));
        assert_eq!(watchdog(text("3000000"), Some(own)), Some(Duration::from_secs(3)));
        assert_eq!(watchdog(text("3000000"), text("1")), None);
        for nothing in [None, text(""), text("0"), text("-1"), text("x")] {
            assert_eq!(watchdog(nothing, None), None);
        }
    }
}
