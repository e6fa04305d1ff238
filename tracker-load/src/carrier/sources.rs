//! The addresses that requests come from.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The first port of sources; each has its own, on one address or on many.
const FIRST_PORT: u16 = 10_000;
const PORTS: u32 = 50_000;

/// Source number `place` of a network: the addresses behind the first, in a circle, each with a port of its own.
pub(crate) fn in_network(network: IpNet, place: u32) -> SocketAddr {
    let port = FIRST_PORT + (place % PORTS) as u16;
    let host_bits = u32::from(network.max_prefix_len() - network.prefix_len());
    // Neither the first address, which is the network's own, nor in IPv4 the last, to which all listen.
    let hosts = match host_bits {
        0 => return SocketAddr::new(network.addr(), port),
        1 => 2,
        bits if bits >= 32 => u32::MAX,
        bits => (1_u32 << bits) - 2,
    };
    let step = if host_bits == 1 { place % hosts } else { place % hosts + 1 };
    let address = match network.network() {
        IpAddr::V4(first) => IpAddr::V4((u32::from(first) + step).into()),
        IpAddr::V6(first) => IpAddr::V6((u128::from(first) + u128::from(step)).into()),
    };
    SocketAddr::new(address, port)
}

#[cfg(test)]
mod tests {
    use super::in_network;

    #[test]
    fn sources_are_the_hosts_of_their_network_in_a_circle() {
        let source = |network: &str, place| in_network(network.parse().unwrap(), place).to_string();
        assert_eq!(source("10.0.0.0/8", 0), "10.0.0.1:10000");
        assert_eq!(source("10.0.0.0/8", 65_535), "10.1.0.0:25535");
        assert_eq!(source("192.0.2.0/30", 1), "192.0.2.2:10001");
        assert_eq!(source("192.0.2.0/30", 2), "192.0.2.1:10002");
        assert_eq!(source("192.0.2.9/32", 7), "192.0.2.9:10007");
        assert_eq!(source("fd00::/64", 1), "[fd00::2]:10001");
        assert_eq!(source("::1/128", 3), "[::1]:10003");
    }
}
