//! Peers of one family side by side: entries in the form in which they are sent, leechers before seeders, and a stamp
//! for each. The one shape in which peers are kept, wherever they are kept.

use super::peer::Entry;
use super::stamp::Stamp;

/// How much of a run is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Peers.
    pub(super) len: usize,
    /// Of these, leechers: they come first.
    pub(super) leechers: usize,
}

/// Who is drawn for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// A leecher can use everyone.
    Leecher,
    /// A seeder can use leechers only.
    Seeder,
}

/// Peers to be looked at: both slices are as long as there are peers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a, const N: usize> {
    /// The peers.
    pub(super) entries: &'a [Entry<N>],
    /// A stamp each, see [`Stamp::byte`].
    pub(super) stamps: &'a [u8],
    /// How many of them are leechers.
    pub(super) leechers: usize,
}

impl<'a, const N: usize> Run<'a, N> {
    /// Nobody.
    pub(super) const EMPTY: Self = Self { entries: &[], stamps: &[], leechers: 0 };

    /// Where a peer stands.
    pub(super) fn position(&self, entry: &Entry<N>) -> Option<usize> {
        self.entries.iter().position(|other| other == entry)
    }

    /// The peers that an audience may be given.
    pub(super) fn for_audience(&self, audience: Audience) -> &'a [Entry<N>] {
        match audience {
            Audience::Leecher => self.entries,
            Audience::Seeder => &self.entries[..self.leechers],
        }
    }

    /// How many peers of the run are of this source.
    pub(super) fn of_source(&self, entry: &Entry<N>) -> usize {
        let source = super::peer::source(entry);
        self.entries.iter().filter(|other| super::peer::source(other) == source).count()
    }

    /// Every peer: its entry, whether it is a seeder, its stamp.
    pub(super) fn peers(&self) -> impl Iterator<Item = (&'a Entry<N>, bool, Stamp)> {
        let leechers = self.leechers;
        let stamps = self.stamps.iter().map(|byte| Stamp::from_byte(*byte));
        self.entries
            .iter()
            .zip(stamps)
            .enumerate()
            .map(move |(position, (entry, stamp))| (entry, position >= leechers, stamp))
    }
}

/// Peers to be changed: both slices are as long as there is room.
#[derive(Debug)]
pub(super) struct RunMut<'a, const N: usize> {
    /// Room for peers.
    pub(super) entries: &'a mut [Entry<N>],
    /// Room for their stamps.
    pub(super) stamps: &'a mut [u8],
    /// How much of it is in use.
    pub(super) bounds: Bounds,
}

