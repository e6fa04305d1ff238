//! What the program takes for its own: destination addresses and ports, for each interface that it is attached to.

use super::interfaces::Interface;
use crate::config::types::Transport;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use tracker_common::abi::{LISTENER_DEAF, LISTENER_UNTAGGED, ListenBucket, ListenKey, Listener};

/// Listeners by the words of their keys.
pub(super) type Entries = BTreeMap<[u64; 3], Listener>;
/// The elements of the map that hold any, by their index.
pub(super) type Buckets = BTreeMap<u32, ListenBucket>;

/// The entries as the map has them. One that finds no room is left out: its packets come through sockets.
pub(super) fn buckets(entries: &Entries) -> Buckets {
    let mut buckets = Buckets::new();
    let mut left_out = 0;
    // What listens comes first: the others can be done without.
    let (heard, deaf): (Vec<_>, Vec<_>) =
        entries.iter().partition(|(_, listener)| listener.flags & LISTENER_DEAF == 0);
    for (key, listener) in heard.into_iter().chain(deaf) {
        if !buckets.entry(ListenKey::bucket(*key)).or_default().add(*key, listener) {
            left_out += 1;
        }
    }
    if left_out > 0 {
        log::warn!("{left_out} of {} addresses find no room in the XDP program", entries.len());
    }
    buckets
}

/// The entries for everything bound over UDP, on these interfaces of all that the host has.
///
/// A wildcard stands for all addresses of its family on the whole host, not just the interface's own: Linux answers for
/// each of its addresses on every interface. Its other addresses and the broadcast addresses are told too: nobody else's
/// packets come from there. `xsk_slot` gives the slot of an interface that has AF_XDP sockets, by its index.
pub(super) fn entries(
    bound: &[(Transport, SocketAddr)],
    attached: &[&Interface],
    host: &[Interface],
    xsk_slot: impl Fn(u32) -> u16,
) -> Entries {
    let mut entries = Entries::new();
    let udp = || bound.iter().filter(|(transport, _)| *transport == Transport::Udp);
    for (_, socket) in udp() {
        for address in addresses_without_listener(host) {
            for interface in attached {
                let (key, listener) =
                    entry(SocketAddr::new(address, socket.port()), interface, LISTENER_DEAF);
                entries.insert(key, listener);
            }
        }
    }
    // Where something listens, this takes the place of what stands there from above.
    for (_, socket) in udp() {
        let addresses: Vec<IpAddr> = match socket.ip() {
            ip if ip.is_unspecified() => addresses_of_family(host, ip),
            ip => vec![ip],
        };
        for address in addresses {
            for interface in attached {
                let (key, listener) = entry(
                    SocketAddr::new(address, socket.port()),
                    interface,
                    Listener::xsk_flag(xsk_slot(interface.index)),
                );
                entries.insert(key, listener);
            }
        }
    }
    entries
}

fn addresses_of_family(host: &[Interface], wildcard: IpAddr) -> Vec<IpAddr> {
    let all = host.iter().flat_map(|interface| &interface.addresses);
    all.filter(|address| address.is_ipv4() == wildcard.is_ipv4()).copied().collect()
}

fn addresses_without_listener(host: &[Interface]) -> impl Iterator<Item = IpAddr> {
    host.iter().flat_map(|interface| {
        let broadcast = interface.broadcast_addresses.iter().map(|address| IpAddr::from(*address));
        interface.addresses.iter().copied().chain(broadcast)
    })
}

fn entry(address: SocketAddr, interface: &Interface, flags: u16) -> ([u64; 3], Listener) {
    let key = ListenKey {
        address: match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        },
        interface: interface.index,
        port_be: address.port().to_be_bytes(),
        padding: [0; 2],
    };
    let flags = if interface.has_vlan { flags } else { flags | LISTENER_UNTAGGED };
    (key.words(), Listener { link_address: interface.link_address, flags })
}

