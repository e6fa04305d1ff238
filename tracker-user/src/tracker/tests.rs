//! What other nodes are told of an announce, and what becomes of their word.

use super::{Announce, Event, Protocol, TakenIn, Tracker};
use crate::access_list::{ListKind, ListedTorrents, TorrentList};
use crate::clock::Now;
use crate::config::types::{Config, TrackerConfig};
use crate::events::{EventQueue, PeerEvent};
use crate::info_hash::InfoHash;
use crate::peer_store::{Limits, PeersOut, Standing, SwarmCounts};
use std::sync::Arc;

const TORRENT: InfoHash = InfoHash([7; 20]);

/// A tracker of which others are told.
fn tracker() -> (Tracker, Arc<EventQueue>) {
    let (tracker, others) = (Tracker::new(TrackerConfig::default(), [1, 2]), Arc::<EventQueue>::default());
    tracker.tell_others(Arc::clone(&others));
    (tracker, others)
}

fn announce(tracker: &Tracker, peer: &str, event: Event, bytes_left: u64, secs: u32) {
    let announce = Announce {
        over: Protocol::Udp,
        info_hash: TORRENT,
        peer: peer.parse().unwrap(),
        bytes_left,
        event,
        peers_wanted: None,
    };
    let (now, mut random) = (Now::from_seconds(secs), fastrand::Rng::with_seed(1));
    tracker.announce(&announce, now, &mut random, &mut PeersOut::new(&mut [], &mut []));
}

fn told(others: &EventQueue) -> Vec<PeerEvent> {
    let mut told = Vec::new();
    others.drain(|event| told.push(event));
    told
}

fn word(peer: &str, standing: Standing, heard_secs: u32) -> PeerEvent {
    PeerEvent { info_hash: TORRENT, peer: peer.parse().unwrap(), standing, completed: false, heard_secs }
}

#[test]
fn word_of_a_peer_that_has_timed_out_since_does_not_bring_it_back() {
    let config = TrackerConfig { peer_timeout_secs: 200, ..TrackerConfig::default() };
    let tracker = Tracker::new(config, [1, 2]);
    for (heard_secs, expected) in [(4801, TakenIn::Stored), (4800, TakenIn::Older), (1, TakenIn::Older)] {
        let event = word(&format!("192.0.2.1:{heard_secs}"), Standing::Seeder, heard_secs);
        assert_eq!(take_in(&tracker, &event, 5000), expected, "heard at {heard_secs}");
    }
    assert_eq!(tracker.store().totals().peers, 1);
}

#[test]
fn a_download_that_a_restored_state_has_counted_is_not_counted_again() {
    let tracker = Tracker::new(TrackerConfig::default(), [1, 2]);
    tracker.knows_downloads_until(4900);
    tracker.knows_downloads_until(4800);
    for (heard_secs, completed) in [(4850, 0), (4900, 0), (4901, 1)] {
        let event = PeerEvent { completed: true, ..word("192.0.2.1:1", Standing::Seeder, heard_secs) };
        assert_eq!(take_in(&tracker, &event, 5000), TakenIn::Stored);
        assert_eq!(tracker.scrape(&TORRENT).completed, completed, "heard at {heard_secs}");
        let stop = word("192.0.2.1:1", Standing::Stopped, 5000);
        assert_eq!(take_in(&tracker, &stop, 5000), TakenIn::Stored);
    }
}

fn take_in(tracker: &Tracker, event: &PeerEvent, secs: u32) -> TakenIn {
    tracker.take_in(event, Now::from_seconds(secs), &mut fastrand::Rng::with_seed(1))
}

#[test]
fn others_are_told_of_a_new_peer_its_completion_and_its_stop_but_not_of_renewals_within_ten_minutes() {
    let (tracker, others) = tracker();
    let peer = "192.0.2.1:6881";
    announce(&tracker, peer, Event::Ordinary, 5, 5000);
    assert_eq!(told(&others), [word(peer, Standing::Leecher, 5000)]);
    announce(&tracker, peer, Event::Ordinary, 4, 5300);
    assert_eq!(told(&others), []);
    announce(&tracker, peer, Event::Completed, 0, 5600);
    let completed = PeerEvent { completed: true, ..word(peer, Standing::Seeder, 5600) };
    assert_eq!(told(&others), [completed]);
    announce(&tracker, peer, Event::Completed, 0, 5700);
    assert_eq!(told(&others), [], "it has completed before");
    // Well beyond the boundary, since the store may know ages by the half minute only.
    announce(&tracker, peer, Event::Ordinary, 0, 5700 + 660);
    assert_eq!(told(&others), [word(peer, Standing::Seeder, 6360)]);
    announce(&tracker, peer, Event::Stopped, 0, 6361);
    announce(&tracker, peer, Event::Stopped, 0, 6362);
    assert_eq!(told(&others), [6361, 6362].map(|secs| word(peer, Standing::Stopped, secs)));
}

