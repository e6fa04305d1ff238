//! Sockets bound before privileges are dropped: for each listen line as many as there are workers to share it.
//!
//! The first socket of a group binds alone, so that a port in use is an error and not a silent sharing with
//! another process of the same user; only then `SO_REUSEPORT` lets its siblings join.

use crate::config::types::{Config, Listen, Transport};
use crate::inherited::{self, Inherited};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use thiserror::Error;

/// Connections that wait to be accepted, per socket.
const BACKLOG: i32 = 1024;

/// A listen line cannot be served.
#[derive(Debug, Error)]
#[error("cannot listen on {transport} {address}: {cause}{}", remedy(cause))]
pub struct BindError {
    transport: &'static str,
    address: SocketAddr,
    /// Not called `source`: its text is in the message already.
    cause: Error,
}

fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "; end the process that has it, or choose another port",
        ErrorKind::PermissionDenied => "; ports below 1024 need root or CAP_NET_BIND_SERVICE",
        ErrorKind::AddrNotAvailable => "; no interface of this host carries that address",
        ErrorKind::InvalidInput => "; a link-local address needs its link: listen on every address instead",
        _ => "",
    }
}

/// Everything that is bound, divided among the workers.
#[derive(Debug)]
pub struct Bound {
    /// For each UDP worker the sockets that it serves.
    pub udp: Vec<Vec<UdpSocket>>,
    /// For each HTTP worker the sockets that it accepts from.
    pub tcp: Vec<Vec<TcpListener>>,
    /// What is served, with the ports that the kernel chose.
    pub addresses: Vec<(Transport, SocketAddr)>,
}

impl Bound {
    /// Takes over what the service manager has bound, and binds every listen line that is not among it. Where there are
    /// sockets of a service manager and no listen lines, there are no others.
    ///
    /// # Errors
    /// Where a line that the operator asked for cannot be served, or none at all.
    pub fn bind(config: &Config, inherited: &mut Inherited) -> Result<Self, BindError> {
        let workers = |configured: u16| match configured {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => usize::from(count),
        };
        let mut bound = Self { udp: Vec::new(), tcp: Vec::new(), addresses: Vec::new() };
        for line in lines(config, inherited) {
            let wanted = match line.transport {
                Transport::Udp => line.udp_workers.map_or_else(|| workers(config.udp.workers), usize::from),
                Transport::Tcp => workers(config.http.workers),
            };
            let passed = inherited.take(line.transport, line.address);
            let hands =
                if passed.is_empty() { bind_group(&line, wanted) } else { take_over(&line, &passed, wanted) };
            let added = hands.and_then(|hands| match line.transport {
                Transport::Udp => bound.add_udp(hands, config.udp.receive_buffer_bytes),
                Transport::Tcp => bound.add_tcp(hands),
            });
            match added {
                Ok(()) => {}
                Err(cause) if config.may_lack_family(&line) && is_family_missing(&cause) => {
                    log::warn!("{} is not served: this host has no such address family", line.address);
                }
                Err(cause) => {
                    return Err(BindError { transport: line.transport.name(), address: line.address, cause });
                }
            }
        }
        Ok(bound)
    }

    /// Gives each worker its sockets of one address.
    fn add_udp(&mut self, hands: Vec<Vec<Socket>>, receive_buffer_bytes: u32) -> Result<(), Error> {
        self.addresses.push((Transport::Udp, local_address(&hands)?));
        for (worker, hand) in hands.into_iter().enumerate() {
            if self.udp.len() <= worker {
                self.udp.push(Vec::new());
            }
            for socket in hand {
                size_receive_buffer(&socket, receive_buffer_bytes)?;
                self.udp[worker].push(socket.into());
            }
        }
        Ok(())
    }

    fn add_tcp(&mut self, hands: Vec<Vec<Socket>>) -> Result<(), Error> {
        self.addresses.push((Transport::Tcp, local_address(&hands)?));
        for (worker, hand) in hands.into_iter().enumerate() {
            if self.tcp.len() <= worker {
                self.tcp.push(Vec::new());
            }
            for socket in hand {
                // One that is passed listens with the backlog of its unit.
                if !socket.is_listener()? {
                    socket.listen(BACKLOG)?;
                }
                socket.set_nonblocking(true)?;
                self.tcp[worker].push(socket.into());
            }
        }
        Ok(())
    }
}

/// What is to be served: the listen lines, and what is passed beside them.
fn lines(config: &Config, inherited: &Inherited) -> Vec<Listen> {
    let mut lines =
        if config.listen.is_empty() && inherited.serves() { Vec::new() } else { config.listeners() };
    for (transport, address) in inherited.addresses() {
        if !lines.iter().any(|line| line.transport == transport && line.address == address) {
            lines.push(Listen { transport, address, udp_workers: None });
        }
    }
    lines.sort_by_key(|line| line.transport == Transport::Tcp);
    lines
}

/// Deals sockets that somebody else has bound to workers.
fn take_over(line: &Listen, passed: &[Socket], workers: usize) -> Result<Vec<Vec<Socket>>, Error> {
    if line.transport == Transport::Udp {
        if line.address.ip().is_unspecified() {
            passed.iter().try_for_each(|socket| ask_for_destination(socket, line.address))?;
        }
        if passed.len() < workers {
            log::info!(
                "{workers} workers share {} sockets of udp {}; each has its own where the socket unit lists it as often, \
                 with ReusePort=yes",
                passed.len(),
                line.address
            );
        }
    }
    inherited::deal(passed, workers)
}

