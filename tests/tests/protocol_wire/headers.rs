//! IP headers: what must be got over, what must be dropped, and what must not matter.

use crate::wire::{FAMILIES, Family, Wire, rules};
use std::net::IpAddr;
use tracker_tests::packet::{Checksum, Frame, IpPacket, Ipv4, Ipv6};
use tracker_tests::udp_client::{AnnounceRequest, Announced, connect_request};

rules! {
    ipv4_options_are_got_over,
    ipv6_extension_headers_are_got_over,
    fragments_in_any_order_are_answered_in_the_end,
    a_first_fragment_alone_is_not_answered,
    a_wrong_ipv4_header_checksum_is_dropped,
    a_wrong_ip_version_is_dropped,
    a_wrong_ipv4_header_length_is_dropped,
    a_wrong_ipv4_total_length_is_dropped,
    a_wrong_ipv6_payload_length_is_dropped,
    ttl_dscp_ecn_flow_label_and_id_of_any_value_are_answered,
    a_frame_cut_off_anywhere_is_dropped,
    other_protocols_are_not_taken_for_udp,
}

fn ipv4_options_are_got_over(wire: &mut Wire) {
    const NO_OPERATION: u8 = 1;
    const TIMESTAMP: [u8; 8] = [68, 8, 5, 0, 0, 0, 0, 0];
    for (number, options) in [
        vec![NO_OPERATION; 4],
        vec![NO_OPERATION; 40],
        vec![NO_OPERATION, NO_OPERATION, NO_OPERATION, 0],
        vec![148, 4, 0, 0],
        TIMESTAMP.to_vec(),
    ]
    .into_iter()
    .enumerate()
    {
        let transaction_id = number as u32;
        wire.send(Ipv4 { options, ..wire.connect_v4(transaction_id) }.packet());
        wire.expect_connect_answer(Family::V4, transaction_id);
    }
}

fn ipv6_extension_headers_are_got_over(wire: &mut Wire) {
    // Behind the next header: the length in units of 8 bytes beyond the first 8, then an option: padding, or one
    // that nobody knows and that says of itself that it may be skipped. (Linux drops padding of over 7 bytes.)
    let padding = vec![0, 1, 4, 0, 0, 0, 0];
    let unknown = [vec![1, 0x1e, 12], vec![0; 12]].concat();
    const HOP_BY_HOP: u8 = 0;
    const DESTINATION: u8 = 60;
    for (number, extensions) in [
        vec![(HOP_BY_HOP, padding.clone())],
        vec![(DESTINATION, padding.clone())],
        vec![(DESTINATION, unknown.clone())],
        vec![(HOP_BY_HOP, padding), (DESTINATION, unknown)],
    ]
    .into_iter()
    .enumerate()
    {
        let transaction_id = number as u32;
        wire.send(Ipv6 { extensions, ..wire.connect_v6(transaction_id) }.packet());
        wire.expect_connect_answer(Family::V6, transaction_id);
    }
}

/// An announce with options, in three fragments.
fn fragments(wire: &Wire, family: Family, announce: &AnnounceRequest, id: u16) -> Vec<IpPacket> {
    let udp = wire.udp(family, &announce.payload());
    let fragments = match (udp.source.ip(), udp.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Ipv4 { id, payload: udp.bytes(), ..Ipv4::new(source, destination) }.fragments(200)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Ipv6 { payload: udp.bytes(), ..Ipv6::new(source, destination) }.fragments(200, id.into())
        }
        addresses => panic!("two families in {addresses:?}"),
    };
    assert_eq!(fragments.len(), 3);
    fragments
}

fn fragments_in_any_order_are_answered_in_the_end(wire: &mut Wire) {
    for family in FAMILIES {
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for (number, order) in orders.into_iter().enumerate() {
            let announce = AnnounceRequest {
                transaction_id: number as u32,
                port: 1000 + number as u16,
                options: vec![0; 400],
                ..wire.announce(family)
            };
            let fragments = fragments(wire, family, &announce, number as u16);
            for position in order {
                wire.send(fragments[position].clone());
            }
            let answer = wire.receive();
            let announced = Announced::parse(&answer.payload, number as u32, answer.destination.ip());
            assert_eq!(announced.peers.len(), number);
        }
    }
}

fn a_first_fragment_alone_is_not_answered(wire: &mut Wire) {
    for family in FAMILIES {
        // Its first fragment holds a whole announce, and more than the UDP length admits to.
        let announce = AnnounceRequest { options: vec![0; 400], ..wire.announce(family) };
        let fragments = fragments(wire, family, &announce, 0x7777);
        wire.expect_dropped(family, fragments[0].clone());
        wire.expect_dropped(family, fragments[1].clone());
    }
}

