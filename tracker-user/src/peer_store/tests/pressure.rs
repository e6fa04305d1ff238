//! What a store at its limits costs others: nobody holds a lock for long.

use super::{TIMEOUTS, announce, hash, leecher, sweep_once};
use crate::clock::Now;
use crate::peer_store::expiry::{Place, StepEnd, Walk};
use crate::peer_store::shard::hash_of;
use crate::peer_store::{Limits, PeerStore, StoreConfig, shard_of};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

fn limited(limits: Limits) -> PeerStore {
    PeerStore::new([1, 2], StoreConfig { timeouts: TIMEOUTS, limits })
}

fn v4(number: u32, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)), port)
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
