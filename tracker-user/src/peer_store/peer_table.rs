//! The peers of one swarm in one family: a dense array in the form in which peers are sent, leechers before
//! seeders, with the stamps in an array beside it.
//!
//! An answer is then at most four runs of bytes copied from a random start. Small swarms are searched from front
//! to back; only large ones carry an index.

use super::dump::DumpedPeer;
use super::peer::{Entry, Stamp};
use super::prefetch;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// Up to this many peers a search from front to back is as fast as an index, and smaller.
const INDEXED_ABOVE: usize = 64;
/// An index is given up only well below the size at which it was made, so that it does not come and go.
const UNINDEXED_BELOW: usize = INDEXED_ABOVE / 2;
/// Arrays smaller than this are not worth shrinking.
const SHRINK_ABOVE: usize = 16;

/// A position that no table reaches, for the moment in which two peers change places.
const NOWHERE: u32 = u32::MAX;

/// Who is drawn for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// A leecher can use everyone.
    Leecher,
    /// A seeder can use leechers only.
    Seeder,
}

/// The peers of one family in one swarm.
#[derive(Debug, Default)]
pub(super) struct PeerTable<const N: usize> {
    entries: Vec<Entry<N>>,
    stamps: Vec<Stamp>,
    /// `entries[..leechers]` are leechers, the rest are seeders.
    leechers: usize,
    index: Option<Box<Index>>,
}

#[derive(Debug, Default)]
struct Index {
    positions: HashTable<u32>,
    /// Keyed: a peer chooses its port, and in IPv6 half of its address.
    hasher: RandomState,
}

impl<const N: usize> PeerTable<N> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn leechers(&self) -> usize {
        self.leechers
    }

    pub(super) fn seeders(&self) -> usize {
        self.entries.len() - self.leechers
    }

    /// Begins to load the front of both arrays: of most swarms, all of them.
    pub(super) fn prefetch(&self) {
        if let Some(entries) = self.entries.first_chunk::<16>() {
            prefetch::read(entries);
        } else if let Some(first) = self.entries.first() {
            prefetch::read(first);
        }
        if let Some(first) = self.stamps.first() {
            prefetch::read(first);
        }
    }

    /// Where a peer stands in the array.
    pub(super) fn position(&self, entry: &Entry<N>) -> Option<usize> {
        match &self.index {
            None => self.entries.iter().position(|other| other == entry),
            Some(index) => {
                let hash = index.hasher.hash_one(entry);
                let same = |position: &u32| self.entries.get(*position as usize) == Some(entry);
                index.positions.find(hash, same).map(|position| *position as usize)
            }
        }
    }

    /// Adds the peers in a range of positions to `out`.
    pub(super) fn dump(&self, positions: Range<usize>, out: &mut Vec<DumpedPeer<N>>) {
        let peers = self.entries[positions.clone()].iter().zip(&self.stamps[positions.clone()]);
        out.extend(positions.zip(peers).map(|(position, (entry, stamp))| DumpedPeer {
            entry: *entry,
            seeder: position >= self.leechers,
            completed: stamp.completed(),
            heard_secs: stamp.heard_secs(),
        }));
    }

    /// Makes room for the first peers, and no more than they need.
    pub(super) fn reserve_first(&mut self, peers: usize) {
        if self.entries.is_empty() {
            self.entries.reserve_exact(peers);
            self.stamps.reserve_exact(peers);
        }
    }

    /// Adds a peer that is not in the table.
    pub(super) fn insert(&mut self, entry: Entry<N>, seeder: bool, stamp: Stamp) {
        let last = self.entries.len();
        self.entries.push(entry);
        self.stamps.push(stamp);
        match &mut self.index {
            Some(index) => index.insert(&self.entries, last),
            None if self.entries.len() > INDEXED_ABOVE => self.index = Some(Index::of(&self.entries)),
            None => {}
        }
        if !seeder {
            self.swap(self.leechers, last);
            self.leechers += 1;
        }
    }

    /// Gives the peer at `position` a new stamp and puts it among the leechers or the seeders.
    pub(super) fn renew(&mut self, position: usize, seeder: bool, stamp: Stamp) {
        self.stamps[position] = stamp;
        let was_seeder = position >= self.leechers;
        if seeder && !was_seeder {
            self.leechers -= 1;
            self.swap(position, self.leechers);
        } else if !seeder && was_seeder {
            self.swap(position, self.leechers);
            self.leechers += 1;
        }
    }

    /// The stamp of the peer at `position`.
    pub(super) fn stamp(&self, position: usize) -> Stamp {
        self.stamps[position]
    }

    /// Removes the peer at `position`. Only peers behind it change their place.
    pub(super) fn remove(&mut self, mut position: usize) {
        if position < self.leechers {
            self.leechers -= 1;
            self.swap(position, self.leechers);
            position = self.leechers;
        }
        let last = self.entries.len() - 1;
        self.swap(position, last);
        if let Some(index) = &mut self.index {
            index.remove(&self.entries, last);
        }
        self.entries.pop();
        self.stamps.pop();
        self.give_back();
    }

    /// How many peers an audience could get; `own` is the position of the one who asks.
    pub(super) fn available(&self, audience: Audience, own: Option<usize>) -> usize {
        let universe = self.universe(audience);
        universe - usize::from(own.is_some_and(|own| own < universe))
    }

    /// Fills `out` with available peers from a random start, leechers first; `out` must not be longer than
    /// [`Self::available`].
    pub(super) fn draw(
        &self,
        audience: Audience,
        own: Option<usize>,
        out: &mut [Entry<N>],
        random: &mut fastrand::Rng,
    ) {
        let available = self.available(audience, own);
        let count = out.len().min(available);
        let start = if count < available { random.usize(0..available) } else { 0 };
        // The run from `start` goes on at the front of the array. The front part is written first: it holds
        // the leechers.
        let wrapped = (start + count).saturating_sub(available);
        let (front, back) = out[..count].split_at_mut(wrapped);
        self.copy_without(own, 0..wrapped, front);
        self.copy_without(own, start..start + back.len(), back);
    }

    /// Copies a range of the array that one gets by leaving out the peer at `own`.
    fn copy_without(&self, own: Option<usize>, range: Range<usize>, out: &mut [Entry<N>]) {
        let own = own.unwrap_or(usize::MAX);
        let before = range.start.min(own)..range.end.min(own);
        let behind = range.start.max(own).saturating_add(1)..range.end.max(own).saturating_add(1);
        let (first, second) = out.split_at_mut(before.len());
        first.copy_from_slice(&self.entries[before]);
        if !second.is_empty() {
            second.copy_from_slice(&self.entries[behind]);
        }
    }

    fn universe(&self, audience: Audience) -> usize {
        match audience {
            Audience::Leecher => self.entries.len(),
            Audience::Seeder => self.leechers,
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        if let Some(index) = &mut self.index {
            index.exchange(&self.entries, a, b);
        }
        self.entries.swap(a, b);
        self.stamps.swap(a, b);
    }

    /// Returns memory after a spike: never more than four times what is needed is kept.
    fn give_back(&mut self) {
        let len = self.entries.len();
        if len < UNINDEXED_BELOW {
            self.index = None;
        }
        if self.entries.capacity() > SHRINK_ABOVE && len * 4 < self.entries.capacity() {
            self.entries.shrink_to(len * 2);
            self.stamps.shrink_to(len * 2);
            if let Some(Index { positions, hasher }) = self.index.as_deref_mut() {
                positions.shrink_to(len * 2, |position| hasher.hash_one(self.entries[*position as usize]));
            }
        }
    }
}