#[test]
fn others_are_told_of_ipv4_peers_as_such_and_of_no_peer_that_cannot_be_reached() {
    let (tracker, others) = tracker();
    announce(&tracker, "[::ffff:192.0.2.1]:1", Event::Ordinary, 5, 5000);
    announce(&tracker, "192.0.2.2:0", Event::Ordinary, 5, 5000);
    announce(&tracker, "[2001:db8::1]:2", Event::Ordinary, 5, 5000);
    let expected = ["192.0.2.1:1", "[2001:db8::1]:2"].map(|peer| word(peer, Standing::Leecher, 5000));
    assert_eq!(told(&others), expected);
}

#[test]
fn word_of_others_is_taken_in_and_not_passed_on() {
    let (tracker, others) = tracker();
    for (peer, standing) in [("192.0.2.1:1", Standing::Leecher), ("[2001:db8::1]:1", Standing::Seeder)] {
        assert_eq!(take_in(&tracker, &word(peer, standing, 5000), 5000), TakenIn::Stored);
    }
    assert_eq!(tracker.scrape(&TORRENT), SwarmCounts { seeders: 1, leechers: 1, completed: 0 });
    assert_eq!(take_in(&tracker, &word("192.0.2.1:1", Standing::Stopped, 5001), 5001), TakenIn::Stored);
    assert_eq!(tracker.scrape(&TORRENT), SwarmCounts { seeders: 1, leechers: 0, completed: 0 });
    assert_eq!(told(&others), []);
}

#[test]
fn late_word_of_others_gives_way_to_what_was_heard_since() {
    let (tracker, _others) = tracker();
    let peer = "192.0.2.1:1";
    announce(&tracker, peer, Event::Ordinary, 5, 5300);
    assert_eq!(take_in(&tracker, &word(peer, Standing::Stopped, 5000), 5310), TakenIn::Older);
    assert_eq!(tracker.scrape(&TORRENT).leechers, 1);
    assert_eq!(take_in(&tracker, &word(peer, Standing::Stopped, 5305), 5310), TakenIn::Stored);
    assert_eq!(tracker.scrape(&TORRENT).leechers, 0);
}

#[test]
fn word_of_what_is_not_served_here_is_left_out() {
    let (tracker, _others) = tracker();
    assert_eq!(take_in(&tracker, &word("192.0.2.1:0", Standing::Leecher, 1), 1), TakenIn::NotServed);
    let list = TorrentList::new(ListKind::Whitelist, ListedTorrents::default(), false);
    tracker.replace_torrents(Arc::new(list));
    assert_eq!(take_in(&tracker, &word("192.0.2.1:1", Standing::Leecher, 1), 1), TakenIn::NotServed);
    assert_eq!(tracker.store().totals().torrents, 0);
}

#[test]
fn others_are_not_told_of_a_peer_that_finds_no_room_and_their_word_of_one_is_not_called_stored() {
    let mut config = Config::default();
    config.store.limits = Limits { ports_per_source: 1, ..Limits::default() };
    let (tracker, others) = (Tracker::of(&config, [1, 2]), Arc::<EventQueue>::default());
    tracker.tell_others(Arc::clone(&others));
    let (peer, no_room) = ("192.0.2.1:1", "192.0.2.1:2");
    announce(&tracker, peer, Event::Ordinary, 5, 5000);
    assert_eq!(told(&others), [word(peer, Standing::Leecher, 5000)]);
    announce(&tracker, no_room, Event::Ordinary, 5, 5001);
    announce(&tracker, no_room, Event::Completed, 0, 5002);
    assert_eq!(told(&others), []);
    announce(&tracker, no_room, Event::Stopped, 5, 5003);
    assert_eq!(told(&others), [word(no_room, Standing::Stopped, 5003)], "others may have room for it");
    assert_eq!(take_in(&tracker, &word("192.0.2.1:3", Standing::Leecher, 5004), 5004), TakenIn::NoRoom);
    assert_eq!(take_in(&tracker, &word("192.0.2.1:3", Standing::Stopped, 5005), 5005), TakenIn::Stored);
    assert_eq!(take_in(&tracker, &word(peer, Standing::Leecher, 5006), 5006), TakenIn::Stored);
}
