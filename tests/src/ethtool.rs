//! What ethtool(8) sets on an interface of this thread's namespace, by the same call (linux/ethtool.h).

use socket2::{Domain, Socket, Type};
use std::ffi::CString;
use std::io::{Error, Result};
use std::os::fd::AsRawFd;

/// `ETHTOOL_STXCSUM`: whether checksums are left to the card.
const SET_TX_CHECKSUM: u32 = 0x17;
/// `ETHTOOL_GCHANNELS` and `ETHTOOL_SCHANNELS`: how many queues are in use.
const GET_CHANNELS: u32 = 0x3c;
const SET_CHANNELS: u32 = 0x3d;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    max_receive: u32,
    max_transmit: u32,
    max_other: u32,
    max_combined: u32,
    receive: u32,
    transmit: u32,
    other: u32,
    combined: u32,
}

/// Makes the stack compute every checksum of what leaves through an interface: a virtual cable would deliver it half done.
///
/// # Panics
/// When this process may not, or there is no such interface.
pub fn compute_checksums_in_software(interface: &str) {
    let mut value = Value { command: SET_TX_CHECKSUM, data: 0 };
    ask(interface, &mut value).unwrap_or_else(|error| panic!("checksums of {interface}: {error}"));
}

/// Sets how many queues of an interface are in use, to receive and to transmit.
///
/// # Errors
/// Where the kernel does not allow it.
pub fn set_queues(interface: &str, receive: u32, transmit: u32) -> Result<()> {
    let mut channels = Channels { command: GET_CHANNELS, ..Channels::default() };
    ask(interface, &mut channels)?;
    channels = Channels { command: SET_CHANNELS, receive, transmit, ..channels };
    ask(interface, &mut channels)
}

/// Hands the kernel one of its structures, which begins with a command.
fn ask<T>(interface: &str, what: &mut T) -> Result<()> {
    let name = CString::new(interface).expect("no NUL in a name");
    // SAFETY: all bytes zero is a valid value: integers and a null pointer.
    let mut request = unsafe { std::mem::zeroed::<libc::ifreq>() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut *what).cast();
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket to ask through");
    // SAFETY: the request names an interface and a structure as its command wants it, and both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