fn a_wrong_ipv4_header_checksum_is_dropped(wire: &mut Wire) {
    for checksum in [Checksum::Wrong, Checksum::Zero] {
        wire.expect_dropped(Family::V4, Ipv4 { checksum, ..wire.connect_v4(1) }.packet());
    }
    let udp = wire.udp(Family::V4, &wire.announce(Family::V4).payload());
    let announce = Ipv4 { payload: udp.bytes(), checksum: Checksum::Wrong, ..wire.connect_v4(1) };
    wire.expect_dropped(Family::V4, announce.packet());
}

fn a_wrong_ip_version_is_dropped(wire: &mut Wire) {
    for version in [0, 5, 6, 15] {
        wire.expect_dropped(Family::V4, Ipv4 { version, ..wire.connect_v4(1) }.packet());
    }
    for version in [0, 4, 5, 7, 15] {
        wire.expect_dropped(Family::V6, Ipv6 { version, ..wire.connect_v6(1) }.packet());
    }
}

fn a_wrong_ipv4_header_length_is_dropped(wire: &mut Wire) {
    // Below 5 there is no room for the header; 6 and more take the datagram's first bytes for options.
    for header_words in [0, 1, 4, 6, 7, 12, 15] {
        let header_words = Some(header_words);
        wire.expect_dropped(Family::V4, Ipv4 { header_words, ..wire.connect_v4(1) }.packet());
    }
}

fn a_wrong_ipv4_total_length_is_dropped(wire: &mut Wire) {
    let right = 20 + 8 + 16;
    for total_length in [0, 19, 20, 27, 28, right - 1, right + 1, 1500, u16::MAX] {
        let total_length = Some(total_length);
        wire.expect_dropped(Family::V4, Ipv4 { total_length, ..wire.connect_v4(1) }.packet());
    }
}

fn a_wrong_ipv6_payload_length_is_dropped(wire: &mut Wire) {
    let right = 8 + 16;
    for payload_length in [0, 7, 8, right - 1, right + 1, 1460, u16::MAX] {
        let payload_length = Some(payload_length);
        wire.expect_dropped(Family::V6, Ipv6 { payload_length, ..wire.connect_v6(1) }.packet());
    }
}

fn ttl_dscp_ecn_flow_label_and_id_of_any_value_are_answered(wire: &mut Wire) {
    for byte in 0..=255_u8 {
        let transaction_id = u32::from(byte);
        let (id, ttl) = (u16::from_be_bytes([byte, !byte]), byte.max(1));
        wire.send(Ipv4 { tos: byte, id, ttl, ..wire.connect_v4(transaction_id) }.packet());
        wire.expect_connect_answer(Family::V4, transaction_id);
        let (traffic_class, flow_label) = (byte, transaction_id * 0x1011);
        let packet =
            Ipv6 { traffic_class, flow_label, hop_limit: byte.max(1), ..wire.connect_v6(transaction_id) };
        wire.send(packet.packet());
        wire.expect_connect_answer(Family::V6, transaction_id);
    }
    const DO_NOT_FRAGMENT: u16 = 0x4000;
    wire.send(Ipv4 { flags_and_offset: DO_NOT_FRAGMENT, ..wire.connect_v4(1) }.packet());
    wire.expect_connect_answer(Family::V4, 1);
}

fn a_frame_cut_off_anywhere_is_dropped(wire: &mut Wire) {
    for family in FAMILIES {
        let whole = Wire::frame(wire.udp(family, &connect_request(1)).packet()).bytes();
        // Below 14 bytes no card would take it, nor does the kernel send it.
        for length in 14..whole.len() {
            wire.expect_no_effect(family, &[whole[..length].to_vec()]);
        }
    }
}

fn other_protocols_are_not_taken_for_udp(wire: &mut Wire) {
    const UDP_LITE: u8 = 136;
    wire.expect_dropped(Family::V4, Ipv4 { protocol: UDP_LITE, ..wire.connect_v4(1) }.packet());
    wire.expect_dropped(Family::V6, Ipv6 { next_header: UDP_LITE, ..wire.connect_v6(1) }.packet());
    for (family, packet) in
        [(Family::V4, wire.connect_v4(1).packet()), (Family::V6, wire.connect_v6(1).packet())]
    {
        // The other family's number, and one that nobody has.
        for ethertype in [0x0800, 0x86dd, 0x88b5] {
            if ethertype != packet.ethertype {
                let wrong = IpPacket { ethertype, ..packet.clone() };
                wire.expect_no_effect(
                    family,
                    &[Frame { packet: wrong, ..Wire::frame(packet.clone()) }.bytes()],
                );
            }
        }
    }
}
