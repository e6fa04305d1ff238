//! A million info hashes that an attacker chose alike in their first eight bytes, beside a million random ones.

use crate::fill::{NOW_SECS, address, info_hash, store};
use crate::{print, quantile};
use std::time::Instant;
use tracker_user::info_hash::InfoHash;
use tracker_user::peer_store::{PREFETCHED, PeersOut, Standing, Update};

const TORRENTS: u32 = 1_000_000;

pub(crate) fn run() {
    let alike = |torrent: u32| {
        let mut hash = info_hash(torrent);
        hash.0[..8].fill(0xaa);
        hash
    };
    let (mut random, mut chosen) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        random.extend(measure(info_hash));
        chosen.extend(measure(alike));
    }
    let (random, chosen) = (quantile(&mut random, 0.5), quantile(&mut chosen, 0.5));
    print("collisions.random_median_ns", random);
    print("collisions.chosen_median_ns", chosen);
    print("collisions.ratio", format!("{:.3}", f64::from(chosen) / f64::from(random)));
}

/// Nanoseconds of a renewal in each batch, in a store of such torrents.
fn measure(info_hash: impl Fn(u32) -> InfoHash) -> Vec<u32> {
    let (store, mut rng) = (store(), fastrand::Rng::with_seed(3));
    let announce = |torrent: u32| Update {
        info_hash: info_hash(torrent),
        peer: address(torrent, 0),
        standing: Standing::Leecher,
        completed: false,
        peers_wanted: 50,
        now_secs: NOW_SECS,
    };
    let mut room = [0; 200 * 6];
    for torrent in 0..TORRENTS {
        store.announce(&announce(torrent), &mut rng, &mut PeersOut::new(&mut [], &mut []));
    }
    (0..10_000)
        .map(|_| {
            let batch: [Update; PREFETCHED] = std::array::from_fn(|_| announce(rng.u32(0..TORRENTS)));
            let info_hashes = batch.map(|update| update.info_hash);
            let began = Instant::now();
            store.prefetch(&info_hashes);
            for update in &batch {
                std::hint::black_box(store.announce(
                    update,
                    &mut rng,
                    &mut PeersOut::new(&mut room, &mut []),
                ));
            }
            (began.elapsed().as_nanos() / PREFETCHED as u128) as u32
        })
        .collect()
}
