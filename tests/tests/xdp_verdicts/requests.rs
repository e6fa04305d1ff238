//! Verdicts on payloads: connects and their checksums, announces, scrapes, and the ids that they carry.

use crate::answers::answer_to;
use crate::frames::{CONNECT, Way, announce, framed, over_v4, over_v6, padded, patched, scrape};
use crate::scene::{Scene, id};
use crate::table::{Row, answered, check, dropped, passed};
use tracker_common::verdict::Verdict;
use tracker_tests::packet::{Checksum, Udp};

/// The longest connect whose checksum the program judges.
const MAX_JUDGED_TAIL: usize = 256;

/// Checks the rows that are made for each way and the id that its client holds.
fn check_both_ways(scene: &mut Scene, rows: impl Fn(Way, u64) -> Vec<Row>) {
    let keys = scene.control.keys;
    check(scene, |now_ns| {
        Way::both().into_iter().flat_map(|way| rows(way, id(&keys, way.client.ip(), 0, now_ns))).collect()
    });
}

#[test]
fn a_payload_of_every_length_has_its_verdict() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    check_both_ways(&mut scene, |way, id| {
        let mut rows = Vec::new();
        for len in 0..16 {
            let name = |text: &str| format!("{} {text} of {len} bytes", way.family());
            rows.push(dropped(name("connect"), way.frame(&CONNECT[..len]), Verdict::TooShort));
            rows.push(dropped(name("announce"), way.frame(&announce(id)[..len]), Verdict::TooShort));
            let padded_connect = padded(&way.frame(&CONNECT[..len]), &CONNECT[len..]);
            rows.push(dropped(name("connect, the rest as padding"), padded_connect, Verdict::TooShort));
        }
        for len in 16..98 {
            let name = format!("{} announce of {len} bytes", way.family());
            rows.push(dropped(name, way.frame(&announce(id)[..len]), Verdict::AnnounceTooShort));
        }
        for len in 16..36 {
            let name = format!("{} scrape of {len} bytes", way.family());
            rows.push(dropped(name, way.frame(&scrape(id, 1)[..len]), Verdict::ScrapeTooShort));
        }
        for len in 36..=116 {
            let name = format!("{} scrape of {len} bytes", way.family());
            rows.push(passed(name, way.frame(&scrape(id, 5)[..len]), Verdict::ScrapeProven));
        }
        rows
    });
}

#[test]
fn a_connect_is_answered_whatever_follows_it() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    check_both_ways(&mut scene, |way, _| {
        let with_tail =
            |len: usize| [CONNECT.to_vec(), (0..len).map(|byte| byte as u8 ^ 0x5a).collect()].concat();
        let mut rows = Vec::new();
        for len in 0..=MAX_JUDGED_TAIL {
            let name = |text: &str| format!("{} connect and {len} bytes {text}", way.family());
            rows.push(answered(name(""), way.frame(&with_tail(len))));
            let wrong = Udp { checksum: Checksum::Wrong, ..way.udp(&with_tail(len)) };
            rows.push(passed(name("wrong"), framed(wrong.packet()), Verdict::ChecksumUnsure));
        }
        for len in [MAX_JUDGED_TAIL + 1, 1400] {
            let name = |text: &str| format!("{} connect and {len} bytes, {text}", way.family());
            let frame = way.frame(&with_tail(len));
            rows.push(passed(name("summed by the stack"), frame, Verdict::ChecksumUnsure));
            rows.push(answered(name("left to the card"), way.partially_summed(&with_tail(len))));
        }
        rows
    });
}

#[test]
fn a_connect_of_any_transaction_is_answered_and_one_without_the_protocol_id_is_not() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    check_both_ways(&mut scene, |way, _| {
        let changed = |at: usize, bytes: &[u8]| way.frame(&patched(CONNECT.to_vec(), at, bytes));
        let mut rows = vec![
            answered("transaction 0", changed(12, &[0; 4])),
            answered("transaction of ones", changed(12, &[0xff; 4])),
            answered("padded to 60 bytes", padded(&way.frame(&CONNECT), &[0; 2])),
            answered("padded to 64 bytes", padded(&way.frame(&CONNECT), &[0xee; 6])),
            dropped("id 0", changed(0, &[0; 8]), Verdict::WrongProtocolId),
            dropped(
                "little-endian",
                changed(0, &[0x80, 0x19, 0x10, 0x27, 0x17, 4, 0, 0]),
                Verdict::WrongProtocolId,
            ),
        ];
        for bit in 0..64 {
            let byte = CONNECT[bit / 8] ^ (1 << (bit % 8));
            let frame = changed(bit / 8, &[byte]);
            rows.push(dropped(format!("bit {bit} wrong"), frame, Verdict::WrongProtocolId));
        }
        rows
    });
}

