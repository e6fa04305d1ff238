//! Making room in a full store: the stalest goes first, as far as a sample can tell.
//!
//! A round goes over all shards with a time after which all but a small part of all peers (or torrents) were heard of, known
//! from a sample; whoever was not goes. Each announce that finds no room takes a few steps of the round, until there is room
//! of the kind that it needs. Who takes them holds one shard's lock at a time, and none while waiting for the next. A round
//! that finds nothing, or has become old, gives way to one with a new sample.

use super::PeerStore;
use super::budget::Scarce;
use super::expiry::{Place, STEP, StepEnd, Walk};
use super::moment::Moment;
use super::shard::Shard;
use super::slot::Slot;
use parking_lot::Mutex;
use std::sync::atomic::Ordering;

/// Peers and torrents that one announce looks at for it at most; a few hundred microseconds.
const BUDGET: usize = 8192;
/// Rounds that one announce begins at most: where two find nothing, others have been faster.
const ROUNDS: usize = 2;
/// Ticks after which a round is given up: others are the stalest by then.
const ROUND_TICKS: u32 = 2;
/// Torrents of each shard that are looked at to know how old the stalest are.
const SAMPLE_PER_SHARD: usize = 4;
/// One of so many is taken for the stalest.
const STALEST: usize = 64;

/// The rounds that make room.
#[derive(Debug, Default)]
pub(super) struct Eviction {
    peers: Mutex<Option<Round>>,
    torrents: Mutex<Option<Round>>,
    memory: Mutex<Option<Round>>,
}

/// One round over all shards.
#[derive(Clone, Copy, Debug)]
struct Round {
    walk: Walk<'static>,
    /// When it began.
    tick: u32,
    /// The shard that it is in.
    shard: usize,
    /// Shards ahead, that one among them.
    ahead: usize,
    place: Place,
}

impl PeerStore {
    /// Removes some of the stalest peers or torrents; whether there is room then.
    pub(super) fn make_room(&self, scarce: Scarce, now_secs: u32) -> bool {
        let mut kept = match scarce {
            Scarce::Peers => self.eviction.peers.lock(),
            Scarce::Torrents => self.eviction.torrents.lock(),
            Scarce::Memory => self.eviction.memory.lock(),
        };
        let (mut left, mut begun, mut has_removed) = (BUDGET, 0, false);
        // Others may have made room meanwhile.
        while !self.rules.budget.has_room(scarce) {
            if left == 0 {
                // What finds nothing for so long may go on to do so.
                *kept = kept.take().filter(|_| has_removed);
                return false;
            }
            let is_new = |round: &Round| self.rules.ticks.at(now_secs) <= round.tick + ROUND_TICKS;
            let mut round = match kept.take().filter(is_new) {
                Some(round) => round,
                None if begun == ROUNDS => return false,
                None => match self.begin_round(scarce, now_secs) {
                    Some(round) => {
                        begun += 1;
                        round
                    }
                    None => return false,
                },
            };
            let step = self.step_of_round(&mut round, now_secs);
            has_removed |= step.has_removed;
            left = left.saturating_sub(step.looked_at);
            *kept = Some(round).filter(|round| round.ahead > 0);
        }
        true
    }

    /// Takes one step.
    fn step_of_round(&self, round: &mut Round, now_secs: u32) -> Step {
        let (before, after, end) = self.walk_in_shard(round.shard, now_secs, |shard, moment| {
            let before = shard.totals();
            let end = shard.walk(round.place, STEP, round.walk, (moment, now_secs));
            (before, shard.totals(), end)
        });
        match end {
            StepEnd::More(place) => round.place = place,
            StepEnd::Done => {
                round.shard = (round.shard + 1) % self.shards.len();
                (round.ahead, round.place) = (round.ahead - 1, Place::START);
            }
        }
        let budget = &self.rules.budget;
        budget.evicted_peers.fetch_add(before.peers - after.peers, Ordering::Relaxed);
        budget.evicted_torrents.fetch_add(before.torrents - after.torrents, Ordering::Relaxed);
        let looked_at = STEP.min((before.torrents + before.peers) as usize);
        Step { has_removed: before != after, looked_at }
    }

    /// A round for what is as stale as the stalest; `None` in an empty store.
    fn begin_round(&self, scarce: Scarce, now_secs: u32) -> Option<Round> {
        let walk = match scarce {
            Scarce::Peers | Scarce::Memory => {
                let completed_too = scarce == Scarce::Memory;
                Walk::Peers { heard_tick: self.tick_of_stalest(now_secs, completed_too)?, completed_too }
            }
            Scarce::Torrents => {
                let mut seconds = Vec::new();
                self.sample(now_secs, |_, slot, _| seconds.push(slot.last_announce_secs));
                Walk::Torrents { last_announce_secs: stalest(&mut seconds)? }
            }
        };
        // Anywhere, so that no shard is looked at more often than others where rounds are given up.
        let shard = fastrand::usize(0..self.shards.len());
        let tick = self.rules.ticks.at(now_secs);
        Some(Round { walk, tick, shard, ahead: self.shards.len(), place: Place::START })
    }

    /// The tick up to which one in [`STALEST`] peers was heard of; a torrent without peers counts as one peer where
    /// `completed_too`.
    fn tick_of_stalest(&self, now_secs: u32, completed_too: bool) -> Option<u32> {
        let mut ticks = Vec::new();
        self.sample(now_secs, |shard, slot, moment| {
            let (v4, v6) = (slot.v4(&shard.v4).run(0), slot.v6(&shard.v6).run(0));
            if completed_too && v4.entries.is_empty() && v6.entries.is_empty() {
                ticks.push(moment.ticks.at(slot.last_announce_secs));
            }
            let stamps = v4.peers().map(|peer| peer.2).chain(v6.peers().map(|peer| peer.2));
            ticks.extend(stamps.map(|stamp| moment.window.tick(stamp)));
        });
        stalest(&mut ticks)
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

/// What a step of a round has done.
#[derive(Clone, Copy, Debug)]
struct Step {
    has_removed: bool,
    /// Peers and torrents.
    looked_at: usize,
}

/// The time up to which one in [`STALEST`] were heard of.
fn stalest(times: &mut [u32]) -> Option<u32> {
    let rank = times.len().checked_sub(1)? / STALEST;
    Some(*times.select_nth_unstable(rank).1)
}
