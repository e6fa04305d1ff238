//! In how many torrents each source has peers, where that is bounded: a table of fixed size, for a source costs an attacker
//! nothing and must cost the tracker none.
//!
//! Each source counts in two places, chosen by keyed hashes; the lower of the two is taken. It is never too low: sources
//! that meet in both places are believed to have the sum of theirs.

use super::peer::{Entry, source_number};
use std::sync::atomic::{AtomicU16, Ordering};
use tracker_common::siphash::{Key, siphash24};

/// Places: 16 MiB of them, in which two million sources seldom meet twice.
const PLACES: usize = 1 << 23;

/// Torrents of each source.
#[derive(Debug)]
pub(super) struct SourceCounts {
    places: Box<[AtomicU16]>,
    key: Key,
    most: u16,
}

impl SourceCounts {
    /// Nobody has peers in any torrent, and nobody may in more than `most`.
    pub(super) fn new(key: Key, most: u32) -> Self {
        let places = (0..PLACES).map(|_| AtomicU16::new(0)).collect();
        Self { places, key, most: u16::try_from(most).unwrap_or(u16::MAX) }
    }

    /// Whether a source may have a peer in one more torrent.
    pub(super) fn may_enter<const N: usize>(&self, entry: &Entry<N>) -> bool {
        let counts = self.places_of(entry).map(|place| place.load(Ordering::Relaxed));
        counts[0].min(counts[1]) < self.most
    }

    /// Notes that a source has its first peer in a torrent.
    pub(super) fn enter<const N: usize>(&self, entry: &Entry<N>) {
        self.change(entry, |count| count.checked_add(1));
    }

    /// Notes that a source has no peer in a torrent any more.
    pub(super) fn leave<const N: usize>(&self, entry: &Entry<N>) {
        // A place that is full has lost count: it stays full, as two sources that meet there must not be set free.
        self.change(entry, |count| if count == u16::MAX { None } else { count.checked_sub(1) });
    }

    /// Nobody has peers in any torrent.
    pub(super) fn clear(&self) {
        self.places.iter().for_each(|place| place.store(0, Ordering::Relaxed));
    }

    /// Whether nobody has peers in any torrent.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.places.iter().all(|place| place.load(Ordering::Relaxed) == 0)
    }

    fn change<const N: usize>(&self, entry: &Entry<N>, change: impl Fn(u16) -> Option<u16>) {
        for place in self.places_of(entry) {
            // Nothing to do where the place stays as it is.
            let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, &change);
        }
    }

    fn places_of<const N: usize>(&self, entry: &Entry<N>) -> [&AtomicU16; 2] {
        let hash = siphash24(self.key, [source_number(entry), N as u64, 0]) as usize;
        let half = PLACES / 2;
        [&self.places[hash % half], &self.places[half + (hash >> 32) % half]]
    }
}

#[cfg(test)]
mod tests {
    use super::SourceCounts;

    #[test]
    fn a_source_may_enter_as_many_torrents_as_it_is_allowed() {
        let counts = SourceCounts::new([1, 2], 3);
        let (one, same_source, other) = ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 7, 8], [9; 6]);
        for _ in 0..3 {
            assert!(counts.may_enter(&one));
            counts.enter(&one);
        }
        assert!(!counts.may_enter(&one) && !counts.may_enter(&same_source) && counts.may_enter(&other));
        counts.leave(&same_source);
        assert!(counts.may_enter(&one));
    }

    #[test]
    fn a_source_that_leaves_more_often_than_it_came_owes_nothing() {
        let counts = SourceCounts::new([1, 2], 1);
        counts.leave(&[7; 18]);
        assert!(counts.may_enter(&[7; 18]));
        counts.enter(&[7; 18]);
        assert!(!counts.may_enter(&[7; 18]));
    }
}
