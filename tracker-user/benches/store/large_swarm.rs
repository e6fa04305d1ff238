//! A swarm of a million peers: what each operation on it takes, and the longest of all. What takes more than 100 µs counts only
//! where nothing else had the core meanwhile.

use crate::fill::{NOW_SECS, store, sweep_until, update};
use crate::{print, quantile};
use std::time::Instant;
use tracker_user::clock::Now;
use tracker_user::peer_store::{PeerStore, PeersOut, Reached, Standing, Sweep, Update};

const PEERS: u32 = 1_000_000;
/// What takes so long may have been interrupted by other work on the core.
const LONG_NS: u32 = 100_000;

pub(crate) fn run() {
    let store = store();
    let mut random = fastrand::Rng::with_seed(5);
    let announce = |peer: u32| Update { peers_wanted: 50, ..update(1, peer, 0) };
    let mut join = measure(&store, &mut random, (0..PEERS).map(announce));
    let order: Vec<u32> = (0..PEERS).map(|_| random.u32(0..PEERS)).collect();
    let mut renew = measure(&store, &mut random, order.into_iter().map(announce));
    let stop = |peer: u32| Update { standing: Standing::Stopped, ..announce(peer) };
    let mut stop = measure(&store, &mut random, (0..PEERS / 2).map(stop));
    let mut expiry = expire(&store);
    let operations =
        [("announce", &mut join), ("renew", &mut renew), ("stop", &mut stop), ("expiry", &mut expiry)];
    for (name, nanoseconds) in operations {
        print(&format!("large_swarm.{name}_median_ns"), quantile(nanoseconds, 0.5));
        print(&format!("large_swarm.{name}_p999_ns"), quantile(nanoseconds, 0.999));
        print(&format!("large_swarm.{name}_max_ns"), quantile(nanoseconds, 1.0));
    }
}

fn measure(store: &PeerStore, random: &mut fastrand::Rng, updates: impl Iterator<Item = Update>) -> Vec<u32> {
    let mut room = [0; 200 * 6];
    updates
        .filter_map(|update| {
            let mut peers = PeersOut::new(&mut room, &mut []);
            undisturbed(|| {
                std::hint::black_box(store.announce(&update, random, &mut peers));
            })
        })
        .collect()
}

/// Nanoseconds of some work; `None` where it took long and the kernel gave the core to others meanwhile.
fn undisturbed(work: impl FnOnce()) -> Option<u32> {
    let before = preemptions();
    let began = Instant::now();
    work();
    let nanoseconds = began.elapsed().as_nanos() as u32;
    (nanoseconds < LONG_NS || preemptions() == before).then_some(nanoseconds)
}

/// How often the kernel has given this thread's core to others.
fn preemptions() -> i64 {
    // SAFETY: all zeros are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for the kernel to write to.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_nivcsw
}

/// Nanoseconds of each step of expiry that removed a peer, divided by the peers that it removed; the longest step whole.
fn expire(store: &PeerStore) -> Vec<u32> {
    sweep_until(store, NOW_SECS + 40 * 60);
    let (mut sweep, now) = (Sweep::default(), Now::from_seconds(NOW_SECS + 46 * 60));
    let (mut measured, mut longest) = (Vec::new(), 0);
    loop {
        let before = store.totals().peers;
        let mut reached = Reached::WithinShard;
        if let Some(nanoseconds) = undisturbed(|| reached = sweep.step(store, now)) {
            longest = longest.max(nanoseconds);
            let removed = (before - store.totals().peers) as u32;
            measured.extend(nanoseconds.checked_div(removed));
        }
        if reached == Reached::EndOfStore {
            measured.push(longest);
            return measured;
        }
    }
}
