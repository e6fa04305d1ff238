//! Which address a request comes from: the one thing that decides where other peers will connect to.
//!
//! Threat: whoever can choose the address in an announce can point a whole swarm at a third party. So the address
//! is the TCP source, which three packets have proven. Only where that source is one of the operator's own proxies
//! is `X-Forwarded-For` read, and from the right: proxies append there, so everything left of the first hop that is
//! not such a proxy may have been written by the client itself.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address, IPv4 where it is IPv4 in an IPv6 coat.
///
/// From the right of all `X-Forwarded-For` lines, the first hop that is no proxy. Where something there is no
/// address, or every hop is a proxy, it is the last address that could be believed.
pub(super) fn client_ip(source: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let source = source.to_canonical();
    if !contains(proxies, source) {
        return source;
    }
    let mut believed = source;
    for line in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        for hop in line.as_bytes().rsplit(|byte| *byte == b',') {
            match parse_hop(hop) {
                Some(hop) => believed = hop,
                None => return believed,
            }
            if !contains(proxies, believed) {
                return believed;
            }
        }
    }
    believed
}

/// Whether an address lies in one of the networks.
pub(super) fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address, with or without a port, IPv6 with or without brackets: proxies write all of these.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop.trim_ascii()).ok()?;
    let address = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = address
        .parse::<IpAddr>()
        .or_else(|_| address.parse::<SocketAddr>().map(|with_port| with_port.ip()))
        .ok()?
        .to_canonical();
    let reachable = !address.is_unspecified() && !address.is_multicast();
    reachable.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::client_ip;
    use hyper::HeaderMap;
    use hyper::header::HeaderValue;
    use std::net::IpAddr;

    fn client(source: &str, lines: &[&str]) -> IpAddr {
        let proxies = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("X-Forwarded-For", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        client_ip(ip(source), &headers, &proxies)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_header_of_a_stranger_is_not_believed() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), ip("192.0.2.1"));
    }

    #[test]
    fn an_ipv4_source_in_an_ipv6_coat_is_ipv4() {
        assert_eq!(client("::ffff:192.0.2.1", &[]), ip("192.0.2.1"));
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:198.51.100.7"]), ip("198.51.100.7"));
    }

    #[test]
    fn the_last_hop_that_is_no_proxy_is_the_client() {
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.7"]), ip("198.51.100.7"));
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]), ip("198.51.100.7"));
        assert_eq!(client("fd00::1", &["2001:db8::7"]), ip("2001:db8::7"));
    }

    #[test]
    fn several_lines_are_read_as_one() {
        assert_eq!(
            client("10.0.0.1", &["203.0.113.9", "198.51.100.7,10.0.0.3", "10.0.0.2"]),
            ip("198.51.100.7")
        );
    }

    #[test]
    fn a_port_and_brackets_are_left_out() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7:4711"]), ip("198.51.100.7"));
        assert_eq!(client("10.0.0.1", &["[2001:db8::7]:4711"]), ip("2001:db8::7"));
        assert_eq!(client("10.0.0.1", &["[2001:db8::7]"]), ip("2001:db8::7"));
    }

    #[test]
    fn garbage_ends_the_walk_at_the_last_address_that_could_be_believed() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7, unknown"]), ip("10.0.0.1"));
        assert_eq!(client("10.0.0.1", &["198.51.100.7, \u{e9}, 10.0.0.2"]), ip("10.0.0.2"));
        assert_eq!(client("10.0.0.1", &[""]), ip("10.0.0.1"));
        assert_eq!(client("10.0.0.1", &["0.0.0.0"]), ip("10.0.0.1"));
        assert_eq!(client("10.0.0.1", &["224.0.0.1"]), ip("10.0.0.1"));
    }

    #[test]
    fn where_every_hop_is_a_proxy_the_first_of_them_is_the_client() {
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), ip("10.0.0.3"));
        assert_eq!(client("10.0.0.1", &[]), ip("10.0.0.1"));
    }
}
