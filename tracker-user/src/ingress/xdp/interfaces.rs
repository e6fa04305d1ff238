//! The host's interfaces and addresses: read whole whenever the kernel says that something about them has changed.

use super::link_info;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) link_address: [u8; 6],
    pub(super) is_up: bool,
    pub(super) is_loopback: bool,
    pub(super) addresses: Vec<IpAddr>,
    /// What is sent there reaches every host of a network, whatever `ip` shows as broadcast address.
    pub(super) broadcast_addresses: Vec<Ipv4Addr>,
    /// Whether a VLAN of the host goes through it.
    pub(super) has_vlan: bool,
}

/// Every interface of this network namespace.
///
/// # Errors
/// Those of getifaddrs(3).
pub(super) fn list() -> Result<Vec<Interface>> {
    let mut interfaces: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs()? {
        // An address may have a label of its own, which follows the name of its interface: `eth0:1`.
        let name = entry.interface_name.split(':').next().unwrap_or_default();
        let interface = interfaces.entry(name.to_owned()).or_insert_with(|| Interface {
            name: name.to_owned(),
            index: 0,
            link_address: [0; 6],
            is_up: entry.flags.contains(InterfaceFlags::IFF_UP),
            is_loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
            addresses: Vec::new(),
            broadcast_addresses: Vec::new(),
            has_vlan: false,
        });
        let Some(address) = entry.address else { continue };
        if let Some(link) = address.as_link_addr() {
            interface.index = link.ifindex() as u32;
            interface.link_address = link.addr().unwrap_or_default();
        } else if let Some(v4) = address.as_sockaddr_in() {
            interface.addresses.push(v4.ip().into());
            let mask = entry.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in().map(|mask| mask.ip()));
            interface
                .broadcast_addresses
                .extend(broadcast_addresses(v4.ip(), mask.unwrap_or(Ipv4Addr::BROADCAST)));
        } else if let Some(v6) = address.as_sockaddr_in6() {
            interface.addresses.push(v6.ip().into());
        }
    }
    // One without a link address has vanished while the list was read.
    let mut interfaces: Vec<Interface> =
        interfaces.into_values().filter(|interface| interface.index != 0).collect();
    let carriers = vlan_carriers(&interfaces)?;
    for interface in &mut interfaces {
        interface.has_vlan = carriers.contains(&interface.index);
    }
    Ok(interfaces)
}

/// The first and the last address of a network, as Linux has them (fib_add_ifaddr): all zeros was once a broadcast, too.
/// A network of one or two hosts has none (RFC 3021).
fn broadcast_addresses(address: Ipv4Addr, mask: Ipv4Addr) -> Vec<Ipv4Addr> {
    if mask.to_bits().count_ones() >= 31 {
        return Vec::new();
    }
    vec![address & mask, address | !mask]
}

/// The indices of the interfaces that carry VLANs. Asked over netlink: the list under /proc is for root's eyes.
fn vlan_carriers(interfaces: &[Interface]) -> Result<BTreeSet<u32>> {
    let mut carriers = BTreeSet::new();
    for interface in interfaces {
        let info = link_info::of(interface.index)?;
        if info.kind.as_deref() == Some("vlan") {
            carriers.extend(info.lower_link);
        }
    }
    Ok(carriers)
}

/// Multicast groups of rtnetlink(7): links, and addresses of both families.
const GROUPS: u32 = (libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR) as u32;

/// Hears of every change to links and addresses.
#[derive(Debug)]
pub struct ChangeWatch(OwnedFd);

impl ChangeWatch {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where the kernel has no netlink for us.
    pub fn new() -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Self(socket))
    }

    /// Takes all that has been heard. What exactly has changed does not matter: everything is read anew.
    pub fn drain(&self) {
        let mut message = [0; 8192];
        loop {
            match recv(self.0.as_raw_fd(), &mut message, MsgFlags::empty()).map_err(Error::from) {
                Ok(_) => {}
                // Too much has changed for the socket's buffer (ENOBUFS): the socket goes on.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

impl AsRawFd for ChangeWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{broadcast_addresses, list};

    #[test]
    fn the_loopback_interface_is_listed_with_its_address() {
        let interfaces = list().unwrap();
        let loopback = interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert!(loopback.is_loopback);
        assert_eq!(loopback.index, 1);
        assert!(loopback.addresses.contains(&"127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_network_has_two_broadcast_addresses_unless_it_is_a_link_of_two_hosts() {
        let of = |address: &str, mask: &str| {
            broadcast_addresses(address.parse().unwrap(), mask.parse().unwrap())
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(of("192.0.2.200", "255.255.255.128"), ["192.0.2.128", "192.0.2.255"]);
        assert!(of("192.0.2.2", "255.255.255.254").is_empty());
        assert!(of("192.0.2.2", "255.255.255.255").is_empty());
    }
}
