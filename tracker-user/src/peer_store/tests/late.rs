//! Time runs ahead of the walk: peers that have timed out are still there, or are gone already where their room was needed.
//! Nobody else may go with them, whatever an announce finds.

use super::long::update;
use super::{
    Naive, NaivePeer, TIMEOUTS, address, announce, decode, hash, leecher, may_get, store, sweep_once,
};
use crate::clock::Now;
use crate::peer_store::{
    Limits, PeerStore, PeersOut, Reached, StoreConfig, SwarmCounts, Sweep, Taken, Update,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

fn v4(number: u32, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)), port)
}

const fn is_over(peer: &NaivePeer, now_secs: u32) -> bool {
    now_secs - peer.heard_secs >= TIMEOUTS.peer_secs
}

impl Naive {
    /// Forgets what the store has forgotten of a torrent and a peer since their time was over, and nothing else.
    fn forget_what_was_forgotten(&mut self, store: &PeerStore, update: &Update) {
        let Update { info_hash, peer, now_secs, .. } = *update;
        // Before anything else: a shard that nobody has walked for long is walked whole when it is asked.
        let age_secs = store.age_secs(&info_hash, peer, now_secs);
        let Some(swarm) = self.0.get_mut(&info_hash) else { return };
        if store.scrape(&info_hash).is_none() {
            assert!(swarm.peers.values().all(|peer| is_over(peer, now_secs)), "a torrent is gone");
            assert!(swarm.completed == 0 || now_secs - swarm.heard_secs >= TIMEOUTS.torrent_secs);
            self.0.remove(&info_hash);
        } else if age_secs.is_none()
            && let Some(forgotten) = swarm.peers.remove(&peer)
        {
            assert!(is_over(&forgotten, now_secs), "{peer} is gone");
        }
    }

    /// How many peers a swarm has at least and at most: without and with those whose time is over.
    fn count_where(&self, update: &Update, counts: impl Fn(&SocketAddr, &NaivePeer) -> bool) -> [usize; 2] {
        let peers = || self.0.get(&update.info_hash).into_iter().flat_map(|swarm| &swarm.peers);
        let counted = || peers().filter(|(address, peer)| counts(address, peer));
        let alive = counted().filter(|(_, peer)| !is_over(peer, update.now_secs));
        [alive.count(), counted().count()]
    }
}

fn assert_between(value: usize, [least, most]: [usize; 2]) {
    assert!((least..=most).contains(&value), "{value} is not between {least} and {most}");
}

/// Announces to both stores and compares as far as is certain.
fn announce_to_both(store: &PeerStore, naive: &mut Naive, update: &Update) {
    naive.forget_what_was_forgotten(store, update);
    let eligible = naive.eligible(update);
    let available = naive.count_where(update, |address, peer| {
        *address != update.peer && may_get(update.standing, peer.seeder)
    });
    let (renewed_after_secs, before) = (naive.age_secs(update), naive.completed(update));
    let (mut room_v4, mut room_v6) = ([0; 200 * 6], [0; 200 * 18]);
    let mut out = PeersOut::new(&mut room_v4, &mut room_v6);
    let taken = store.announce(update, &mut fastrand::Rng::with_seed(3), &mut out);
    naive.update(update);
    let first_completion = naive.completed(update) > before;
    assert_eq!(taken, Taken { renewed_after_secs, first_completion, ..taken });
    let SwarmCounts { seeders, leechers, completed } = taken.counts;
    assert_eq!(completed, naive.completed(update));
    assert_between(seeders as usize, naive.count_where(update, |_, peer| peer.seeder));
    assert_between(leechers as usize, naive.count_where(update, |_, peer| !peer.seeder));

    let given = [decode::<6>(out.v4()), decode::<18>(out.v6())].concat();
    let distinct: BTreeSet<SocketAddr> = given.iter().copied().collect();
    assert_eq!(distinct.len(), given.len(), "a peer came twice");
    assert!(distinct.is_subset(&eligible), "{distinct:?} are not all of {eligible:?}");
    assert_between(given.len(), available.map(|count| count.min(update.peers_wanted)));
}

