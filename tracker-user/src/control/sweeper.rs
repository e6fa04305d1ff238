//! When expiry has its turns: one shard at a time, evenly, so that it never takes a core for itself.

use crate::clock::Now;
use crate::peer_store::{PeerStore, Reached, Sweep};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// A walk through the whole store takes this part of the peer timeout: one minute of 45.
const WALKS_PER_TIMEOUT: u32 = 45;

/// Walks the store over and over.
pub(super) struct Sweeper {
    sweep: Sweep,
    turns: Interval,
}

impl Sweeper {
    /// A sweeper that is done with a walk in time for peers of this timeout. Must be called within a runtime.
    pub(super) fn new(peer_timeout_secs: u32) -> Self {
        let walk = Duration::from_secs(u64::from(peer_timeout_secs)) / WALKS_PER_TIMEOUT;
        let turn = (walk / PeerStore::SHARDS as u32).max(Duration::from_millis(1));
        let mut turns = interval(turn);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { sweep: Sweep::default(), turns }
    }

    /// Waits for the next turn.
    pub(super) async fn next_turn(&mut self) {
        self.turns.tick().await;
    }

    /// Walks one shard, giving up its lock after every step.
    pub(super) fn sweep_shard(&mut self, store: &PeerStore, now: Now) {
        while self.sweep.step(store, now) == Reached::WithinShard {}
    }
}
