//! In how many torrents each source has peers, where that is bounded: a table of fixed size, for a source costs an attacker
//! nothing and must cost the tracker none.
//!
//! Each source counts in two places, one in each row of the table, chosen by keyed hashes; the lower of the two is taken. It is
//! never too low: sources that meet in both places are believed to have the sum of theirs. A source is refused for what
//! others have where those that it meets have, in either row, as many torrents as are allowed, less its own. With as many sources
//! as there are places in a row, it meets one other in each, with four times as many it meets four; those who have one or
//! two torrents each, as most have, then do no harm to a bound of ten or more.

use super::peer::{Entry, source_number};
use std::sync::atomic::{AtomicU32, Ordering};
use tracker_common::siphash::{Key, siphash24};

/// Places in a row at least: both rows are 32 MiB.
const LEAST_PLACES: u64 = 1 << 22;
/// Places in a row at most: both rows are 512 MiB.
const MOST_PLACES: u64 = 1 << 26;
/// Peers of the store for which there is a place in a row.
const PEERS_PER_PLACE: u64 = 4;

/// Torrents of each source.
#[derive(Debug)]
pub(super) struct SourceCounts {
    /// Both rows.
    places: Box<[AtomicU32]>,
    key: Key,
    most: u32,
}

impl SourceCounts {
    /// Nobody has peers in any torrent, and nobody may in more than `most`. The store has at most `max_peers`, if that is not 0.
    pub(super) fn new(key: Key, most: u32, max_peers: u64) -> Self {
        let wanted = (max_peers / PEERS_PER_PLACE).clamp(LEAST_PLACES, MOST_PLACES);
        let places = (0..2 * wanted.next_power_of_two()).map(|_| AtomicU32::new(0)).collect();
        Self { places, key, most }
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
        self.change(entry, |count| count.checked_sub(1));
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

    fn change<const N: usize>(&self, entry: &Entry<N>, change: impl Fn(u32) -> Option<u32>) {
        for place in self.places_of(entry) {
            // Nothing to do where the place stays as it is.
            let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, &change);
        }
    }

    fn places_of<const N: usize>(&self, entry: &Entry<N>) -> [&AtomicU32; 2] {
        let hash = siphash24(self.key, [source_number(entry), N as u64, 0]) as usize;
        let half = self.places.len() / 2;
        [&self.places[hash % half], &self.places[half + (hash >> 32) % half]]
    }
}

#[cfg(test)]
mod tests {
    use super::SourceCounts;

    #[test]
    fn a_source_may_enter_as_many_torrents_as_it_is_allowed() {
        let counts = SourceCounts::new([1, 2], 3, 0);
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
        let counts = SourceCounts::new([1, 2], 1, 0);
        counts.leave(&[7; 18]);
        assert!(counts.may_enter(&[7; 18]));
        counts.enter(&[7; 18]);
        assert!(!counts.may_enter(&[7; 18]));
    }

    #[test]
    fn a_source_that_was_in_more_torrents_than_two_bytes_count_is_free_when_it_has_left_them() {
        let counts = SourceCounts::new([1, 2], 70_000, 0);
        (0..70_000).for_each(|_| counts.enter(&[7; 6]));
        assert!(!counts.may_enter(&[7; 6]));
        (0..70_000).for_each(|_| counts.leave(&[7; 6]));
        assert!(counts.is_empty());
    }

    #[test]
    fn the_table_grows_with_the_peers_that_a_store_may_have() {
        let places = |max_peers| SourceCounts::new([1, 2], 1, max_peers).places.len();
        assert_eq!([0, 1000, 50_000_000].map(places), [1 << 23, 1 << 23, 1 << 25]);
    }
}
