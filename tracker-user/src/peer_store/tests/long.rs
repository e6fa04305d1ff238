//! A long random life of a store beside a naive one: swarms that grow from a slot over blocks to buckets and back, both
//! families, with time moved by hand and walks at any moment.

use super::{Naive, TIMEOUTS, announce_to_both, sweep_once};
use crate::clock::Now;
use crate::info_hash::InfoHash;
use crate::peer_store::{Limits, PeerStore, Reached, Standing, StoreConfig, Sweep, Update};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TORRENTS: u32 = 40;

/// Few torrents are large, most have a few peers.
fn torrent(random: &mut fastrand::Rng) -> InfoHash {
    let number = random.u32(0..TORRENTS).min(random.u32(0..TORRENTS)).min(random.u32(0..TORRENTS));
    InfoHash([number as u8; 20])
}

/// `most` bounds how many different peers there are at this time.
fn peer(random: &mut fastrand::Rng, most: u32) -> SocketAddr {
    let number = random.u32(0..most);
    let port = 1000 + (number % 7) as u16;
    if number.is_multiple_of(3) {
        let ip = Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(number / 5) << 60 | u128::from(number));
        return SocketAddr::new(IpAddr::V6(ip), port);
    }
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)), port)
}

pub(super) fn update(random: &mut fastrand::Rng, most: u32, now_secs: u32) -> Update {
    let standing = match random.u32(0..10) {
        0..=1 => Standing::Stopped,
        2..=5 => Standing::Seeder,
        _ => Standing::Leecher,
    };
    Update {
        info_hash: torrent(random),
        peer: peer(random, most),
        standing,
        completed: random.u32(0..10) == 0 && standing != Standing::Stopped,
        peers_wanted: random.usize(0..120),
        now_secs,
    }
}

/// Lives through waves: many peers, then few, so that everything grows and shrinks again.
fn live(seed: u64, limits: Limits) {
    let store = PeerStore::new([seed, 2], StoreConfig { timeouts: TIMEOUTS, limits });
    let (mut naive, mut random, mut now_secs) = (Naive::default(), fastrand::Rng::with_seed(seed), 5000);
    let mut sweep = Sweep::default();
    for wave in 0..6 {
        let most = if wave % 2 == 0 { 6000 } else { 60 };
        for step in 0..5000 {
            announce_to_both(&store, &mut naive, &update(&mut random, most, now_secs));
            // The walk is somewhere in the middle while announces come.
            if step % 3 == 0 {
                sweep.step(&store, Now::from_seconds(now_secs));
            }
            if step % 500 == 499 {
                now_secs += random.u32(0..50);
                sweep_once(&store, Now::from_seconds(now_secs));
                naive.expire(now_secs);
                assert_eq!(store.totals(), naive.totals(), "seed {seed}, wave {wave}, step {step}");
            }
        }
    }
    for number in 0..TORRENTS {
        let info_hash = InfoHash([number as u8; 20]);
        assert_eq!(store.scrape(&info_hash), naive.counts(&info_hash));
    }
    now_secs += TIMEOUTS.torrent_secs;
    sweep_once(&store, Now::from_seconds(now_secs));
    assert_eq!(store.totals(), Naive::default().totals());
    assert_eq!(store.pressure().memory_bytes, 0, "nothing is held for nobody");
}

#[test]
fn a_long_life_is_that_of_a_naive_store() {
    for seed in 1..4 {
        live(seed, Limits::default());
    }
}

#[test]
fn limits_that_are_not_reached_change_nothing() {
    let limits = Limits {
        max_memory_bytes: 1 << 30,
        max_peers: 1 << 30,
        max_torrents: 1 << 30,
        torrents_per_source: 60_000,
        ports_per_source: 60_000,
    };
    live(9, limits);
}

/// Nobody has walked the store for so long that seven bits of time are not enough.
#[test]
fn a_store_that_was_not_walked_for_long_forgets_before_it_stamps() {
    let store = super::store();
    let mut naive = Naive::default();
    let mut random = fastrand::Rng::with_seed(4);
    for round in 0..50 {
        let now_secs = 5000 + round * 97;
        naive.expire(now_secs);
        for _ in 0..40 {
            let update = update(&mut random, 300, now_secs);
            // The naive store has forgotten what this one only forgets when it is walked or asked.
            let _ =
                store.announce(&update, &mut random, &mut crate::peer_store::PeersOut::new(&mut [], &mut []));
            naive.update(&update);
        }
    }
    let (now_secs, mut sweep) = (5000 + 50 * 97, Sweep::default());
    while sweep.step(&store, Now::from_seconds(now_secs)) != Reached::EndOfStore {}
    naive.expire(now_secs);
    assert_eq!(store.totals().peers, naive.totals().peers);
}

/// Splitting a bucket in the middle of a walk moves peers behind it: those that have timed out must not come along, however
/// old the word is that made it split.
#[test]
fn late_word_of_new_peers_keeps_nobody_alive_who_has_timed_out() {
    let store = super::store();
    let peer = |number: u32| SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)), 1);
    (0..6000).for_each(|number| {
        super::announce(&store, &super::leecher(1, peer(number)), 1000);
    });
    (1020..1100).step_by(20).for_each(|now_secs| sweep_once(&store, Now::from_seconds(now_secs)));
    let (mut sweep, now) = (Sweep::default(), Now::from_seconds(1100));
    while store.totals().peers > 3000 {
        assert_ne!(sweep.step(&store, now), Reached::EndOfStore);
    }
    assert!(store.totals().peers > 2000, "the walk is in the middle of the swarm");
    (6000..12_000).for_each(|number| {
        super::announce(&store, &super::leecher(1, peer(number)), 1050);
    });
    while sweep.step(&store, now) != Reached::EndOfStore {}
    assert_eq!(store.totals().peers, 6000);
    assert_eq!(store.age_secs(&super::hash(1), peer(7000), 1100), Some(50));
}
