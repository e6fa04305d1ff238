//! Making room in a full store: the stalest goes first, as far as a sample can tell.
//!
//! A round goes over all shards with an age that a small part of all peers (or torrents) has reached, known from a
//! sample; whoever is as old goes. Each announce that finds no room takes a few steps of the round, until one has made
//! room. Who takes them holds one shard's lock at a time, and none while waiting for the next.

use super::PeerStore;
use super::budget::Scarce;
use super::expiry::{Place, StepEnd, Walk};
use super::moment::Moment;
use super::shard::Shard;
use super::slot::Slot;
use parking_lot::Mutex;
use std::sync::atomic::Ordering;

/// Peers and torrents looked at in one step.
const STEP: usize = 256;
/// Peers and torrents that one announce looks at for it at most; a few hundred microseconds.
const BUDGET: usize = 8192;
/// Rounds that one announce begins at most: where two find nothing, others have been faster.
const ROUNDS: usize = 2;
/// Torrents of each shard that are looked at to know how old the stalest are.
const SAMPLE_PER_SHARD: usize = 4;
/// One of so many is taken for the stalest.
const STALEST: usize = 64;

/// The rounds that make room.
#[derive(Debug, Default)]
pub(super) struct Eviction {
    peers: Mutex<Option<Round>>,
    torrents: Mutex<Option<Round>>,
}

/// One round over all shards.
#[derive(Clone, Copy, Debug)]
struct Round {
    walk: Walk<'static>,
    shard: usize,
    place: Place,
}

impl Round {
    /// A round that has looked at nothing yet.
    const fn new(walk: Walk<'static>) -> Self {
        Self { walk, shard: 0, place: Place::START }
    }

    const fn is_at_start(&self) -> bool {
        self.shard == 0 && self.place.is_start()
    }
}

impl PeerStore {
    /// Removes some of the stalest peers or torrents; whether any were found.
    pub(super) fn make_room(&self, scarce: Scarce, now_secs: u32) -> bool {
        let mut round = match scarce {
            Scarce::Peers => self.eviction.peers.lock(),
            Scarce::Torrents => self.eviction.torrents.lock(),
        };
        let (mut left, mut begun) = (BUDGET, 0);
        while left > 0 {
            let mut current = match round.take() {
                Some(current) => current,
                None if begun == ROUNDS => return false,
                None => match self.begin_round(scarce, now_secs) {
                    Some(new) => new,
                    None => return false,
                },
            };
            begun += usize::from(current.is_at_start());
            let (has_removed, looked_at) = self.step_of_round(&mut current, now_secs);
            left = left.saturating_sub(looked_at);
            if current.shard < self.shards.len() {
                *round = Some(current);
            }
            if has_removed {
                return true;
            }
        }
        false
    }

    /// Takes one step, and returns whether anything was removed, and how much was looked at.
    fn step_of_round(&self, round: &mut Round, now_secs: u32) -> (bool, usize) {
        let (before, after, end) = self.with_shard(round.shard, now_secs, |shard, moment| {
            let before = shard.totals();
            let end = shard.walk(round.place, STEP, round.walk, (moment, now_secs));
            (before, shard.totals(), end)
        });
        match end {
            StepEnd::More(place) => round.place = place,
            StepEnd::Done => (round.shard, round.place) = (round.shard + 1, Place::START),
        }
        let budget = &self.rules.budget;
        budget.evicted_peers.fetch_add(before.peers - after.peers, Ordering::Relaxed);
        budget.evicted_torrents.fetch_add(before.torrents - after.torrents, Ordering::Relaxed);
        (before != after, STEP.min((before.torrents + before.peers) as usize))
    }

    /// A round with the age of the stalest; `None` in an empty store.
    fn begin_round(&self, scarce: Scarce, now_secs: u32) -> Option<Round> {
        let walk = match scarce {
            Scarce::Peers => Walk::Peers { age: self.age_of_stalest_peers(now_secs)? },
            Scarce::Torrents => {
                let mut seconds = Vec::new();
                self.sample(now_secs, |_, slot, _| seconds.push(slot.last_announce_secs));
                let rank = seconds.len().checked_sub(1)? / STALEST;
                Walk::Torrents { last_announce_secs: *seconds.select_nth_unstable(rank).1 }
            }
        };
        Some(Round::new(walk))
    }

    /// The age in ticks that one in [`STALEST`] peers has reached.
    fn age_of_stalest_peers(&self, now_secs: u32) -> Option<u32> {
        let mut ages = Vec::new();
        self.sample(now_secs, |shard, slot, moment| {
            let (v4, v6) = (slot.v4(&shard.v4).run(0), slot.v6(&shard.v6).run(0));
            let stamps = v4.peers().map(|peer| peer.2).chain(v6.peers().map(|peer| peer.2));
            ages.extend(stamps.map(|stamp| moment.window.age(stamp, moment.now_tick)));
        });
        let last = ages.len().checked_sub(1)?;
        Some(*ages.select_nth_unstable(last - last / STALEST).1)
    }

    /// Shows some torrents of all shards, or all torrents where there are few.
    fn sample(&self, now_secs: u32, mut look: impl FnMut(&Shard, &Slot, &Moment<'_>)) {
        let mut random = fastrand::Rng::new();
        for shard in 0..self.shards.len() {
            self.with_shard(shard, now_secs, |shard, moment| {
                let torrents = shard.slots.len();
                for number in 0..torrents.min(SAMPLE_PER_SHARD) {
                    let is_all = torrents <= SAMPLE_PER_SHARD;
                    let position = if is_all { number } else { random.usize(0..torrents) };
                    look(shard, shard.slots.get(position), moment);
                }
            });
        }
    }
}
