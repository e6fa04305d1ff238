//! A walk over all torrents in small steps, for full scrapes: no announce waits long for one.

use super::expiry::STEP;
use super::shard::Shard;
use super::{PeerStore, SwarmCounts};
use crate::info_hash::InfoHash;

/// A walk over all torrents. Shows every torrent that is there from its start to its end.
#[derive(Debug)]
pub struct Listing {
    shard: usize,
    /// Torrents of the shard still ahead: it is walked backwards.
    ahead: usize,
}

impl Default for Listing {
    fn default() -> Self {
        Self { shard: 0, ahead: usize::MAX }
    }
}

impl Listing {
    /// Adds some torrents to `out`; whether there are more to come.
    pub fn step(&mut self, store: &PeerStore, out: &mut Vec<(InfoHash, SwarmCounts)>) -> bool {
        let Some(shard) = store.shards.get(self.shard) else { return false };
        self.ahead = shard.step(|shard| shard.list(self.ahead, STEP, out));
        if self.ahead == 0 {
            (self.shard, self.ahead) = (self.shard + 1, usize::MAX);
        }
        self.shard < store.shards.len()
    }
}

impl Shard {
    /// Adds the torrents before position `ahead` to `out`, `most` of them, and returns how many are still ahead.
    fn list(&self, ahead: usize, most: usize, out: &mut Vec<(InfoHash, SwarmCounts)>) -> usize {
        let end = ahead.min(self.slots.len());
        let start = end.saturating_sub(most);
        out.extend(
            (start..end).map(|position| (self.slots.get(position).info_hash, self.counts_at(position))),
        );
        start
    }
}
