//! Many threads at once, each with a naive store of its own peers beside it: whenever they pause, the counts are the sum of
//! what the naive stores have, and nothing that the store keeps of itself has drifted. Under a thread sanitizer, too.

use super::{Naive, TIMEOUTS, sweep_once};
use crate::clock::Now;
use crate::info_hash::InfoHash;
use crate::peer_store::budget::{Admission, Budget};
use crate::peer_store::{
    Dump, Limits, Listing, PREFETCHED, Page, PeerStore, PeersOut, Standing, StoreConfig, SwarmCounts, Sweep,
    Taken, Totals, Update,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

/// Threads that announce.
const ANNOUNCERS: u8 = 3;
/// Pauses at which everything is compared.
const PHASES: u32 = 12;
/// Announces of a thread between two pauses.
const ANNOUNCES: u32 = 1500;
/// All threads meet in so many torrents.
const TORRENTS: u32 = 30;
/// Seconds from one phase to the next: peers live for some phases, torrents longer than all of them.
const PHASE_SECS: u32 = 40;
const _: () = assert!(PHASES * PHASE_SECS < TIMEOUTS.torrent_secs);

/// A thread that announces, and what it knows of its own peers.
struct Announcer {
    thread: u8,
    random: fastrand::Rng,
    naive: Naive,
}

impl Announcer {
    fn new(thread: u8) -> Self {
        Self { thread, random: fastrand::Rng::with_seed(u64::from(thread)), naive: Naive::default() }
    }

    /// A peer that no other thread has. `most` bounds how many there are at this time.
    fn peer(&mut self, most: u32) -> SocketAddr {
        let number = self.random.u32(0..most);
        let port = 1000 + (number % 3) as u16;
        let ip = if number.is_multiple_of(4) {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, u16::from(self.thread), number as u16 / 8, 0, 0, 0, 1))
        } else {
            IpAddr::V4(Ipv4Addr::from(u32::from(self.thread) << 24 | number))
        };
        SocketAddr::new(ip, port)
    }

    fn update(&mut self, phase: u32) -> Update {
        let most = if phase % 4 < 2 { 3000 } else { 40 };
        let standing = match self.random.u32(0..10) {
            0..=2 => Standing::Stopped,
            3..=5 => Standing::Seeder,
            _ => Standing::Leecher,
        };
        // Few torrents are large.
        let torrent = self.random.u32(0..TORRENTS).min(self.random.u32(0..TORRENTS));
        Update {
            info_hash: info_hash(torrent),
            peer: self.peer(most),
            standing,
            completed: standing == Standing::Seeder && self.random.u32(0..4) == 0,
            peers_wanted: self.random.usize(0..40),
            now_secs: secs_of(phase),
        }
    }

    /// Announces as a worker does, in batches, to both stores.
    fn announce(&mut self, store: &PeerStore, phase: u32) {
        let mut left = ANNOUNCES as usize;
        let (mut room_v4, mut room_v6) = ([0; 40 * 6], [0; 40 * 18]);
        while left > 0 {
            let batch: Vec<Update> = (0..left.min(PREFETCHED)).map(|_| self.update(phase)).collect();
            left -= batch.len();
            let info_hashes: Vec<InfoHash> = batch.iter().map(|update| update.info_hash).collect();
            store.prefetch(&info_hashes);
            for update in &batch {
                let renewed_after_secs = self.naive.age_secs(update);
                let completed_before = self.completed(update.info_hash);
                let mut peers = PeersOut::new(&mut room_v4, &mut room_v6);
                let taken = store.announce(update, &mut self.random, &mut peers);
                self.naive.update(update);
                let first_completion = self.completed(update.info_hash) > completed_before;
                // What of the torrent is the others' changes at any time; what is its own does not.
                assert_eq!(taken, Taken { renewed_after_secs, first_completion, ..taken });
                assert!(taken.is_stored || update.standing == Standing::Stopped);
                self.check_its_share(update, taken.counts);
            }
        }
    }

    fn completed(&self, info_hash: InfoHash) -> u32 {
        self.naive.counts(&info_hash).map_or(0, |counts| counts.completed)
    }

    /// A torrent has at least the peers that one thread has there.
    fn check_its_share(&self, update: &Update, counts: SwarmCounts) {
        let own = self.naive.counts(&update.info_hash).unwrap_or_default();
        assert!(counts.seeders >= own.seeders && counts.leechers >= own.leechers, "{counts:?} {own:?}");
        assert!(counts.completed >= own.completed, "{counts:?} {own:?}");
    }
}

fn info_hash(torrent: u32) -> InfoHash {
    InfoHash([torrent as u8; 20])
}

fn secs_of(phase: u32) -> u32 {
    5000 + phase * PHASE_SECS
}

