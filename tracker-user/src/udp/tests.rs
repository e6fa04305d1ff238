//! Rules of BEP 15, on payloads alone: no socket, time moved by hand.

use super::{Handler, IdPolicy, Outcome, SharedKeys, WrongId};
use crate::clock::Now;
use crate::config::types::TrackerConfig;
use crate::counters::{Counters, Network, Which};
use crate::tracker::Tracker;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::Arc;
use tracker_common::connection_id::{Keys, Slot};
use tracker_common::verdict::Verdict;

const NOW: Now = Now::from_seconds(10_000);
const STOPPED: u32 = 3;

struct Client {
    handler: Handler,
    keys: SharedKeys,
    out: [u8; 1472],
}

impl Client {
    fn new(wrong_id: WrongId) -> Self {
        let keys: SharedKeys = Arc::new(ArcSwap::from_pointee(Keys::new([[1, 2], [3, 4]])));
        let policy = IdPolicy { lifetime_slots: Slot::lifetime(480), wrong_id };
        let tracker = Arc::new(Tracker::new(TrackerConfig::default(), [5, 6]));
        let handler = Handler::new(tracker, Arc::clone(&keys), policy);
        Self { handler, keys, out: [0; 1472] }
    }

    fn send(&mut self, from: &str, payload: &[u8], now: Now) -> Result<&[u8], Verdict> {
        let source: SocketAddr = from.parse().unwrap();
        match self.handler.handle(source, payload, now, &mut self.out) {
            Outcome::Ignore(verdict) => Err(verdict),
            Outcome::Reply(_, len) => Ok(&self.out[..len]),
        }
    }

    fn connect(&mut self, from: &str, now: Now) -> [u8; 8] {
        let reply = self.send(from, &connect([7; 4]), now).unwrap();
        reply[8..16].try_into().unwrap()
    }

    fn announce(&mut self, from: &str, port: u16, left: u64, event: u32) -> Vec<u8> {
        let id = self.connect(from, NOW);
        self.send(from, &announce(id, port, left, event), NOW).unwrap().to_vec()
    }
}

fn connect(transaction_id: [u8; 4]) -> Vec<u8> {
    [&[0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0][..], &transaction_id].concat()
}

