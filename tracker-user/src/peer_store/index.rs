//! From the hash of an info hash to the position of its slot.
//!
//! Open addressing with linear probing over words of four bytes: ten bits of the hash and the position. A table of its
//! own, since those of crates do not say where an entry would lie, and that is what a batch of requests wants to know in
//! advance (see [`Index::prefetch`]), and since they double when they are full, where this one grows by a quarter.

use super::prefetch;

/// A free place. No entry is equal to it: its position is beyond the last.
const FREE: u32 = u32::MAX;
/// Bits of an entry that are its position.
const POSITION_BITS: u32 = 22;
const POSITION_MASK: u32 = (1 << POSITION_BITS) - 1;
/// The smallest table.
const MIN_PLACES: usize = 8;

/// A hash index of positions.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: Box<[u32]>,
    entries: usize,
}

/// Ten bits of the hash, which neither choose its home nor its shard.
const fn tag(hash: u64) -> u32 {
    ((hash >> 32) as u32) << POSITION_BITS
}

const fn position_of(entry: u32) -> usize {
    (entry & POSITION_MASK) as usize
}

impl Index {
    /// Bytes of memory behind the value itself.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.places)
    }

    /// Begins to load the place of a hash into the cache.
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(place) = self.places.get(self.home(hash)) {
            prefetch::read(place);
        }
    }

    /// The position of the entry with this hash for which `is_it` holds.
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        // A free place has the tag of some hashes: it must not be taken for an entry of theirs.
        let has_tag = |found: u32| found != FREE && found & !POSITION_MASK == tag(hash);
        let place = self.place(|found| has_tag(found) && is_it(position_of(found)), hash)?;
        Some(position_of(self.places[place]))
    }

    /// Adds an entry that is not there yet. `hashes` gives those of all positions before this one, in their order, for when
    /// the table grows. Returns whether there was a position left.
    pub(super) fn insert<I: Iterator<Item = u64>>(
        &mut self,
        hash: u64,
        position: usize,
        hashes: impl FnOnce() -> I,
    ) -> bool {
        if position >= POSITION_MASK as usize {
            return false;
        }
        // Four fifths full: probes stay within a cache line or two.
        if (self.entries + 1) * 5 > self.places.len() * 4 {
            self.resize((self.places.len() + self.places.len() / 4).max(MIN_PLACES), hashes());
        }
        self.put(tag(hash) | position as u32, hash);
        self.entries += 1;
        true
    }

    /// Changes the position of an entry.
    pub(super) fn relocate(&mut self, hash: u64, from: usize, to: usize) {
        if let Some(place) = self.place(|found| found == tag(hash) | from as u32, hash) {
            self.places[place] = tag(hash) | to as u32;
        }
    }

    /// Removes an entry. Those behind it move up, so that no gap cuts a probe short.
    pub(super) fn remove(&mut self, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64) {
        let Some(mut gap) = self.place(|found| found == tag(hash) | position as u32, hash) else { return };
        self.entries -= 1;
        let places = self.places.len();
        let distance = |from: usize, to: usize| if to >= from { to - from } else { to + places - from };
        let mut next = gap;
        loop {
            next = if next + 1 == places { 0 } else { next + 1 };
            let found = self.places[next];
            if found == FREE {
                break;
            }
            // It may fill the gap unless its home lies between the gap and itself.
            let home = self.home(hash_of(position_of(found)));
            if distance(home, next) >= distance(gap, next) {
                self.places[gap] = found;
                gap = next;
            }
        }
        self.places[gap] = FREE;
    }

    /// Gives memory back where less than two fifths are in use.
    pub(super) fn give_back<I: Iterator<Item = u64>>(&mut self, hashes: impl FnOnce() -> I) {
        let needed = (self.entries * 3 / 2).max(MIN_PLACES);
        if self.places.len() > MIN_PLACES && self.entries * 5 < self.places.len() * 2 {
            self.resize(needed, hashes());
        }
    }

    /// Makes a new table of all positions.
    fn resize(&mut self, places: usize, hashes: impl Iterator<Item = u64>) {
        self.places = vec![FREE; places].into_boxed_slice();
        for (position, hash) in hashes.enumerate() {
            self.put(tag(hash) | position as u32, hash);
        }
    }

    fn put(&mut self, entry: u32, hash: u64) {
        if let Some(place) = self.place(|found| found == FREE, hash) {
            self.places[place] = entry;
        }
    }

    /// The first place from the home of a hash on whose content is wanted; ends at a free one.
    fn place(&self, mut is_wanted: impl FnMut(u32) -> bool, hash: u64) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let mut place = self.home(hash);
        loop {
            let found = self.places[place];
            if is_wanted(found) {
                return Some(place);
            }
            if found == FREE {
                return None;
            }
            place = if place + 1 == self.places.len() { 0 } else { place + 1 };
        }
    }

    /// The part of the table that the lower half of the hash is of all its values.
    fn home(&self, hash: u64) -> usize {
        (((hash & 0xffff_ffff) * self.places.len() as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Index;
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    /// Hashes that meet often: few homes, few tags, among them that of a free place.
    fn hash() -> impl Strategy<Value = u64> {
        let upper_half = prop_oneof![0..3_u64, Just(0xffff_ffff)];
        let lower_half = (0..6_u64).prop_map(|home| home << 29);
        prop_oneof![(lower_half, upper_half).prop_map(|(low, high)| (high << 32) | low), any::<u64>()]
    }

    #[test]
    fn a_free_place_is_never_taken_for_an_entry() {
        let (mut index, hash) = (Index::default(), 0xffff_ffff_0000_0003);
        assert!(index.insert(5, 0, || [].into_iter()));
        assert_eq!(index.find(hash, |_| true), None);
        assert!(index.insert(hash, 1, || [5].into_iter()));
        assert_eq!(index.find(hash, |_| true), Some(1));
    }

    #[test]
    fn beyond_the_last_position_nothing_is_added() {
        let mut index = Index::default();
        assert!(!index.insert(7, (1 << 22) - 1, || [].into_iter()));
        assert_eq!(index.find(7, |_| true), None);
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_plain_list_holds(
            steps in proptest::collection::vec((hash(), any::<bool>(), 0..64_usize), 0..200),
        ) {
            let (mut index, mut hashes) = (Index::default(), Vec::<u64>::new());
            for (hash, adds, chosen) in steps {
                if adds || hashes.is_empty() {
                    index.insert(hash, hashes.len(), || hashes.iter().copied());
                    hashes.push(hash);
                } else {
                    let (position, last) = (chosen % hashes.len(), hashes.len() - 1);
                    index.remove(hashes[position], position, |other| hashes[other]);
                    if position != last {
                        index.relocate(hashes[last], last, position);
                    }
                    hashes.swap_remove(position);
                }
                index.give_back(|| hashes.iter().copied());
                for (position, hash) in hashes.iter().enumerate() {
                    prop_assert_eq!(index.find(*hash, |found| found == position), Some(position));
                }
                prop_assert_eq!(index.find(0x1_2345_6789, |_| false), None);
            }
        }
    }

    #[test]
    fn memory_is_given_back() {
        let hash_of = |position: usize| (position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut index = Index::default();
        for position in 0..10_000 {
            index.insert(hash_of(position), position, || (0..position).map(hash_of));
        }
        for position in (10..10_000).rev() {
            index.remove(hash_of(position), position, hash_of);
        }
        index.give_back(|| (0..10).map(hash_of));
        assert!(index.places.len() <= 16, "{} places kept", index.places.len());
        assert!((0..10).all(|position| index.find(hash_of(position), |found| found == position).is_some()));
    }
}
