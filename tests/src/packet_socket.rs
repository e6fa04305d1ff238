//! Whole Ethernet frames in and out of one interface (packet(7)), past the stack of the namespace it is in.

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

/// Longer than any frame of an interface with the usual MTU.
const FRAME_LEN: usize = 2048;

/// A socket that sends and receives the frames of one interface, its own included.
#[derive(Debug)]
pub struct PacketSocket {
    socket: Socket,
}

impl PacketSocket {
    /// Opens one on an interface of this thread's namespace; a frame may take this long to come.
    ///
    /// # Panics
    /// When this process may not, or there is no such interface.
    pub fn open(interface: &str, deadline: Duration) -> Self {
        let every_protocol = (libc::ETH_P_ALL as u16).to_be();
        let protocol = Protocol::from(i32::from(every_protocol));
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("root may see all frames");
        socket.bind(&link_address(interface, every_protocol)).expect("the interface exists");
        socket.set_read_timeout(Some(deadline)).expect("the deadline is not zero");
        Self { socket }
    }

    /// Sends a frame as it is.
    pub fn send(&self, frame: &[u8]) {
        let sent = (&self.socket).write(frame).expect("the interface is up");
        assert_eq!(sent, frame.len());
    }

    /// The next frame, one of this interface's own included.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn receive(&self) -> Vec<u8> {
        let mut frame = vec![0; FRAME_LEN];
        loop {
            match (&self.socket).read(&mut frame) {
                Ok(length) => {
                    frame.truncate(length);
                    return frame;
                }
                // The kernel does not resume by itself what has a timeout (signal(7)).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no frame in time: {error}"),
            }
        }
    }
}

fn link_address(interface: &str, protocol_be: u16) -> SockAddr {
    let index = nix::net::if_::if_nametoindex(interface).expect("the interface exists");
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is one of the types that the storage is made for.
    let link = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    link.sll_family = libc::AF_PACKET as u16;
    link.sll_protocol = protocol_be;
    link.sll_ifindex = index.try_into().expect("interface numbers are small");
    // SAFETY: the storage holds a `sockaddr_ll`, which is as long as said.
    unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as libc::socklen_t) }
}
