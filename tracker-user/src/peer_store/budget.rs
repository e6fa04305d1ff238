//! What the whole store holds against what it may hold. Without limits it counts nothing: the counters would be the one
//! thing that all workers write to.

use super::Totals;
use super::limits::Limits;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether something may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Admission {
    /// It may, and its room is taken.
    Granted,
    /// The store is full: something has to go first.
    Full(Scarce),
}

/// Of what there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scarce {
    /// Room for torrents.
    Torrents,
    /// Room for peers.
    Peers,
    /// Memory.
    Memory,
}

/// Memory that is left unused below the limit, for what one announce may allocate at once.
const HEADROOM: u64 = 256 << 10;

/// What the store holds and may hold.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    peers: AtomicU64,
    torrents: AtomicU64,
    memory: AtomicU64,
    pub(super) evicted_peers: AtomicU64,
    pub(super) evicted_torrents: AtomicU64,
    pub(super) refused_by_source_limit: AtomicU64,
    pub(super) refused_for_room: AtomicU64,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            limits,
            peers: zero(),
            torrents: zero(),
            memory: zero(),
            evicted_peers: zero(),
            evicted_torrents: zero(),
            refused_by_source_limit: zero(),
            refused_for_room: zero(),
        }
    }

    /// Whether memory is bounded, so that it has to be reported.
    pub(super) const fn counts_memory(&self) -> bool {
        self.limits.max_memory_bytes > 0
    }

    const fn counts(&self) -> bool {
        self.limits.max_peers > 0 || self.limits.max_torrents > 0
    }

    /// Takes room for torrents and peers, for all of them or for none.
    pub(super) fn admit(&self, torrents: u64, peers: u64) -> Admission {
        if !self.has_room(Scarce::Memory) {
            return Admission::Full(Scarce::Memory);
        }
        if !self.counts() {
            return Admission::Granted;
        }
        if !take(&self.torrents, torrents, self.limits.max_torrents) {
            return Admission::Full(Scarce::Torrents);
        }
        if !take(&self.peers, peers, self.limits.max_peers) {
            self.torrents.fetch_sub(torrents, Ordering::Relaxed);
            return Admission::Full(Scarce::Peers);
        }
        Admission::Granted
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self, scarce: Scarce) -> bool {
        let Limits { max_memory_bytes, max_peers, max_torrents, .. } = self.limits;
        let (held, headroom, most) = match scarce {
            Scarce::Torrents => (&self.torrents, 0, max_torrents),
            Scarce::Peers => (&self.peers, 0, max_peers),
            Scarce::Memory => (&self.memory, HEADROOM.min(max_memory_bytes / 16), max_memory_bytes),
        };
        most == 0 || held.load(Ordering::Relaxed) + headroom < most
    }

    /// Gives back the room of peers.
    pub(super) fn peers_gone(&self, peers: u64) {
        if peers > 0 && self.counts() {
            self.peers.fetch_sub(peers, Ordering::Relaxed);
        }
    }

    /// Gives back the room of a torrent.
    pub(super) fn torrent_gone(&self) {
        if self.counts() {
            self.torrents.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Gives back the room of a whole shard.
    pub(super) fn forgotten(&self, totals: Totals, memory: u64) {
        if self.counts() {
            self.peers.fetch_sub(totals.peers, Ordering::Relaxed);
            self.torrents.fetch_sub(totals.torrents, Ordering::Relaxed);
        }
        self.memory_changed(memory, 0);
    }

    /// Peers, torrents and bytes for which room is taken.
    #[cfg(test)]
    pub(super) fn held(&self) -> [u64; 3] {
        [&self.peers, &self.torrents, &self.memory].map(|count| count.load(Ordering::Relaxed))
    }

    /// Takes note of the memory of a shard.
    pub(super) fn memory_changed(&self, before: u64, after: u64) {
        if before != after {
            // Wrapping: less is more than 2^64 too much.
            self.memory.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        }
    }
}

/// Adds to a count unless that would exceed `most`, if that is not 0.
fn take(count: &AtomicU64, amount: u64, most: u64) -> bool {
    if amount == 0 {
        return true;
    }
    let fits = |held: u64| (most == 0 || held + amount <= most).then_some(held + amount);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Admission, Budget, Scarce};
    use crate::peer_store::Limits;

    #[test]
    fn room_is_taken_whole_or_not_at_all() {
        let budget = Budget::new(Limits { max_peers: 3, max_torrents: 2, ..Limits::default() });
        assert_eq!(budget.admit(1, 2), Admission::Granted);
        assert_eq!(budget.admit(1, 2), Admission::Full(Scarce::Peers));
        assert_eq!(budget.admit(1, 1), Admission::Granted);
        assert_eq!(budget.admit(1, 0), Admission::Full(Scarce::Torrents));
        budget.torrent_gone();
        budget.peers_gone(1);
        assert_eq!(budget.admit(1, 1), Admission::Granted);
    }

    #[test]
    fn memory_is_full_a_little_before_its_limit() {
        let budget = Budget::new(Limits { max_memory_bytes: 1600, ..Limits::default() });
        budget.memory_changed(0, 1499);
        assert_eq!(budget.admit(1, 1), Admission::Granted);
        budget.memory_changed(1499, 1500);
        assert_eq!(budget.admit(1, 1), Admission::Full(Scarce::Memory));
        budget.memory_changed(1500, 100);
        assert_eq!(budget.admit(1, 1), Admission::Granted);
    }

    #[test]
    fn without_limits_there_is_always_room() {
        let budget = Budget::new(Limits::default());
        assert_eq!(budget.admit(u64::MAX / 2, u64::MAX / 2), Admission::Granted);
        assert_eq!(budget.admit(u64::MAX / 2, u64::MAX / 2), Admission::Granted);
    }
}
