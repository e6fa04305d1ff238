//! One peer as it is stored: its address in the form in which it is sent.

use std::net::{IpAddr, SocketAddr};
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// A peer of one family: address, then port, both big-endian, as BEP 7, 15 and 23 send it.
pub(super) type Entry<const N: usize> = [u8; N];

/// A peer of either family.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyEntry {
    V4(Entry<PEER_V4_LEN>),
    V6(Entry<PEER_V6_LEN>),
}

impl From<SocketAddr> for AnyEntry {
    fn from(address: SocketAddr) -> Self {
        let port = address.port().to_be_bytes();
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(join(&ip.octets(), port)),
            IpAddr::V6(ip) => Self::V6(join(&ip.octets(), port)),
        }
    }
}

fn join<const N: usize>(ip: &[u8], port: [u8; 2]) -> Entry<N> {
    let mut entry = [0; N];
    let (front, back) = entry.split_at_mut(N - port.len());
    front.copy_from_slice(ip);
    back.copy_from_slice(&port);
    entry
}

/// The address that an entry is of.
pub(super) fn address<const N: usize>(entry: &Entry<N>) -> SocketAddr {
    let (ip, port) = entry.split_at(N - 2);
    let ip = match <[u8; 4]>::try_from(ip) {
        Ok(octets) => IpAddr::from(octets),
        Err(_) => IpAddr::from(ip.first_chunk::<16>().copied().unwrap_or_default()),
    };
    SocketAddr::new(ip, port.first_chunk().map_or(0, |port| u16::from_be_bytes(*port)))
}

/// The part of an entry that names its source: an IPv4 address, or the /64 of an IPv6 address, since whoever has one
/// address of a /64 has all of them.
pub(super) fn source<const N: usize>(entry: &Entry<N>) -> &[u8] {
    if N == PEER_V4_LEN { &entry[..4] } else { &entry[..8] }
}

/// The source of an entry as a number, alike for no two sources of one family.
pub(super) fn source_number<const N: usize>(entry: &Entry<N>) -> u64 {
    let mut word = [0; 8];
    let source = source(entry);
    word[..source.len()].copy_from_slice(source);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::{AnyEntry, address, source_number};

    #[test]
    fn an_entry_is_the_bytes_that_are_sent() {
        let AnyEntry::V4(v4) = AnyEntry::from("192.0.2.1:6881".parse::<std::net::SocketAddr>().unwrap())
        else {
            panic!("IPv4 became IPv6");
        };
        assert_eq!(v4, [192, 0, 2, 1, 0x1a, 0xe1]);
        assert_eq!(address(&v4).to_string(), "192.0.2.1:6881");
        let AnyEntry::V6(v6) = AnyEntry::from("[2001:db8::1]:6881".parse::<std::net::SocketAddr>().unwrap())
        else {
            panic!("IPv6 became IPv4");
        };
        assert_eq!(v6, [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1a, 0xe1]);
        assert_eq!(address(&v6).to_string(), "[2001:db8::1]:6881");
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_peer_that_it_is() {
        let mapped: std::net::SocketAddr = "[::ffff:192.0.2.1]:80".parse().unwrap();
        assert!(matches!(AnyEntry::from(mapped), AnyEntry::V4([192, 0, 2, 1, 0, 80])));
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_64_bits_of_an_ipv6_address() {
        assert_eq!(source_number(&[1, 2, 3, 4, 5, 6]), source_number(&[1, 2, 3, 4, 9, 9]));
        assert_ne!(source_number(&[1, 2, 3, 4, 5, 6]), source_number(&[1, 2, 3, 5, 5, 6]));
        let (mut one, mut other) = ([1; 18], [1; 18]);
        one[8..].fill(2);
        assert_eq!(source_number(&one), source_number(&other));
        other[7] = 2;
        assert_ne!(source_number(&one), source_number(&other));
    }
}
