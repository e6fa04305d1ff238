//! What the service manager passes to a start (sd_listen_fds(3)): sockets that it has bound and keeps while the daemon is
//! away, so that what comes meanwhile waits in them, and what the daemon has left with it at the start before.

use crate::config::types::Transport;
use listenfd::ListenFd;
use socket2::Socket;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use thiserror::Error;

/// The environment variable that names what is passed, with colons between the names.
const NAMES_VARIABLE: &str = "LISTEN_FDNAMES";
/// The name of the keys of connection ids.
pub const KEYS_NAME: &str = "connection-id-keys";

/// Something is passed that the tracker cannot serve.
#[derive(Debug, Error)]
pub enum InheritedError {
    /// Neither UDP nor a TCP listener nor a listening Unix socket.
    #[error(
        "the socket unit passes something ({0}) that is neither ListenDatagram= nor ListenStream= of an address, nor \
         the path of a control socket"
    )]
    Foreign(String),
    /// A socket for both families.
    #[error(
        "the socket unit passes {0} for IPv4 as well; set BindIPv6Only=ipv6-only, and list 0.0.0.0 beside it"
    )]
    DualStack(SocketAddr),
    /// The kernel refuses to say what it is.
    #[error("what the socket unit passes cannot be looked at: {0}")]
    System(#[from] io::Error),
}

/// Everything that was passed.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(Transport, SocketAddr, Socket)>,
    /// A control socket.
    pub control: Option<UnixListener>,
    /// The keys that an earlier start has left.
    pub keys: Option<File>,
}

impl Inherited {
    /// Takes what the environment says is passed to this process. Only once: what was taken is another's afterwards.
    ///
    /// # Errors
    /// Where it is nothing that the tracker serves.
    pub fn from_environment() -> Result<Self, InheritedError> {
        let names = std::env::var(NAMES_VARIABLE).unwrap_or_default();
        let mut passed = ListenFd::from_env();
        let mut inherited = Self::default();
        let names = names.split(':').chain(std::iter::repeat(""));
        for (index, name) in (0..passed.len()).zip(names) {
            if name == KEYS_NAME {
                inherited.keys = passed.take_raw_fd(index)?.map(|descriptor| {
                    // SAFETY: it is passed to this process, and taken out of what is passed by nobody else.
                    File::from(unsafe { OwnedFd::from_raw_fd(descriptor) })
                });
            } else if let Ok(Some(socket)) = passed.take_udp_socket(index) {
                inherited.add(Transport::Udp, OwnedFd::from(socket).into())?;
            } else if let Ok(Some(socket)) = passed.take_tcp_listener(index) {
                inherited.add(Transport::Tcp, OwnedFd::from(socket).into())?;
            } else if let Ok(Some(socket)) = passed.take_unix_listener(index) {
                inherited.control = Some(socket);
            } else {
                return Err(InheritedError::Foreign(format!(
                    "descriptor {index} of the unit, named {name:?}"
                )));
            }
        }
        Ok(inherited)
    }

    fn add(&mut self, transport: Transport, socket: Socket) -> Result<(), InheritedError> {
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| InheritedError::Foreign("an address of no IP".to_owned()))?;
        if transport == Transport::Tcp && !socket.is_listener()? {
            return Err(InheritedError::Foreign(format!("a connection of {address}; set Accept=no")));
        }
        if address.is_ipv6() && !socket.only_v6()? {
            return Err(InheritedError::DualStack(address));
        }
        self.sockets.push((transport, address, socket));
        Ok(())
    }

    /// Whether any socket for clients is passed.
    pub const fn serves(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// The addresses of the sockets that have not been taken, each once, UDP first.
    pub fn addresses(&self) -> Vec<(Transport, SocketAddr)> {
        let of = |wanted| self.sockets.iter().filter(move |(transport, ..)| *transport == wanted);
        let mut addresses = Vec::new();
        for (transport, address, _) in of(Transport::Udp).chain(of(Transport::Tcp)) {
            if !addresses.contains(&(*transport, *address)) {
                addresses.push((*transport, *address));
            }
        }
        addresses
    }

    /// Takes the sockets of an address: mostly none, or one, but as many as the unit lists with `ReusePort=yes`.
    pub fn take(&mut self, transport: Transport, address: SocketAddr) -> Vec<Socket> {
        let is_wanted =
            |(kind, at, _): &mut (Transport, SocketAddr, Socket)| *kind == transport && *at == address;
        self.sockets.extract_if(.., is_wanted).map(|(.., socket)| socket).collect()
    }
}

