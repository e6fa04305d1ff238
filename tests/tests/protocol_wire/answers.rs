//! What an answer looks like on the wire. Lengths and checksums of every answer are checked as it is received.

use crate::wire::{FAMILIES, Wire, rules};
use tracker_tests::packet::{Frame, IpPacket, ReceivedUdp};
use tracker_tests::udp_client::{AnnounceRequest, INFO_HASH, connect_request, scrape_request};

rules! {
    an_answer_goes_back_to_where_its_question_came_from,
    an_answer_starts_with_a_fresh_ttl,
    no_congestion_mark_is_echoed,
    checksums_and_lengths_of_answers_of_every_length_are_right,
}

/// The requests of each kind.
fn requests(wire: &Wire) -> Vec<Frame> {
    let mut frames = Vec::new();
    for family in FAMILIES {
        let scrape = scrape_request(wire.id(family), 7, &[INFO_HASH]);
        for payload in [connect_request(7), wire.announce(family).payload(), scrape] {
            frames.push(Wire::frame(wire.udp(family, &payload).packet()));
        }
    }
    frames
}

fn answer(wire: &Wire, frame: &Frame) -> ReceivedUdp {
    wire.socket.send(&frame.bytes());
    wire.receive()
}

fn an_answer_goes_back_to_where_its_question_came_from(wire: &mut Wire) {
    for frame in requests(wire) {
        let question = ReceivedUdp::parse(&frame.bytes()).expect("a request is UDP");
        let answer = answer(wire, &frame);
        assert_eq!((answer.source, answer.destination), (question.destination, question.source));
        let macs = (question.destination_mac, question.source_mac);
        assert_eq!((answer.source_mac, answer.destination_mac), macs);
    }
}

fn an_answer_starts_with_a_fresh_ttl(wire: &mut Wire) {
    for mut frame in requests(wire) {
        for ttl in [1, 2, 255] {
            set_ttl(&mut frame.packet, ttl);
            assert_eq!(answer(wire, &frame).ttl, 64);
        }
    }
}

fn no_congestion_mark_is_echoed(wire: &mut Wire) {
    for mut frame in requests(wire) {
        for ecn in 0..4 {
            set_ecn(&mut frame.packet, ecn);
            assert_eq!(answer(wire, &frame).traffic_class & 3, 0, "ECN {ecn} came in");
        }
    }
}

fn checksums_and_lengths_of_answers_of_every_length_are_right(wire: &mut Wire) {
    for family in FAMILIES {
        for port in 1..=90 {
            let announce = AnnounceRequest { port, peers_wanted: 200, ..wire.announce(family) };
            wire.ask(family, &announce.payload());
        }
        for wanted in 0..=79 {
            let announce = AnnounceRequest { port: 500, peers_wanted: wanted, ..wire.announce(family) };
            let peer_len = if wire.tracker(family).is_ipv4() { 6 } else { 18 };
            let answer = wire.ask(family, &announce.payload());
            assert_eq!(answer.payload.len(), 20 + wanted as usize * peer_len);
        }
        for hashes in 1..=70 {
            let scrape = scrape_request(wire.id(family), 7, &vec![INFO_HASH; hashes]);
            assert_eq!(wire.ask(family, &scrape).payload.len(), 8 + 12 * hashes);
        }
        // Connects with every sum that one byte can make.
        for transaction_id in (0..=255_u32).map(|byte| byte << 8 | byte << 24) {
            wire.send(wire.udp(family, &connect_request(transaction_id)).packet());
            wire.expect_connect_answer(family, transaction_id);
        }
    }
}

fn set_ttl(packet: &mut IpPacket, ttl: u8) {
    if is_ipv4(packet) {
        packet.bytes[8] = ttl;
        renew_header_checksum(packet);
    } else {
        packet.bytes[7] = ttl;
    }
}

fn set_ecn(packet: &mut IpPacket, ecn: u8) {
    if is_ipv4(packet) {
        packet.bytes[1] = ecn;
        renew_header_checksum(packet);
    } else {
        packet.bytes[1] = packet.bytes[1] & 0x0f | ecn << 4;
    }
}

fn is_ipv4(packet: &IpPacket) -> bool {
    packet.bytes[0] >> 4 == 4
}

fn renew_header_checksum(packet: &mut IpPacket) {
    packet.bytes[10..12].fill(0);
    let checksum = tracker_tests::packet::internet_checksum(&[&packet.bytes[..20]]);
    packet.bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
}
