//! What else lives on the daemon's host: none of it may notice the daemon.

use crate::wire::{FAMILIES, Family, Wire, rules};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use tracker_tests::packet::{Ipv4, Ipv6, internet_checksum};
use tracker_tests::udp_client::connect_request;

rules! {
    pings_are_answered_by_the_host,
    tcp_connections_are_answered_by_the_host,
    other_udp_ports_get_what_is_sent_to_them,
    a_closed_udp_port_is_reported_by_the_host,
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMP_V6: u8 = 58;

fn addresses_v4(wire: &Wire) -> (Ipv4Addr, Ipv4Addr) {
    match (Wire::client(Family::V4).ip(), wire.tracker(Family::V4).ip()) {
        (IpAddr::V4(client), IpAddr::V4(tracker)) => (client, tracker),
        addresses => panic!("{addresses:?} are not IPv4"),
    }
}

fn addresses_v6(wire: &Wire) -> (Ipv6Addr, Ipv6Addr) {
    match (Wire::client(Family::V6).ip(), wire.tracker(Family::V6).ip()) {
        (IpAddr::V6(client), IpAddr::V6(tracker)) => (client, tracker),
        addresses => panic!("{addresses:?} are not IPv6"),
    }
}

/// Puts a checksum with the pseudo header of RFC 8200 into two bytes of an upper-layer packet.
fn put_checksum_v6(packet: &mut [u8], position: usize, next_header: u8, addresses: (Ipv6Addr, Ipv6Addr)) {
    let length = (packet.len() as u32).to_be_bytes();
    let (source, destination) = (addresses.0.octets(), addresses.1.octets());
    let checksum = internet_checksum(&[&source, &destination, &length, &[0, 0, 0, next_header], packet]);
    packet[position..position + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// An IPv4 packet in a frame of the daemon's host: its protocol and what it carries.
fn ipv4_payload(frame: &[u8]) -> Option<(u8, Vec<u8>)> {
    (frame[12..14] == [8, 0]).then(|| (frame[23], frame[34..].to_vec()))
}

/// An IPv6 packet in a frame of the daemon's host: its next header and what it carries.
fn ipv6_payload(frame: &[u8]) -> Option<(u8, Vec<u8>)> {
    (frame[12..14] == [0x86, 0xdd]).then(|| (frame[20], frame[54..].to_vec()))
}

fn pings_are_answered_by_the_host(wire: &mut Wire) {
    let (source, destination) = addresses_v4(wire);
    let mut ping = [&[8, 0, 0, 0, 0x12, 0x34, 0, 1][..], b"are you there?"].concat();
    let checksum = internet_checksum(&[&ping]);
    ping[2..4].copy_from_slice(&checksum.to_be_bytes());
    wire.send(Ipv4 { protocol: ICMP, payload: ping.clone(), ..Ipv4::new(source, destination) }.packet());
    let (protocol, pong) = wire.receive_frame(ipv4_payload);
    assert_eq!((protocol, pong[0], &pong[4..]), (ICMP, 0, &ping[4..]));

    let addresses = addresses_v6(wire);
    let mut ping = [&[128, 0, 0, 0, 0x12, 0x34, 0, 1][..], b"are you there?"].concat();
    put_checksum_v6(&mut ping, 2, ICMP_V6, addresses);
    let packet = Ipv6 { next_header: ICMP_V6, payload: ping.clone(), ..Ipv6::new(addresses.0, addresses.1) };
    wire.send(packet.packet());
    let is_pong = |(next, bytes): &(u8, Vec<u8>)| *next == ICMP_V6 && bytes[0] == 129;
    let (_, pong) = wire.receive_frame(|frame| ipv6_payload(frame).filter(is_pong));
    assert_eq!(pong[4..], ping[4..]);
}

/// A segment that opens a connection: 20 bytes, sequence number 7.
fn opening_segment(from_port: u16, to_port: u16) -> Vec<u8> {
    let mut segment = [from_port.to_be_bytes(), to_port.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 7, 0, 0, 0, 0, 5 << 4, 2, 0xff, 0xff, 0, 0, 0, 0]);
    segment
}

fn tcp_connections_are_answered_by_the_host(wire: &mut Wire) {
    let (source, destination) = addresses_v4(wire);
    let tracker_port = wire.daemon.tcp_v4().port();
    let closed_port = wire.tracker(Family::V4).port();
    // The port of UDP is closed for TCP: refused, but by the host.
    for (port, flags) in [(tracker_port, 0x12), (closed_port, 0x14)] {
        let mut segment = opening_segment(5555, port);
        let pseudo_header = [0, TCP, 0, 20];
        let checksum =
            internet_checksum(&[&source.octets(), &destination.octets(), &pseudo_header, &segment]);
        segment[16..18].copy_from_slice(&checksum.to_be_bytes());
        wire.send(Ipv4 { protocol: TCP, payload: segment, ..Ipv4::new(source, destination) }.packet());
        let (protocol, answer) = wire.receive_frame(ipv4_payload);
        assert_eq!(protocol, TCP);
        assert_eq!((&answer[8..12], answer[13]), (&[0, 0, 0, 8][..], flags), "acknowledged, and its flags");
    }
}

fn other_udp_ports_get_what_is_sent_to_them(wire: &mut Wire) {
    for family in FAMILIES {
        let ip = wire.tracker(family).ip();
        let neighbour = wire.tracker_host.run(|| UdpSocket::bind((ip, 0)).expect("a free port"));
        neighbour
            .set_read_timeout(Some(tracker_tests::udp_client::ANSWER_DEADLINE))
            .expect("the deadline is not zero");
        // What would be a good request to the daemon is just bytes to the one next door.
        for payload in [connect_request(1), wire.announce(family).payload(), b"x".to_vec()] {
            let mut udp = wire.udp(family, &payload);
            udp.destination = neighbour.local_addr().expect("the socket is bound");
            wire.send(udp.packet());
            let mut bytes = [0; 2000];
            let (length, source): (usize, SocketAddr) =
                neighbour.recv_from(&mut bytes).expect("it arrives in time");
            assert_eq!((&bytes[..length], source), (&payload[..], Wire::client(family)));
            neighbour.send_to(b"good day", source).expect("a way back");
            let answer = wire.receive();
            assert_eq!((&answer.payload[..], answer.source), (&b"good day"[..], udp.destination));
        }
    }
}

fn a_closed_udp_port_is_reported_by_the_host(wire: &mut Wire) {
    for family in FAMILIES {
        let mut udp = wire.udp(family, &connect_request(1));
        udp.destination.set_port(udp.destination.port() + 1);
        wire.send(udp.packet());
        let report = match family {
            Family::V4 => wire.receive_frame(ipv4_payload),
            Family::V6 => wire.receive_frame(ipv6_payload),
        };
        // RFC 792 and RFC 4443: destination unreachable, port unreachable.
        let expected = match family {
            Family::V4 => (ICMP, [3, 3]),
            Family::V6 => (ICMP_V6, [1, 4]),
        };
        assert_eq!((report.0, [report.1[0], report.1[1]]), expected);
    }
}
