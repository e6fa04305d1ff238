//! Where a datagram ends, and whether its checksum holds.

use crate::wire::{FAMILIES, Family, Wire, rules};
use tracker_tests::packet::{Checksum, Udp};
use tracker_tests::udp_client::{INFO_HASH, Row, connect_request, parse_scrape, scrape_request};

rules! {
    a_udp_checksum_of_zero_is_accepted_over_ipv4,
    a_udp_checksum_of_zero_is_dropped_over_ipv6,
    nothing_is_answered_or_stored_for_a_wrong_udp_checksum,
    a_payload_ends_where_the_udp_length_says,
    a_udp_length_beyond_the_packet_is_dropped,
    a_udp_length_below_8_is_dropped,
    ethernet_padding_is_never_read,
}

fn a_udp_checksum_of_zero_is_accepted_over_ipv4(wire: &mut Wire) {
    let udp = Udp { checksum: Checksum::Zero, ..wire.udp(Family::V4, &connect_request(1)) };
    wire.send(udp.packet());
    wire.expect_connect_answer(Family::V4, 1);
    let announce = wire.udp(Family::V4, &wire.announce(Family::V4).payload());
    wire.send(Udp { checksum: Checksum::Zero, ..announce }.packet());
    wire.receive();
    assert_eq!(wire.expect_silence(Family::V4).leechers, 1);
}

fn a_udp_checksum_of_zero_is_dropped_over_ipv6(wire: &mut Wire) {
    for payload in [connect_request(1), wire.announce(Family::V6).payload()] {
        let udp = Udp { checksum: Checksum::Zero, ..wire.udp(Family::V6, &payload) };
        wire.expect_dropped(Family::V6, udp.packet());
    }
    assert_eq!(wire.verdict("announce_answered"), 0);
}

fn nothing_is_answered_or_stored_for_a_wrong_udp_checksum(wire: &mut Wire) {
    for family in FAMILIES {
        let scrape = scrape_request(wire.id(family), 7, &[INFO_HASH]);
        for payload in [connect_request(1), wire.announce(family).payload(), scrape] {
            let udp = Udp { checksum: Checksum::Wrong, ..wire.udp(family, &payload) };
            wire.expect_dropped(family, udp.packet());
        }
        // Every bit counts: one that is flipped on the way, in the checksum's own field or behind it.
        let mut packet = wire.udp(family, &wire.announce(family).payload()).packet();
        for byte in packet.bytes.len() - 98 - 2..packet.bytes.len() {
            packet.bytes[byte] ^= 1;
            wire.expect_dropped(family, packet.clone());
            packet.bytes[byte] ^= 1;
        }
    }
    assert_eq!(wire.verdict("announce_answered"), 0);
}

fn a_payload_ends_where_the_udp_length_says(wire: &mut Wire) {
    for family in FAMILIES {
        let whole = wire.udp(family, &wire.announce(family).payload());
        wire.expect_dropped(family, Udp { length: Some(8 + 97), ..whole }.packet());
        let short = wire.udp(family, &connect_request(1));
        wire.expect_dropped(family, Udp { length: Some(8 + 15), ..short }.packet());
        wire.expect_dropped(
            family,
            Udp { length: Some(8), ..wire.udp(family, &connect_request(1)) }.packet(),
        );
        let two_hashes = wire.udp(family, &scrape_request(wire.id(family), 2, &[INFO_HASH; 2]));
        wire.send(Udp { length: Some(8 + 36), ..two_hashes }.packet());
        assert_eq!(parse_scrape(&wire.receive().payload, 2), [Row::default()]);
        let longer = wire.udp(family, &[connect_request(3), vec![0xff; 500]].concat());
        wire.send(Udp { length: Some(8 + 16), ..longer }.packet());
        wire.expect_connect_answer(family, 3);
    }
    assert_eq!(wire.verdict("announce_too_short"), 2);
    assert_eq!(wire.verdict("too_short"), 4);
}

fn a_udp_length_beyond_the_packet_is_dropped(wire: &mut Wire) {
    for family in FAMILIES {
        for (payload, more) in
            [(connect_request(1), 1), (wire.announce(family).payload(), 1), (connect_request(1), 65_000)]
        {
            let length = Some((8 + payload.len() + more) as u16);
            wire.expect_dropped(family, Udp { length, ..wire.udp(family, &payload) }.packet());
            // So it is when the frame has the bytes that the packet does not have.
            let packet = Udp { length, ..wire.udp(family, &payload) }.packet();
            let mut frame = Wire::frame(packet);
            frame.padding = vec![0; 100];
            wire.expect_no_effect(family, &[frame.bytes()]);
        }
    }
}

fn a_udp_length_below_8_is_dropped(wire: &mut Wire) {
    for family in FAMILIES {
        for length in 0..8 {
            for payload in [connect_request(1), wire.announce(family).payload()] {
                let udp = Udp { length: Some(length), ..wire.udp(family, &payload) };
                wire.expect_dropped(family, udp.packet());
                // RFC 768: no checksum at all is nothing that could be wrong.
                if family == Family::V4 {
                    wire.expect_dropped(family, Udp { checksum: Checksum::Zero, ..udp }.packet());
                }
            }
        }
    }
    assert_eq!(wire.verdict("too_short"), 0);
}

fn ethernet_padding_is_never_read(wire: &mut Wire) {
    for family in FAMILIES {
        // Cut short in every length field, whole for those who read to the end of the frame.
        let mut announce = wire.announce(family);
        announce.options = vec![0; 40];
        for (payload, kept) in [(announce.payload(), 97), (connect_request(1), 15), (connect_request(1), 0)] {
            let mut frame = Wire::frame(wire.udp(family, &payload[..kept]).packet());
            frame.padding = payload[kept..].to_vec();
            wire.expect_no_effect(family, &[frame.bytes()]);
        }
        let scrape = scrape_request(wire.id(family), 5, &[INFO_HASH]);
        let mut frame = Wire::frame(wire.udp(family, &scrape).packet());
        frame.padding = INFO_HASH.to_vec();
        wire.socket.send(&frame.bytes());
        assert_eq!(parse_scrape(&wire.receive().payload, 5), [Row::default()]);
        let mut frame = Wire::frame(wire.udp(family, &connect_request(6)).packet());
        frame.padding = vec![0xff; 30];
        wire.socket.send(&frame.bytes());
        wire.expect_connect_answer(family, 6);
    }
}
