//! Announces of random torrents in batches, as a worker has them, by one thread and by two.

use crate::fill::{Population, address, fill, info_hash, store};
use crate::{print, quantile};
use std::sync::Barrier;
use std::time::Instant;
use tracker_user::info_hash::InfoHash;
use tracker_user::peer_store::{PREFETCHED, PeerStore, PeersOut, Standing, Update};

const POPULATION: Population = Population { torrents: 1_000_000, peers: 5_000_000, v6_percent: 0 };
const BATCHES: usize = 40_000;
const PEERS_WANTED: usize = 50;

pub(crate) fn run() {
    let shared = store();
    fill(&shared, POPULATION);
    let mut batches = announces(&shared, 1);
    print("speed.median_ns", quantile(&mut batches, 0.5));
    print("speed.p99_ns", quantile(&mut batches, 0.99));
    // What two threads gain that share nothing is all that the machine can give.
    let other = store();
    fill(&other, POPULATION);
    let one = rate(&[&shared]);
    let together = rate(&[&shared, &shared]);
    let apart = rate(&[&shared, &other]);
    print("speed.one_thread_per_sec", one as u64);
    print("speed.two_threads_per_sec", together as u64);
    print("speed.two_threads_ratio", format!("{:.3}", together / one));
    print("speed.two_threads_apart_ratio", format!("{:.3}", apart / one));
}

/// Announces per second of so many threads together, each with the same work in its store.
fn rate(stores: &[&PeerStore]) -> f64 {
    let barrier = Barrier::new(stores.len());
    let began = std::thread::scope(|scope| {
        let workers: Vec<_> = (10..)
            .zip(stores)
            .map(|(seed, store)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let began = Instant::now();
                    announces(store, seed);
                    began
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker panicked")).min()
    });
    let elapsed = began.map_or(1.0, |began| began.elapsed().as_secs_f64());
    stores.len() as f64 * (BATCHES * PREFETCHED) as f64 / elapsed
}

/// Nanoseconds of an announce in each of many batches. Of a hundred, 80 renew a peer that is known, 10 join, 10 stop.
fn announces(store: &PeerStore, seed: u64) -> Vec<u32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut room = [0; 200 * 6];
    let mut joined: Vec<(u32, u32)> = Vec::new();
    let mut next_peer = POPULATION.peers + seed as u32 * 10_000_000;
    let mut measured = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let batch: [Update; PREFETCHED] = std::array::from_fn(|_| {
            let torrent = random.u32(0..POPULATION.torrents);
            match random.u32(0..10) {
                0 => {
                    next_peer += 1;
                    joined.push((torrent, next_peer));
                    update(torrent, next_peer, Standing::Leecher)
                }
                1 if joined.len() > 100 => {
                    let (torrent, peer) = joined.swap_remove(random.usize(0..joined.len()));
                    update(torrent, peer, Standing::Stopped)
                }
                _ => update(
                    torrent,
                    torrent,
                    if torrent.is_multiple_of(4) { Standing::Leecher } else { Standing::Seeder },
                ),
            }
        });
        let info_hashes: [InfoHash; PREFETCHED] = batch.map(|update| update.info_hash);
        let began = Instant::now();
        store.prefetch(&info_hashes);
        for update in &batch {
            let mut peers = PeersOut::new(&mut room, &mut []);
            std::hint::black_box(store.announce(update, &mut random, &mut peers));
        }
        measured.push((began.elapsed().as_nanos() / PREFETCHED as u128) as u32);
    }
    measured
}

fn update(torrent: u32, peer: u32, standing: Standing) -> Update {
    Update {
        info_hash: info_hash(torrent),
        peer: address(peer, 0),
        standing,
        completed: false,
        peers_wanted: PEERS_WANTED,
        now_secs: crate::fill::NOW_SECS,
    }
}