/// Lives with a walk that is always behind: a turn through the store takes longer than peers live.
fn live(seed: u64, limits: Limits) {
    let store = PeerStore::new([seed, 3], StoreConfig { timeouts: TIMEOUTS, limits });
    let (mut naive, mut random, mut now_secs) = (Naive::default(), fastrand::Rng::with_seed(seed), 5000);
    let mut sweep = Sweep::default();
    for wave in 0..6 {
        let most = if wave % 2 == 0 { 6000 } else { 60 };
        for step in 0..5000 {
            announce_to_both(&store, &mut naive, &update(&mut random, most, now_secs));
            if step % 3 == 0 {
                sweep.step(&store, Now::from_seconds(now_secs));
            }
            if step % 80 == 79 {
                now_secs += random.u32(0..if step % 1000 == 999 { 120 } else { 15 });
            }
        }
        sweep_once(&store, Now::from_seconds(now_secs));
        naive.expire(now_secs);
        assert_eq!(store.totals(), naive.totals(), "seed {seed}, wave {wave}");
    }
    sweep_once(&store, Now::from_seconds(now_secs + TIMEOUTS.torrent_secs));
    assert_eq!(store.totals(), Naive::default().totals());
    assert!(store.rules.counts_no_source(), "somebody who is gone is counted");
}

#[test]
fn a_long_life_ahead_of_the_walk_loses_nobody_who_is_alive() {
    for seed in 1..4 {
        live(seed, Limits::default());
    }
}

#[test]
fn a_long_life_ahead_of_the_walk_counts_every_source_as_often_as_it_is_there() {
    live(9, Limits { torrents_per_source: 60_000, ports_per_source: 60_000, ..Limits::default() });
}

#[test]
fn newcomers_in_a_full_block_of_peers_whose_time_is_over_stay() {
    let store = store();
    for torrent in 0..20 {
        (0..115).for_each(|number| {
            announce(&store, &leecher(torrent, v4(number, 1)), 1000);
        });
    }
    sweep_once(&store, Now::from_seconds(1090));
    for torrent in 0..20 {
        (200..203).for_each(|number| {
            announce(&store, &leecher(torrent, v4(number, 1)), 1100);
        });
    }
    sweep_once(&store, Now::from_seconds(1100));
    assert_eq!(store.totals().peers, 60);
    for torrent in 0..20 {
        for number in 200..203 {
            assert_eq!(store.age_secs(&hash(torrent), v4(number, 1), 1100), Some(0));
        }
    }
}

#[test]
fn a_source_whose_other_peer_makes_room_for_it_is_counted() {
    let limits = Limits { torrents_per_source: 1, ..Limits::default() };
    let store = PeerStore::new([1, 2], StoreConfig { timeouts: TIMEOUTS, limits });
    (0..115).for_each(|number| {
        announce(&store, &leecher(1, v4(number, 1)), 1000);
    });
    sweep_once(&store, Now::from_seconds(1090));
    announce(&store, &leecher(1, v4(7, 2)), 1100);
    announce(&store, &leecher(2, v4(7, 1)), 1100);
    assert_eq!(store.age_secs(&hash(1), v4(7, 2), 1100), Some(0));
    assert_eq!(store.scrape(&hash(2)), None);
    assert_eq!(store.pressure().refused_by_source_limit, 1);
}

/// A swarm's last IPv6 peer stops while IPv4 peers are in buckets.
#[test]
fn the_last_peer_of_one_family_takes_none_of_the_other_along() {
    let store = store();
    let v6 = leecher(1, address(1, true, 1));
    announce(&store, &v6, 1000);
    (0..120).for_each(|number| {
        announce(&store, &leecher(1, v4(number, 1)), 1000);
    });
    announce(&store, &v6, 1090);
    // The walk has not come since; the ninth that is over makes room for nobody.
    (0..9).for_each(|number| {
        announce(&store, &leecher(1, v4(1000 + number, 1)), 1100);
    });
    let stopped = Update { standing: crate::peer_store::Standing::Stopped, ..v6 };
    announce(&store, &stopped, 1100);
    let mut sweep = Sweep::default();
    while sweep.step(&store, Now::from_seconds(1100)) != Reached::EndOfStore {}
    assert_eq!(store.totals().peers, 9);
}
