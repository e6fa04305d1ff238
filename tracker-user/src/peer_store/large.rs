//! A swarm too large to be searched from front to back: its peers of one family in buckets of some sixty, found by a hash.
//!
//! Linear hashing: a bucket more splits one, a bucket less joins two, so that no announce pays for the whole swarm. The
//! buckets in a row are one long run of peers: two trees of sums say where in it a bucket begins, so that a draw from a
//! random start is exactly as likely for everyone.

use super::fenwick::Fenwick;
use super::moment::Moment;
use super::peer::{Entry, source_number};
use super::run::{Audience, Bounds, Run, RunMut};
use std::mem;
use tracker_common::siphash::{Key, siphash24};

/// Peers per bucket above which there is a bucket more.
const SPLIT_ABOVE: usize = 64;
/// Peers per bucket below which there is a bucket less.
const JOIN_BELOW: usize = 32;
/// Growing adds room for this many peers, or an eighth of those that are there.
const GROWTH: usize = 8;

/// Where a peer stands: the number of its bucket and the position there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Which run of a swarm that has several.
    pub(super) segment: usize,
    /// The position in it.
    pub(super) position: usize,
}

/// By what a peer's bucket is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BucketedBy {
    /// Address and port.
    Peer,
    /// The source alone: its peers are then all in one bucket, and can be counted.
    Source,
}

/// One bucket: room for entries, behind it room for their stamps.
#[derive(Debug, Default)]
struct Bucket<const N: usize> {
    bytes: Box<[u8]>,
    len: u32,
    leechers: u32,
}

impl<const N: usize> Bucket<N> {
    fn room(&self) -> usize {
        self.bytes.len() / (N + 1)
    }

    fn run(&self) -> Run<'_, N> {
        let (entries, stamps) = self.bytes.split_at(self.room() * N);
        let len = self.len as usize;
        Run {
            entries: &entries.as_chunks().0[..len],
            stamps: &stamps[..len],
            leechers: self.leechers as usize,
        }
    }

    fn with_run<R>(&mut self, change: impl FnOnce(&mut RunMut<'_, N>) -> R) -> R {
        let room = self.room();
        let bounds = Bounds { len: self.len as usize, leechers: self.leechers as usize };
        let (entries, stamps) = self.bytes.split_at_mut(room * N);
        let mut run = RunMut { entries: entries.as_chunks_mut::<N>().0, stamps, bounds };
        let result = change(&mut run);
        (self.len, self.leechers) = (run.bounds.len as u32, run.bounds.leechers as u32);
        result
    }

    fn with_room(room: usize) -> Self {
        Self { bytes: vec![0; room * (N + 1)].into_boxed_slice(), len: 0, leechers: 0 }
    }

    /// Moves to an allocation with this room.
    fn resize(&mut self, room: usize) {
        let mut moved = Self::with_room(room);
        moved.with_run(|run| super::pool::copy_into(self.run(), run));
        *self = moved;
    }
}

/// The peers of one family in a large swarm.
#[derive(Debug)]
pub(super) struct Large<const N: usize> {
    /// The position of the torrent's slot.
    pub(super) owner: u32,
    buckets: Vec<Bucket<N>>,
    peers: Fenwick,
    leechers: Fenwick,
    bounds: Bounds,
    /// Bytes of all buckets.
    bucket_bytes: usize,
    key: Key,
    by: BucketedBy,
}

impl<const N: usize> Large<N> {
    /// A large swarm with the peers of a small one.
    pub(super) fn of(owner: u32, run: Run<'_, N>, (key, by): (Key, BucketedBy)) -> Self {
        let mut large = Self {
            owner,
            buckets: Vec::new(),
            peers: Fenwick::default(),
            leechers: Fenwick::default(),
            bounds: Bounds::default(),
            bucket_bytes: 0,
            key,
            by,
        };
        for _ in 0..run.entries.len().div_ceil(SPLIT_ABOVE).max(2) {
            large.append_bucket();
        }
        for (entry, is_seeder, stamp) in run.peers() {
            large.insert(*entry, is_seeder, stamp);
        }
        large
    }

    /// Peers and leechers in all buckets.
    pub(super) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How many buckets there are.
    pub(super) fn segments(&self) -> usize {
        self.buckets.len()
    }

    /// Bytes of memory behind the value itself.
    pub(super) fn memory(&self) -> usize {
        let directory = self.buckets.capacity() * size_of::<Bucket<N>>();
        self.bucket_bytes + directory + self.peers.memory() + self.leechers.memory()
    }

