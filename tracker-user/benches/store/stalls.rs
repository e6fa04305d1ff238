//! What an announce waits for while a whole store is walked beside it: idle, during expiry, during a full listing.

use crate::fill::{NOW_SECS, Population, fill, store, update};
use crate::{print, quantile};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracker_user::clock::Now;
use tracker_user::peer_store::{Listing, PeerStore, PeersOut, Sweep, Update};

const POPULATION: Population = Population { torrents: 1_000_000, peers: 5_000_000, v6_percent: 0 };

/// What goes on until it is told to stop.
type Beside<'a> = &'a (dyn Fn(&AtomicBool) + Sync);

pub(crate) fn run() {
    let store = store();
    fill(&store, POPULATION);
    let beside: [(&str, Beside<'_>); 3] = [
        ("idle", &|_| {}),
        ("expiry", &|stop| {
            let (mut sweep, now) = (Sweep::default(), Now::from_seconds(NOW_SECS + 60));
            while !stop.load(Ordering::Relaxed) {
                sweep.step(&store, now);
            }
        }),
        ("listing", &|stop| {
            let (mut listing, mut shown) = (Listing::default(), Vec::new());
            while !stop.load(Ordering::Relaxed) {
                shown.clear();
                if !listing.step(&store, &mut shown) {
                    listing = Listing::default();
                }
            }
        }),
    ];
    for (name, work) in beside {
        let stop = AtomicBool::new(false);
        let mut measured = std::thread::scope(|scope| {
            scope.spawn(|| work(&stop));
            let measured = announces(&store);
            stop.store(true, Ordering::Relaxed);
            measured
        });
        print(&format!("stalls.{name}_p50_ns"), quantile(&mut measured, 0.5));
        print(&format!("stalls.{name}_p999_ns"), quantile(&mut measured, 0.999));
    }
}

/// Nanoseconds of each of many announces, for three seconds.
fn announces(store: &PeerStore) -> Vec<u32> {
    let (mut random, mut room) = (fastrand::Rng::with_seed(9), [0; 200 * 6]);
    let (began, mut measured) = (Instant::now(), Vec::with_capacity(1 << 24));
    while began.elapsed() < Duration::from_secs(3) {
        let torrent = random.u32(0..POPULATION.torrents);
        let update = Update { peers_wanted: 50, ..update(torrent, torrent, 0) };
        let before = Instant::now();
        std::hint::black_box(store.announce(&update, &mut random, &mut PeersOut::new(&mut room, &mut [])));
        measured.push(before.elapsed().as_nanos() as u32);
    }
    measured
}