#[cfg(test)]
mod tests {
    use super::{Interface, LISTENER_DEAF, LISTENER_UNTAGGED, Listener, buckets, entries};
    use crate::config::types::Transport;
    use std::net::Ipv6Addr;
    use tracker_common::abi::ListenKey;

    fn interface(index: u32, addresses: &[&str]) -> Interface {
        Interface {
            name: format!("if{index}"),
            index,
            link_address: [index as u8; 6],
            is_up: true,
            is_loopback: false,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            broadcast_addresses: Vec::new(),
            has_vlan: false,
        }
    }

    #[test]
    fn a_wildcard_stands_for_every_address_of_its_family_on_each_attached_interface() {
        let host = [interface(2, &["192.0.2.1", "2001:db8::1"]), interface(3, &["192.0.2.2"])];
        let bound = [(Transport::Udp, "0.0.0.0:6969".parse().unwrap())];
        let entries = entries(&bound, &[&host[0]], &host, |_| 0);
        let key = |last| {
            [[0; 8], [0, 0, 255, 255, 192, 0, 2, last], [2, 0, 0, 0, 0x1b, 0x39, 0, 0]]
                .map(u64::from_ne_bytes)
        };
        for last in [1, 2] {
            assert_eq!(entries[&key(last)], listener(LISTENER_UNTAGGED));
        }
    }

    #[test]
    fn a_hundred_addresses_find_room_and_each_is_found_where_the_program_looks() {
        let addresses: Vec<String> = (0..100).map(|last| format!("192.0.2.{last}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let host = [interface(2, &addresses)];
        let entries =
            entries(&[(Transport::Udp, "0.0.0.0:6969".parse().unwrap())], &[&host[0]], &host, |_| 0);
        let buckets = buckets(&entries);
        for (key, listener) in &entries {
            let wanted = [key[0], key[1], key[2], u64::from_ne_bytes(listener.to_bytes())];
            assert!(buckets[&ListenKey::bucket(*key)].entries.contains(&wanted));
        }
    }

    /// As the interface of index 2 has it.
    fn listener(flags: u16) -> Listener {
        Listener { link_address: [2; 6], flags }
    }

    fn address([first, second, _]: &[u64; 3]) -> Ipv6Addr {
        (u128::from_be_bytes([first.to_ne_bytes(), second.to_ne_bytes()].concat().try_into().unwrap())).into()
    }

    #[test]
    fn an_address_stands_for_itself_and_tcp_for_nothing() {
        let host = [interface(2, &["192.0.2.1"]), interface(3, &["2001:db8::1"])];
        let bound = [
            (Transport::Udp, "[2001:db8::1]:80".parse().unwrap()),
            (Transport::Tcp, "192.0.2.1:80".parse().unwrap()),
        ];
        let entries = entries(&bound, &[&host[0], &host[1]], &host, |_| 0);
        let heard = entries.iter().filter(|(_, listener)| listener.flags & LISTENER_DEAF == 0);
        let heard: Vec<Ipv6Addr> = heard.map(|(key, _)| address(key)).collect();
        assert_eq!(heard, ["2001:db8::1".parse::<Ipv6Addr>().unwrap(); 2]);
    }

    #[test]
    fn own_addresses_without_a_listener_and_broadcast_addresses_are_known_as_such() {
        let mut host = [interface(2, &["192.0.2.1", "192.0.2.2"])];
        host[0].broadcast_addresses.push("192.0.2.255".parse().unwrap());
        host[0].has_vlan = true;
        let entries =
            entries(&[(Transport::Udp, "192.0.2.1:80".parse().unwrap())], &[&host[0]], &host, |_| 0);
        let told: Vec<_> = entries.iter().map(|(key, value)| (address(key).octets()[15], *value)).collect();
        let (heard, deaf) = (listener(0), listener(LISTENER_DEAF));
        assert_eq!(told, [(1, heard), (2, deaf), (255, deaf)]);
    }
}
