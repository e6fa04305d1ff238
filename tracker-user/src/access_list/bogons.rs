//! Addresses that nobody reaches over the Internet, and those that anybody could have. Tables alone: no search costs more
//! than a few comparisons, as every announce may be asked about.
//!
//! Sources: the IANA registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890), as far as they say that an
//! address is not globally reachable, and the registry of IPv6 global unicast allocations.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First and last addresses of IPv4 networks that are nobody's on the Internet, in order and apart.
const BOGONS_V4: [(u32, u32); 15] = [
    network([0, 0, 0, 0], 8),       // this network, RFC 791
    network([10, 0, 0, 0], 8),      // private use, RFC 1918
    network([100, 64, 0, 0], 10),   // carriers' address translation, RFC 6598
    network([127, 0, 0, 0], 8),     // loopback, RFC 1122
    network([169, 254, 0, 0], 16),  // link-local, RFC 3927
    network([172, 16, 0, 0], 12),   // private use, RFC 1918
    network([192, 0, 0, 0], 24),    // protocol assignments, RFC 6890
    network([192, 0, 2, 0], 24),    // documentation, RFC 5737
    network([192, 88, 99, 0], 24),  // relays of 6to4, given up by RFC 7526
    network([192, 168, 0, 0], 16),  // private use, RFC 1918
    network([198, 18, 0, 0], 15),   // benchmarks, RFC 2544
    network([198, 51, 100, 0], 24), // documentation, RFC 5737
    network([203, 0, 113, 0], 24),  // documentation, RFC 5737
    network([224, 0, 0, 0], 4),     // multicast, RFC 5771
    network([240, 0, 0, 0], 4),     // reserved, RFC 1112; with the broadcast address
];

/// The IPv4 addresses outside of [`BOGONS_V4`].
pub const GLOBAL_V4: u32 = {
    let (mut bogons, mut position) = (0, 0);
    while position < BOGONS_V4.len() {
        bogons += BOGONS_V4[position].1 - BOGONS_V4[position].0 + 1;
        position += 1;
    }
    u32::MAX - bogons + 1
};

/// The first 32 bits of IPv6 networks that registries give to providers: first and last, in order and apart. What they have
/// of 2001::/16 is left out but for its largest parts.
const ALLOCATED_V6: [(u32, u32); 9] = [
    (0x2001_0200, 0x2001_0db7), // the first allocations, up to the documentation
    (0x2001_1200, 0x2001_4dff),
    (0x2001_8000, 0x2001_bfff),
    (0x2003_0000, 0x2003_3fff), // 2003::/18
    (0x2400_0000, 0x240f_ffff), // 2400::/12
    (0x2600_0000, 0x260f_ffff), // 2600::/12
    (0x2800_0000, 0x280f_ffff), // 2800::/12
    (0x2a00_0000, 0x2a1f_ffff), // 2a00::/12, 2a10::/12
    (0x2c00_0000, 0x2c0f_ffff), // 2c00::/12
];

/// The IPv6 networks of 32 bits in [`ALLOCATED_V6`].
pub const ALLOCATED_V6_NETWORKS: u32 = {
    let (mut networks, mut position) = (0, 0);
    while position < ALLOCATED_V6.len() {
        networks += ALLOCATED_V6[position].1 - ALLOCATED_V6[position].0 + 1;
        position += 1;
    }
    networks
};

/// First and last address of a network.
const fn network(address: [u8; 4], bits: u32) -> (u32, u32) {
    let first = u32::from_be_bytes(address);
    (first, first | (u32::MAX >> bits))
}

/// Whether nobody reaches this address over the Internet. An IPv4 address mapped into IPv6 is the IPv4 address.
pub fn is_bogon(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_bogon_v4(address),
        IpAddr::V6(address) => is_bogon_v6(address),
    }
}

fn is_bogon_v4(address: Ipv4Addr) -> bool {
    let address = u32::from(address);
    BOGONS_V4.iter().any(|(first, last)| (*first..=*last).contains(&address))
}

/// All of it but 2000::/3, which is what IANA has given out, without what is special in there. Tunnels by Teredo (2001::/32)
/// and 6to4 (2002::/16) are no bogons: peers come by them.
fn is_bogon_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0, ..] => false,
        // Protocol assignments, RFC 2928: 2001::/23. Documentation: 2001:db8::/32, RFC 3849, and 3fff::/20, RFC 9637.
        [0x2001, 0..0x200 | 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => true,
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

/// One of the [`GLOBAL_V4`] IPv4 addresses that anybody could have, by its number.
pub fn global_v4(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(beyond(number, &BOGONS_V4))
}

/// The first 32 bits of one of the [`ALLOCATED_V6_NETWORKS`] IPv6 networks, by its number.
pub fn allocated_v6(number: u32) -> u32 {
    let mut left = number;
    for (first, last) in ALLOCATED_V6 {
        let networks = last - first + 1;
        if left < networks {
            return first + left;
        }
        left -= networks;
    }
    // Numbers beyond the last are the last.
    ALLOCATED_V6[ALLOCATED_V6.len() - 1].1
}

/// The number in order of what lies in none of the ranges, which are in order and apart.
fn beyond(number: u32, ranges: &[(u32, u32)]) -> u32 {
    ranges.iter().fold(
        number,
        |number, (first, last)| {
            if number < *first { number } else { number.saturating_add(last - first + 1) }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::{ALLOCATED_V6_NETWORKS, GLOBAL_V4, allocated_v6, global_v4, is_bogon};
    use std::net::Ipv6Addr;

    fn bogon(address: &str) -> bool {
        is_bogon(address.parse().unwrap())
    }

    #[test]
    fn every_special_network_is_known_to_its_borders() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
            ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fc00::1", "fdff::1"),
            ("fe80::1", "ff02::1"),
        ] {
            assert!(bogon(first) && bogon(last), "{first} to {last}");
        }
    }

    #[test]
    fn their_neighbours_are_anybodys() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2001::1",
            "2001:200::1",
            "2001:db7::1",
            "2001:db9::1",
            "2002::1",
            "2600::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!bogon(address), "{address}");
        }
        assert!(bogon("::ffff:10.0.0.1"));
    }

    #[test]
    fn every_number_is_another_address_that_anybody_could_have() {
        assert_eq!(global_v4(0).to_string(), "1.0.0.0");
        assert_eq!(global_v4(GLOBAL_V4 - 1).to_string(), "223.255.255.255");
        let mut before = None;
        for number in (0..GLOBAL_V4).step_by(9973) {
            let address = global_v4(number);
            assert!(!is_bogon(address.into()) && before < Some(address), "{number}: {address}");
            before = Some(address);
        }
        let mut before = None;
        for number in (0..ALLOCATED_V6_NETWORKS).step_by(997).chain([ALLOCATED_V6_NETWORKS - 1]) {
            let bits = allocated_v6(number);
            let address = Ipv6Addr::from((u128::from(bits) << 96) | 1);
            assert!(!is_bogon(address.into()) && before < Some(bits), "{number}: {address}");
            before = Some(bits);
        }
        assert_eq!(allocated_v6(ALLOCATED_V6_NETWORKS), 0x2c0f_ffff);
    }
}
