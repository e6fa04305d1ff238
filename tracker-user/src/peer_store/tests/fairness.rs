//! Who is handed out: everybody about equally often, whatever the swarm is kept in.

use super::{address, hash, leecher, store};
use crate::peer_store::{PeerStore, PeersOut, Standing, Update};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

fn peer(number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)), 6881)
}

/// A swarm in which every third peer is a seeder.
fn swarm(peers: u32) -> PeerStore {
    let store = store();
    for number in 0..peers {
        let standing = if number.is_multiple_of(3) { Standing::Seeder } else { Standing::Leecher };
        super::announce(&store, &Update { standing, ..leecher(1, peer(number)) }, 1000);
    }
    store
}

/// How often each of `peers` is handed out in so many announces, by number.
fn handed_out(store: &PeerStore, asker: &Update, announces: u32) -> BTreeMap<u32, u32> {
    let (mut random, mut counts) = (fastrand::Rng::with_seed(11), BTreeMap::new());
    let mut room = [0; 200 * 6];
    for _ in 0..announces {
        let mut out = PeersOut::new(&mut room, &mut []);
        store.announce(&Update { now_secs: 1000, ..*asker }, &mut random, &mut out);
        assert_eq!(out.v4().len(), asker.peers_wanted * 6);
        for entry in out.v4().as_chunks::<6>().0 {
            let [a, b, c, d, ..] = *entry;
            *counts.entry(u32::from_be_bytes([a, b, c, d]) - 0x0a00_0000).or_insert(0) += 1;
        }
    }
    counts
}

/// Fails unless what was counted of each of so many is what chance alone would do, but for one time in a million.
///
/// The sum of squares over many peers is distributed like a normal variable with this mean and variance. Peers that are
/// neighbours are handed out together, which makes it vary more: `together` of them at a time.
fn assert_fair(counts: &BTreeMap<u32, u32>, peers: u32, together: usize) {
    assert_eq!(counts.len() as u32, peers, "somebody is never handed out");
    let all: u32 = counts.values().sum();
    let expected = f64::from(all) / f64::from(peers);
    let chi_squared: f64 =
        counts.values().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    let degrees = f64::from(peers - 1);
    let deviation = (2.0 * degrees * together as f64).sqrt();
    let distance = (chi_squared - degrees) / deviation;
    assert!(distance.abs() < 4.9, "chi-squared is {chi_squared:.0} with {degrees} degrees of freedom");
}

#[test]
fn every_peer_is_handed_out_equally_often_in_swarms_of_any_size() {
    for peers in [5, 60, 100, 3000] {
        let store = swarm(peers);
        let asker = Update { peers_wanted: 1, ..leecher(1, address(200, false, 1)) };
        super::announce(&store, &asker, 1000);
        assert_fair(&handed_out(&store, &asker, peers * 40), peers, 1);
    }
}

#[test]
fn every_peer_is_handed_out_equally_often_in_answers_of_many() {
    let store = swarm(3000);
    let asker = Update { peers_wanted: 50, ..leecher(1, address(200, false, 1)) };
    super::announce(&store, &asker, 1000);
    assert_fair(&handed_out(&store, &asker, 4000), 3000, 50);
}

#[test]
fn a_seeder_is_given_every_leecher_equally_often_and_no_seeder() {
    let store = swarm(3000);
    let asker = Update { peers_wanted: 1, standing: Standing::Seeder, ..leecher(1, address(200, false, 1)) };
    super::announce(&store, &asker, 1000);
    let counts = handed_out(&store, &asker, 80_000);
    assert!(counts.keys().all(|number| !number.is_multiple_of(3)), "a seeder was given to a seeder");
    assert_fair(&counts, 2000, 1);
}

#[test]
fn an_announcer_in_the_middle_of_a_large_swarm_is_never_given_itself_and_its_neighbours_are_not_preferred() {
    let store = swarm(1000);
    let asker = Update { peers_wanted: 1, ..leecher(1, peer(500)) };
    let counts = handed_out(&store, &asker, 40_000);
    assert!(!counts.contains_key(&500));
    assert_fair(&counts, 999, 1);
}

#[test]
fn one_wanted_is_one_given() {
    let store = swarm(1000);
    let mut room = [0; 200 * 6];
    for number in 0..1000 {
        let mut out = PeersOut::new(&mut room, &mut []);
        let asker =
            Update { peers_wanted: 1, info_hash: hash(1), now_secs: 1000, ..leecher(1, peer(number)) };
        store.announce(&asker, &mut fastrand::Rng::with_seed(u64::from(number)), &mut out);
        assert_eq!(out.v4().len(), 6);
    }
}
