//! Every peer of every torrent, in memory, divided into shards with a lock each.
//!
//! The store knows no protocol, no socket and no clock. Time is what its callers say it is.

mod budget;
mod dump;
mod eviction;
mod expiry;
mod fenwick;
mod index;
mod large;
mod limits;
mod listing;
mod memory;
mod moment;
mod peer;
mod peers_out;
mod pool;
mod prefetch;
mod rules;
mod run;
mod shard;
mod shard_lock;
mod slot;
mod source_counts;
mod stamp;
mod swarm;
mod tables;
#[cfg(test)]
mod tests;
mod view;

pub use dump::{Dump, DumpedPeer, DumpedTorrent, Page};
pub use expiry::{Reached, Sweep, Timeouts};
pub use limits::{Limits, Pressure, StoreConfig};
pub use listing::Listing;
pub use peers_out::{Family, PeersOut};

use crate::info_hash::InfoHash;
use eviction::Eviction;
use moment::Moment;
use rules::Rules;
use shard::{Shard, hash_of};
use shard_lock::ShardLock;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use swarm::Storing;
use tracker_common::siphash::Key;

/// The three figures of one swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmCounts {
    /// Peers with nothing left to download.
    pub seeders: u32,
    /// Peers with bytes left to download.
    pub leechers: u32,
    /// Downloads completed since the torrent is known, once per peer.
    pub completed: u32,
}

impl SwarmCounts {
    /// Seeders and leechers.
    pub const fn peers(&self) -> u64 {
        self.seeders as u64 + self.leechers as u64
    }
}

/// Torrents that are prefetched at a time: more would push each other out of the cache.
pub const PREFETCHED: usize = 64;

/// What the whole store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Torrents.
    pub torrents: u64,
    /// Peers in all of them.
    pub peers: u64,
    /// Of these, seeders.
    pub seeders: u64,
    /// Completed downloads of the torrents that are known.
    pub completed: u64,
}

/// What a peer is from this announce on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has everything.
    Seeder,
    /// It lacks something.
    Leecher,
    /// It is gone.
    Stopped,
}

/// One peer's word on one torrent.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Address and port of the peer; with port 0 nothing is stored.
    pub peer: SocketAddr,
    /// What the peer is from now on.
    pub standing: Standing,
    /// Whether it says that its download has just finished.
    pub completed: bool,
    /// The most peers to hand out.
    pub peers_wanted: usize,
    /// When it was said, in seconds of the host's uptime.
    pub now_secs: u32,
}

/// What became of an announce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The torrent's figures afterwards.
    pub counts: SwarmCounts,
    /// Seconds since the peer's announce before this one, in steps of a hundredth of the peer timeout; `None` where it was
    /// not known.
    pub renewed_after_secs: Option<u32>,
    /// Whether this is the first time that the peer says it completed.
    pub first_completion: bool,
    /// Whether the store holds what the peer said: not where there was no room for it, its source has had its share, or there
    /// was nothing to hold.
    pub is_stored: bool,
}

/// Limits that one announce may have to make room within: of memory, of torrents and of peers.
const LIMITS_IN_THE_WAY: usize = 3;

/// The store.
#[derive(Debug)]
pub struct PeerStore {
    key: Key,
    shards: Box<[ShardLock]>,
    config: StoreConfig,
    rules: Rules,
    eviction: Eviction,
}

impl PeerStore {
    /// Parts with a lock each: enough that workers seldom meet, and that no part is so large that anything done to the whole
    /// of it would be felt.
    pub const SHARDS: usize = 512;

    /// An empty store. `key` is secret and random: it keeps an attacker from choosing info hashes that meet.
    pub fn new(key: Key, config: StoreConfig) -> Self {
        let shards = (0..Self::SHARDS).map(|_| ShardLock::new(Shard::new(key))).collect();
        Self { key, shards, config, rules: Rules::new(key, &config), eviction: Eviction::default() }
    }

    /// Begins to load what requests for these torrents will touch. Costs a few dozen nanoseconds each, and saves most of
    /// the time that they would wait for memory one after the other.
    pub fn prefetch(&self, info_hashes: &[InfoHash]) {
        let mut hashes = [0; PREFETCHED];
        let hashes = &mut hashes[..info_hashes.len().min(PREFETCHED)];
        for (hash, info_hash) in hashes.iter_mut().zip(info_hashes) {
            *hash = hash_of(self.key, info_hash);
            self.shards[shard_of(*hash)].prefetch();
        }
        self.prefetch_in_shards(hashes, Shard::prefetch_index);
        self.prefetch_in_shards(hashes, Shard::prefetch_slot);
        self.prefetch_in_shards(hashes, Shard::prefetch_peers);
    }

    fn prefetch_in_shards(&self, hashes: &[u64], step: impl Fn(&Shard, u64)) {
        for hash in hashes {
            // Whoever has the lock is not waited for: that would cost more than is saved.
            if let Some(shard) = self.shard(*hash).try_lock() {
                step(&shard, *hash);
            }
        }
    }

