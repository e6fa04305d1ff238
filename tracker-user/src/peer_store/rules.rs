//! The rules of a store: what it was told when it was made, in the form in which its shards ask for it.

use super::budget::Budget;
use super::expiry::Timeouts;
use super::large::BucketedBy;
use super::limits::StoreConfig;
use super::moment::Moment;
use super::source_counts::SourceCounts;
use super::stamp::{Ticks, Window};
use tracker_common::siphash::Key;

/// The rules of a store.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) ticks: Ticks,
    pub(super) timeouts: Timeouts,
    pub(super) budget: Budget,
    hashing: (Key, BucketedBy),
    sources: Option<SourceCounts>,
    ports_per_source: usize,
}

impl Rules {
    pub(super) fn new(key: Key, config: &StoreConfig) -> Self {
        let limits = config.limits;
        let counts_sources = limits.torrents_per_source > 0 || limits.ports_per_source > 0;
        let by = if counts_sources { BucketedBy::Source } else { BucketedBy::Peer };
        let sources =
            (limits.torrents_per_source > 0).then(|| SourceCounts::new(key, limits.torrents_per_source));
        Self {
            ticks: Ticks::of_timeout(config.timeouts.peer_secs),
            timeouts: config.timeouts,
            budget: Budget::new(limits),
            hashing: (key, by),
            sources,
            ports_per_source: usize::from(limits.ports_per_source),
        }
    }

    /// A moment in a shard.
    pub(super) const fn moment(&self, window: Window, now_tick: u32, heard_tick: u32) -> Moment<'_> {
        Moment {
            ticks: self.ticks,
            window,
            now_tick,
            heard_tick,
            hashing: self.hashing,
            sources: self.sources.as_ref(),
            ports_per_source: self.ports_per_source,
            budget: &self.budget,
        }
    }
}
