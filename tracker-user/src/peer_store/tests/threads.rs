//! Several threads at once: announces, walks and listings lose nothing, and limits hold.

use super::{TIMEOUTS, address, announce, hash, leecher, store, sweep_once};
use crate::clock::Now;
use crate::peer_store::{Dump, Limits, Listing, Page, PeerStore, StoreConfig, Sweep, Totals, Update};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

/// Does something over and over beside what `work` does.
fn beside(mut repeated: impl FnMut() + Send, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                repeated();
            }
        });
        work();
        stop.store(true, Ordering::Relaxed);
    });
}

fn peer(thread: u8, number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(u32::from(thread) << 24 | number)), 6881)
}

#[test]
fn two_threads_that_announce_at_once_lose_no_peer() {
    let store = store();
    std::thread::scope(|scope| {
        for thread in 0..2_u8 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..5000_u16 {
                    let peer = address(thread, false, number + 1);
                    announce(store, &leecher((number % 50) as u8, peer), 1000);
                }
            });
        }
    });
    assert_eq!(store.totals(), Totals { torrents: 50, peers: 10_000, seeders: 0, completed: 0 });
}

#[test]
fn walks_beside_announces_take_nobody_who_is_young() {
    let store = store();
    let (mut sweep, mut listing, mut dump) = (Sweep::default(), Listing::default(), Dump::default());
    let walk = || {
        sweep.step(&store, Now::from_seconds(1050));
        if !listing.step(&store, &mut Vec::new()) {
            listing = Listing::default();
        }
        if !dump.step(&store, &mut Page::default()) {
            dump = Dump::default();
        }
    };
    beside(walk, || {
        for number in 0..30_000 {
            announce(&store, &leecher((number % 7) as u8, peer(10, number)), 1000 + number % 50);
        }
    });
    assert_eq!(store.totals().peers, 30_000);
    sweep_once(&store, Now::from_seconds(1150));
    assert_eq!(store.totals(), Totals::default());
}

#[test]
fn limits_hold_whoever_announces_at_once() {
    let limits = Limits { max_peers: 200, max_torrents: 40, ..Limits::default() };
    let store = PeerStore::new([1, 2], StoreConfig { timeouts: TIMEOUTS, limits });
    let check = || {
        let totals = store.totals();
        // Shards are counted one after the other, while the other threads go on.
        assert!(totals.peers <= 300 && totals.torrents <= 80, "{totals:?}");
    };
    beside(check, || {
        std::thread::scope(|scope| {
            for thread in 1..3_u8 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..10_000_u32 {
                        let info_hash = hash((number * 7 % 90) as u8);
                        let update = Update { info_hash, ..leecher(1, peer(thread, number)) };
                        announce(store, &update, 1000 + number / 300);
                    }
                });
            }
        });
    });
    let totals = store.totals();
    assert!(totals.peers <= 200 && totals.torrents <= 40, "{totals:?}");
}
