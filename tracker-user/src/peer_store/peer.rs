//! One peer as it is stored: its address in the form in which it is sent, and a stamp beside it.

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

/// When a peer was last heard of, and whether it has completed: 31 bits of seconds and one flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u32);

impl Stamp {
    const COMPLETED: u32 = 1 << 31;

    /// Heard of at `now_secs` of the host's uptime; 31 bits hold 68 years of it.
    pub(super) const fn new(now_secs: u32, completed: bool) -> Self {
        Self((now_secs & !Self::COMPLETED) | if completed { Self::COMPLETED } else { 0 })
    }

    /// Whether the peer has said once that it completed its download.
    pub(super) const fn completed(self) -> bool {
        self.0 & Self::COMPLETED != 0
    }

    /// When the peer was heard of.
    pub(super) const fn heard_secs(self) -> u32 {
        self.0 & !Self::COMPLETED
    }

    /// Seconds since the peer was heard of. A stamp that another thread took a moment later counts as now.
    pub(super) const fn age_secs(self, now_secs: u32) -> u32 {
        now_secs.saturating_sub(self.heard_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::{AnyEntry, Stamp};

    #[test]
    fn an_entry_is_the_bytes_that_are_sent() {
        let AnyEntry::V4(v4) = AnyEntry::from("192.0.2.1:6881".parse::<std::net::SocketAddr>().unwrap())
        else {
            panic!("IPv4 became IPv6");
        };
        assert_eq!(v4, [192, 0, 2, 1, 0x1a, 0xe1]);
        let AnyEntry::V6(v6) = AnyEntry::from("[2001:db8::1]:6881".parse::<std::net::SocketAddr>().unwrap())
        else {
            panic!("IPv6 became IPv4");
        };
        assert_eq!(v6, [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1a, 0xe1]);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_peer_that_it_is() {
        let mapped: std::net::SocketAddr = "[::ffff:192.0.2.1]:80".parse().unwrap();
        assert!(matches!(AnyEntry::from(mapped), AnyEntry::V4([192, 0, 2, 1, 0, 80])));
    }

    #[test]
    fn a_stamp_keeps_time_and_flag_apart() {
        let stamp = Stamp::new(1000, true);
        assert!(stamp.completed());
        assert_eq!(stamp.age_secs(1007), 7);
        assert_eq!(stamp.age_secs(999), 0);
        assert!(!Stamp::new(1000, false).completed());
    }
}