fn announce(id: [u8; 8], port: u16, left: u64, event: u32) -> Vec<u8> {
    let mut bytes = [&id[..], &[0, 0, 0, 1, 9, 9, 9, 9], &[0x11; 20], &[0x22; 20], &[0; 8]].concat();
    bytes.extend(left.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(event.to_be_bytes());
    bytes.extend([198, 51, 100, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    bytes.extend(port.to_be_bytes());
    bytes
}

#[test]
fn a_connection_id_holds_from_any_port_of_its_address_and_from_no_other_address() {
    let mut client = Client::new(WrongId::Dropped);
    let id = client.connect("192.0.2.1:1000", NOW);
    let request = announce(id, 6881, 1, 0);
    assert!(client.send("192.0.2.1:2000", &request, NOW).is_ok());
    assert_eq!(client.send("192.0.2.2:1000", &request, NOW), Err(Verdict::ConnectionIdForged));
    assert_eq!(client.handler.tracker.store().totals().peers, 1);
}

#[test]
fn a_mapped_address_is_the_same_source_as_the_ipv4_address_in_it() {
    let mut client = Client::new(WrongId::Dropped);
    let id = client.connect("192.0.2.1:1000", NOW);
    let reply = client.send("[::ffff:192.0.2.1]:1000", &announce(id, 6881, 1, 0), NOW).unwrap();
    assert_eq!(reply.len(), 20);
}

#[test]
fn a_connection_id_is_refused_after_its_lifetime() {
    let mut client = Client::new(WrongId::Dropped);
    let id = client.connect("192.0.2.1:1000", NOW);
    let request = announce(id, 6881, 1, 0);
    assert!(client.send("192.0.2.1:1000", &request, Now::from_seconds(10_480)).is_ok());
    let late = Now::from_seconds(10_520);
    assert_eq!(client.send("192.0.2.1:1000", &request, late), Err(Verdict::ConnectionIdStale));
}

#[test]
fn a_rotated_key_takes_effect_without_refusing_the_ids_of_the_one_before() {
    let mut client = Client::new(WrongId::Dropped);
    let before = client.connect("192.0.2.1:1000", NOW);
    let rotated = client.keys.load().rotated([8, 9]);
    client.keys.store(Arc::new(rotated));
    assert_ne!(client.connect("192.0.2.1:1000", NOW), before);
    assert!(client.send("192.0.2.1:1000", &announce(before, 6881, 1, 0), NOW).is_ok());
}

#[test]
fn a_wrong_connection_id_is_answered_only_where_the_operator_asked_for_it() {
    let mut client = Client::new(WrongId::Answered);
    let request = announce([1; 8], 6881, 1, 0);
    let reply = client.send("192.0.2.1:1000", &request, NOW).unwrap();
    assert_eq!(reply[..8], [0, 0, 0, 3, 9, 9, 9, 9]);
    assert!(reply.len() < 36, "longer than the shortest question");
    let outcome = client.handler.handle("192.0.2.1:1000".parse().unwrap(), &request, NOW, &mut client.out);
    assert_eq!(outcome.verdict(), Verdict::ConnectionIdRefused);
}

#[test]
fn an_answer_holds_peers_of_the_askers_family_alone() {
    let mut client = Client::new(WrongId::Dropped);
    client.announce("192.0.2.1:1000", 0x1a01, 1, 0);
    client.announce("[2001:db8::1]:1000", 0x1a02, 1, 0);
    let v4 = client.announce("192.0.2.2:1000", 0x1a03, 1, 0);
    assert_eq!(v4[20..], [192, 0, 2, 1, 0x1a, 0x01]);
    let v6 = client.announce("[2001:db8::2]:1000", 0x1a04, 1, 0);
    assert_eq!(v6[20..], [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1a, 0x02]);
    assert_eq!(v6[12..20], [0, 0, 0, 4, 0, 0, 0, 0]);
}

#[test]
fn the_address_in_the_request_is_not_believed() {
    let mut client = Client::new(WrongId::Dropped);
    client.announce("192.0.2.1:1000", 6881, 1, 0);
    let reply = client.announce("192.0.2.2:1000", 6881, 1, 0);
    assert_eq!(reply[20..24], [192, 0, 2, 1]);
}

#[test]
fn port_zero_is_answered_and_never_handed_out() {
    let mut client = Client::new(WrongId::Dropped);
    assert_eq!(client.announce("192.0.2.1:1000", 0, 1, 0).len(), 20);
    assert_eq!(client.announce("192.0.2.2:1000", 6881, 1, 0)[12..], [0, 0, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn a_stop_of_an_unknown_peer_stores_nothing() {
    let mut client = Client::new(WrongId::Dropped);
    assert_eq!(client.announce("192.0.2.1:1000", 6881, 1, STOPPED)[12..], [0; 8]);
    assert_eq!(client.handler.tracker.store().totals().torrents, 0);
}

#[test]
fn a_full_answer_is_one_unfragmented_packet() {
    let mut client = Client::new(WrongId::Dropped);
    for number in 0..400_u16 {
        client.announce("192.0.2.1:1000", 1000 + number, 1, 0);
        client.announce("[2001:db8::1]:1000", 1000 + number, 1, 0);
    }
    for (from, peers, peer_len) in [("192.0.2.2:1000", 200, 6), ("[2001:db8::2]:1000", 79, 18)] {
        let id = client.connect(from, NOW);
        let mut request = announce(id, 6881, 1, 0);
        request[92..96].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(client.send(from, &request, NOW).unwrap().len(), 20 + peers * peer_len);
    }
}

#[test]
fn a_source_that_cannot_be_answered_is_dropped() {
    let mut client = Client::new(WrongId::Answered);
    for source in ["192.0.2.1:0", "0.0.0.0:5", "255.255.255.255:5", "224.0.0.1:5", "[::]:5", "[ff02::1]:5"] {
        assert_eq!(client.send(source, &connect([1; 4]), NOW), Err(Verdict::UnanswerableSource), "{source}");
    }
}

#[test]
fn rubbish_of_every_length_gets_no_answer_and_stores_nothing() {
    let mut client = Client::new(WrongId::Dropped);
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..100_000 {
        let payload: Vec<u8> = (0..round % 200).map(|_| random.u8(..)).collect();
        assert!(client.send("192.0.2.1:1000", &payload, NOW).is_err());
    }
    assert_eq!(client.handler.tracker.store().totals().torrents, 0);
}

#[test]
fn no_answer_to_an_unproven_sender_is_longer_than_its_question() {
    let mut client = Client::new(WrongId::Answered);
    for payload in [connect([1; 4]), announce([0; 8], 1, 1, 0), announce([0; 8], 1, 1, 0)[..36].to_vec()] {
        let longest = payload.len();
        if let Ok(reply) = client.send("192.0.2.1:1000", &payload, NOW) {
            assert!(reply.len() <= longest);
        }
    }
}

#[test]
fn announces_are_noted_by_what_is_wanted_and_by_when_the_peer_was_there_before() {
    let all = Counters::for_workers(1, 0);
    let mut client = Client::new(WrongId::Dropped);
    client.handler = client.handler.counting_in(Arc::clone(&all.udp_workers()[0]));
    let mut announce_at = |secs: u32, event: u32| {
        let now = Now::from_seconds(secs);
        let id = client.connect("192.0.2.1:1000", now);
        client.send("192.0.2.1:1000", &announce(id, 6881, 1, event), now).unwrap();
    };
    // The least that anyone is told is to come back after 810 seconds; and who stops does not come back by that.
    for (secs, event) in [(10_000, 0), (10_500, 0), (11_800, 1), (11_900, STOPPED)] {
        announce_at(secs, event);
    }
    let figures = all.announces();
    assert_eq!((figures.completed, figures.peers_wanted[50]), (1, 4));
    assert_eq!(figures.renewed.iter().sum::<u64>(), 2);
    let network = Network::of("192.0.2.1".parse().unwrap());
    let now = Now::from_seconds(11_900);
    assert_eq!(all.networks(Which::TooEarly, now), [].into());
    let lately = Now::from_seconds(10_500);
    assert_eq!(all.networks(Which::TooEarly, lately), [(network, 1)].into());
}
