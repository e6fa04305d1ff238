//! What a store at its limits costs others: nobody holds a lock for long, nobody is given up without need, and nothing is
//! lost but what is stale.

use super::{TIMEOUTS, announce, hash, leecher, sweep_once};
use crate::clock::Now;
use crate::info_hash::InfoHash;
use crate::peer_store::expiry::{Place, StepEnd, Walk};
use crate::peer_store::shard::hash_of;
use crate::peer_store::{Limits, PeerStore, Standing, StoreConfig, SwarmCounts, Timeouts, Update, shard_of};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

fn limited(limits: Limits) -> PeerStore {
    PeerStore::new([1, 2], StoreConfig { timeouts: TIMEOUTS, limits })
}

fn v4(number: u32, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)), port)
}

fn torrent(number: u32) -> InfoHash {
    InfoHash(std::array::from_fn(|at| number.to_be_bytes()[at % 4]))
}

fn in_torrent(number: u32, peer: SocketAddr) -> Update {
    Update { info_hash: torrent(number), ..leecher(1, peer) }
}

#[test]
fn a_source_whose_torrents_are_bounded_has_no_end_of_ports_in_one_of_them() {
    let store = limited(Limits { torrents_per_source: 10, ..Limits::default() });
    for port in 1..=3000 {
        announce(&store, &leecher(1, v4(1, port)), 1000);
    }
    assert_eq!((store.totals().peers, store.pressure().refused_by_source_limit), (1024, 3000 - 1024));
    sweep_once(&store, Now::from_seconds(1100));
    assert_eq!(store.totals().peers, 0);
    assert!(store.rules.counts_no_source());
}

#[test]
fn a_walk_counts_buckets_in_which_nobody_is() {
    let store = limited(Limits { ports_per_source: 2000, ..Limits::default() });
    for port in 1..=2000 {
        announce(&store, &leecher(1, v4(1, port)), 1000);
    }
    // All of one source are in one bucket of some thirty.
    let shard = shard_of(hash_of([1, 2], &hash(1)));
    let (mut place, mut steps) = (Place::START, 0);
    while let StepEnd::More(next) = store.with_shard(shard, 1000, |shard, moment| {
        shard.walk(place, 1, Walk::TimedOut(&TIMEOUTS), (moment, 1000))
    }) {
        (place, steps) = (next, steps + 1);
    }
    assert!(steps > 2000 / 64, "{steps} steps");
}

#[test]
fn a_large_swarm_that_makes_room_for_a_torrent_goes_step_by_step() {
    let store = limited(Limits { max_torrents: 1, torrents_per_source: 5, ..Limits::default() });
    for number in 0..20_000 {
        announce(&store, &leecher(1, v4(number, 1)), 1000);
    }
    let newcomer = leecher(2, v4(50_000, 1));
    announce(&store, &newcomer, 1010);
    let left = store.totals().peers;
    assert!((10_000..15_000).contains(&left), "{left} are left: one announce removes so many and no more");
    for _ in 0..3 {
        announce(&store, &newcomer, 1010);
    }
    assert_eq!((store.scrape(&hash(1)), store.totals().peers), (None, 1));
    assert_eq!(store.pressure().evicted_torrents, 1);
}

#[test]
fn a_large_swarm_that_is_announced_again_while_it_makes_room_keeps_who_is_left() {
    let store = limited(Limits { max_torrents: 1, ..Limits::default() });
    for number in 0..20_000 {
        announce(&store, &leecher(1, v4(number, 1)), 1000);
    }
    announce(&store, &leecher(2, v4(50_000, 1)), 1010);
    announce(&store, &leecher(1, v4(60_000, 1)), 1011);
    let left = store.totals().peers;
    sweep_once(&store, Now::from_seconds(1011));
    assert_eq!(store.totals().peers, left);
    assert!(left > 10_000);
}

