//! Every peer of every torrent, in memory, divided into shards with a lock each.
//!
//! The store knows no protocol, no socket and no clock. Time is what its callers say it is.

mod dump;
mod expiry;
mod index;
mod limits;
mod listing;
mod peer;
mod peer_table;
mod peers_out;
mod prefetch;
mod shard;
mod swarm;
#[cfg(test)]
mod tests;

pub use dump::{Dump, DumpedPeer, DumpedTorrent, Page};
pub use expiry::{Reached, Sweep, Timeouts};
pub use limits::{Limits, Pressure, StoreConfig};
pub use listing::Listing;
pub use peers_out::PeersOut;

use crate::info_hash::InfoHash;
use parking_lot::Mutex;
use shard::{Shard, hash_of};
use std::net::SocketAddr;
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

/// What came of an [`Update`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The swarm afterwards.
    pub counts: SwarmCounts,
    /// Seconds since the peer was heard of before, in this torrent; `None`: it was not known.
    pub renewed_after_secs: Option<u32>,
    /// Whether the peer says for the first time that its download has finished.
    pub first_completion: bool,
}

/// A shard alone on its cache lines: two workers that lock neighbours do not disturb each other.
#[derive(Debug)]
#[repr(align(128))]
struct Padded(Mutex<Shard>);

/// The store.
#[derive(Debug)]
pub struct PeerStore {
    key: Key,
    shards: Box<[Padded]>,
    config: StoreConfig,
}

impl PeerStore {
    /// Parts with a lock each: enough that workers seldom meet, and that expiry holds little of the store.
    pub const SHARDS: usize = 256;

    /// An empty store. `key` is secret and random: it keeps an attacker from choosing info hashes that meet.
    pub fn new(key: Key, config: StoreConfig) -> Self {
        let shards = (0..Self::SHARDS).map(|_| Padded(Mutex::new(Shard::new(key)))).collect();
        Self { key, shards, config }
    }

    /// Begins to load what requests for these torrents will touch. Costs a few dozen nanoseconds each, and saves most of
    /// the time that they would wait for memory one after the other.
    pub fn prefetch(&self, info_hashes: &[InfoHash]) {
        let mut hashes = [0; PREFETCHED];
        let hashes = &mut hashes[..info_hashes.len().min(PREFETCHED)];
        for (hash, info_hash) in hashes.iter_mut().zip(info_hashes) {
            *hash = hash_of(self.key, info_hash);
            self.shard(*hash).lock().prefetch_index(*hash);
        }
        for hash in &*hashes {
            self.shard(*hash).lock().prefetch_swarm(*hash);
        }
        for hash in &*hashes {
            self.shard(*hash).lock().prefetch_peers(*hash);
        }
    }

    /// Draws peers into `peers`, then takes the update in; the counts are those afterwards.
    pub fn announce(&self, update: &Update, random: &mut fastrand::Rng, peers: &mut PeersOut<'_>) -> Taken {
        let hash = hash_of(self.key, &update.info_hash);
        self.shard(hash).lock().announce(hash, update, random, peers)
    }

    /// The counts of a torrent; `None` where it is unknown.
    pub fn scrape(&self, info_hash: &InfoHash) -> Option<SwarmCounts> {
        let hash = hash_of(self.key, info_hash);
        self.shard(hash).lock().counts(hash, info_hash)
    }

    /// Seconds since a peer of a torrent was heard of; `None` where either is unknown.
    pub fn age_secs(&self, info_hash: &InfoHash, peer: SocketAddr, now_secs: u32) -> Option<u32> {
        let hash = hash_of(self.key, info_hash);
        self.shard(hash).lock().age_secs(hash, info_hash, (peer, now_secs))
    }

    /// When a torrent was announced last, in seconds of the host's uptime; `None` where it is unknown.
    pub fn last_announce_secs(&self, info_hash: &InfoHash) -> Option<u32> {
        let hash = hash_of(self.key, info_hash);
        self.shard(hash).lock().last_announce_secs(hash, info_hash)
    }

    /// Makes a torrent known with downloads that were counted earlier; where more have been counted, nothing changes.
    pub fn restore(&self, info_hash: &InfoHash, completed: u32, last_announce_secs: u32) {
        let hash = hash_of(self.key, info_hash);
        self.shard(hash).lock().restore(hash, info_hash, (completed, last_announce_secs));
    }

    /// What the whole store holds, shard after shard: exact where nothing changes meanwhile.
    pub fn totals(&self) -> Totals {
        self.shards.iter().map(|shard| shard.0.lock().totals()).fold(Totals::default(), |sum, part| Totals {
            torrents: sum.torrents + part.torrents,
            peers: sum.peers + part.peers,
            seeders: sum.seeders + part.seeders,
            completed: sum.completed + part.completed,
        })
    }

    /// How hard the store presses against its limits.
    pub fn pressure(&self) -> Pressure {
        Pressure::default()
    }

    /// The shard of a hash, by bits that the shard's own table uses neither as position nor as tag.
    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> 40) as usize % Self::SHARDS].0
    }
}
