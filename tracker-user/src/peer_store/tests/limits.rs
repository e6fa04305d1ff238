//! A store that is full goes on answering, and gives up who has been silent longest.

use super::{TIMEOUTS, announce, hash, leecher, sweep_once};
use crate::clock::Now;
use crate::info_hash::InfoHash;
use crate::peer_store::{Limits, PeerStore, PeersOut, Standing, StoreConfig, Update};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

fn limited(limits: Limits) -> PeerStore {
    PeerStore::new([1, 2], StoreConfig { timeouts: TIMEOUTS, limits })
}

fn v4(number: u32, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)), port)
}

fn v6(network: u64, host: u64, port: u16) -> SocketAddr {
    let ip = Ipv6Addr::from(u128::from(network) << 64 | u128::from(host));
    SocketAddr::new(IpAddr::V6(ip), port)
}

fn torrent(number: u32) -> InfoHash {
    InfoHash(std::array::from_fn(|at| number.to_be_bytes()[at % 4]))
}

#[test]
fn of_too_many_peers_the_stalest_go() {
    let store = limited(Limits { max_peers: 1000, ..Limits::default() });
    for number in 0..4000 {
        let update = Update { info_hash: torrent(number % 300), ..leecher(1, v4(number, 1)) };
        announce(&store, &update, 1000 + number / 50);
        assert!(store.totals().peers <= 1000);
    }
    let (totals, pressure) = (store.totals(), store.pressure());
    assert!(totals.peers > 900, "{} peers are left", totals.peers);
    assert_eq!(pressure.evicted_peers, 4000 - totals.peers - pressure.refused_for_room);
    assert!(pressure.refused_for_room < 40, "{} announces were not stored", pressure.refused_for_room);
    // Those of the last ten seconds are there, those of the first forty are not.
    let is_there = |number: u32| store.age_secs(&torrent(number % 300), v4(number, 1), 1080).is_some();
    let (young, old) =
        ((3500..4000).filter(|number| is_there(*number)), (0..2000).filter(|number| is_there(*number)));
    assert!(young.count() > 450);
    assert!(old.count() < 20);
}

#[test]
fn a_full_store_still_answers_and_renews() {
    let store = limited(Limits { max_peers: 2, ..Limits::default() });
    for number in 0..2 {
        announce(&store, &leecher(1, v4(number, 1)), 1000);
    }
    let mut room = [0; 60];
    let mut out = PeersOut::new(&mut room, &mut []);
    let asker = Update { peers_wanted: 10, now_secs: 1000, ..leecher(1, v4(0, 1)) };
    store.announce(&asker, &mut fastrand::Rng::with_seed(1), &mut out);
    assert_eq!(out.v4(), [10, 0, 0, 1, 0, 1]);
    assert_eq!((store.totals().peers, store.pressure().evicted_peers), (2, 0));
}

#[test]
fn of_too_many_torrents_those_go_that_were_announced_longest_ago() {
    let store = limited(Limits { max_torrents: 500, ..Limits::default() });
    for number in 0..2000 {
        announce(
            &store,
            &Update { info_hash: torrent(number), ..leecher(1, v4(number, 1)) },
            1000 + number / 25,
        );
        assert!(store.totals().torrents <= 500);
    }
    assert!(store.totals().torrents > 450);
    assert!((1900..2000).filter(|number| store.scrape(&torrent(*number)).is_some()).count() > 90);
    assert!((0..1000).filter(|number| store.scrape(&torrent(*number)).is_some()).count() < 10);
    assert!(store.pressure().evicted_torrents >= 1400);
}

#[test]
fn memory_stays_below_its_limit() {
    let limit = 4 << 20;
    let store = limited(Limits { max_memory_bytes: limit, ..Limits::default() });
    for number in 0..200_000 {
        let update = Update { info_hash: torrent(number % 50_000), ..leecher(1, v4(number, 1)) };
        announce(&store, &update, 1000 + number / 2000);
        if number % 10_000 == 0 {
            let bytes = store.pressure().memory_bytes;
            assert!(bytes <= limit, "{bytes} bytes");
        }
    }
    assert!(store.pressure().memory_bytes > limit / 2);
    assert!(store.pressure().evicted_peers > 0);
}

