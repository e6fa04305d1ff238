//! One part of the torrents, behind one lock: a dense array of swarms and an index into it.

use super::dump::{DumpedPeer, DumpedTorrent, Page};
use super::expiry::{Place, StepEnd};
use super::index::Index;
use super::peers_out::PeersOut;
use super::prefetch;
use super::swarm::Swarm;
use super::{Standing, SwarmCounts, Taken, Timeouts, Totals, Update};
use crate::info_hash::InfoHash;
use std::net::SocketAddr;
use tracker_common::siphash::{Key, siphash24};
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// Arrays smaller than this are not worth shrinking.
const SHRINK_ABOVE: usize = 64;

/// The keyed hash of an info hash: info hashes are an attacker's to choose, collisions must not be.
pub(super) fn hash_of(key: Key, info_hash: &InfoHash) -> u64 {
    let mut words = [[0_u8; 8]; 3];
    words.as_flattened_mut()[..info_hash.0.len()].copy_from_slice(&info_hash.0);
    siphash24(key, words.map(u64::from_le_bytes))
}

/// One part of the torrents.
#[derive(Debug)]
pub(super) struct Shard {
    key: Key,
    /// Dense, so that expiry can walk it by position and stop anywhere.
    swarms: Vec<Swarm>,
    index: Index,
    peers: u64,
    seeders: u64,
    completed: u64,
}

