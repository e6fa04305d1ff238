//! Walks through a shard in steps so small that no announce waits long for one: forgetting what has timed out, and giving
//! up the stalest where the store is full.

use super::PeerStore;
use super::moment::Moment;
use super::shard::Shard;
use super::slot::{Peers, Slot};
use super::tables::{Handle, Tables};
use crate::clock::Now;
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// Peers and torrents looked at under one lock: a few microseconds, which whoever waits spends better
/// by trying again than asleep.
pub(super) const STEP: usize = 128;

/// When peers and torrents are forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Seconds after its last announce when a peer is forgotten; above 100, up to a fiftieth later.
    pub peer_secs: u32,
    /// Seconds after its last announce when a torrent that has no peers is forgotten with its completed count.
    pub torrent_secs: u32,
}

/// Where a walk through one shard stands: it goes backwards, so these are the numbers still ahead.
///
/// Removal moves the last torrent into the gap, and a bucket more or less is the last one: walking backwards, what moves
/// forward has been looked at already or will be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Torrents ahead; the last of them is the one being walked.
    pub(super) torrents: usize,
    /// Runs of IPv6 peers ahead in that torrent; then come those of IPv4.
    pub(super) v6: usize,
    /// Runs of IPv4 peers ahead in that torrent.
    pub(super) v4: usize,
    /// The tick at which the walk began.
    began: Option<u32>,
}

impl Place {
    pub(super) const START: Self = Self { torrents: usize::MAX, v6: usize::MAX, v4: usize::MAX, began: None };

    /// The walk has finished with the torrent at `position`.
    pub(super) const fn before(self, position: usize) -> Self {
        Self { torrents: position, v6: usize::MAX, v4: usize::MAX, ..self }
    }

    /// The same place in a shard that may have shrunk since the last step.
    pub(super) const fn within(self, torrents: usize) -> Self {
        if self.torrents > torrents { self.before(torrents) } else { self }
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

/// What a walk removes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Walk<'a> {
    /// What has timed out.
    TimedOut(&'a Timeouts),
    /// Peers that were not heard of after this tick. Torrents without peers go with them, those with completed downloads only
    /// where `completed_too`, and only if they were not announced after it either.
    Peers { heard_tick: u32, completed_too: bool },
    /// Torrents whose last announce is no later than this.
    Torrents { last_announce_secs: u32 },
}

impl Walk<'_> {
    /// The age in ticks from which on a peer goes.
    fn peer_age(&self, slot: &Slot, moment: &Moment<'_>) -> u32 {
        match self {
            Self::TimedOut(_) => moment.ticks.life(),
            Self::Peers { heard_tick, .. } => moment.now_tick.saturating_sub(*heard_tick),
            // Step by step, however many there are: what is over then has nobody left.
            Self::Torrents { last_announce_secs } if slot.last_announce_secs <= *last_announce_secs => 0,
            Self::Torrents { .. } => u32::MAX,
        }
    }
}

impl Shard {
    /// Walks backwards from `place` over about `budget` peers and torrents, and removes what the walk is for.
    pub(super) fn walk(
        &mut self,
        place: Place,
        budget: usize,
        walk: Walk<'_>,
        (moment, now_secs): (&Moment<'_>, u32),
    ) -> StepEnd {
        let began = place.began.unwrap_or(moment.now_tick);
        let mut place = Place { began: Some(began), ..place.within(self.slots.len()) };
        let mut left = budget;
        while left > 0 {
            let Some(position) = place.torrents.checked_sub(1) else {
                self.give_back();
                if matches!(walk, Walk::TimedOut(_)) {
                    // Nobody is left who was heard of before a life ago: the window moves along.
                    self.move_window(began, moment);
                }
                return StepEnd::Done;
            };
            let (v4, v6) = self.segments(position);
            (place.v4, place.v6) = (place.v4.min(v4), place.v6.min(v6));
            let age = walk.peer_age(self.slots.get(position), moment);
            if place.v6 > 0 {
                place.v6 -= 1;
                let looked_at = self.remove_aged_v6(position, place.v6, age, moment);
                // A bucket in which nobody is costs as much as one.
                left = left.saturating_sub(looked_at.max(1));
            } else if place.v4 > 0 {
                place.v4 -= 1;
                let looked_at = self.remove_aged_v4(position, place.v4, age, moment);
                left = left.saturating_sub(looked_at.max(1));
            } else {
                if self.is_over(position, walk, (moment, now_secs)) {
                    self.remove(position, moment);
                }
                place = place.before(position);
                left -= 1;
            }
        }
        StepEnd::More(place)
    }

    /// Whether a torrent whose peers have been walked is removed.
    fn is_over(&self, position: usize, walk: Walk<'_>, (moment, now_secs): (&Moment<'_>, u32)) -> bool {
        let slot = self.slots.get(position);
        let has_peers = || self.counts_at(position).peers() > 0;
        match walk {
            Walk::TimedOut(timeouts) => {
                let idle_secs = now_secs.saturating_sub(slot.last_announce_secs);
                !has_peers() && (slot.completed == 0 || idle_secs >= timeouts.torrent_secs)
            }
            Walk::Peers { heard_tick, completed_too } => {
                let is_stale = || completed_too && moment.ticks.at(slot.last_announce_secs) <= heard_tick;
                !has_peers() && (slot.completed == 0 || is_stale())
            }
            Walk::Torrents { last_announce_secs } => slot.last_announce_secs <= last_announce_secs,
        }
    }

