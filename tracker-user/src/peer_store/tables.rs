//! The peers of one family of all torrents of a shard, but for those that sit in their torrent's slot: small swarms in
//! blocks of some thirty sizes, large ones in buckets. A torrent's slot has a [`Handle`] to its peers here.

use super::large::Large;
use super::moment::Moment;
use super::peer::Entry;
use super::pool::{Pool, copy_into};
use super::run::{Run, RunMut};
use super::stamp::Stamp;
use super::view::View;

/// For how many peers blocks have room. Each step is small, so that little of a block is unused.
const ROOMS: [u8; 31] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 22, 25, 28, 32, 36, 40, 45, 50, 56, 63, 71, 80,
    90, 102, 115,
];
/// The kind of a handle to a large swarm, behind those of all sizes of blocks.
const LARGE: u32 = ROOMS.len() as u32;
/// Bits of a handle below its kind.
const NUMBER_BITS: u32 = 27;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;
/// A large swarm with fewer peers than this goes back to a block: well below the size at which it left.
const SMALL_BELOW: usize = 72;

/// Where a torrent's peers of one family are: nowhere, in a block, or in a large swarm's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(u32);

impl Handle {
    /// There are none.
    pub(super) const NONE: Self = Self(u32::MAX);

    const fn new(kind: u32, number: usize) -> Self {
        Self((kind << NUMBER_BITS) | (number as u32 & NUMBER_MASK))
    }

    const fn kind(self) -> u32 {
        self.0 >> NUMBER_BITS
    }

    const fn number(self) -> usize {
        (self.0 & NUMBER_MASK) as usize
    }

    const fn is_large(self) -> bool {
        self.0 != Self::NONE.0 && self.kind() == LARGE
    }
}

/// Another torrent's peers have moved: its slot must get this handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct Moved {
    /// The position of its slot.
    pub(super) owner: u32,
    /// The new handle.
    pub(super) handle: Handle,
}

/// Where a torrent's peers are after a change, and whose peers moved for it.
pub(super) type Placed = (Handle, Option<Moved>);

/// The peers of one family.
#[derive(Debug)]
pub(super) struct Tables<const N: usize> {
    pools: [Pool<N>; ROOMS.len()],
    large: Vec<Large<N>>,
    /// Bytes of memory of all pools: known at any time, as every announce asks for it where memory is bounded.
    pool_memory: usize,
    /// Bytes that are reckoned for all pools, likewise.
    pool_reckoned: usize,
    /// Bytes of memory of all large swarms.
    large_memory: usize,
}

impl<const N: usize> Default for Tables<N> {
    fn default() -> Self {
        Self {
            pools: ROOMS.map(Pool::new),
            large: Vec::new(),
            pool_memory: 0,
            pool_reckoned: 0,
            large_memory: 0,
        }
    }
}

/// The smallest size of blocks that has room for so many peers.
fn size_for(peers: usize) -> Option<usize> {
    ROOMS.iter().position(|room| usize::from(*room) >= peers)
}

impl<const N: usize> Tables<N> {
    /// Bytes of memory behind the value itself.
    pub(super) fn memory(&self) -> usize {
        self.large_memory + self.pool_memory
    }

    /// Bytes that are reckoned for the peers, see [`Pool::reckoned`].
    pub(super) fn reckoned(&self) -> usize {
        self.large_memory + self.pool_reckoned
    }

    /// Begins to load what a handle leads to.
    pub(super) fn prefetch(&self, handle: Handle) {
        if handle == Handle::NONE {
        } else if handle.is_large() {
            super::prefetch::read(&self.large[handle.number()]);
        } else {
            self.pools[handle.kind() as usize].prefetch(handle.number());
        }
    }

