//! The rules of a store: what it was told when it was made, in the form in which its shards ask for it.

use super::budget::Budget;
use super::expiry::Timeouts;
use super::large::BucketedBy;
use super::limits::StoreConfig;
use super::moment::Moment;
use super::source_counts::SourceCounts;
use super::stamp::{Ticks, Window};
use tracker_common::siphash::Key;

/// Ports of one source in one torrent where its torrents are bounded and its ports are not: more than share an address
/// behind a translator, few enough to be searched in less than a microsecond. All of them are in one bucket.
const PORTS_WHERE_TORRENTS_ARE_BOUNDED: usize = 1024;

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
        let sources = (limits.torrents_per_source > 0)
            .then(|| SourceCounts::new(key, limits.torrents_per_source, limits.max_peers));
        Self {
            ticks: Ticks::of_timeout(config.timeouts.peer_secs),
            timeouts: config.timeouts,
            budget: Budget::new(limits),
            hashing: (key, by),
            sources,
            ports_per_source: match usize::from(limits.ports_per_source) {
                0 if counts_sources => PORTS_WHERE_TORRENTS_ARE_BOUNDED,
                ports => ports,
            },
        }
    }

    /// Counts no source anywhere from now on.
    pub(super) fn forget_sources(&self) {
        if let Some(sources) = &self.sources {
            sources.clear();
        }
    }

    /// Whether no source is counted anywhere.
    #[cfg(test)]
    pub(super) fn counts_no_source(&self) -> bool {
        self.sources.as_ref().is_none_or(SourceCounts::is_empty)
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
