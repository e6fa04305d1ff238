//! Who takes in the frames on the way to a tracker.

use anyhow::{Context, Result, bail};
use std::fs;
use std::net::IpAddr;

/// An Ethernet address, from text such as `02:00:00:00:00:01`.
pub(crate) fn parse_link_address(text: &str) -> Result<[u8; 6]> {
    let mut parts = text.trim().split(':');
    let mut address = [0; 6];
    for byte in &mut address {
        let part = parts.next().filter(|part| part.len() == 2);
        let value = part.and_then(|part| u8::from_str_radix(part, 16).ok());
        *byte =
            value.with_context(|| format!("{text:?} is no Ethernet address, such as 02:00:00:00:00:01"))?;
    }
    if parts.next().is_some() {
        bail!("{text:?} is longer than an Ethernet address");
    }
    Ok(address)
}

/// The Ethernet address of an interface of this network namespace.
pub(crate) fn own_link_address(interface: &str) -> Result<[u8; 6]> {
    let addresses = nix::ifaddrs::getifaddrs().context("cannot read the addresses of this host")?;
    let mut links = addresses.filter(|address| address.interface_name == interface);
    links
        .find_map(|address| address.address?.as_link_addr()?.addr())
        .with_context(|| format!("there is no interface {interface} with an Ethernet address"))
}

/// The Ethernet address of the neighbour on an interface that has this address, as the kernel knows it.
pub(crate) fn link_address_of(neighbour: IpAddr, interface: &str) -> Result<[u8; 6]> {
    let table =
        fs::read_to_string("/proc/thread-self/net/arp").context("cannot read /proc/thread-self/net/arp")?;
    let address = entry(&table, neighbour, interface).with_context(|| {
        format!(
            "the kernel knows no Ethernet address of {neighbour} on {interface}; name the next hop's with --next-hop \
             (`ip neighbour` lists them)"
        )
    })?;
    parse_link_address(address)
}

/// The Ethernet address in the table of IPv4 neighbours: address, type, flags, link address, mask, interface.
fn entry<'a>(table: &'a str, neighbour: IpAddr, interface: &str) -> Option<&'a str> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [address, _, _, link_address, _, on] = columns[..] else { return None };
        (address.parse() == Ok(neighbour) && on == interface).then_some(link_address)
    })
}

#[cfg(test)]
mod tests {
    use super::{entry, parse_link_address};

    #[test]
    fn a_link_address_is_six_bytes_in_hex() {
        assert_eq!(parse_link_address("02:00:00:aB:00:01\n").unwrap(), [2, 0, 0, 0xab, 0, 1]);
        for wrong in ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "2:0:0:0:0:1", "02-00-00-00-00-01"] {
            assert!(parse_link_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_neighbour_is_found_by_address_and_interface() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     192.0.2.1        0x1         0x2         02:00:00:00:00:01     *        eth0\n\
                     192.0.2.1        0x1         0x2         02:00:00:00:00:09     *        eth1\n";
        let find = |address: &str, interface| entry(table, address.parse().unwrap(), interface);
        assert_eq!(find("192.0.2.1", "eth1"), Some("02:00:00:00:00:09"));
        assert_eq!(find("192.0.2.2", "eth0"), None);
    }
}
