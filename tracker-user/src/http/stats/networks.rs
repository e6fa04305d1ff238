//! Networks with a count each, ranked and written as opentracker does.

use crate::counters::Network;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// Networks in a table.
const MOST: usize = 128;
/// Bits that IPv4 addresses of one network have in common, in the table of the larger ones.
const WIDER_V4_BITS: u32 = 24;

/// The networks of one size with the highest counts, highest first.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct NetworkTable {
    /// Bits that addresses of one network have in common.
    pub(super) bits: u32,
    pub(super) networks: Vec<RankedNetwork>,
}

/// One network.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct RankedNetwork {
    pub(super) first_address: IpAddr,
    pub(super) count: u64,
}

/// Tables of /28 and /24, and of /48 where there is any IPv6 network.
pub(super) fn rank(counts: HashMap<Network, u64>) -> Vec<NetworkTable> {
    let (mut wider, mut v4, mut v6) = (HashMap::new(), Vec::new(), Vec::new());
    for (network, count) in counts {
        match network {
            Network::V4(bits) => {
                *wider.entry(bits & (!0 << (32 - WIDER_V4_BITS))).or_insert(0) += count;
                v4.push((network.first_address(), count));
            }
            Network::V6(_) => v6.push((network.first_address(), count)),
        }
    }
    let wider = wider.into_iter().map(|(bits, count)| (Ipv4Addr::from_bits(bits).into(), count)).collect();
    let mut tables = vec![table(Network::V4_BITS, v4), table(WIDER_V4_BITS, wider)];
    if !v6.is_empty() {
        tables.push(table(Network::V6_BITS, v6));
    }
    tables
}

fn table(bits: u32, mut counted: Vec<(IpAddr, u64)>) -> NetworkTable {
    counted.sort_unstable_by_key(|(address, count)| (Reverse(*count), *address));
    counted.truncate(MOST);
    let networks = counted.into_iter().map(|(first_address, count)| RankedNetwork { first_address, count });
    NetworkTable { bits, networks: networks.collect() }
}

/// Writes a title, a line for each network, and an empty line.
pub(super) fn write(out: &mut Vec<u8>, table: &NetworkTable) {
    // Writing to memory cannot fail.
    let _ = writeln!(out, "Networks, limit /{}:", table.bits);
    for RankedNetwork { first_address, count } in &table.networks {
        let _ = writeln!(out, "{count:08}: {first_address}");
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::{MOST, rank, write};
    use crate::counters::Network;

    fn written(counts: &[(&str, u64)]) -> String {
        let counts = counts.iter().map(|(address, count)| (Network::of(address.parse().unwrap()), *count));
        let mut out = Vec::new();
        for table in rank(counts.collect()) {
            write(&mut out, &table);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_highest_counts_come_first_and_of_equal_ones_the_lower_address() {
        let counts = [("192.0.2.16", 2), ("192.0.2.32", 7), ("198.51.100.0", 7), ("10.0.0.0", 123_456_789)];
        let expected = "Networks, limit /28:\n123456789: 10.0.0.0\n00000007: 192.0.2.32\n00000007: 198.51.100.0\n\
                        00000002: 192.0.2.16\n\nNetworks, limit /24:\n123456789: 10.0.0.0\n00000009: 192.0.2.0\n\
                        00000007: 198.51.100.0\n\n";
        assert_eq!(written(&counts), expected);
    }

    #[test]
    fn ipv6_networks_have_a_table_of_their_own_where_there_are_any() {
        assert_eq!(written(&[]), "Networks, limit /28:\n\nNetworks, limit /24:\n\n");
        let expected = "Networks, limit /28:\n\nNetworks, limit /24:\n\nNetworks, limit /48:\n00000003: 2001:db8:7::\n\n";
        assert_eq!(written(&[("2001:db8:7:8::9", 3)]), expected);
    }

    #[test]
    fn a_table_has_an_end() {
        let counts = (0..1000).map(|number| (Network::V4(number << 4), 1)).collect();
        assert_eq!(rank(counts)[0].networks.len(), MOST);
    }
}