#[test]
fn a_store_that_is_cleared_has_forgotten_its_sources_too() {
    let store = limited(Limits { torrents_per_source: 1, ..Limits::default() });
    (0..200).for_each(|number| {
        announce(&store, &leecher(1, v4(number, 1)), 1000);
    });
    store.clear();
    (0..200).for_each(|number| {
        announce(&store, &leecher(2, v4(number, 1)), 1000);
    });
    assert_eq!((store.totals().peers, store.pressure().refused_by_source_limit), (200, 0));
}

#[test]
fn peers_make_room_for_peers_and_completed_downloads_do_not() {
    let store = limited(Limits { max_peers: 50, ..Limits::default() });
    for number in 0..300 {
        let completed =
            Update { standing: Standing::Seeder, completed: true, ..in_torrent(number, v4(1, 1)) };
        announce(&store, &completed, 1000);
        let stopped = Update { standing: Standing::Stopped, completed: false, ..completed };
        announce(&store, &stopped, 1000);
    }
    for number in 0..500 {
        announce(&store, &in_torrent(1000, v4(number, 1)), 1001 + number / 10);
        announce(&store, &in_torrent(2000 + number, v4(number, 1)), 1001 + number / 10);
    }
    let only_completed = SwarmCounts { completed: 1, ..SwarmCounts::default() };
    for number in 0..300 {
        assert_eq!(store.scrape(&torrent(number)), Some(only_completed), "torrent {number}");
    }
    assert!(store.pressure().refused_for_room < 10, "{:?}", store.pressure());
}

/// The timeout of a tracker: a tick is 27 seconds.
#[test]
fn who_was_heard_of_since_a_round_began_is_not_given_up() {
    let timeouts = Timeouts { peer_secs: 2700, torrent_secs: 86_400 };
    let limits = Limits { max_peers: 2000, ..Limits::default() };
    let store = PeerStore::new([1, 2], StoreConfig { timeouts, limits });
    let peer = |number: u32| in_torrent(number % 40, v4(number, 1));
    // Everybody comes within a tick, and the first room is made among them.
    (0..2005).for_each(|number| {
        announce(&store, &peer(number), 2700);
    });
    let is_there = |number: &u32| store.age_secs(&torrent(number % 40), v4(*number, 1), 3500).is_some();
    let renewed: Vec<u32> = (0..2000).step_by(2).filter(is_there).collect();
    renewed.iter().for_each(|number| {
        announce(&store, &peer(*number), 3400);
    });
    (5000..5500).for_each(|number| {
        announce(&store, &peer(number), 3500);
    });
    let lost = renewed.iter().filter(|number| !is_there(number)).count();
    assert_eq!(lost, 0, "of {} who had come back", renewed.len());
    assert!((5000..5500).filter(is_there).count() > 490);
}

#[test]
fn at_its_memory_limit_a_store_of_blocks_gives_up_one_for_one() {
    let limit = 12 << 20;
    let store = limited(Limits { max_memory_bytes: limit, ..Limits::default() });
    let (torrents, mut number) = (12_000, 0);
    let mut join = |secs: u32| {
        announce(&store, &in_torrent(number % torrents, v4(number, 1)), secs);
        number += 1;
        number
    };
    let mut joined = 0;
    while store.pressure().evicted_peers == 0 {
        joined = (0..1000).map(|_| join(1000)).last().unwrap_or_default();
        assert!(joined < 5_000_000, "the limit is never reached");
    }
    let (before, at_limit) = (store.totals().peers, store.pressure());
    for round in 0..40 {
        (0..1000).for_each(|_| {
            join(1001 + round);
        });
        let bytes = store.pressure().memory_bytes;
        assert!(bytes <= limit, "{bytes} bytes after {joined} and {round} thousand");
    }
    let (after, pressure) = (store.totals().peers, store.pressure());
    let refused = pressure.refused_for_room - at_limit.refused_for_room;
    assert!(refused < 400, "{refused} of 40,000 were refused");
    assert!(after > before * 9 / 10, "of {before} peers {after} are left");
}