impl Shard {
    pub(super) fn new(key: Key) -> Self {
        Self { key, swarms: Vec::new(), index: Index::default(), peers: 0, seeders: 0, completed: 0 }
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            torrents: self.swarms.len() as u64,
            peers: self.peers,
            seeders: self.seeders,
            completed: self.completed,
        }
    }

    /// Begins to load where the index holds a hash.
    pub(super) fn prefetch_index(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Begins to load the swarm of a hash. Another with the same half of the hash does no harm.
    pub(super) fn prefetch_swarm(&self, hash: u64) {
        if let Some(swarm) = self.first_of(hash) {
            prefetch::read(swarm);
        }
    }

    /// Begins to load the peers of the swarm of a hash.
    pub(super) fn prefetch_peers(&self, hash: u64) {
        if let Some(swarm) = self.first_of(hash) {
            swarm.prefetch_peers();
        }
    }

    pub(super) fn counts(&self, hash: u64, info_hash: &InfoHash) -> Option<SwarmCounts> {
        self.position(hash, info_hash).map(|position| self.swarms[position].counts())
    }

    pub(super) fn announce(
        &mut self,
        hash: u64,
        update: &Update,
        random: &mut fastrand::Rng,
        peers: &mut PeersOut<'_>,
    ) -> Taken {
        let position = match self.position(hash, &update.info_hash) {
            Some(position) => position,
            // Nothing is stored for these, so no torrent is made for them either.
            None if update.standing == Standing::Stopped || update.peer.port() == 0 => {
                return Taken::default();
            }
            None => self.insert(hash, update.info_hash),
        };
        let swarm = &mut self.swarms[position];
        let (before, announcer) = (swarm.counts(), swarm.locate(update.peer));
        swarm.draw(&announcer, update, random, peers);
        let renewed_after_secs = swarm.age_secs(&announcer, update.now_secs);
        let first_completion = swarm.update(&announcer, update);
        let counts = self.recount(position, before);
        if self.swarms[position].peers() == 0 && counts.completed == 0 {
            self.remove(position);
        }
        Taken { counts, renewed_after_secs, first_completion }
    }

    /// Walks backwards from `place` over at most `budget` peers and torrents, and forgets what has timed out.
    ///
    /// Removal moves the last element into the gap: walking backwards, that one has been looked at already.
    pub(super) fn expire(
        &mut self,
        place: Place,
        budget: usize,
        timeouts: &Timeouts,
        now_secs: u32,
    ) -> StepEnd {
        let mut place = place.within(self.swarms.len());
        for _ in 0..budget {
            let Some(position) = place.swarm.checked_sub(1) else {
                self.give_back();
                return StepEnd::Done;
            };
            let swarm = &mut self.swarms[position];
            let before = swarm.counts();
            match place.peer.min(swarm.peers()).checked_sub(1) {
                Some(peer) => {
                    swarm.expire(peer, timeouts, now_secs);
                    place.peer = peer;
                    self.recount(position, before);
                }
                None => {
                    if swarm.is_forgettable(timeouts, now_secs) {
                        self.remove(position);
                    }
                    place = Place::before(position);
                }
            }
        }
        StepEnd::More(place)
    }

    /// Adds the torrents before position `ahead` to `out`, `most` of them, and returns how many are still ahead.
    pub(super) fn list(&self, ahead: usize, most: usize, out: &mut Vec<(InfoHash, SwarmCounts)>) -> usize {
        let end = ahead.min(self.swarms.len());
        let start = end.saturating_sub(most);
        out.extend(self.swarms[start..end].iter().map(|swarm| (swarm.info_hash, swarm.counts())));
        start
    }

    /// Seconds since a peer was heard of, with the time that it is now.
    pub(super) fn age_secs(
        &self,
        hash: u64,
        info_hash: &InfoHash,
        (peer, now_secs): (SocketAddr, u32),
    ) -> Option<u32> {
        let swarm = &self.swarms[self.position(hash, info_hash)?];
        swarm.age_secs(&swarm.locate(peer), now_secs)
    }

    pub(super) fn last_announce_secs(&self, hash: u64, info_hash: &InfoHash) -> Option<u32> {
        self.position(hash, info_hash).map(|position| self.swarms[position].last_announce_secs())
    }

    /// Makes a torrent known with its completed downloads and the time of its last announce.
    pub(super) fn restore(&mut self, hash: u64, info_hash: &InfoHash, completed_and_last: (u32, u32)) {
        let position = self.position(hash, info_hash).unwrap_or_else(|| self.insert(hash, *info_hash));
        let before = self.swarms[position].counts();
        self.swarms[position].restore(completed_and_last);
        if self.recount(position, before) == SwarmCounts::default() {
            self.remove(position);
        }
    }

    /// Walks backwards from `place` and adds torrents and peers to `page`, `budget` of them together at most.
    pub(super) fn dump(&self, place: Place, budget: usize, page: &mut Page) -> StepEnd {
        let mut place = place.within(self.swarms.len());
        let mut left = budget;
        while let Some(position) = place.swarm.checked_sub(1) {
            let swarm = &self.swarms[position];
            let ahead = place.peer.min(swarm.peers());
            if ahead > left && left < budget {
                // It would be cut: the next step may have room for all of it.
                return StepEnd::More(place);
            }
            place.peer = ahead.saturating_sub(left);
            swarm.dump(place.peer..ahead, page);
            if place.peer > 0 {
                return StepEnd::More(place);
            }
            place = Place::before(position);
            left = left.saturating_sub(1 + ahead);
            if left == 0 {
                return StepEnd::More(place);
            }
        }
        StepEnd::Done
    }

    /// Takes back a torrent, or a part of one, with these peers.
    pub(super) fn restore_swarm(
        &mut self,
        hash: u64,
        torrent: &DumpedTorrent,
        v4: &[DumpedPeer<PEER_V4_LEN>],
        v6: &[DumpedPeer<PEER_V6_LEN>],
    ) {
        let info_hash = torrent.info_hash;
        let position = self.position(hash, &info_hash).unwrap_or_else(|| self.insert(hash, info_hash));
        let before = self.swarms[position].counts();
        self.swarms[position].restore((torrent.completed, torrent.last_announce_secs));
        self.swarms[position].restore_peers(v4, v6);
        if self.recount(position, before) == SwarmCounts::default() {
            self.remove(position);
        }
    }

    fn position(&self, hash: u64, info_hash: &InfoHash) -> Option<usize> {
        self.index.find(hash, |position| self.swarms[position].info_hash == *info_hash)
    }

    fn first_of(&self, hash: u64) -> Option<&Swarm> {
        self.index.find(hash, |_| true).map(|position| &self.swarms[position])
    }

    fn insert(&mut self, hash: u64, info_hash: InfoHash) -> usize {
        let position = self.swarms.len();
        self.swarms.push(Swarm::new(info_hash));
        let (key, swarms) = (self.key, &self.swarms);
        self.index.insert(hash, position, |other| hash_of(key, &swarms[other].info_hash));
        position
    }

    fn remove(&mut self, position: usize) {
        let (key, swarms, last) = (self.key, &self.swarms, self.swarms.len() - 1);
        let hash_at = |other: usize| hash_of(key, &swarms[other].info_hash);
        self.index.remove(hash_at(position), position, hash_at);
        if position != last {
            self.index.relocate(hash_at(last), last, position);
        }
        let forgotten = self.swarms.swap_remove(position);
        self.completed -= u64::from(forgotten.counts().completed);
    }

    /// Brings the shard's figures up to date after one swarm changed, and returns that swarm's.
    fn recount(&mut self, position: usize, before: SwarmCounts) -> SwarmCounts {
        let after = self.swarms[position].counts();
        self.peers = self.peers + after.peers() - before.peers();
        self.seeders = self.seeders + u64::from(after.seeders) - u64::from(before.seeders);
        self.completed = self.completed + u64::from(after.completed) - u64::from(before.completed);
        after
    }

    fn give_back(&mut self) {
        let len = self.swarms.len();
        if self.swarms.capacity() > SHRINK_ABOVE && len * 4 < self.swarms.capacity() {
            self.swarms.shrink_to(len * 2);
        }
        let (key, swarms) = (self.key, &self.swarms);
        self.index.give_back(|other| hash_of(key, &swarms[other].info_hash));
    }
}