    /// The peers that a handle leads to.
    pub(super) fn view(&self, handle: Handle) -> View<'_, N> {
        if handle == Handle::NONE {
            View::EMPTY
        } else if handle.is_large() {
            View::Many(&self.large[handle.number()])
        } else {
            View::One(self.pools[handle.kind() as usize].run(handle.number()))
        }
    }

    /// In how many runs the peers are that a handle leads to.
    pub(super) fn segments(&self, handle: Handle) -> usize {
        if handle == Handle::NONE { 0 } else { self.view(handle).segments() }
    }

    /// Changes the peers of one run.
    pub(super) fn with_run<R>(
        &mut self,
        handle: Handle,
        segment: usize,
        change: impl FnOnce(&mut RunMut<'_, N>) -> R,
    ) -> R {
        if handle.is_large() {
            self.large[handle.number()].with_run(segment, change)
        } else {
            self.pools[handle.kind() as usize].with_run(handle.number(), change)
        }
    }

    /// Puts a small run of peers into a block of its own.
    pub(super) fn place(&mut self, owner: u32, run: Run<'_, N>) -> Handle {
        let Some(size) = size_for(run.entries.len().max(1)) else { return Handle::NONE };
        let number = self.add_block(size, owner);
        self.pools[size].with_run(number, |to| copy_into(run, to));
        Handle::new(size as u32, number)
    }

    /// Adds a peer that is not there yet.
    pub(super) fn insert(
        &mut self,
        (handle, owner): (Handle, u32),
        (entry, is_seeder, stamp): (Entry<N>, bool, Stamp),
        moment: &Moment<'_>,
    ) -> Placed {
        let placed = self.with_room_for_one(handle, owner, moment);
        let handle = placed.0;
        // Now that whoever had timed out is gone: among them may have been the source's last.
        moment.joins(&entry, self.view(handle).run_of(&entry));
        if handle.is_large() {
            self.with_large(handle.number(), |large| {
                large.insert(entry, is_seeder, stamp);
                large.grow(moment);
            });
        } else {
            self.pools[handle.kind() as usize]
                .with_run(handle.number(), |run| run.insert(entry, is_seeder, stamp));
        }
        placed
    }

    /// Gives memory back after peers were removed from a run.
    pub(super) fn fit(&mut self, handle: Handle, owner: u32, segment: usize) -> Placed {
        if handle == Handle::NONE {
            return (handle, None);
        }
        if handle.is_large() {
            return self.fit_large(handle, owner, segment);
        }
        let len = self.view(handle).bounds().len;
        let size = handle.kind() as usize;
        if len == 0 {
            return (Handle::NONE, self.remove_block(handle));
        }
        // One size less would soon be left again.
        if size < 2 || len > usize::from(ROOMS[size - 2]) {
            return (handle, None);
        }
        self.move_to(handle, owner, size_for(len).unwrap_or(size))
    }

    /// Forgets all peers of a torrent.
    pub(super) fn remove(&mut self, handle: Handle) -> Option<Moved> {
        if handle == Handle::NONE {
            None
        } else if handle.is_large() {
            self.remove_large(handle.number())
        } else {
            self.remove_block(handle)
        }
    }

    /// Says that the slot of a torrent has another position from now on.
    pub(super) fn set_owner(&mut self, handle: Handle, owner: u32) {
        if handle == Handle::NONE {
        } else if handle.is_large() {
            self.large[handle.number()].owner = owner;
        } else {
            self.pools[handle.kind() as usize].set_owner(handle.number(), owner);
        }
    }

    fn with_room_for_one(&mut self, handle: Handle, owner: u32, moment: &Moment<'_>) -> Placed {
        if handle == Handle::NONE {
            return (self.place(owner, Run::EMPTY), None);
        }
        let size = handle.kind() as usize;
        if handle.is_large() || self.view(handle).bounds().len < usize::from(ROOMS[size]) {
            return (handle, None);
        }
        if size + 1 < ROOMS.len() {
            return self.move_to(handle, owner, size + 1);
        }
        // What has timed out goes first: a walk that has this block behind it would miss who moves to another bucket.
        self.with_run(handle, 0, |run| moment.expire(run));
        let run = self.view(handle).run(0);
        if run.entries.len() < usize::from(ROOMS[size]) {
            return (handle, None);
        }
        let large = Large::of(owner, run, moment.hashing);
        self.large_memory += large.memory() + size_of::<Large<N>>();
        let moved = self.remove_block(handle);
        self.large.push(large);
        (Handle::new(LARGE, self.large.len() - 1), moved)
    }

    fn fit_large(&mut self, handle: Handle, owner: u32, segment: usize) -> Placed {
        let number = handle.number();
        if self.large[number].bounds().len >= SMALL_BELOW {
            self.with_large(number, |large| {
                large.fit(segment);
                large.shrink();
            });
            return (handle, None);
        }
        self.move_to_block(number, owner)
    }

    /// Moves what is left of a large swarm to a block.
    fn move_to_block(&mut self, number: usize, owner: u32) -> Placed {
        let len = self.large[number].bounds().len;
        let mut handle = Handle::NONE;
        if let Some(size) = size_for(len).filter(|_| len > 0) {
            let block = self.add_block(size, owner);
            let large = &self.large[number];
            self.pools[size].with_run(block, |to| {
                for segment in 0..large.segments() {
                    for (entry, is_seeder, stamp) in large.run(segment).peers() {
                        to.insert(*entry, is_seeder, stamp);
                    }
                }
            });
            handle = Handle::new(size as u32, block);
        }
        (handle, self.remove_large(number))
    }

    fn move_to(&mut self, handle: Handle, owner: u32, size: usize) -> Placed {
        let (from, number) = (handle.kind() as usize, handle.number());
        if from == size {
            return (handle, None);
        }
        let block = self.add_block(size, owner);
        let Ok([old, new]) = self.pools.get_disjoint_mut([from, size]) else { return (handle, None) };
        new.with_run(block, |to| copy_into(old.run(number), to));
        let moved = self.remove_block(handle);
        (Handle::new(size as u32, block), moved)
    }

    fn add_block(&mut self, size: usize, owner: u32) -> usize {
        self.with_pool(size, |pool| pool.add(owner))
    }

    fn remove_block(&mut self, handle: Handle) -> Option<Moved> {
        let owner = self.with_pool(handle.kind() as usize, |pool| pool.remove(handle.number()))?;
        Some(Moved { owner, handle })
    }

    fn with_pool<R>(&mut self, size: usize, change: impl FnOnce(&mut Pool<N>) -> R) -> R {
        let pool = &mut self.pools[size];
        let before = (pool.memory(), pool.reckoned());
        let result = change(pool);
        self.pool_memory = self.pool_memory + pool.memory() - before.0;
        self.pool_reckoned = self.pool_reckoned + pool.reckoned() - before.1;
        result
    }

    fn remove_large(&mut self, number: usize) -> Option<Moved> {
        let removed = self.large.swap_remove(number);
        self.large_memory -= removed.memory() + size_of::<Large<N>>();
        let moved = self.large.get(number)?;
        Some(Moved { owner: moved.owner, handle: Handle::new(LARGE, number) })
    }

    fn with_large(&mut self, number: usize, change: impl FnOnce(&mut Large<N>)) {
        let large = &mut self.large[number];
        self.large_memory -= large.memory();
        change(large);
        self.large_memory += large.memory();
    }
}