/// Deals sockets to workers: each worker has one at least, and each socket a worker.
///
/// # Errors
/// Where there are too many descriptors.
pub fn deal(sockets: &[Socket], workers: usize) -> io::Result<Vec<Vec<Socket>>> {
    let mut dealt: Vec<Vec<Socket>> = (0..workers).map(|_| Vec::new()).collect();
    if sockets.is_empty() || workers == 0 {
        return Ok(dealt);
    }
    for index in 0..sockets.len().max(workers) {
        let socket = &sockets[index % sockets.len()];
        dealt[index % workers].push(socket.try_clone()?);
    }
    Ok(dealt)
}

#[cfg(test)]
mod tests {
    use super::{Inherited, InheritedError, deal};
    use crate::config::types::Transport;
    use socket2::{Domain, SockAddr, Socket, Type};
    use std::net::SocketAddr;

    fn bound(kind: Type, address: &str) -> (Socket, SocketAddr) {
        let address: SocketAddr = address.parse().unwrap();
        let socket = Socket::new(Domain::for_address(address), kind, None).unwrap();
        if address.is_ipv6() {
            socket.set_only_v6(true).unwrap();
        }
        socket.bind(&SockAddr::from(address)).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    #[test]
    fn sockets_are_found_by_transport_and_address() {
        let mut inherited = Inherited::default();
        assert!(!inherited.serves());
        let (udp, udp_address) = bound(Type::DGRAM, "127.0.0.1:0");
        let (tcp, tcp_address) = bound(Type::STREAM, "127.0.0.1:0");
        tcp.listen(1).unwrap();
        inherited.add(Transport::Tcp, tcp).unwrap();
        inherited.add(Transport::Udp, udp.try_clone().unwrap()).unwrap();
        inherited.add(Transport::Udp, udp).unwrap();
        assert_eq!(inherited.addresses(), [(Transport::Udp, udp_address), (Transport::Tcp, tcp_address)]);
        assert!(inherited.take(Transport::Tcp, udp_address).is_empty());
        assert_eq!(inherited.take(Transport::Udp, udp_address).len(), 2);
        assert_eq!(inherited.addresses(), [(Transport::Tcp, tcp_address)]);
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let (not_listening, _) = bound(Type::STREAM, "127.0.0.1:0");
        let refused = Inherited::default().add(Transport::Tcp, not_listening);
        assert!(matches!(refused, Err(InheritedError::Foreign(_))));
        let both = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        both.set_only_v6(false).unwrap();
        both.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let refused = Inherited::default().add(Transport::Udp, both);
        assert!(matches!(refused, Err(InheritedError::DualStack(_))));
    }

    #[test]
    fn every_worker_has_a_socket_and_every_socket_a_worker() {
        let sockets: Vec<_> = (0..3).map(|_| bound(Type::DGRAM, "127.0.0.1:0").0).collect();
        let dealt = |count: usize, workers| {
            let hands = deal(&sockets[..count], workers).unwrap();
            hands.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(dealt(1, 3), [1, 1, 1]);
        assert_eq!(dealt(3, 3), [1, 1, 1]);
        assert_eq!(dealt(3, 2), [2, 1]);
        assert_eq!(dealt(2, 3), [1, 1, 1]);
        assert_eq!(dealt(0, 2), [0, 0]);
    }
}
