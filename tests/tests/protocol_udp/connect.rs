//! Connect requests, and what connection ids are good for.

use crate::tracker::{Family, Session, Tracker, Way, row, rules};
use std::net::{IpAddr, SocketAddr};
use tracker_tests::udp_client::{
    AnnounceRequest, INFO_HASH, PROTOCOL_ID, connect_request, header, parse_connect, parse_scrape,
    scrape_request,
};

rules! {
    a_connect_is_answered_with_exactly_16_bytes,
    a_connect_longer_than_16_bytes_is_answered_all_the_same,
    a_wrong_protocol_id_gets_no_connection_id,
    fewer_than_16_bytes_are_met_with_silence,
    transaction_ids_of_any_value_come_back,
    connection_ids_differ_by_source_address,
    a_connection_id_is_good_from_another_port_of_the_same_address,
    a_connection_id_is_good_for_many_requests,
    a_connection_id_is_refused_from_another_address,
    a_made_up_connection_id_is_refused,
    no_answer_to_an_unproven_sender_is_longer_than_its_question,
    a_lenient_tracker_says_that_an_id_is_wrong_in_no_more_bytes_than_it_was_asked,
    unknown_actions_are_met_with_silence,
}

fn a_connect_is_answered_with_exactly_16_bytes(tracker: &Tracker) {
    let answer = tracker.client().ask(&connect_request(0x0102_0304));
    assert_eq!(answer.len(), 16);
    assert_eq!(answer[..8], [0, 0, 0, 0, 1, 2, 3, 4]);
    tracker.assert_verdicts(&["connect_answered"], 1);
}

fn a_connect_longer_than_16_bytes_is_answered_all_the_same(tracker: &Tracker) {
    let client = tracker.client();
    for more in [1, 2, 82, 1000, 1400] {
        parse_connect(&client.ask(&[connect_request(more), vec![0xff; more as usize]].concat()), more);
    }
}

fn a_wrong_protocol_id_gets_no_connection_id(tracker: &Tracker) {
    let mut client = tracker.client();
    let wrong = (0..64).map(|bit| PROTOCOL_ID ^ 1 << bit).chain([0, u64::MAX, PROTOCOL_ID.swap_bytes()]);
    let mut count = 0;
    for protocol_id in wrong {
        client.expect_silence(&header(protocol_id, 0, 7));
        count += 1;
    }
    tracker.assert_verdicts(&["wrong_protocol_id"], count);
}

fn fewer_than_16_bytes_are_met_with_silence(tracker: &Tracker) {
    let mut client = tracker.client();
    for length in 0..16 {
        client.expect_silence(&connect_request(7)[..length]);
    }
    tracker.assert_verdicts(&["too_short"], 16);
}

fn transaction_ids_of_any_value_come_back(tracker: &Tracker) {
    let mut session = tracker.session();
    for transaction_id in [0, 1, 0x7fff_ffff, 0x8000_0000, 0x0102_0304, 0x1980_0000, u32::MAX] {
        parse_connect(&session.client.ask(&connect_request(transaction_id)), transaction_id);
        let scrape = scrape_request(session.id, transaction_id, &[INFO_HASH]);
        parse_scrape(&session.client.ask(&scrape), transaction_id);
        let mut announce = session.leecher(1);
        announce.transaction_id = transaction_id;
        let answer = session.client.ask(&announce.payload());
        assert_eq!(answer[..8], [[0, 0, 0, 1], transaction_id.to_be_bytes()].concat());
        session.client.expect_silence(&header(session.id, 9, transaction_id));
    }
}

fn connection_ids_differ_by_source_address(tracker: &Tracker) {
    let Some(other) = tracker.other_address() else { return };
    let first = tracker.session();
    let second = Session::new(tracker.client_of(other, tracker.address()));
    assert_ne!(first.id, second.id);
}

fn a_connection_id_is_good_from_another_port_of_the_same_address(tracker: &Tracker) {
    let id = tracker.session().id;
    let mut other_port = Session { client: tracker.client(), id };
    assert_eq!(other_port.announce(&other_port.leecher(6881)).leechers, 1);
    assert_eq!(other_port.row(), row(0, 0, 1));
}

fn a_connection_id_is_good_for_many_requests(tracker: &Tracker) {
    let mut session = tracker.session();
    for _ in 0..500 {
        session.announce(&session.leecher(6881));
    }
    assert_eq!(session.row(), row(0, 0, 1));
    tracker.assert_verdicts(&["connect_answered"], 1);
}

