//! Who counts as what in a swarm, and when a peer is gone.

use crate::tracker::{Tracker, row, rules};
use tracker_tests::udp_client::AnnounceRequest;

rules! {
    left_is_64_bits_and_only_0_is_a_seeder,
    completed_counts_once_per_peer,
    a_seeder_that_starts_is_no_completion,
    completed_with_bytes_left_makes_no_seeder,
    a_seeder_with_bytes_left_again_is_a_leecher,
    event_3_removes_the_peer,
    a_stopped_peer_may_come_back_without_started,
    a_stop_of_an_unknown_peer_stores_nothing,
    the_same_address_and_port_is_the_same_peer,
    another_port_of_the_same_address_is_another_peer,
    both_families_are_one_swarm_in_the_counts,
}

fn left_is_64_bits_and_only_0_is_a_seeder(tracker: &Tracker) {
    let mut session = tracker.session();
    for (bytes_left, seeds) in
        [(1, 0), (1 << 32, 0), (0, 1), (1 << 31, 0), (1 << 63, 0), (0xffff_ffff_0000_0000, 0), (u64::MAX, 0)]
    {
        let announced = session.announce(&AnnounceRequest { bytes_left, ..session.leecher(6881) });
        assert_eq!((announced.leechers, announced.seeders), (1 - seeds, seeds), "{bytes_left:#x} bytes left");
    }
}

fn completed_counts_once_per_peer(tracker: &Tracker) {
    let mut session = tracker.session();
    session.announce(&session.leecher(1).event(2));
    session.announce(&session.seeder(1).event(1));
    session.announce(&session.seeder(1).event(1));
    session.announce(&session.seeder(1));
    session.announce(&session.seeder(1).event(1));
    assert_eq!(session.row(), row(1, 1, 0));
    session.announce(&session.seeder(2).event(1));
    assert_eq!(session.row(), row(2, 2, 0));
}

fn a_seeder_that_starts_is_no_completion(tracker: &Tracker) {
    let mut session = tracker.session();
    session.announce(&session.seeder(1).event(2));
    session.announce(&session.seeder(2));
    session.announce(&session.leecher(3).event(2));
    session.announce(&session.seeder(3));
    assert_eq!(session.row(), row(3, 0, 0));
}

fn completed_with_bytes_left_makes_no_seeder(tracker: &Tracker) {
    let mut session = tracker.session();
    let announced = session.announce(&session.leecher(1).event(1));
    assert_eq!((announced.leechers, announced.seeders), (1, 0));
    let row = session.row();
    assert_eq!((row.leechers, row.seeders), (1, 0));
}

fn a_seeder_with_bytes_left_again_is_a_leecher(tracker: &Tracker) {
    let mut session = tracker.session();
    session.announce(&session.seeder(2));
    session.announce(&session.seeder(1));
    let announced = session.announce(&session.leecher(1));
    assert_eq!((announced.leechers, announced.seeders), (1, 1));
    assert_eq!(session.row(), row(1, 0, 1));
}

fn event_3_removes_the_peer(tracker: &Tracker) {
    let mut session = tracker.session();
    session.announce(&session.leecher(1));
    session.announce(&session.seeder(2));
    session.announce(&session.leecher(3));
    let stopped = session.announce(&session.leecher(1).event(3));
    assert_eq!((stopped.leechers, stopped.seeders), (1, 1));
    // With bytes left or without: the one who goes was a seeder all the same.
    session.announce(&session.leecher(2).event(3));
    assert_eq!(session.row(), row(0, 0, 1));
    assert_eq!(session.announce(&session.leecher(4)).ports(), [3]);
}

fn a_stopped_peer_may_come_back_without_started(tracker: &Tracker) {
    let mut session = tracker.session();
    session.announce(&session.leecher(1).event(2));
    session.announce(&session.leecher(1).event(3));
    assert_eq!(session.row(), row(0, 0, 0));
    session.announce(&session.leecher(1));
    assert_eq!(session.row(), row(0, 0, 1));
    assert_eq!(session.announce(&session.leecher(2)).ports(), [1]);
}

fn a_stop_of_an_unknown_peer_stores_nothing(tracker: &Tracker) {
    let mut session = tracker.session();
    let stopped = session.announce(&session.seeder(1).event(3));
    assert_eq!((stopped.leechers, stopped.seeders), (0, 0));
    assert_eq!(tracker.total("torrents"), 0);
    session.announce(&session.leecher(2));
    let stopped = session.announce(&session.leecher(1).event(3));
    assert_eq!((stopped.leechers, stopped.seeders), (1, 0));
    assert_eq!((session.row(), tracker.peers()), (row(0, 0, 1), 1));
}

fn the_same_address_and_port_is_the_same_peer(tracker: &Tracker) {
    let (mut first, mut second) = (tracker.session(), tracker.session());
    first.announce(&first.leecher(6881));
    // Another socket, peer id and key.
    let again = AnnounceRequest { peer_id: [7; 20], key: 9, ..second.leecher(6881) };
    assert_eq!(second.announce(&again).leechers, 1);
    assert_eq!(second.row(), row(0, 0, 1));
}

fn another_port_of_the_same_address_is_another_peer(tracker: &Tracker) {
    let mut session = tracker.session();
    session.announce(&session.leecher(6881));
    assert_eq!(session.announce(&session.leecher(6882)).leechers, 2);
}

fn both_families_are_one_swarm_in_the_counts(tracker: &Tracker) {
    let (mut here, mut there) = (tracker.session(), tracker.session_of_other_family());
    there.announce(&there.seeder(6881));
    let announced = here.announce(&here.leecher(6881));
    assert_eq!((announced.leechers, announced.seeders), (1, 1));
    assert_eq!((here.row(), there.row()), (row(1, 0, 1), row(1, 0, 1)));
}
