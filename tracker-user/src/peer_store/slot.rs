//! What the store keeps of one torrent, in one cache line: its hash, its figures, and up to five IPv4 peers themselves.
//! More peers, or one of IPv6, live in the shard's tables, to which the slot then has two handles.

use super::peer::Entry;
use super::pool::copy_into;
use super::run::{Bounds, Run, RunMut};
use super::tables::{Handle, Tables};
use super::view::View;
use crate::info_hash::InfoHash;
use std::num::NonZeroU8;
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// IPv4 peers that a slot has room for.
pub(super) const INLINE: usize = 5;

/// One torrent.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    pub(super) info_hash: InfoHash,
    /// Downloads completed.
    pub(super) completed: u32,
    /// When it was announced last, in seconds.
    pub(super) last_announce_secs: u32,
    pub(super) peers: Peers,
}

const _: () = assert!(size_of::<Slot>() == 64, "a slot is one cache line");

/// Where the peers of a torrent are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peers {
    /// Here: IPv4 alone.
    Inline(Inline),
    /// In the shard's tables.
    Outgrown { v4: Handle, v6: Handle },
}

/// A few IPv4 peers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inline {
    /// From the top: a bit that is set, three unused, none; see [`Inline::bounds`]. Never zero, so that the compiler finds
    /// room here for which kind of [`Peers`] it is.
    bounds: NonZeroU8,
    stamps: [u8; INLINE],
    entries: [Entry<PEER_V4_LEN>; INLINE],
}

impl Inline {
    /// Nobody.
    pub(super) const EMPTY: Self = Self {
        bounds: Self::packed(Bounds { len: 0, leechers: 0 }),
        stamps: [0; INLINE],
        entries: [[0; 6]; INLINE],
    };

    /// Two numbers up to five as one up to 36.
    const fn packed(bounds: Bounds) -> NonZeroU8 {
        match NonZeroU8::new((bounds.len * (INLINE + 1) + bounds.leechers + 1) as u8) {
            Some(packed) => packed,
            None => NonZeroU8::MAX,
        }
    }

    const fn bounds(&self) -> Bounds {
        let packed = self.bounds.get() as usize - 1;
        Bounds { len: packed / (INLINE + 1), leechers: packed % (INLINE + 1) }
    }

    /// The peers.
    pub(super) fn run(&self) -> Run<'_, PEER_V4_LEN> {
        let Bounds { len, leechers } = self.bounds();
        Run { entries: &self.entries[..len], stamps: &self.stamps[..len], leechers }
    }

    /// Changes the peers.
    pub(super) fn with_run<R>(&mut self, change: impl FnOnce(&mut RunMut<'_, PEER_V4_LEN>) -> R) -> R {
        let bounds = self.bounds();
        let mut run = RunMut { entries: &mut self.entries, stamps: &mut self.stamps, bounds };
        let result = change(&mut run);
        self.bounds = Self::packed(run.bounds);
        result
    }

    /// A copy of a run of at most [`INLINE`] peers.
    pub(super) fn of(run: Run<'_, PEER_V4_LEN>) -> Self {
        let mut inline = Self::EMPTY;
        inline.with_run(|to| copy_into(run, to));
        inline
    }
}

impl Slot {
    /// A slot of no torrent.
    pub(super) const FREE: Self = Self::new(InfoHash([0; 20]));

    /// A torrent without peers.
    pub(super) const fn new(info_hash: InfoHash) -> Self {
        Self { info_hash, completed: 0, last_announce_secs: 0, peers: Peers::Inline(Inline::EMPTY) }
    }

    /// The IPv4 peers.
    pub(super) fn v4<'a>(&'a self, tables: &'a Tables<PEER_V4_LEN>) -> View<'a, PEER_V4_LEN> {
        match &self.peers {
            Peers::Inline(inline) => View::One(inline.run()),
            Peers::Outgrown { v4, .. } => tables.view(*v4),
        }
    }

    /// The IPv6 peers.
    pub(super) fn v6<'a>(&self, tables: &'a Tables<PEER_V6_LEN>) -> View<'a, PEER_V6_LEN> {
        match self.peers {
            Peers::Inline(_) => View::EMPTY,
            Peers::Outgrown { v6, .. } => tables.view(v6),
        }
    }

    /// Where the tables have the peers of one family.
    pub(super) const fn handle<const N: usize>(&self) -> Handle {
        match self.peers {
            Peers::Inline(_) => Handle::NONE,
            Peers::Outgrown { v4, v6 } => {
                if N == PEER_V4_LEN {
                    v4
                } else {
                    v6
                }
            }
        }
    }

    /// Says where the tables have the peers of one family, of a torrent that has outgrown its slot.
    pub(super) const fn set_handle<const N: usize>(&mut self, handle: Handle) {
        if let Peers::Outgrown { v4, v6 } = &mut self.peers {
            if N == PEER_V4_LEN {
                *v4 = handle;
            } else {
                *v6 = handle;
            }
        }
    }
}

