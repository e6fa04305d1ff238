//! What systemd is told about the daemon's life (sd_notify(3)), where it asked to be told.
//!
//! The socket is connected before privileges are given up: its path is not there any more after a chroot. The crates that
//! speak this protocol look it up anew for every message.

use std::ffi::OsStr;
use std::io::Result;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The environment variable that names the socket.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";

/// A state of the daemon that systemd knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Requests are answered.
    Ready,
    /// The daemon is about to end.
    Stopping,
}

/// The way to systemd, or none where nobody asked.
#[derive(Debug)]
pub struct Notifier(Option<UnixDatagram>);

impl Notifier {
    /// Connects to the socket that the environment names. One that cannot be reached is logged and done without.
    pub fn from_environment() -> Self {
        let Some(name) = std::env::var_os(SOCKET_VARIABLE) else { return Self(None) };
        match connect(&name) {
            Ok(socket) => Self(Some(socket)),
            Err(error) => {
                log::warn!("systemd cannot be notified at {}: {error}", name.display());
                Self(None)
            }
        }
    }

    /// Tells a state.
    pub fn tell(&self, state: State) {
        let message: &[u8] = match state {
            State::Ready => b"READY=1",
            State::Stopping => b"STOPPING=1",
        };
        if let Some(Err(error)) = self.0.as_ref().map(|socket| socket.send(message)) {
            log::warn!("systemd could not be notified: {error}");
        }
    }
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
    use super::connect;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn an_abstract_name_is_reached_as_well_as_a_path() {
        let name = format!("opentracker-xdp-test-{}", std::process::id());
        let listening = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        connect(format!("@{name}").as_ref()).unwrap().send(b"x").unwrap();
        assert_eq!(listening.recv(&mut [0; 8]).unwrap(), 1);
        assert!(connect("/nowhere/notify".as_ref()).is_err());
    }
}