#[test]
fn a_torrent_that_is_evicted_with_its_peers_gives_their_room_back() {
    let store = limited(Limits { max_torrents: 1, max_peers: 300, ..Limits::default() });
    for number in 0..300 {
        announce(
            &store,
            &leecher(1, if number % 2 == 0 { v4(number, 1) } else { v6(number.into(), 1, 1) }),
            1000,
        );
    }
    announce(&store, &leecher(2, v4(1, 1)), 1010);
    assert_eq!((store.totals().torrents, store.totals().peers), (1, 1));
    for number in 0..299 {
        announce(&store, &leecher(2, v4(1000 + number, 1)), 1010);
    }
    assert_eq!((store.totals().peers, store.pressure().refused_for_room), (300, 0));
}

#[test]
fn a_source_has_so_many_ports_in_a_torrent_and_no_more() {
    let store = limited(Limits { ports_per_source: 3, ..Limits::default() });
    for port in 1..=20 {
        announce(&store, &leecher(1, v4(1, port)), 1000);
        // A source of IPv6 is a network: it changes its address at will.
        announce(&store, &leecher(1, v6(5, port.into(), port)), 1000);
    }
    assert_eq!((store.totals().peers, store.pressure().refused_by_source_limit), (6, 34));
    // Others are not in its way, in large swarms neither, nor is it in another torrent.
    for number in 10..1000 {
        announce(&store, &leecher(1, v4(number, 1)), 1000);
    }
    announce(&store, &leecher(1, v4(1, 99)), 1000);
    announce(&store, &leecher(2, v4(1, 99)), 1000);
    assert_eq!(store.totals().peers, 6 + 990 + 1);
    // One port given up is one gained.
    announce(&store, &Update { standing: Standing::Stopped, ..leecher(1, v4(1, 2)) }, 1000);
    announce(&store, &leecher(1, v4(1, 50)), 1000);
    assert_eq!(store.totals().peers, 6 + 990 + 1);
}

#[test]
fn a_source_has_peers_in_so_many_torrents_and_no_more() {
    let store = limited(Limits { torrents_per_source: 10, ..Limits::default() });
    let joins = |number: u32, port: u16, secs: u32| {
        announce(&store, &Update { info_hash: torrent(number), ..leecher(1, v4(7, port)) }, secs);
    };
    for number in 0..30 {
        joins(number, 1, 1000);
        // A second port in the same torrent is no further torrent.
        joins(number, 2, 1000);
    }
    assert_eq!((store.totals().torrents, store.totals().peers), (10, 20));
    // When they have timed out, there is room for as many again.
    sweep_once(&store, Now::from_seconds(1100));
    for number in 100..130 {
        joins(number, 1, 1100);
    }
    assert_eq!(store.totals().torrents, 10);
    assert_eq!(store.scrape(&hash(0)), None);
}

#[test]
fn a_source_that_leaves_a_large_swarm_by_stop_expiry_or_eviction_owes_nothing() {
    let store = limited(Limits { torrents_per_source: 1, max_torrents: 1, ..Limits::default() });
    for number in 0..500 {
        announce(&store, &leecher(1, v4(number, 1)), 1000);
        announce(&store, &leecher(1, v4(number, 2)), 1000);
    }
    assert_eq!(store.totals().peers, 1000);
    // Evicted with its torrent.
    announce(&store, &leecher(2, v4(10_000, 1)), 1010);
    for number in 0..500 {
        announce(&store, &leecher(2, v4(number, 1)), 1010);
    }
    assert_eq!(store.totals().peers, 501);
    // Stopped.
    for number in 0..500 {
        announce(&store, &Update { standing: Standing::Stopped, ..leecher(2, v4(number, 1)) }, 1011);
        announce(&store, &leecher(2, v4(number, 9)), 1011);
    }
    assert_eq!((store.totals().peers, store.pressure().refused_by_source_limit), (501, 0));
}

#[test]
fn a_shard_without_a_position_for_one_more_torrent_takes_no_room_for_its_peer() {
    let store = limited(Limits { max_peers: 10, max_torrents: 10, ..Limits::default() });
    let pretend = |len| store.shards.iter().for_each(|shard| shard.lock().slots.pretend_len(len));
    pretend(usize::MAX >> 1);
    for number in 0..20 {
        announce(&store, &Update { info_hash: torrent(number), ..leecher(1, v4(number, 1)) }, 1000);
    }
    pretend(0);
    assert_eq!(store.rules.budget.held(), [0; 3]);
    assert_eq!((store.totals().peers, store.pressure().refused_for_room), (0, 20));
}