fn a_connection_id_is_refused_from_another_address(tracker: &Tracker) {
    let Some(other) = tracker.other_address() else { return };
    let mut first = tracker.session();
    let mut thief = tracker.client_of(other, tracker.address());
    thief.expect_silence(&first.leecher(6881).payload());
    thief.expect_silence(&scrape_request(first.id, 7, &[INFO_HASH]));
    tracker.assert_verdicts(&["connection_id_forged"], 2);
    assert_eq!(tracker.total("torrents"), 0);
    assert_eq!(first.row(), row(0, 0, 0));
}

fn a_made_up_connection_id_is_refused(tracker: &Tracker) {
    let mut session = tracker.session();
    let right = session.id;
    let made_up: Vec<u64> = (0..64).map(|bit| right ^ 1 << bit).chain([0, u64::MAX, PROTOCOL_ID]).collect();
    for id in &made_up {
        session.id = *id;
        session.client.expect_silence(&session.leecher(6881).payload());
    }
    tracker.assert_verdicts(&["connection_id_forged", "connection_id_stale"], made_up.len() as u64);
    assert_eq!(tracker.peers(), 0);
}

fn no_answer_to_an_unproven_sender_is_longer_than_its_question(tracker: &Tracker) {
    let mut client = tracker.client();
    assert_eq!(client.ask(&connect_request(7)).len(), 16);
    for action in 1..=3 {
        for length in [16, 36, 98, 1000] {
            let mut payload = header(0x0123_4567_89ab_cdef, action, 7);
            payload.resize(length, 0x11);
            client.expect_silence(&payload);
        }
    }
}

fn a_lenient_tracker_says_that_an_id_is_wrong_in_no_more_bytes_than_it_was_asked(strict: &Tracker) {
    let lenient = strict.another(&["--set", "udp.lenient=true"]);
    let client = lenient.client();
    for question in [
        scrape_request(1, 0x0102_0304, &[INFO_HASH]),
        AnnounceRequest { transaction_id: 0x0102_0304, ..AnnounceRequest::new(1, 6881) }.payload(),
    ] {
        let answer = client.ask(&question);
        assert!(answer.len() <= question.len(), "{} for {} bytes", answer.len(), question.len());
        assert_eq!(answer[..8], [0, 0, 0, 3, 1, 2, 3, 4]);
    }
    lenient.assert_verdicts(&["connection_id_refused"], 2);
    assert_eq!(lenient.peers(), 0);
}

fn unknown_actions_are_met_with_silence(tracker: &Tracker) {
    let mut session = tracker.session();
    for action in [3, 4, 5, 255, 0x0001_0000, 0x0100_0000, u32::MAX] {
        let mut payload = session.leecher(6881).payload();
        payload[8..12].copy_from_slice(&action.to_be_bytes());
        session.client.expect_silence(&payload);
    }
    tracker.assert_verdicts(&["unknown_action"], 7);
    assert_eq!(tracker.peers(), 0);
}

/// The socket of the client is connected: it drops answers that leave from another address.
fn answers_on_a_wildcard_leave_from(way: Way, family: Family, wildcard: &str, asked: &[&str]) {
    let arguments = ["-i", wildcard, "-P", "0", "-p", "0"];
    let tracker = Tracker::start_at(way, family, &arguments);
    for ip in asked {
        let ip: IpAddr = ip.parse().expect("an address");
        let address = SocketAddr::new(ip, tracker.address().port());
        let mut session = Session::new(tracker.client_of(tracker.client_address(), address));
        session.announce(&session.leecher(6881));
        session.row();
    }
}

#[test]
fn a_wildcard_socket_answers_from_the_ipv4_address_that_was_asked() {
    let asked = ["127.0.0.5", "127.0.0.1", "127.1.2.3"];
    answers_on_a_wildcard_leave_from(Way::Sockets, Family::V4, "0.0.0.0", &asked);
}

#[test]
fn a_wildcard_socket_answers_from_the_ipv6_address_that_was_asked() {
    if tracker_tests::skip::is_root_or_skipped("a second IPv6 address") {
        answers_on_a_wildcard_leave_from(Way::Sockets, Family::V6, "::", &["fd00::2", "::1"]);
    }
}

#[test]
fn a_wildcard_under_af_xdp_answers_from_the_address_that_was_asked() {
    if tracker_tests::skip::is_root_or_skipped("the protocol through AF_XDP") {
        let [v4, v6] = [["10.77.0.5", "10.77.0.1"], ["fd77::5", "fd77::1"]];
        answers_on_a_wildcard_leave_from(Way::AfXdp(1), Family::V4, "0.0.0.0", &v4);
        answers_on_a_wildcard_leave_from(Way::AfXdp(1), Family::V6, "::", &v6);
    }
}