/// Binds `count` sockets, at least one, to the same address, one for each worker.
fn bind_group(line: &Listen, count: usize) -> Result<Vec<Vec<Socket>>, Error> {
    let first = open(line)?;
    first.bind(&line.address.into())?;
    first.set_reuse_port(true)?;
    let address = first.local_addr()?;
    let mut sockets = vec![vec![first]];
    while sockets.len() < count {
        let socket = open(line)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address)?;
        sockets.push(vec![socket]);
    }
    Ok(sockets)
}

fn open(line: &Listen) -> Result<Socket, Error> {
    let domain = Domain::for_address(line.address);
    let socket = match line.transport {
        Transport::Udp => Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
        Transport::Tcp => {
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            // Only lets a restart bind while old connections linger in TIME_WAIT: a listener still excludes us.
            socket.set_reuse_address(true)?;
            socket
        }
    };
    if domain == Domain::IPV6 {
        // One family per socket: an IPv4 peer never comes in as a mapped address.
        socket.set_only_v6(true)?;
    }
    if line.transport == Transport::Udp && line.address.ip().is_unspecified() {
        ask_for_destination(&socket, line.address)?;
    }
    Ok(socket)
}

/// Makes the kernel say which of the host's addresses each packet was sent to, so that the answer leaves from it.
fn ask_for_destination(socket: &Socket, address: SocketAddr) -> Result<(), Error> {
    let set = match address {
        SocketAddr::V4(_) => {
            nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Ipv4PacketInfo, &true)
        }
        SocketAddr::V6(_) => {
            nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Ipv6RecvPacketInfo, &true)
        }
    };
    set.map_err(Error::from)
}

/// Sizes the queue in which packets wait while a worker is busy; past `net.core.rmem_max` only with
/// `CAP_NET_ADMIN`.
fn size_receive_buffer(socket: &Socket, bytes: u32) -> Result<(), Error> {
    if bytes == 0 {
        return Ok(());
    }
    let forced =
        nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::RcvBufForce, &(bytes as usize));
    if forced.is_ok() {
        return Ok(());
    }
    socket.set_recv_buffer_size(bytes as usize)?;
    // The kernel doubles what it grants, for its own bookkeeping (socket(7)).
    let granted = socket.recv_buffer_size()? / 2;
    if granted < bytes as usize {
        log::warn!(
            "a UDP receive buffer is {granted} bytes where udp.receive_buffer_bytes asks for {bytes}; \
             raise it with `sysctl net.core.rmem_max={bytes}` or start as root"
        );
    }
    Ok(())
}

fn local_address(hands: &[Vec<Socket>]) -> Result<SocketAddr, Error> {
    let first = hands.iter().flatten().next().ok_or(ErrorKind::NotFound)?;
    first.local_addr()?.as_socket().ok_or_else(|| ErrorKind::Unsupported.into())
}

fn is_family_missing(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

#[cfg(test)]
mod tests {
    use super::{BindError, Bound};
    use crate::config::types::{Config, Listen, Transport};
    use crate::inherited::Inherited;
    use std::net::SocketAddr;

    fn bind(config: &Config) -> Result<Bound, BindError> {
        Bound::bind(config, &mut Inherited::default())
    }

    fn config(lines: &[(Transport, &str, Option<u16>)]) -> Config {
        let listen = lines.iter().map(|(transport, address, udp_workers)| Listen {
            transport: *transport,
            address: address.parse().unwrap(),
            udp_workers: *udp_workers,
        });
        let mut config = Config { listen: listen.collect(), ..Config::default() };
        (config.udp.workers, config.http.workers) = (2, 3);
        config.udp.receive_buffer_bytes = 0;
        config
    }

    #[test]
    fn every_worker_gets_a_socket_of_every_address() {
        let lines = [(Transport::Udp, "127.0.0.1:0", None), (Transport::Udp, "127.0.0.2:0", Some(1))];
        let bound = bind(&config(&lines)).unwrap();
        let ports: Vec<Vec<SocketAddr>> = bound
            .udp
            .iter()
            .map(|sockets| sockets.iter().map(|socket| socket.local_addr().unwrap()).collect())
            .collect();
        let [first, second] = [bound.addresses[0].1, bound.addresses[1].1];
        assert_eq!(ports, [vec![first, second], vec![first]]);
        assert_ne!(first.port(), 0);
    }

    #[test]
    fn tcp_has_its_own_number_of_workers() {
        let bound = bind(&config(&[(Transport::Tcp, "127.0.0.1:0", None)])).unwrap();
        assert_eq!(bound.tcp.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn a_port_in_use_is_an_error_that_names_it_even_for_the_same_user() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let first = bind(&config(&[(transport, "127.0.0.1:0", None)])).unwrap();
            let taken = first.addresses[0].1.to_string();
            let error = bind(&config(&[(transport, &taken, None)])).unwrap_err().to_string();
            assert!(error.contains(&taken), "{error}");
            assert!(error.contains("choose another port"), "{error}");
        }
    }
}