    /// In how many runs a torrent's peers are: those of IPv4, those of IPv6. What an outgrown torrent does not have is in none.
    pub(super) fn segments(&self, position: usize) -> (usize, usize) {
        match self.slots.get(position).peers {
            Peers::Inline(_) => (1, 0),
            Peers::Outgrown { v4, v6 } => (self.v4.segments(v4), self.v6.segments(v6)),
        }
    }

    /// Removes peers of a certain age from one run, and returns how many were looked at.
    fn remove_aged_v4(&mut self, position: usize, segment: usize, age: u32, moment: &Moment<'_>) -> usize {
        let before = self.counts_at(position);
        let slot = self.slots.get_mut(position);
        if let Peers::Inline(inline) = &mut slot.peers {
            let looked_at = inline.run().entries.len();
            inline.with_run(|run| moment.remove_aged(run, age));
            self.recount(position, before, (moment.budget, 0));
            return looked_at;
        }
        let handle = slot.handle::<PEER_V4_LEN>();
        let looked_at = remove_aged(&mut self.v4, handle, (segment, age), moment);
        self.settle::<PEER_V4_LEN>(position, segment);
        self.recount(position, before, (moment.budget, 0));
        looked_at
    }

    fn remove_aged_v6(&mut self, position: usize, segment: usize, age: u32, moment: &Moment<'_>) -> usize {
        let before = self.counts_at(position);
        let handle = self.slots.get(position).handle::<PEER_V6_LEN>();
        let looked_at = remove_aged(&mut self.v6, handle, (segment, age), moment);
        self.settle::<PEER_V6_LEN>(position, segment);
        self.recount(position, before, (moment.budget, 0));
        looked_at
    }
}

fn remove_aged<const N: usize>(
    tables: &mut Tables<N>,
    handle: Handle,
    (segment, age): (usize, u32),
    moment: &Moment<'_>,
) -> usize {
    tables.with_run(handle, segment, |run| {
        let looked_at = run.bounds.len;
        moment.remove_aged(run, age);
        looked_at
    })
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
    /// Takes one step, under one lock for a few microseconds.
    pub fn step(&mut self, store: &PeerStore, now: Now) -> Reached {
        let now_secs = now.seconds();
        let end = store.walk_in_shard(self.shard, now_secs, |shard, moment| {
            let walk = Walk::TimedOut(&store.config.timeouts);
            shard.walk(self.place, STEP, walk, (moment, now_secs))
        });
        match end {
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
