//! Settings of a virtual cable's ends that no command at hand makes.

use anyhow::{Context, Result};
use std::io::Error;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

/// `ETHTOOL_SGRO`.
const ETHTOOL_SET_GRO: u32 = 0x2c;

/// Turns on generic receive offload of an interface of this thread's network namespace: a virtual cable then takes packets
/// in like a card, in batches.
///
/// # Errors
/// Where there is no such interface, or this process may not.
pub fn turn_on_gro(interface: &str) -> Result<()> {
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let mut value = Value { command: ETHTOOL_SET_GRO, data: 1 };
    // SAFETY: a structure of numbers, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request and the value that it points to live until the call returns.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result < 0 {
        return Err(Error::last_os_error()).with_context(|| format!("cannot set up {interface}"));
    }
    Ok(())
}
