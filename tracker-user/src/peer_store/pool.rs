//! Blocks of peers, all with the same room, side by side in one allocation: no header of an allocator, and no gaps, since
//! the last block moves into the place of one that is given back.
//!
//! Each block begins with its owner, the position of its torrent's slot, so that the owner of the block that moved can be
//! told.

use super::run::{Bounds, Run, RunMut};

/// The owner (4 bytes), the number of peers and of leechers (one byte each).
const HEADER: usize = 6;
/// Growing adds this part of what is there: little is unused, and little is copied.
const GROWTH: usize = 8;
/// More than this part of what is there is never unused, but for one block.
const SPARE: usize = 4;

/// A shard's blocks of one size and family.
#[derive(Debug, Default)]
pub(super) struct Pool<const N: usize> {
    bytes: Vec<u8>,
    /// Peers for which a block has room; 255 at most.
    room: u8,
}

impl<const N: usize> Pool<N> {
    /// An empty pool of blocks with this room.
    pub(super) const fn new(room: u8) -> Self {
        Self { bytes: Vec::new(), room }
    }

    const fn stride(&self) -> usize {
        HEADER + self.room as usize * (N + 1)
    }

    /// Bytes of memory behind the value itself.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes that are reckoned for its blocks: at least its memory, however it came to be, and less for each block that goes.
    pub(super) fn reckoned(&self) -> usize {
        if self.bytes.is_empty() { 0 } else { self.bytes.len() + self.most_spare() }
    }

    fn most_spare(&self) -> usize {
        (self.bytes.len() / SPARE).max(self.stride())
    }

    /// Adds an empty block and returns its number.
    pub(super) fn add(&mut self, owner: u32) -> usize {
        let (len, stride) = (self.bytes.len(), self.stride());
        let number = len / stride;
        if len + stride > self.bytes.capacity() {
            self.bytes.reserve_exact(stride * (number / GROWTH).max(1));
        }
        self.bytes.resize(len + stride, 0);
        self.set_owner(number, owner);
        number
    }

    /// Gives a block back. If another takes its number, the owner of that one is returned.
    pub(super) fn remove(&mut self, number: usize) -> Option<u32> {
        let stride = self.stride();
        let last = self.bytes.len() / stride - 1;
        let moved = if number == last {
            None
        } else {
            self.bytes.copy_within(last * stride.., number * stride);
            Some(self.owner(number))
        };
        self.bytes.truncate(last * stride);
        let spare = self.bytes.capacity() - self.bytes.len();
        if last == 0 {
            self.bytes = Vec::new();
        } else if spare > self.most_spare() {
            self.bytes.shrink_to(self.bytes.len() + self.bytes.len() / GROWTH);
        }
        moved
    }

    /// Whose block it is.
    fn owner(&self, number: usize) -> u32 {
        let at = number * self.stride();
        self.bytes[at..].first_chunk().map_or(0, |owner| u32::from_ne_bytes(*owner))
    }

    /// Says whose block it is.
    pub(super) fn set_owner(&mut self, number: usize, owner: u32) {
        let at = number * self.stride();
        self.bytes[at..at + 4].copy_from_slice(&owner.to_ne_bytes());
    }

    /// The peers of a block.
    pub(super) fn run(&self, number: usize) -> Run<'_, N> {
        let (stride, room) = (self.stride(), usize::from(self.room));
        let block = &self.bytes[number * stride..][..stride];
        let (len, leechers) = (usize::from(block[4]), usize::from(block[5]));
        let (entries, stamps) = block[HEADER..].split_at(room * N);
        Run { entries: &entries.as_chunks().0[..len], stamps: &stamps[..len], leechers }
    }

    /// Changes the peers of a block.
    pub(super) fn with_run<R>(&mut self, number: usize, change: impl FnOnce(&mut RunMut<'_, N>) -> R) -> R {
        let (stride, room) = (self.stride(), usize::from(self.room));
        let block = &mut self.bytes[number * stride..][..stride];
        let bounds = Bounds { len: usize::from(block[4]), leechers: usize::from(block[5]) };
        let (header, peers) = block.split_at_mut(HEADER);
        let (entries, stamps) = peers.split_at_mut(room * N);
        let mut run = RunMut { entries: entries.as_chunks_mut::<N>().0, stamps, bounds };
        let result = change(&mut run);
        header[4] = run.bounds.len as u8;
        header[5] = run.bounds.leechers as u8;
        result
    }

    /// Begins to load a block's first lines.
    pub(super) fn prefetch(&self, number: usize) {
        let block = &self.bytes[number * self.stride()..];
        if let Some(front) = block.first_chunk::<128>() {
            super::prefetch::read(front);
        } else if let Some(front) = block.first() {
            super::prefetch::read(front);
        }
    }
}

/// Adds a copy of a run to an empty run with enough room.
pub(super) fn copy_into<const N: usize>(from: Run<'_, N>, to: &mut RunMut<'_, N>) {
    let len = from.entries.len();
    to.entries[..len].copy_from_slice(from.entries);
    to.stamps[..len].copy_from_slice(from.stamps);
    to.bounds = Bounds { len, leechers: from.leechers };
}

#[cfg(test)]
mod tests {
    use super::Pool;
    use crate::peer_store::stamp::Stamp;

    #[test]
    fn the_last_block_moves_into_the_gap_with_its_peers_and_its_owner() {
        let mut pool = Pool::<6>::new(3);
        for owner in 0..10_u32 {
            let number = pool.add(owner);
            pool.with_run(number, |run| run.insert([owner as u8; 6], false, Stamp::default()));
        }
        assert_eq!(pool.remove(4), Some(9));
        assert_eq!(pool.run(4).entries, [[9; 6]]);
        assert_eq!(pool.remove(8), None);
        pool.set_owner(7, 77);
        assert_eq!(pool.remove(0), Some(77));
        assert_eq!((pool.run(0).entries, pool.run(0).leechers), (&[[7; 6]][..], 1));
    }

    #[test]
    fn no_more_memory_is_held_than_is_reckoned_and_less_is_reckoned_for_each_block_that_goes() {
        let mut pool = Pool::<6>::new(10);
        for number in 0..2000 {
            pool.add(number);
            assert!(pool.memory() <= pool.reckoned(), "{} of {}", pool.memory(), pool.reckoned());
        }
        for _ in 0..2000 {
            let before = pool.reckoned();
            pool.remove(0);
            assert!(pool.memory() <= pool.reckoned(), "{} of {}", pool.memory(), pool.reckoned());
            assert!(pool.reckoned() + pool.stride() <= before);
        }
        assert_eq!(pool.reckoned(), 0);
    }

    #[test]
    fn memory_comes_back_when_blocks_go() {
        let mut pool = Pool::<18>::new(100);
        for owner in 0..1000 {
            pool.add(owner);
        }
        let most = pool.memory();
        for _ in 0..1000 {
            pool.remove(0);
        }
        assert!(pool.memory() * 50 < most, "{} of {most} bytes are left", pool.memory());
    }
}
