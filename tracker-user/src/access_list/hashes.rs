//! Many info hashes in little memory, asked about for every announce: sorted, with an index of their first bits.

use crate::info_hash::InfoHash;

/// Hashes that share an entry of the index, on average: one byte of index for each hash, and a search that mostly stays
/// within two cache lines.
const HASHES_PER_ENTRY: u32 = 4;

/// Info hashes, sorted, each once: 20 bytes each and about one more for the index. Whoever chooses the hash that is
/// asked about cannot make a search longer than a binary search through all of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SortedHashes {
    hashes: Box<[InfoHash]>,
    /// For every value of the first bits, how many hashes have a lower one; one more entry ends the last.
    starts: Box<[u32]>,
    first_bits: u32,
}

impl SortedHashes {
    /// Takes hashes that are sorted and different; of more than 2^32, the last are lost.
    pub(super) fn of_sorted(mut hashes: Vec<InfoHash>) -> Self {
        debug_assert!(hashes.is_sorted_by(|one, next| one < next));
        hashes.truncate(u32::MAX as usize);
        let first_bits = (hashes.len() as u32 / HASHES_PER_ENTRY).checked_ilog2().unwrap_or(0);
        let mut starts = vec![0; (1 << first_bits) + 1];
        for hash in &hashes {
            starts[first_of(hash, first_bits) + 1] += 1;
        }
        let mut below = 0;
        for start in &mut starts {
            below += *start;
            *start = below;
        }
        Self { hashes: hashes.into(), starts: starts.into(), first_bits }
    }

    /// Where a hash stands among all, if it is one of them.
    pub(super) fn position(&self, hash: &InfoHash) -> Option<usize> {
        let entry = first_of(hash, self.first_bits);
        let start = *self.starts.get(entry)? as usize;
        let end = *self.starts.get(entry + 1)? as usize;
        let found = self.hashes.get(start..end)?.binary_search(hash).ok()?;
        Some(start + found)
    }

    /// Whether a hash is one of them.
    pub(super) fn contains(&self, hash: &InfoHash) -> bool {
        self.position(hash).is_some()
    }

    /// All of them, in order.
    pub(super) fn as_slice(&self) -> &[InfoHash] {
        &self.hashes
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }
}

/// The value of a hash's first bits, 32 of them at most.
fn first_of(InfoHash(hash): &InfoHash, bits: u32) -> usize {
    let first = hash.first_chunk().map_or(0, |first| u32::from_be_bytes(*first));
    first.checked_shr(u32::BITS - bits).unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use super::SortedHashes;
    use crate::info_hash::InfoHash;
    use proptest::collection::btree_set;
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    fn hash(first: u8, second: u8, last: u8) -> InfoHash {
        let mut hash = [0; 20];
        (hash[0], hash[1], hash[19]) = (first, second, last);
        InfoHash(hash)
    }

    #[test]
    fn none_contain_nothing() {
        for none in [SortedHashes::default(), SortedHashes::of_sorted(Vec::new())] {
            assert!(!none.contains(&InfoHash([0; 20])));
            assert!(!none.contains(&InfoHash([0xff; 20])));
        }
    }

    #[test]
    fn the_lowest_and_the_highest_are_found() {
        let all: Vec<_> = [InfoHash([0; 20]), InfoHash([0xff; 20])].into();
        let hashes = SortedHashes::of_sorted(all.clone());
        assert_eq!(all.iter().map(|hash| hashes.position(hash)).collect::<Vec<_>>(), [Some(0), Some(1)]);
    }

    proptest! {
        /// Of few different first bytes, so that some entries of the index are crowded and others empty.
        #[test]
        fn they_contain_what_they_were_made_of_and_nothing_else(
            members in btree_set((0..3_u8, 0..8_u8, any::<u8>()), 0..400),
            others in btree_set((0..3_u8, 0..8_u8, any::<u8>()), 0..400),
        ) {
            let sorted: Vec<_> = members.iter().map(|(a, b, c)| hash(*a, *b, *c)).collect();
            let hashes = SortedHashes::of_sorted(sorted.clone());
            prop_assert_eq!(hashes.len(), sorted.len());
            for (position, member) in sorted.iter().enumerate() {
                prop_assert_eq!(hashes.position(member), Some(position));
            }
            for other in others.difference(&members) {
                prop_assert_eq!(hashes.position(&hash(other.0, other.1, other.2)), None);
            }
        }
    }
}
