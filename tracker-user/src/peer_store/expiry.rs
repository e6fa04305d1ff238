//! Forgetting what has timed out, in steps so small that no announce waits long for one.

use super::PeerStore;
use crate::clock::Now;

/// Peers and torrents looked at under one lock: some ten microseconds.
const STEP: usize = 512;

/// When peers and torrents are forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Seconds after its last announce when a peer is forgotten.
    pub peer_secs: u32,
    /// Seconds after its last announce when a torrent that has no peers is forgotten with its completed count.
    pub torrent_secs: u32,
}

/// Where a walk through one shard stands: it goes backwards, so these are the numbers still ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Swarms ahead; the last of them is the one being walked.
    pub(super) swarm: usize,
    /// Peers ahead in that swarm.
    pub(super) peer: usize,
}

impl Place {
    /// Before the first step.
    pub(super) const START: Self = Self::before(usize::MAX);

    /// The walk has finished with the swarm at `position`.
    pub(super) const fn before(position: usize) -> Self {
        Self { swarm: position, peer: usize::MAX }
    }

    /// The same place in a shard that may have shrunk since the last step.
    pub(super) fn within(self, swarms: usize) -> Self {
        if self.swarm > swarms { Self::before(swarms) } else { self }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum StepEnd {
    /// The walk goes on here.
    More(Place),
    /// The shard has been walked.
    Done,
}

/// A walk through the whole store, over and over, one step at a time.
#[derive(Debug)]
pub struct Sweep {
    shard: usize,
    place: Place,
}

/// What a step of a [`Sweep`] has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Somewhere within a shard.
    WithinShard,
    /// The end of a shard: a moment to rest.
    EndOfShard,
    /// The end of the store; the next step begins again.
    EndOfStore,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { shard: 0, place: Place::START }
    }
}

impl Sweep {
    /// Takes one step, under one lock for some ten microseconds.
    pub fn step(&mut self, store: &PeerStore, now: Now) -> Reached {
        let mut shard = store.shards[self.shard].0.lock();
        match shard.expire(self.place, STEP, &store.config.timeouts, now.seconds()) {
            StepEnd::More(place) => {
                self.place = place;
                Reached::WithinShard
            }
            StepEnd::Done => {
                self.place = Place::START;
                self.shard = (self.shard + 1) % store.shards.len();
                if self.shard == 0 { Reached::EndOfStore } else { Reached::EndOfShard }
            }
        }
    }
}
