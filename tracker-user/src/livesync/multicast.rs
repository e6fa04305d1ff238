//! The two sockets of livesync: one that has joined the group, one that sends to it. Bound before root is given up.

use crate::config::types::LivesyncConfig;
use nix::ifaddrs::getifaddrs;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{ErrorKind, Result};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

/// Room for datagrams that come while the receiver is busy.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Datagrams stay in their own network.
const HOPS: u32 = 1;

/// The group, and where on this host it is.
#[derive(Clone, Copy, Debug)]
struct Place {
    group: IpAddr,
    /// The address of this host on the network of the cluster; unspecified: the kernel chooses a network.
    own: IpAddr,
    port: u16,
}

/// A socket that receives what is sent to the group.
#[derive(Debug)]
pub struct GroupReceiver {
    socket: UdpSocket,
    place: Place,
    /// The socket has joined on more than one interface, and no other could be had in its stead yet.
    is_outdated: bool,
}

/// A socket that sends to the group.
#[derive(Debug)]
pub struct GroupSender {
    socket: UdpSocket,
    place: Place,
}

/// Both sockets.
#[derive(Debug)]
pub struct GroupSockets {
    /// For the thread that receives.
    pub receiver: GroupReceiver,
    /// For the thread that sends.
    pub sender: GroupSender,
}

impl GroupSockets {
    /// Opens both; `None` where livesync is off.
    ///
    /// # Errors
    /// Where an address or the group cannot be had.
    pub fn open(config: &LivesyncConfig) -> Result<Option<Self>> {
        let Some(listen) = config.listen else { return Ok(None) };
        let place = Place { group: config.group, own: listen.ip(), port: listen.port() };
        let receiver = GroupReceiver { socket: place.member()?, place, is_outdated: false };
        let sender = GroupSender { socket: place.sending_socket(listen)?, place };
        sender.choose_interface()?;
        Ok(Some(Self { receiver, sender }))
    }
}

impl Place {
    /// A socket in the group.
    fn member(self) -> Result<UdpSocket> {
        let socket = self.receiving_socket()?;
        self.join(&socket)?;
        Ok(socket)
    }

    fn join(self, socket: &UdpSocket) -> Result<()> {
        let socket = SockRef::from(socket);
        match (self.group, self.own) {
            (IpAddr::V4(group), IpAddr::V4(own)) => socket.join_multicast_v4(&group, &own),
            (IpAddr::V6(group), _) => socket.join_multicast_v6(&group, self.interface()?),
            // `check` has refused it.
            (IpAddr::V4(_), IpAddr::V6(_)) => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn receiving_socket(self) -> Result<UdpSocket> {
        let socket = self.socket()?;
        // Bound to the group, so that what is sent to this host alone does not come in.
        let address = match self.group {
            IpAddr::V4(_) => SocketAddr::new(self.group, self.port),
            IpAddr::V6(group) => SocketAddrV6::new(group, self.port, 0, self.interface()?).into(),
        };
        socket.bind(&address.into())?;
        // More than the kernel grants is no reason not to start. One that takes another's place while the tracker runs,
        // without CAP_NET_ADMIN, has no more than net.core.rmem_max.
        let forced = nix::sys::socket::setsockopt(
            &socket,
            nix::sys::socket::sockopt::RcvBufForce,
            &RECEIVE_BUFFER_BYTES,
        );
        if forced.is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }

    fn sending_socket(self, listen: SocketAddr) -> Result<UdpSocket> {
        let socket = self.socket()?;
        socket.bind(&listen.into())?;
        // Nobody reads what comes to this one.
        socket.set_recv_buffer_size(1)?;
        match self.group {
            IpAddr::V4(_) => {
                socket.set_multicast_ttl_v4(HOPS)?;
                socket.set_multicast_loop_v4(false)?;
            }
            IpAddr::V6(_) => {
                socket.set_multicast_hops_v6(HOPS)?;
                socket.set_multicast_loop_v6(false)?;
            }
        }
        Ok(socket.into())
    }

    fn socket(self) -> Result<Socket> {
        let is_v4 = self.group.is_ipv4();
        let domain = if is_v4 { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        // Both sockets have the port.
        socket.set_reuse_address(true)?;
        if is_v4 {
            // Only the groups that this socket has joined, not those of any other on this host.
            socket.set_multicast_all_v4(false)?;
        } else {
            socket.set_only_v6(true)?;
            socket.set_multicast_all_v6(false)?;
        }
        Ok(socket)
    }

    /// The index of the interface that carries our address; 0, which leaves it to the kernel, where there is none to look for.
    fn interface(self) -> Result<u32> {
        if self.own.is_unspecified() {
            return Ok(0);
        }
        let carries = |address: &nix::ifaddrs::InterfaceAddress| {
            let address = address.address.as_ref();
            address
                .and_then(|address| address.as_sockaddr_in6())
                .is_some_and(|v6| IpAddr::V6(v6.ip()) == self.own)
        };
        let addresses: Vec<_> = getifaddrs()?.collect();
        let found = addresses.iter().find(|address| carries(address)).ok_or(ErrorKind::AddrNotAvailable)?;
        // Its link address tells the index. To ask for that by name is an ioctl, which the sandbox refuses.
        let of_link = addresses.iter().filter(|address| address.interface_name == found.interface_name);
        let mut indices =
            of_link.filter_map(|address| address.address.as_ref()?.as_link_addr()?.ifindex().try_into().ok());
        indices.next().ok_or_else(|| ErrorKind::AddrNotAvailable.into())
    }
}

impl GroupReceiver {
    /// Joins the group again, where it is in it no more: an interface that went and came back is another one.
    ///
    /// Then another socket takes the place of this one, which is bound to the interface that went where the group is of link
    /// scope, and would keep a membership of each interface that there was.
    ///
    /// # Errors
    /// Where no interface has our address, or no other socket is to be had.
    pub fn rejoin(&mut self) -> Result<()> {
        match self.place.join(&self.socket) {
            Ok(()) => self.is_outdated = true,
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
        if self.is_outdated {
            self.socket = self.place.member()?;
            self.is_outdated = false;
        }
        Ok(())
    }

    /// Receives a datagram that is there, with the address that it came from.
    ///
    /// # Errors
    /// Those of recvfrom(2); it does not wait.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<(usize, IpAddr)> {
        self.socket.recv_from(buffer).map(|(len, source)| (len, source.ip()))
    }
}

impl AsFd for GroupReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl GroupSender {
    /// Has datagrams leave by the interface of our address.
    fn choose_interface(&self) -> Result<()> {
        let socket = SockRef::from(&self.socket);
        match self.place.own {
            IpAddr::V4(own) => socket.set_multicast_if_v4(&own),
            IpAddr::V6(_) => socket.set_multicast_if_v6(self.place.interface()?),
        }
    }

    /// Sends a datagram to the group.
    ///
    /// # Errors
    /// Those of sendto(2).
    pub fn send(&self, datagram: &[u8]) -> Result<()> {
        let group = SocketAddr::new(self.place.group, self.place.port);
        let sent = self.socket.send_to(datagram, group).or_else(|_| {
            // Its interface may have gone and come back.
            self.choose_interface()?;
            self.socket.send_to(datagram, group)
        });
        sent.map(|_| ())
    }
}