impl<const N: usize> RunMut<'_, N> {
    /// The peers as they are now.
    pub(super) fn as_run(&self) -> Run<'_, N> {
        let len = self.bounds.len;
        Run { entries: &self.entries[..len], stamps: &self.stamps[..len], leechers: self.bounds.leechers }
    }

    /// The stamp of the peer at `position`.
    pub(super) fn stamp(&self, position: usize) -> Stamp {
        Stamp::from_byte(self.stamps[position])
    }

    /// Adds a peer that is not there yet. There must be room.
    pub(super) fn insert(&mut self, entry: Entry<N>, is_seeder: bool, stamp: Stamp) {
        let Bounds { len, leechers } = self.bounds;
        if is_seeder {
            self.put(len, entry, stamp);
        } else {
            // The first seeder makes room for one more leecher.
            self.copy(leechers, len);
            self.put(leechers, entry, stamp);
            self.bounds.leechers += 1;
        }
        self.bounds.len += 1;
    }

    /// Gives the peer at `position` a new stamp, and puts it among the leechers or the seeders.
    pub(super) fn renew(&mut self, position: usize, is_seeder: bool, stamp: Stamp) {
        let was_seeder = position >= self.bounds.leechers;
        self.stamps[position] = stamp.byte();
        if is_seeder && !was_seeder {
            self.bounds.leechers -= 1;
            self.swap(position, self.bounds.leechers);
        } else if !is_seeder && was_seeder {
            self.swap(position, self.bounds.leechers);
            self.bounds.leechers += 1;
        }
    }

    /// Removes the peer at `position`. Only peers behind it change their places, and come forward.
    pub(super) fn remove(&mut self, position: usize) {
        let last = self.bounds.len - 1;
        if position < self.bounds.leechers {
            self.bounds.leechers -= 1;
            self.copy(self.bounds.leechers, position);
            self.copy(last, self.bounds.leechers);
        } else {
            self.copy(last, position);
        }
        self.bounds.len = last;
    }

    /// Removes every peer for which `is_over` holds; `gone` hears of each.
    pub(super) fn remove_where(&mut self, is_over: impl Fn(Stamp) -> bool, mut gone: impl FnMut(&Entry<N>)) {
        for position in (0..self.bounds.len).rev() {
            if is_over(self.stamp(position)) {
                let entry = self.entries[position];
                self.remove(position);
                gone(&entry);
            }
        }
    }

    fn put(&mut self, position: usize, entry: Entry<N>, stamp: Stamp) {
        self.entries[position] = entry;
        self.stamps[position] = stamp.byte();
    }

    fn copy(&mut self, from: usize, to: usize) {
        if from != to {
            self.entries[to] = self.entries[from];
            self.stamps[to] = self.stamps[from];
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.entries.swap(a, b);
        self.stamps.swap(a, b);
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Entry, RunMut};
    use crate::peer_store::stamp::Stamp;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    const ROOM: usize = 12;

    fn peer(number: u8) -> Entry<6> {
        [10, 0, 0, number, 0x1a, 0xe1]
    }

    proptest! {
        #[test]
        fn a_run_holds_what_a_map_holds(
            steps in proptest::collection::vec((0..16_u8, 0..3_u8, any::<u8>()), 0..300),
        ) {
            let (mut entries, mut stamps) = ([[0; 6]; ROOM], [0; ROOM]);
            let mut run =
                RunMut { entries: &mut entries, stamps: &mut stamps, bounds: Bounds::default() };
            let mut map = BTreeMap::new();
            for (number, kind, byte) in steps {
                let (entry, stamp) = (peer(number), Stamp::from_byte(byte));
                match (run.as_run().position(&entry), kind) {
                    (Some(position), 2) => {
                        run.remove(position);
                        map.remove(&entry);
                    }
                    (Some(position), kind) => {
                        run.renew(position, kind == 1, stamp);
                        map.insert(entry, (kind == 1, byte));
                    }
                    (None, kind) if kind < 2 && map.len() < ROOM => {
                        run.insert(entry, kind == 1, stamp);
                        map.insert(entry, (kind == 1, byte));
                    }
                    (None, _) => {}
                }
                let held = run.as_run();
                let seen: BTreeMap<_, _> =
                    held.peers().map(|(entry, seeder, stamp)| (*entry, (seeder, stamp.byte()))).collect();
                prop_assert_eq!(held.entries.len(), seen.len());
                prop_assert_eq!(&seen, &map);
            }
        }
    }

    #[test]
    fn what_is_over_goes_and_the_others_stay() {
        let (mut entries, mut stamps) = ([[0; 6]; ROOM], [0; ROOM]);
        let mut run = RunMut { entries: &mut entries, stamps: &mut stamps, bounds: Bounds::default() };
        for number in 0..10 {
            run.insert(peer(number), number % 3 == 0, Stamp::from_byte(number));
        }
        let mut gone = Vec::new();
        run.remove_where(|stamp| stamp.byte() % 2 == 1, |entry| gone.push(*entry));
        gone.sort_unstable();
        assert_eq!(gone, [1, 3, 5, 7, 9].map(peer));
        assert_eq!(run.bounds, Bounds { len: 5, leechers: 3 });
        let mut left: Vec<_> = run.as_run().entries.to_vec();
        left.sort_unstable();
        assert_eq!(left, [0, 2, 4, 6, 8].map(peer));
    }
}