/// Walks for expiry, full scrapes and snapshots, and statistics, one after the other until it is told to stop.
fn walk(store: &PeerStore, now: Now, stop: &AtomicBool) {
    let (mut sweep, mut listing, mut dump) = (Sweep::default(), Listing::default(), Dump::default());
    while !stop.load(Ordering::Relaxed) {
        sweep.step(store, now);
        if !listing.step(store, &mut Vec::new()) {
            listing = Listing::default();
        }
        if !dump.step(store, &mut Page::default()) {
            dump = Dump::default();
        }
        let totals = store.totals();
        assert!(totals.seeders <= totals.peers && totals.torrents <= u64::from(TORRENTS), "{totals:?}");
        store.pressure();
        store.scrape(&info_hash(0));
        store.last_announce_secs(&info_hash(1));
    }
}

/// What the store should have, of all threads together.
fn sum<'a>(naives: impl Iterator<Item = &'a Naive>) -> BTreeMap<InfoHash, SwarmCounts> {
    let mut all = BTreeMap::new();
    for naive in naives {
        for info_hash in naive.0.keys() {
            let own = naive.counts(info_hash).unwrap_or_default();
            let counts: &mut SwarmCounts = all.entry(*info_hash).or_default();
            counts.seeders += own.seeders;
            counts.leechers += own.leechers;
            counts.completed += own.completed;
        }
    }
    all
}

/// Compares the store with the naive ones while nobody changes anything.
fn compare(store: &PeerStore, announcers: &[Announcer]) {
    let all = sum(announcers.iter().map(|announcer| &announcer.naive));
    for torrent in 0..TORRENTS {
        assert_eq!(store.scrape(&info_hash(torrent)), all.get(&info_hash(torrent)).copied());
    }
    let expected = all.values().fold(Totals::default(), |totals, counts| Totals {
        torrents: totals.torrents + 1,
        peers: totals.peers + counts.peers(),
        seeders: totals.seeders + u64::from(counts.seeders),
        completed: totals.completed + u64::from(counts.completed),
    });
    let totals = store.totals();
    assert_eq!(totals, expected);
    let budget = &store.rules.budget;
    if budget.counts_memory() {
        let pressure = store.pressure();
        assert!(pressure.memory_bytes <= pressure.reckoned_bytes, "{pressure:?}");
        let held = [totals.peers, totals.torrents, pressure.reckoned_bytes];
        assert_eq!(budget.held(), held, "peers, torrents, and memory of the budget");
    }
}

fn live(limits: Limits) {
    let store = PeerStore::new([1, 2], StoreConfig { timeouts: TIMEOUTS, limits });
    let mut announcers: Vec<Announcer> = (0..ANNOUNCERS).map(|thread| Announcer::new(thread + 1)).collect();
    for phase in 0..PHASES {
        let now = Now::from_seconds(secs_of(phase));
        // Who has timed out is forgotten before the phase, as the naive stores know no moment within it.
        sweep_once(&store, now);
        announcers.iter_mut().for_each(|announcer| announcer.naive.expire(secs_of(phase)));
        compare(&store, &announcers);
        let (stop, start) = (AtomicBool::new(false), Barrier::new(announcers.len()));
        std::thread::scope(|scope| {
            let walker = scope.spawn(|| walk(&store, now, &stop));
            let threads: Vec<_> = announcers
                .iter_mut()
                .map(|announcer| {
                    let (store, start) = (&store, &start);
                    scope.spawn(move || {
                        start.wait();
                        announcer.announce(store, phase);
                    })
                })
                .collect();
            let ends: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            stop.store(true, Ordering::Relaxed);
            assert!(walker.join().is_ok() && ends.iter().all(Result::is_ok), "a thread has panicked");
        });
        compare(&store, &announcers);
    }
    let over = secs_of(PHASES) + TIMEOUTS.torrent_secs;
    sweep_once(&store, Now::from_seconds(over));
    announcers.iter_mut().for_each(|announcer| announcer.naive = Naive::default());
    compare(&store, &announcers);
}

#[test]
fn counts_are_exact_whatever_threads_do_at_once() {
    live(Limits::default());
}

#[test]
fn counts_of_a_store_with_limits_are_exact_whatever_threads_do_at_once() {
    live(Limits {
        max_memory_bytes: 1 << 30,
        max_peers: 1 << 30,
        max_torrents: 1 << 30,
        torrents_per_source: 60_000,
        ports_per_source: 60_000,
    });
}

/// What announces do to the counters of a budget, and nothing in between.
#[test]
fn a_budget_loses_nothing_that_threads_take_and_give_back() {
    let limits = Limits { max_peers: 3, max_torrents: 2, max_memory_bytes: 1 << 40, ..Limits::default() };
    let budget = Budget::new(limits);
    let taken = || {
        for number in 0..200_000 {
            budget.memory_changed(0, number % 7);
            if budget.admit(1, 1) == Admission::Granted {
                let [peers, torrents, _] = budget.held();
                assert!((1..=3).contains(&peers) && (1..=2).contains(&torrents), "{peers} {torrents}");
                budget.peers_gone(1);
                budget.torrent_gone();
            }
            budget.memory_changed(number % 7, 0);
        }
    };
    std::thread::scope(|scope| (0..ANNOUNCERS).for_each(|_| drop(scope.spawn(taken))));
    assert_eq!(budget.held(), [0; 3]);
}