    /// The peers of one bucket.
    pub(super) fn run(&self, segment: usize) -> Run<'_, N> {
        self.buckets[segment].run()
    }

    /// Where a peer stands.
    pub(super) fn find(&self, entry: &Entry<N>) -> Option<Spot> {
        let segment = self.bucket_of(entry);
        self.buckets[segment].run().position(entry).map(|position| Spot { segment, position })
    }

    /// The bucket in which a peer is or would be.
    pub(super) fn bucket_of(&self, entry: &Entry<N>) -> usize {
        let mut words = [[0_u8; 8]; 3];
        match self.by {
            BucketedBy::Peer => words.as_flattened_mut()[..N].copy_from_slice(entry),
            BucketedBy::Source => words[0] = source_number(entry).to_le_bytes(),
        }
        let hash = siphash24(self.key, words.map(u64::from_le_bytes)) as usize;
        let buckets = self.buckets.len();
        let mask = buckets.next_power_of_two() - 1;
        // Beyond the last bucket: its upper half is not split off yet.
        if hash & mask < buckets { hash & mask } else { hash & (mask >> 1) }
    }

    /// How many peers stand in the long run before a bucket, of those that an audience may be given.
    pub(super) fn before(&self, segment: usize, audience: Audience) -> usize {
        match audience {
            Audience::Leecher => self.peers.sum_of_first(segment) as usize,
            Audience::Seeder => self.leechers.sum_of_first(segment) as usize,
        }
    }

    /// The bucket and the position there of a rank in the long run.
    pub(super) fn at(&self, rank: usize, audience: Audience) -> Spot {
        let tree = match audience {
            Audience::Leecher => &self.peers,
            Audience::Seeder => &self.leechers,
        };
        let (segment, position) = tree.find(rank as u32);
        Spot { segment, position: position as usize }
    }

    /// Adds a peer that is not there yet.
    pub(super) fn insert(&mut self, entry: Entry<N>, is_seeder: bool, stamp: super::stamp::Stamp) {
        let segment = self.bucket_of(&entry);
        let bucket = &mut self.buckets[segment];
        if bucket.len as usize == bucket.room() {
            // A bucket may have hundreds, where a source has as many ports: it is not copied for every eight of them.
            let growth = GROWTH.max(bucket.room() / 8);
            self.bucket_bytes += growth * (N + 1);
            bucket.resize(bucket.room() + growth);
        }
        self.with_run(segment, |run| run.insert(entry, is_seeder, stamp));
    }

    /// Changes the peers of one bucket.
    pub(super) fn with_run<R>(&mut self, segment: usize, change: impl FnOnce(&mut RunMut<'_, N>) -> R) -> R {
        let bucket = &mut self.buckets[segment];
        let before = (bucket.len, bucket.leechers);
        let result = bucket.with_run(change);
        let after = (bucket.len, bucket.leechers);
        self.peers.change(segment, before.0, after.0);
        self.leechers.change(segment, before.1, after.1);
        self.bounds.len = self.bounds.len + after.0 as usize - before.0 as usize;
        self.bounds.leechers = self.bounds.leechers + after.1 as usize - before.1 as usize;
        result
    }

    /// Splits a bucket where there are many peers. What has timed out in it goes first, so that a walk through the buckets
    /// misses nobody who moves behind it.
    pub(super) fn grow(&mut self, moment: &Moment<'_>) {
        if self.bounds.len <= self.buckets.len() * SPLIT_ABOVE {
            return;
        }
        let half = self.buckets.len().next_power_of_two();
        let split = if half == self.buckets.len() { 0 } else { self.buckets.len() - half / 2 };
        self.with_run(split, |run| moment.expire(run));
        if self.bounds.len <= self.buckets.len() * SPLIT_ABOVE {
            return;
        }
        let taken = mem::take(&mut self.buckets[split]);
        self.bucket_bytes -= taken.bytes.len();
        self.peers.change(split, taken.len, 0);
        self.leechers.change(split, taken.leechers, 0);
        self.append_bucket();
        for part in [split, self.buckets.len() - 1] {
            self.buckets[part] = Bucket::with_room(taken.len as usize / 2 + GROWTH / 2);
            self.bucket_bytes += self.buckets[part].bytes.len();
        }
        self.insert_all(&taken);
    }

    /// Joins two buckets where there are few peers.
    pub(super) fn shrink(&mut self) {
        while self.buckets.len() > 2 && self.bounds.len < self.buckets.len() * JOIN_BELOW {
            let last = self.buckets.len() - 1;
            let run = mem::take(&mut self.buckets[last]);
            self.peers.change(last, run.len, 0);
            self.leechers.change(last, run.leechers, 0);
            self.pop_bucket(&run);
            self.insert_all(&run);
        }
    }

    /// Gives a bucket room for what is in it, where it has room for a quarter more.
    pub(super) fn fit(&mut self, segment: usize) {
        let bucket = &mut self.buckets[segment];
        let (before, len) = (bucket.room(), bucket.len as usize);
        if before > len + len / 4 + GROWTH {
            bucket.resize(len + GROWTH / 2);
            self.bucket_bytes -= (before - bucket.room()) * (N + 1);
        }
    }

    /// Adds all peers of a bucket that was taken out.
    fn insert_all(&mut self, taken: &Bucket<N>) {
        self.bounds.len -= taken.len as usize;
        self.bounds.leechers -= taken.leechers as usize;
        for (entry, is_seeder, stamp) in taken.run().peers() {
            self.insert(*entry, is_seeder, stamp);
        }
    }

    fn append_bucket(&mut self) {
        self.buckets.push(Bucket::default());
        self.peers.push(0);
        self.leechers.push(0);
    }

    fn pop_bucket(&mut self, taken: &Bucket<N>) {
        self.bucket_bytes -= taken.bytes.len();
        self.buckets.pop();
        self.peers.pop();
        self.leechers.pop();
        if self.buckets.capacity() > 64 && self.buckets.len() * 4 < self.buckets.capacity() {
            self.buckets.shrink_to(self.buckets.len() * 2);
        }
    }
}
