//! Frames against literal bytes, and checksums against known ones.

use super::{Checksum, Frame, Ipv4, Ipv6, ReceivedUdp, Udp, internet_checksum};
use std::net::SocketAddr;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn frame(udp: &Udp) -> Frame {
    Frame { source: [2; 6], destination: [4; 6], vlan: None, packet: udp.packet(), padding: Vec::new() }
}

#[test]
fn the_checksum_of_a_well_known_header_is_b861() {
    let header = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
    assert_eq!(internet_checksum(&[&header]), 0xb861);
    assert_eq!(internet_checksum(&[&header[..4], &header[4..]]), 0xb861);
}

#[test]
fn a_datagram_over_ipv4_is_these_literal_bytes() {
    let udp = Udp::new(address("192.168.0.1:4660"), address("192.168.0.199:80"), b"abc");
    let bytes = frame(&udp).bytes();
    assert_eq!(bytes[..14], [4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 8, 0]);
    assert_eq!(bytes[14..26], [0x45, 0, 0, 31, 0x42, 0x42, 0, 0, 61, 17, 0xb9, 0x73]);
    assert_eq!(bytes[26..34], [192, 168, 0, 1, 192, 168, 0, 199]);
    assert_eq!(bytes[34..40], [0x12, 0x34, 0, 80, 0, 11]);
    assert_eq!(bytes[42..], *b"abc");
}

#[test]
fn what_is_built_right_is_read_back() {
    for (source, destination) in [("10.0.0.1:1", "10.0.0.2:2"), ("[fd00::1]:3", "[fd00::2]:4")] {
        let udp = Udp::new(address(source), address(destination), b"odd");
        let received = ReceivedUdp::parse(&frame(&udp).bytes()).unwrap();
        assert_eq!((received.source, received.destination), (udp.source, udp.destination));
        assert_eq!((received.ttl, received.traffic_class, &received.payload[..]), (61, 0, &b"odd"[..]));
    }
}

#[test]
fn a_wrong_checksum_is_seen() {
    for checksum in [Checksum::Wrong, Checksum::Zero] {
        let right = Udp::new(address("10.0.0.1:1"), address("10.0.0.2:2"), b"odd");
        let bytes = frame(&Udp { checksum, ..right }).bytes();
        std::panic::catch_unwind(|| ReceivedUdp::parse(&bytes)).unwrap_err();
    }
}

#[test]
fn fragments_say_where_they_belong() {
    let (v4, v6) = ("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
    let fragments = Ipv4 { payload: vec![7; 20], ..Ipv4::new(v4, v4) }.fragments(16);
    let fields: Vec<_> =
        fragments.iter().map(|packet| (packet.bytes.len(), packet.bytes[6..8].to_vec())).collect();
    assert_eq!(fields, [(36, vec![0x20, 0]), (24, vec![0, 2])]);
    let fragments = Ipv6 { payload: vec![7; 20], ..Ipv6::new(v6, v6) }.fragments(16, 0x0102_0304);
    let headers: Vec<_> = fragments.iter().map(|packet| packet.bytes[40..48].to_vec()).collect();
    assert_eq!(headers, [[17, 0, 0, 1, 1, 2, 3, 4], [17, 0, 0, 16, 1, 2, 3, 4]]);
    assert!(fragments.iter().all(|packet| packet.bytes[6] == 44));
}
