//! Whole Ethernet frames in and out of one interface (packet(7)), past the stack of the namespace it is in.

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use std::ffi::CString;
use std::io::{Error, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Longer than any frame of an interface with the usual MTU.
const FRAME_LEN: usize = 2048;

/// `ETHTOOL_STXCSUM` of linux/ethtool.h: whether checksums are left to the card.
const SET_TX_CHECKSUM: u32 = 0x17;

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
    /// # Errors
    /// When none comes in time.
    pub fn receive(&self) -> Result<Vec<u8>, Error> {
        let mut frame = vec![0; FRAME_LEN];
        let length = (&self.socket).read(&mut frame)?;
        frame.truncate(length);
        Ok(frame)
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

/// Makes the stack compute every checksum of what leaves through an interface of this thread's namespace: a virtual
/// cable would deliver it half done.
///
/// # Panics
/// When this process may not, or there is no such interface.
pub fn compute_checksums_in_software(interface: &str) {
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    let mut value = Value { command: SET_TX_CHECKSUM, data: 0 };
    let name = CString::new(interface).expect("no NUL in a name");
    // SAFETY: all bytes zero is a valid value: integers and a null pointer.
    let mut request = unsafe { std::mem::zeroed::<libc::ifreq>() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket to ask through");
    // SAFETY: the request names an interface and a `Value`, and both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    assert_eq!(result, 0, "checksums of {interface}: {}", Error::last_os_error());
}