    /// Draws peers into `peers`, then takes the update in; the counts are those afterwards.
    ///
    /// In a full store the stalest make room first. Where none is found, and where a source has had its share, the answer
    /// is the same and nothing is stored.
    pub fn announce(&self, update: &Update, random: &mut fastrand::Rng, peers: &mut PeersOut<'_>) -> Taken {
        let hash = hash_of(self.key, &update.info_hash);
        let (mut taken, mut storing) = self.announce_once(hash, update, (random, peers));
        for _ in 0..LIMITS_IN_THE_WAY {
            let Storing::Full(scarce) = storing else { break };
            if !self.make_room(scarce, update.now_secs) {
                break;
            }
            (taken, storing) = self.announce_once(hash, update, (random, peers));
        }
        let budget = &self.rules.budget;
        let refused = match storing {
            Storing::Done => return taken,
            Storing::SourceHasItsShare => &budget.refused_by_source_limit,
            Storing::Full(_) => &budget.refused_for_room,
        };
        refused.fetch_add(1, Ordering::Relaxed);
        taken
    }

    fn announce_once(
        &self,
        hash: u64,
        update: &Update,
        answer: (&mut fastrand::Rng, &mut PeersOut<'_>),
    ) -> (Taken, Storing) {
        self.with_shard(shard_of(hash), update.now_secs, |shard, moment| {
            shard.announce(hash, update, moment, answer)
        })
    }

    /// The counts of a torrent; `None` where it is unknown.
    pub fn scrape(&self, info_hash: &InfoHash) -> Option<SwarmCounts> {
        let hash = hash_of(self.key, info_hash);
        self.shard(hash).lock().counts(hash, info_hash)
    }

    /// Seconds since a peer of a torrent was heard of, in steps of a hundredth of the peer timeout; `None` where either is
    /// unknown.
    pub fn age_secs(&self, info_hash: &InfoHash, peer: SocketAddr, now_secs: u32) -> Option<u32> {
        let hash = hash_of(self.key, info_hash);
        self.with_shard(shard_of(hash), now_secs, |shard, moment| {
            shard.age_secs(hash, info_hash, (peer, moment))
        })
    }

    /// When a torrent was announced last, in seconds of [`Now`](crate::clock::Now); `None` where it is unknown.
    pub fn last_announce_secs(&self, info_hash: &InfoHash) -> Option<u32> {
        let hash = hash_of(self.key, info_hash);
        self.shard(hash).lock().last_announce_secs(hash, info_hash)
    }

    /// Makes a torrent known with downloads that were counted earlier; where more have been counted, nothing changes.
    pub fn restore(&self, info_hash: &InfoHash, completed: u32, last_announce_secs: u32) {
        let hash = hash_of(self.key, info_hash);
        self.with_shard(shard_of(hash), last_announce_secs, |shard, moment| {
            shard.restore(hash, info_hash, (completed, last_announce_secs), moment);
        });
    }

    /// What the whole store holds, shard after shard: exact where nothing changes meanwhile.
    pub fn totals(&self) -> Totals {
        self.shards.iter().map(|shard| shard.lock().totals()).fold(Totals::default(), |sum, part| Totals {
            torrents: sum.torrents + part.torrents,
            peers: sum.peers + part.peers,
            seeders: sum.seeders + part.seeders,
            completed: sum.completed + part.completed,
        })
    }

    /// How hard the store presses against its limits.
    pub fn pressure(&self) -> Pressure {
        let budget = &self.rules.budget;
        let [evicted_peers, evicted_torrents, refused_by_source_limit, refused_for_room] = [
            &budget.evicted_peers,
            &budget.evicted_torrents,
            &budget.refused_by_source_limit,
            &budget.refused_for_room,
        ]
        .map(|count| count.load(Ordering::Relaxed));
        let mut pressure = Pressure {
            evicted_peers,
            evicted_torrents,
            refused_by_source_limit,
            refused_for_room,
            ..Pressure::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            pressure.memory_bytes += shard.memory();
            pressure.reckoned_bytes += shard.reckoned();
        }
        pressure
    }

    /// Does something to a shard under its lock, at a moment.
    fn with_shard<R>(
        &self,
        number: usize,
        now_secs: u32,
        work: impl FnOnce(&mut Shard, &Moment<'_>) -> R,
    ) -> R {
        self.work(&mut self.shards[number].lock(), now_secs, work)
    }

    /// Takes a step of a walk through a shard under its lock.
    fn walk_in_shard<R>(
        &self,
        number: usize,
        now_secs: u32,
        step: impl FnOnce(&mut Shard, &Moment<'_>) -> R,
    ) -> R {
        self.shards[number].step(|shard| self.work(shard, now_secs, step))
    }

    #[inline]
    fn work<R>(
        &self,
        shard: &mut Shard,
        now_secs: u32,
        work: impl FnOnce(&mut Shard, &Moment<'_>) -> R,
    ) -> R {
        let moment = shard.moment(now_secs, &self.rules);
        let result = work(shard, &moment);
        if self.rules.budget.counts_memory() {
            shard.report_memory(&self.rules.budget);
        }
        result
    }

    fn shard(&self, hash: u64) -> &ShardLock {
        &self.shards[shard_of(hash)]
    }
}

/// The shard of a hash, by bits that the shard's own index uses neither as home nor as tag.
const fn shard_of(hash: u64) -> usize {
    (hash >> 42) as usize % PeerStore::SHARDS
}