/// Slots side by side in chunks: no torrent is copied when there are more of them.
#[derive(Debug, Default)]
pub(super) struct Slots {
    chunks: Vec<Box<[Slot; CHUNK]>>,
    len: usize,
}

/// Slots that are allocated at a time.
const CHUNK: usize = 64;

impl Slots {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory behind the value itself.
    pub(super) fn memory(&self) -> usize {
        self.chunks.len() * size_of::<[Slot; CHUNK]>() + self.chunks.capacity() * size_of::<usize>()
    }

    /// Bytes that are reckoned for the torrents: at least the memory, and less for each torrent that goes.
    pub(super) fn reckoned(&self) -> usize {
        let in_reserve = self.chunks.len().min(2) * size_of::<[Slot; CHUNK]>();
        self.len * size_of::<Slot>() + in_reserve + self.chunks.capacity() * size_of::<usize>()
    }

    /// Adds a slot and returns its position.
    pub(super) fn push(&mut self, slot: Slot) -> usize {
        let position = self.len;
        if position == self.chunks.len() * CHUNK {
            self.chunks.push(Box::new([Slot::FREE; CHUNK]));
        }
        self.len += 1;
        *self.get_mut(position) = slot;
        position
    }

    /// The slot at a position.
    pub(super) fn get(&self, position: usize) -> &Slot {
        &self.chunks[position / CHUNK][position % CHUNK]
    }

    /// The slot at a position, to be changed.
    pub(super) fn get_mut(&mut self, position: usize) -> &mut Slot {
        &mut self.chunks[position / CHUNK][position % CHUNK]
    }

    /// Removes a slot; the last one takes its position. There must be one.
    pub(super) fn swap_remove(&mut self, position: usize) {
        self.len -= 1;
        *self.get_mut(position) = *self.get(self.len);
        // One chunk is kept in reserve, so that a torrent that comes and goes does not make and free one.
        if self.len + 2 * CHUNK <= self.chunks.len() * CHUNK {
            self.chunks.truncate(self.len.div_ceil(CHUNK) + usize::from(self.len > 0));
            if self.chunks.capacity() > 16 && self.chunks.len() * 4 < self.chunks.capacity() {
                self.chunks.shrink_to(self.chunks.len() * 2);
            }
        }
    }

    /// Says that there are so many, and has none of them.
    #[cfg(test)]
    pub(super) const fn pretend_len(&mut self, len: usize) {
        self.len = len;
    }

    /// The torrents from a position on.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).take(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::{INLINE, Inline, Slot, Slots};
    use crate::info_hash::InfoHash;
    use crate::peer_store::stamp::Stamp;

    #[test]
    fn a_slot_keeps_five_peers_in_their_order() {
        let mut inline = Inline::EMPTY;
        for number in 0..INLINE as u8 {
            inline.with_run(|run| run.insert([number; 6], number % 2 == 0, Stamp::from_byte(number)));
        }
        let run = inline.run();
        assert_eq!((run.entries.len(), run.leechers), (5, 2));
        for (entry, is_seeder, stamp) in run.peers() {
            assert_eq!((is_seeder, stamp.byte()), (entry[0] % 2 == 0, entry[0]));
        }
    }

    #[test]
    fn the_last_slot_takes_the_place_of_the_removed_one_and_chunks_are_given_back() {
        let mut slots = Slots::default();
        for number in 0..200_u8 {
            slots.push(Slot::new(InfoHash([number; 20])));
        }
        slots.swap_remove(3);
        assert!(slots.memory() <= slots.reckoned());
        assert_eq!((slots.get(3).info_hash, slots.len()), (InfoHash([199; 20]), 199));
        let most = slots.memory();
        while slots.len() > 0 {
            let before = slots.reckoned();
            slots.swap_remove(0);
            assert!(slots.memory() <= slots.reckoned() && slots.reckoned() < before);
        }
        assert!(slots.memory() * 2 < most);
        assert_eq!(slots.iter().count(), 0);
    }
}
