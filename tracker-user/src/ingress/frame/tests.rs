//! Frames of literal bytes, each damaged in every place, and answers checked by a receiver of its own.

use super::parse;
use proptest::prelude::{any, proptest};
use std::net::SocketAddr;
use tracker_common::verdict::Verdict;

/// 192.0.2.2:40000 asks 192.0.2.1:6969 with 18 bytes; both checksums right.
const V4: &str = "020000000001 020000000002 0800 \
    4500002e 12344000 4011 0000 c0000202 c0000201 9c401b39 001a0000 000102030405060708090a0b0c0d0e0f1011";
/// The same over IPv6.
const V6: &str = "020000000001 020000000002 86dd \
    60012345 001a1140 20010db8000000000000000000000002 20010db8000000000000000000000001 \
    9c401b39 001a0000 000102030405060708090a0b0c0d0e0f1011";

fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

/// The checksum of RFC 1071, in the plainest way.
fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Where the IP header of a frame begins, and its addresses lie.
fn layout(frame: &[u8]) -> (usize, std::ops::Range<usize>, usize) {
    let mut at = 12;
    while frame[at..at + 2] == [0x81, 0] || frame[at..at + 2] == [0x88, 0xa8] {
        at += 4;
    }
    let ip = at + 2;
    match frame[at] {
        0x08 => (ip, ip + 12..ip + 20, ip + 20),
        _ => (ip, ip + 8..ip + 40, ip + 40),
    }
}

fn udp_sum(frame: &[u8]) -> u16 {
    let (_, addresses, udp) = layout(frame);
    let len = u16::from_be_bytes([frame[udp + 4], frame[udp + 5]]);
    let datagram = &frame[udp..udp + usize::from(len)];
    internet_checksum(&[&frame[addresses], &[0, 17], &len.to_be_bytes(), datagram])
}

/// A frame of digits with the checksums that belong into it.
fn right(text: &str) -> Vec<u8> {
    let mut frame = bytes(text);
    let (ip, _, udp) = layout(&frame);
    if frame[ip] >> 4 == 4 {
        let sum = internet_checksum(&[&frame[ip..ip + 20]]);
        frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
    }
    let sum = udp_sum(&frame);
    frame[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// The same frame with tags behind its link addresses.
fn tagged(frame: &[u8], tags: &[u8]) -> Vec<u8> {
    [&frame[..12], tags, &frame[12..]].concat()
}

fn source(frame: &[u8]) -> Result<SocketAddr, Verdict> {
    parse(frame).map(|headers| headers.source)
}

#[test]
fn a_frame_says_where_it_comes_from_and_what_it_asks() {
    for (text, from) in [(V4, "192.0.2.2:40000"), (V6, "[2001:db8::2]:40000")] {
        for tags in [&[][..], &[0x81, 0, 0xe0, 5], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 5]] {
            let frame = tagged(&right(text), tags);
            let headers = parse(&frame).unwrap();
            assert_eq!(headers.source, from.parse().unwrap());
            assert_eq!(frame[headers.payload], (0..18).collect::<Vec<u8>>());
        }
    }
    let thrice = tagged(&right(V4), &[0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3]);
    assert_eq!(source(&thrice), Err(Verdict::BadHeader));
}

#[test]
fn no_part_of_a_frame_is_taken_for_a_whole() {
    for text in [V4, V6] {
        let frame = right(text);
        for len in 0..frame.len() {
            assert_eq!(source(&frame[..len]), Err(Verdict::BadHeader), "{len} bytes");
        }
    }
}

#[test]
fn padding_behind_the_datagram_is_not_read() {
    for text in [V4, V6] {
        let mut frame = right(text);
        let len = frame.len();
        frame.extend([0xaa; 30]);
        assert_eq!(parse(&frame).unwrap().payload.end, len);
    }
}

#[test]
fn a_damaged_bit_is_noticed_wherever_a_checksum_covers_it() {
    for text in [V4, V6] {
        let frame = right(text);
        let (ip, _, _) = layout(&frame);
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // Link addresses, and in IPv6 class, flow, and hop limit.
            let uncovered = bit / 8 < 12
                || (frame[ip] >> 4 == 6
                    && ((bit / 8 == ip && bit % 8 < 4)
                        || [ip + 1, ip + 2, ip + 3, ip + 7].contains(&(bit / 8))));
            assert_eq!(source(&damaged).is_ok(), uncovered, "bit {bit}");
        }
    }
}

#[test]
fn a_checksum_may_be_absent_over_ipv4_alone() {
    for (text, allowed) in [(V4, true), (V6, false)] {
        let mut frame = right(text);
        let (_, _, udp) = layout(&frame);
        frame[udp + 6..udp + 8].fill(0);
        assert_eq!(source(&frame).is_ok(), allowed);
    }
}

#[test]
fn a_checksum_that_was_left_to_the_card_is_that_of_the_pseudo_header() {
    for text in [V4, V6] {
        let mut frame = right(text);
        let (_, addresses, udp) = layout(&frame);
        let partial = !internet_checksum(&[&frame[addresses], &[0, 17, 0, 26]]);
        frame[udp + 6..udp + 8].copy_from_slice(&partial.to_be_bytes());
        assert!(source(&frame).is_ok());
        frame[udp + 7] ^= 1;
        assert_eq!(source(&frame), Err(Verdict::ChecksumWrong));
    }
}

