//! Which peers an announce gets.

use crate::tracker::{Family, Tracker, rules};
use std::collections::BTreeSet;

rules! {
    never_a_peer_of_the_other_family,
    fewer_than_none_wanted_gets_the_default_number,
    as_many_as_wanted_at_most,
    none_wanted_gets_none,
    however_many_are_wanted_the_answer_is_one_unfragmented_packet,
    no_peer_twice_in_an_answer_and_nobody_who_did_not_announce,
    port_0_is_never_handed_out,
    the_draw_is_random,
    nobody_is_told_of_itself,
    a_stopped_peer_gets_no_peers_and_at_least_20_bytes,
    a_seeder_is_told_of_leechers_only,
}

fn never_a_peer_of_the_other_family(tracker: &Tracker) {
    let (mut here, mut there) = (tracker.session(), tracker.session_of_other_family());
    there.fill(1..=100);
    assert_eq!(here.announce(&here.leecher(500)).peers, []);
    here.fill(201..=210);
    let announced = here.announce(&here.leecher(500).wanting(200));
    assert_eq!(announced.peers.len(), 10);
    assert!(announced.ports().iter().all(|port| *port > 200));
    assert_eq!(announced.leechers, 111);
}

fn fewer_than_none_wanted_gets_the_default_number(tracker: &Tracker) {
    let mut session = tracker.session();
    session.fill(1..=120);
    for wanted in [-1, -2, i32::MIN] {
        assert_eq!(session.announce(&session.leecher(500).wanting(wanted)).peers.len(), 50);
    }
}

fn as_many_as_wanted_at_most(tracker: &Tracker) {
    let mut session = tracker.session();
    session.fill(1..=60);
    for wanted in [1, 2, 7, 49, 50, 51, 60] {
        let announced = session.announce(&session.leecher(500).wanting(wanted));
        assert_eq!(announced.peers.len(), wanted as usize);
    }
    assert_eq!(session.announce(&session.leecher(500).wanting(61)).peers.len(), 60);
}

fn none_wanted_gets_none(tracker: &Tracker) {
    let mut session = tracker.session();
    session.fill(1..=5);
    assert_eq!(session.client.ask(&session.leecher(500).wanting(0).payload()).len(), 20);
}

fn however_many_are_wanted_the_answer_is_one_unfragmented_packet(limited: &Tracker) {
    let unlimited = limited.another(&["--set", "tracker.peers_wanted_max=2000"]);
    let longest = match unlimited.family {
        Family::V4 => 20 + 242 * 6,
        Family::V6 => 20 + 79 * 18,
    };
    let mut session = unlimited.session();
    session.fill(1..=300);
    for wanted in [300, 100_000, i32::MAX] {
        assert_eq!(session.client.ask(&session.leecher(500).wanting(wanted).payload()).len(), longest);
    }
}

fn no_peer_twice_in_an_answer_and_nobody_who_did_not_announce(tracker: &Tracker) {
    let mut session = tracker.session();
    session.fill(1..=90);
    for port in 80..=100 {
        let announced = session.announce(&session.leecher(port).wanting(79));
        let ports: BTreeSet<u16> = announced.ports().into_iter().collect();
        assert_eq!(ports.len(), announced.peers.len(), "{announced:?}");
        assert!(ports.iter().all(|other| (1..=100).contains(other) && *other != port), "{announced:?}");
        assert!(announced.peers.iter().all(|peer| peer.ip() == session.client.address().ip()));
    }
}

fn port_0_is_never_handed_out(tracker: &Tracker) {
    let mut session = tracker.session();
    for request in [session.leecher(0), session.seeder(0), session.seeder(0).event(1)] {
        let announced = session.announce(&request);
        assert_eq!((announced.leechers, announced.seeders), (0, 0));
    }
    assert_eq!((tracker.peers(), tracker.total("torrents")), (0, 0));
    session.announce(&session.leecher(1));
    session.announce(&session.leecher(0));
    assert_eq!(session.announce(&session.leecher(2)).ports(), [1]);
}

fn the_draw_is_random(tracker: &Tracker) {
    let mut session = tracker.session();
    session.fill(1..=300);
    let mut drawn = BTreeSet::new();
    let mut draws = BTreeSet::new();
    // A peer is in an answer with a chance of 1 in 6: that one of 300 is never drawn has a chance of 1 in 10^21.
    for _ in 0..300 {
        let ports = session.announce(&session.leecher(500).wanting(50)).ports();
        assert_eq!(ports.len(), 50);
        drawn.extend(ports.iter().copied());
        draws.insert(ports);
    }
    assert_eq!(drawn, (1..=300).collect());
    assert!(draws.len() > 100, "{} different answers of 300", draws.len());
}

fn nobody_is_told_of_itself(tracker: &Tracker) {
    let mut session = tracker.session();
    session.fill(1..=70);
    for port in 1..=70 {
        let announced = session.announce(&session.leecher(port).wanting(79));
        assert_eq!(announced.peers.len(), 69);
        assert!(!announced.ports().contains(&port));
    }
}

fn a_stopped_peer_gets_no_peers_and_at_least_20_bytes(tracker: &Tracker) {
    let mut session = tracker.session();
    session.fill(1..=10);
    assert_eq!(session.client.ask(&session.leecher(1).event(3).payload()).len(), 20);
    assert_eq!(session.client.ask(&session.leecher(500).event(3).payload()).len(), 20);
}

fn a_seeder_is_told_of_leechers_only(tracker: &Tracker) {
    let mut session = tracker.session();
    session.announce(&session.seeder(1));
    session.announce(&session.leecher(2));
    assert_eq!(session.announce(&session.seeder(3)).ports(), [2]);
    let everyone: BTreeSet<u16> = session.announce(&session.leecher(4)).ports().into_iter().collect();
    assert_eq!(everyone, [1, 2, 3].into());
}