impl Index {
    fn of<const N: usize>(entries: &[Entry<N>]) -> Box<Self> {
        let mut index = Box::<Self>::default();
        for position in 0..entries.len() {
            index.insert(entries, position);
        }
        index
    }

    fn insert<const N: usize>(&mut self, entries: &[Entry<N>], position: usize) {
        let hasher = &self.hasher;
        let hash_of = |position: &u32| hasher.hash_one(entries[*position as usize]);
        let position = position as u32;
        self.positions.insert_unique(hash_of(&position), position, hash_of);
    }

    fn remove<const N: usize>(&mut self, entries: &[Entry<N>], position: usize) {
        let hash = self.hasher.hash_one(entries[position]);
        if let Ok(found) = self.positions.find_entry(hash, |other| *other == position as u32) {
            found.remove();
        }
    }

    /// Notes that the entries at two positions are about to change places.
    fn exchange<const N: usize>(&mut self, entries: &[Entry<N>], a: usize, b: usize) {
        // Slots are rewritten, never taken out and put back: that could grow the table half-way through.
        let (hash_a, hash_b) = (self.hasher.hash_one(entries[a]), self.hasher.hash_one(entries[b]));
        self.rewrite(hash_a, a as u32, NOWHERE);
        self.rewrite(hash_b, b as u32, a as u32);
        self.rewrite(hash_a, NOWHERE, b as u32);
    }

    fn rewrite(&mut self, hash: u64, from: u32, to: u32) {
        if let Some(slot) = self.positions.find_mut(hash, |position| *position == from) {
            *slot = to;
        }
    }
}

#[cfg(test)]
mod tests;
