//! Everything that the store holds, out of it and back in: for snapshots, and for a node that joins. Out in small steps, so
//! that no announce waits long for one; back in a torrent at a time, without drawing peers. What is shown here says
//! nothing of how the store keeps it.

use super::PeerStore;
use super::expiry::{Place, StepEnd};
use super::shard::{Shard, hash_of};
use crate::info_hash::InfoHash;
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// Peers and torrents shown under one lock: some ten microseconds. A swarm of no more peers is shown whole.
const STEP: usize = 512;

/// One peer of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DumpedPeer<const N: usize> {
    /// Address, then port, both big-endian, as BEP 7, 15 and 23 send it.
    pub entry: [u8; N],
    /// Whether it has nothing left to download.
    pub seeder: bool,
    /// Whether it has said once that it completed its download.
    pub completed: bool,
    /// When it was last heard of, in seconds of [`Now`](crate::clock::Now).
    pub heard_secs: u32,
}

/// One torrent, or a part of it: a large swarm comes in several, each with the figures of the torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpedTorrent {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Its completed downloads.
    pub completed: u32,
    /// When it was last announced, in seconds of [`Now`](crate::clock::Now).
    pub last_announce_secs: u32,
    /// How many of the IPv4 peers of the page are its own, behind those of the torrents before it.
    pub v4: u32,
    /// How many of the IPv6 peers of the page are its own.
    pub v6: u32,
}

/// Torrents with their peers, copied out of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The torrents.
    pub torrents: Vec<DumpedTorrent>,
    /// The IPv4 peers of all of them, in the order of the torrents.
    pub v4: Vec<DumpedPeer<PEER_V4_LEN>>,
    /// The IPv6 peers, likewise.
    pub v6: Vec<DumpedPeer<PEER_V6_LEN>>,
}

impl Page {
    /// Torrents and peers together.
    pub const fn entries(&self) -> usize {
        self.torrents.len() + self.v4.len() + self.v6.len()
    }

    /// Empties the page and keeps its memory.
    pub fn clear(&mut self) {
        self.torrents.clear();
        self.v4.clear();
        self.v6.clear();
    }
}

/// A walk over all torrents and peers. It shows every torrent that is there from its start to its end, and every peer of a
/// swarm that fits a step. Of a larger swarm that changes meanwhile, each change may make it show a peer twice or not.
#[derive(Debug)]
pub struct Dump {
    part: usize,
    place: Place,
}

impl Default for Dump {
    fn default() -> Self {
        Self::from_part(0)
    }
}

impl Dump {
    /// Parts of a store. Which part a torrent belongs to differs from one store to another.
    pub const PARTS: usize = PeerStore::SHARDS;

    /// A walk over the parts of the store from this one on.
    pub const fn from_part(part: usize) -> Self {
        Self { part, place: Place::START }
    }

    /// The part that the walk stands in; those before it have been shown whole.
    pub const fn part(&self) -> usize {
        self.part
    }

    /// Adds some torrents and peers to `page`; whether there are more to come.
    pub fn step(&mut self, store: &PeerStore, page: &mut Page) -> bool {
        let Some(shard) = store.shards.get(self.part) else { return false };
        let end = shard.0.lock().dump(self.place, STEP, page);
        match end {
            StepEnd::More(place) => self.place = place,
            StepEnd::Done => (self.part, self.place) = (self.part + 1, Place::START),
        }
        self.part < store.shards.len()
    }
}

impl PeerStore {
    /// Takes back a torrent, or a part of one, with these peers. Where something is known already, the later word counts,
    /// and the higher number of completed downloads; a torrent with neither peers nor downloads is not made known.
    pub fn restore_swarm(
        &self,
        torrent: &DumpedTorrent,
        v4: &[DumpedPeer<PEER_V4_LEN>],
        v6: &[DumpedPeer<PEER_V6_LEN>],
    ) {
        let hash = hash_of(self.key, &torrent.info_hash);
        self.shard(hash).lock().restore_swarm(hash, torrent, v4, v6);
    }

    /// Forgets everything, part after part.
    pub fn clear(&self) {
        for shard in &self.shards {
            let forgotten = std::mem::replace(&mut *shard.0.lock(), Shard::new(self.key));
            // Freed outside of the lock.
            drop(forgotten);
        }
    }
}

#[cfg(test)]
mod tests;