#[test]
fn lengths_that_disagree_end_the_packet_unless_udp_is_the_shorter() {
    for text in [V4, V6] {
        for (len, allowed) in
            [(26_u16, true), (20, true), (8, true), (7, false), (0, false), (27, false), (0xffff, false)]
        {
            let mut frame = right(text);
            let (_, _, udp) = layout(&frame);
            frame[udp + 4..udp + 6].copy_from_slice(&len.to_be_bytes());
            frame[udp + 6..udp + 8].fill(0);
            if allowed {
                let sum = udp_sum(&frame);
                frame[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
            }
            assert_eq!(source(&frame).is_ok(), allowed, "UDP length {len}");
        }
    }
}

#[test]
fn options_fragments_and_other_protocols_are_contradictions() {
    let (v4, v6) = (right(V4), right(V6));
    let with = |frame: &[u8], at: usize, value: u8| {
        let mut changed = frame.to_vec();
        changed[at] = value;
        // The header's own checksum shall not be what refuses it.
        if changed[12] == 0x08 {
            changed[24..26].fill(0);
            let sum = internet_checksum(&[&changed[14..34]]);
            changed[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        source(&changed)
    };
    for (frame, at, value) in [
        (&v4, 14, 0x46),
        (&v4, 20, 0x20),
        (&v4, 21, 1),
        (&v4, 23, 6),
        (&v6, 14, 0x40),
        (&v6, 20, 44),
        (&v6, 13, 0xdc),
    ] {
        assert_eq!(with(frame, at, value), Err(Verdict::BadHeader), "{value:#x} at {at}");
    }
    // Not to be fragmented, and any time to live, are as good as others.
    assert!(with(&v4, 20, 0).is_ok());
    assert!(with(&v4, 22, 1).is_ok());
}

/// What a strict receiver makes of an answer: source, destination, payload.
fn receive(frame: &[u8], v4: bool) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (ip, addresses, udp) = layout(frame);
    assert_eq!(frame[ip] >> 4, if v4 { 4 } else { 6 });
    if v4 {
        assert_eq!(internet_checksum(&[&frame[ip..ip + 20]]), 0, "header checksum");
    }
    let len = u16::from_be_bytes([frame[udp + 4], frame[udp + 5]]);
    let ip_len = if v4 { &frame[ip + 2..ip + 4] } else { &frame[ip + 4..ip + 6] };
    let expected = if v4 { 20 + len } else { len };
    assert_eq!(ip_len, expected.to_be_bytes());
    assert_ne!(frame[udp + 6..udp + 8], [0, 0]);
    assert_eq!(udp_sum(frame), 0, "UDP checksum");
    let half = addresses.len() / 2;
    let from = [&frame[addresses.start..addresses.start + half], &frame[udp..udp + 2]].concat();
    let to = [&frame[addresses.start + half..addresses.end], &frame[udp + 2..udp + 4]].concat();
    (from, to, frame[udp + 8..udp + usize::from(len)].to_vec())
}

#[test]
fn an_answer_over_ipv4_is_these_literal_bytes() {
    let mut frame = right(V4);
    frame.resize(128, 0xee);
    let headers = parse(&frame).unwrap();
    frame[headers.payload.start..headers.payload.start + 4].copy_from_slice(&[1, 2, 3, 4]);
    let len = headers.turn_round(&mut frame, 4);
    let expected = "020000000002 020000000001 0800 \
        45000020 00004000 4011 b6c9 c0000201 c0000202 1b399c40 000cc052 01020304 \
        0000 0000 0000 0000 0000 0000 0000";
    assert_eq!(frame[..len], bytes(expected));
}

proptest! {
    #[test]
    fn an_answer_is_right_for_a_strict_receiver(
        v4: bool,
        tags in 0..3_usize,
        payload in proptest::collection::vec(any::<u8>(), 0..1472),
        ports: [u8; 4],
    ) {
        let mut frame = bytes(if v4 { V4 } else { V6 });
        let (ip, _, udp) = layout(&frame);
        frame[udp..udp + 4].copy_from_slice(&ports);
        frame[udp + 6..udp + 8].fill(0);
        let sum = udp_sum(&frame);
        frame[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
        if v4 {
            let sum = internet_checksum(&[&frame[ip..ip + 20]]);
            frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        }
        let mut frame = tagged(&frame, &[0x81, 0, 0xe1, 5, 0x81, 0, 0, 9][..tags * 4]);
        let asked = frame.clone();
        frame.resize(1792, 0xee);
        let headers = parse(&frame).unwrap();
        let at = headers.payload.start;
        frame[at..at + payload.len()].copy_from_slice(&payload);
        let len = headers.turn_round(&mut frame, payload.len());
        let answer = &frame[..len];
        proptest::prop_assert_eq!(len, (at + payload.len()).max(60));
        proptest::prop_assert!(answer[at + payload.len()..].iter().all(|byte| *byte == 0));
        proptest::prop_assert_eq!(&answer[..6], &asked[6..12]);
        proptest::prop_assert_eq!(&answer[6..12], &asked[..6]);
        proptest::prop_assert_eq!(&answer[12..12 + tags * 4], &asked[12..12 + tags * 4]);
        let (from, to, received) = receive(answer, v4);
        let (_, addresses, udp) = layout(&asked);
        let half = addresses.start + addresses.len() / 2;
        proptest::prop_assert_eq!(from, [&asked[half..addresses.end], &asked[udp + 2..udp + 4]].concat());
        proptest::prop_assert_eq!(to, [&asked[addresses.start..half], &asked[udp..udp + 2]].concat());
        proptest::prop_assert_eq!(received, payload);
    }

    #[test]
    fn no_bytes_are_met_with_panic(mut frame in proptest::collection::vec(any::<u8>(), 0..200), ethertype in 0..4_usize) {
        if let Some(place) = frame.get_mut(12..15) {
            place.copy_from_slice([&[8, 0, 0x45], &[0x86, 0xdd, 0x60], &[0x81, 0, 0], &[0, 0, 0]][ethertype]);
        }
        let _ = parse(&frame);
    }
}
