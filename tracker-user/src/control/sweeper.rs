//! When expiry has its turns: one shard at a time, evenly, so that it never takes a core for itself.

use crate::clock::Now;
use crate::peer_store::{PeerStore, Reached, Sweep};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// A walk through the whole store takes this part of the peer timeout: one minute of 45.
const WALKS_PER_TIMEOUT: u32 = 45;

/// Less than this in reserve is not worth asking for.
const WORTH_GIVING_BACK_BYTES: u64 = 16 << 20;

/// Walks the store over and over.
pub(super) struct Sweeper {
    sweep: Sweep,
    turns: Interval,
    /// The most memory that the store took since the allocator was asked for what it holds in reserve.
    most_bytes: u64,
}

impl Sweeper {
    /// A sweeper that is done with a walk in time for peers of this timeout. Must be called within a runtime.
    pub(super) fn new(peer_timeout_secs: u32) -> Self {
        let walk = Duration::from_secs(u64::from(peer_timeout_secs)) / WALKS_PER_TIMEOUT;
        let turn = (walk / PeerStore::SHARDS as u32).max(Duration::from_millis(1));
        let mut turns = interval(turn);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { sweep: Sweep::default(), turns, most_bytes: 0 }
    }

    /// Waits for the next turn.
    pub(super) async fn next_turn(&mut self) {
        self.turns.tick().await;
    }

    /// Walks one shard, giving up its lock after every step.
    pub(super) fn sweep_shard(&mut self, store: &PeerStore, now: Now) {
        let reached = loop {
            match self.sweep.step(store, now) {
                Reached::WithinShard => {}
                reached => break reached,
            }
        };
        if reached == Reached::EndOfStore {
            self.give_memory_back(store.pressure().memory_bytes);
        }
    }

    /// After a spike: what the store has freed is no longer the process's.
    fn give_memory_back(&mut self, bytes: u64) {
        self.most_bytes = self.most_bytes.max(bytes);
        if self.most_bytes > 2 * bytes && self.most_bytes - bytes > WORTH_GIVING_BACK_BYTES {
            PeerStore::give_memory_back();
            self.most_bytes = bytes;
        }
    }
}
