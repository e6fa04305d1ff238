//! From the hash of an info hash to a position in a shard's array of swarms.
//!
//! Open addressing with linear probing over words of 8 bytes: half of the hash and the position. A table of its own,
//! since those of crates do not say where an entry would lie, and that is what a batch of requests wants to know in
//! advance: see [`Index::prefetch`].

use super::prefetch;

/// A free place. No entry is equal to it: its position would be beyond any array.
const FREE: u64 = u64::MAX;
/// The smallest table.
const MIN_PLACES: usize = 8;

/// A hash index of positions.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of places, or none.
    places: Box<[u64]>,
    entries: usize,
}

/// An entry: the upper half of the hash in the upper half, the position in the lower.
const fn entry(hash: u64, position: u32) -> u64 {
    (hash & !0xffff_ffff) | position as u64
}

const fn position_of(entry: u64) -> u32 {
    entry as u32
}

impl Index {
    /// Begins to load the place of a hash into the cache.
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(place) = self.places.get(self.home(hash)) {
            prefetch::read(place);
        }
    }

    /// The position of the entry with this hash for which `is_it` holds.
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        // A free place has the upper half of some hashes: it must not be taken for an entry of theirs.
        let is_entry = |found| found != FREE && entry(found, 0) == entry(hash, 0);
        let place = self.place(|found| is_entry(found) && is_it(position_of(found) as usize), hash)?;
        Some(position_of(self.places[place]) as usize)
    }

    /// Adds an entry that is not there yet. `hash_of` gives the hash at a position, for when the table grows.
    pub(super) fn insert(&mut self, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64) {
        // Three quarters full: probes stay short.
        if (self.entries + 1) * 4 > self.places.len() * 3 {
            self.resize((self.places.len() * 2).max(MIN_PLACES), &hash_of);
        }
        self.put(entry(hash, position as u32), hash);
        self.entries += 1;
    }

    /// Changes the position of an entry.
    pub(super) fn relocate(&mut self, hash: u64, from: usize, to: usize) {
        if let Some(place) = self.place(|found| found == entry(hash, from as u32), hash) {
            self.places[place] = entry(hash, to as u32);
        }
    }

    /// Removes an entry. Those behind it move up, so that no gap cuts a probe short.
    pub(super) fn remove(&mut self, hash: u64, position: usize, hash_of: impl Fn(usize) -> u64) {
        let Some(mut gap) = self.place(|found| found == entry(hash, position as u32), hash) else { return };
        self.entries -= 1;
        let mask = self.places.len() - 1;
        let mut next = gap;
        loop {
            next = (next + 1) & mask;
            let found = self.places[next];
            if found == FREE {
                break;
            }
            // It may fill the gap unless its home lies between the gap and itself.
            let home = self.home(hash_of(position_of(found) as usize));
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(gap) & mask) {
                self.places[gap] = found;
                gap = next;
            }
        }
        self.places[gap] = FREE;
    }

    /// Gives memory back where less than an eighth is in use.
    pub(super) fn give_back(&mut self, hash_of: impl Fn(usize) -> u64) {
        let needed = (self.entries * 2).next_power_of_two().max(MIN_PLACES);
        if needed * 4 <= self.places.len() {
            self.resize(needed, &hash_of);
        }
    }

    fn resize(&mut self, places: usize, hash_of: &impl Fn(usize) -> u64) {
        let old = std::mem::replace(&mut self.places, vec![FREE; places].into_boxed_slice());
        for found in old.into_iter().filter(|found| *found != FREE) {
            self.put(found, hash_of(position_of(found) as usize));
        }
    }

    fn put(&mut self, entry: u64, hash: u64) {
        if let Some(place) = self.place(|found| found == FREE, hash) {
            self.places[place] = entry;
        }
    }

    /// The first place from the home of a hash on whose content is wanted; ends at a free one.
    fn place(&self, mut is_wanted: impl FnMut(u64) -> bool, hash: u64) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut place = self.home(hash);
        loop {
            let found = self.places[place];
            if is_wanted(found) {
                return Some(place);
            }
            if found == FREE {
                return None;
            }
            place = (place + 1) & mask;
        }
    }

    /// Low bits: the upper half of the hash is compared, and chooses the shard.
    fn home(&self, hash: u64) -> usize {
        hash as usize & self.places.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::Index;
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    /// Hashes that meet often: few homes, few upper halves, among them that of a free place.
    fn hash() -> impl Strategy<Value = u64> {
        let upper_half = prop_oneof![0..3_u64, Just(0xffff_ffff)];
        prop_oneof![(0..6_u64, upper_half).prop_map(|(low, high)| (high << 32) | low), any::<u64>()]
    }

    #[test]
    fn a_free_place_is_never_taken_for_an_entry() {
        let (mut index, hash) = (Index::default(), 0xffff_ffff_0000_0003);
        index.insert(5, 0, |_| 5);
        assert_eq!(index.find(hash, |_| true), None);
        index.insert(hash, 1, |position| [5, hash][position]);
        assert_eq!(index.find(hash, |_| true), Some(1));
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_plain_list_holds(
            steps in proptest::collection::vec((hash(), any::<bool>(), 0..64_usize), 0..200),
        ) {
            let (mut index, mut hashes) = (Index::default(), Vec::<u64>::new());
            for (hash, insert, victim) in steps {
                if insert || hashes.is_empty() {
                    hashes.push(hash);
                    index.insert(hash, hashes.len() - 1, |position| hashes[position]);
                } else {
                    let (gone, last) = (victim % hashes.len(), hashes.len() - 1);
                    index.remove(hashes[gone], gone, |position| hashes[position]);
                    if gone != last {
                        index.relocate(hashes[last], last, gone);
                    }
                    hashes.swap_remove(gone);
                    index.give_back(|position| hashes[position]);
                }
                prop_assert_eq!(index.entries, hashes.len());
                for (position, hash) in hashes.iter().enumerate() {
                    prop_assert_eq!(index.find(*hash, |found| found == position), Some(position));
                }
                prop_assert_eq!(index.find(hash ^ 1 << 40, |_| true), hashes.iter().position(|other| *other == hash ^ 1 << 40));
            }
        }
    }

    #[test]
    fn memory_is_given_back() {
        let (mut index, hash_of) =
            (Index::default(), |position: usize| (position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for position in 0..10_000 {
            index.insert(hash_of(position), position, hash_of);
        }
        for position in (10..10_000).rev() {
            index.remove(hash_of(position), position, hash_of);
        }
        index.give_back(hash_of);
        assert!(index.places.len() <= 32, "{} places kept", index.places.len());
        assert!((0..10).all(|position| index.find(hash_of(position), |found| found == position).is_some()));
    }
}