#[test]
fn the_udp_checksum_decides_about_a_connect() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    let with = |way: Way, checksum| framed(Udp { checksum, ..way.udp(&CONNECT) }.packet());
    let summed_to_zero = |way: Way| {
        // A transaction id that brings the sum to zero, which is sent as its other form (RFC 768).
        let mut connect = CONNECT;
        connect[12..].fill(0);
        let frame = way.frame(&connect);
        let at = 14 + way.ip_len() + 6;
        connect[14..].copy_from_slice(&frame[at..at + 2]);
        let frame = way.frame(&connect);
        assert_eq!(frame[at..at + 2], [0xff, 0xff]);
        frame
    };
    let keys = scene.control.keys;
    let answer_summed_to_zero = |way: Way, now_ns| {
        let mut connect = CONNECT;
        connect[12..].fill(0);
        let answer = answer_to(&way.frame(&connect), &keys, now_ns);
        let at = 14 + way.ip_len() + 6;
        connect[14..].copy_from_slice(&answer[at..at + 2]);
        way.frame(&connect)
    };
    check(&mut scene, |now_ns| {
        vec![
            answered("IPv4, answer summed to zero", answer_summed_to_zero(over_v4(), now_ns)),
            answered("IPv6, answer summed to zero", answer_summed_to_zero(over_v6(), now_ns)),
            answered("IPv4, right", with(over_v4(), Checksum::Right)),
            answered("IPv4, none", with(over_v4(), Checksum::Zero)),
            answered("IPv4, left to the card", over_v4().partially_summed(&CONNECT)),
            answered("IPv4, summed to zero", summed_to_zero(over_v4())),
            passed("IPv4, wrong", with(over_v4(), Checksum::Wrong), Verdict::ChecksumUnsure),
            answered("IPv6, right", with(over_v6(), Checksum::Right)),
            answered("IPv6, left to the card", over_v6().partially_summed(&CONNECT)),
            answered("IPv6, summed to zero", summed_to_zero(over_v6())),
            passed("IPv6, none", with(over_v6(), Checksum::Zero), Verdict::ChecksumUnsure),
            passed("IPv6, wrong", with(over_v6(), Checksum::Wrong), Verdict::ChecksumUnsure),
        ]
    });
}

#[test]
fn announces_and_scrapes_with_a_valid_id_go_on_to_the_daemon() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    check_both_ways(&mut scene, |way, id| {
        let with_url_data = [&announce(id)[..], &[2, 9], b"/announce", &[0]].concat();
        let with_long_tail = [&announce(id)[..], &[0xff; 1300]].concat();
        let other_port = Way { client: std::net::SocketAddr::new(way.client.ip(), 1), ..way };
        let wrong_checksum = Udp { checksum: Checksum::Wrong, ..way.udp(&announce(id)) };
        vec![
            passed("announce", way.frame(&announce(id)), Verdict::AnnounceProven),
            passed("announce, padded", padded(&way.frame(&announce(id)), &[0; 9]), Verdict::AnnounceProven),
            passed("announce with URL data of BEP 41", way.frame(&with_url_data), Verdict::AnnounceProven),
            passed("announce with 1,300 bytes behind", way.frame(&with_long_tail), Verdict::AnnounceProven),
            passed("from another port", other_port.frame(&announce(id)), Verdict::AnnounceProven),
            // Every announce passes the stack, which knows better what a card has left out.
            passed("wrong checksum", framed(wrong_checksum.packet()), Verdict::AnnounceProven),
            passed("scrape of one", way.frame(&scrape(id, 1)), Verdict::ScrapeProven),
            passed("scrape of 70", way.frame(&scrape(id, 70)), Verdict::ScrapeProven),
        ]
    });
}

#[test]
fn other_actions_are_dropped_with_or_without_a_valid_id() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    check_both_ways(&mut scene, |way, id| {
        let mut rows = Vec::new();
        for (action, connection_id) in [(3, id), (4, id), (0x0100_0000, id), (u32::MAX, 0)] {
            let payload = patched(announce(connection_id), 8, &action.to_be_bytes());
            rows.push(dropped(format!("action {action}"), way.frame(&payload), Verdict::UnknownAction));
        }
        let connect_with_id = patched(announce(id), 8, &[0; 4]);
        rows.push(dropped("a connect with an id", way.frame(&connect_with_id), Verdict::WrongProtocolId));
        rows
    });
}
