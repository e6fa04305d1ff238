//! The largest swarms, found by a walk through the store in small steps: at any moment it holds as many torrents as are
//! asked for and those of one step, and no lock. Not for a thread that answers packets.

use crate::info_hash::InfoHash;
use crate::peer_store::{Listing, PeerStore, SwarmCounts};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// By what swarms are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rank {
    /// Seeders and leechers together.
    #[default]
    Peers,
    /// Seeders alone.
    Seeders,
}

impl Rank {
    const fn of(self, counts: &SwarmCounts) -> u64 {
        match self {
            Self::Peers => counts.peers(),
            Self::Seeders => counts.seeders as u64,
        }
    }
}

/// A walk through the store, with the largest swarms that it has met.
#[derive(Debug)]
pub struct TopTorrents {
    listing: Listing,
    rank: Rank,
    most: usize,
    /// The smallest of them first: it makes room for a larger one.
    largest: BinaryHeap<Reverse<Ranked>>,
    /// Of the step at hand; kept for its memory.
    met: Vec<(InfoHash, SwarmCounts)>,
}

/// A swarm by its size; of two of the same size, that with the lower hash counts as the larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranked {
    size: u64,
    info_hash: InfoHash,
    counts: SwarmCounts,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.size.cmp(&other.size).then_with(|| other.info_hash.cmp(&self.info_hash))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl TopTorrents {
    /// A walk that looks for the `most` largest swarms.
    pub fn new(most: usize, rank: Rank) -> Self {
        Self { listing: Listing::default(), rank, most, largest: BinaryHeap::new(), met: Vec::new() }
    }

    /// Looks at some hundred torrents; whether there are more to come.
    pub fn step(&mut self, store: &PeerStore) -> bool {
        let has_more = self.listing.step(store, &mut self.met);
        for (info_hash, counts) in self.met.drain(..) {
            let ranked = Ranked { size: self.rank.of(&counts), info_hash, counts };
            if ranked.size == 0 {
                continue;
            }
            if self.largest.len() < self.most {
                self.largest.push(Reverse(ranked));
            } else if let Some(mut smallest) = self.largest.peek_mut()
                && smallest.0 < ranked
            {
                *smallest = Reverse(ranked);
            }
        }
        has_more
    }

    /// What has been found, the largest first; torrents without a peer are not among them.
    pub fn found(self) -> Vec<(InfoHash, SwarmCounts)> {
        let ranked = self.largest.into_sorted_vec();
        ranked.into_iter().map(|Reverse(Ranked { info_hash, counts, .. })| (info_hash, counts)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Rank, TopTorrents};
    use crate::clock::Now;
    use crate::config::types::TrackerConfig;
    use crate::info_hash::InfoHash;
    use crate::peer_store::PeersOut;
    use crate::tracker::{Announce, Event, Protocol, Tracker};
    use std::net::Ipv4Addr;

    /// Torrent `n` of `torrents` has `n % 97` seeders and, if `n` is even, one leecher.
    fn tracker(torrents: u16) -> Tracker {
        let (tracker, mut random) =
            (Tracker::new(TrackerConfig::default(), [1, 2]), fastrand::Rng::with_seed(1));
        for number in 0..torrents {
            let seeders = (1..=number % 97).map(|port| (port, 0));
            for (port, bytes_left) in seeders.chain((number % 2 == 0).then_some((1000, 1))) {
                let announce = Announce {
                    over: Protocol::Udp,
                    info_hash: info_hash(number),
                    peer: (Ipv4Addr::LOCALHOST, port).into(),
                    bytes_left,
                    event: Event::Ordinary,
                    peers_wanted: None,
                };
                let peers = &mut PeersOut::new(&mut [], &mut []);
                tracker.announce(&announce, Now::from_seconds(1), &mut random, peers);
            }
        }
        tracker
    }

    fn info_hash(number: u16) -> InfoHash {
        let mut hash = [7; 20];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        InfoHash(hash)
    }

    fn found(tracker: &Tracker, most: usize, rank: Rank) -> Vec<(InfoHash, u64)> {
        let mut top = TopTorrents::new(most, rank);
        while top.step(tracker.store()) {}
        top.found().into_iter().map(|(hash, counts)| (hash, rank.of(&counts))).collect()
    }

    #[test]
    fn the_largest_swarms_are_those_that_sorting_all_of_them_finds() {
        let tracker = tracker(2000);
        for (rank, leecher) in [(Rank::Peers, 1), (Rank::Seeders, 0)] {
            let sizes = (0..2000).map(|n| (info_hash(n), u64::from(n % 97 + (1 - n % 2) * leecher)));
            let mut expected: Vec<_> = sizes.filter(|(_, size)| *size > 0).collect();
            expected.sort_by_key(|(hash, size)| (std::cmp::Reverse(*size), *hash));
            for most in [0, 1, 10, 100, 5000] {
                let expected = &expected[..most.min(expected.len())];
                assert_eq!(found(&tracker, most, rank), expected, "{most} by {rank:?}");
            }
        }
    }
}
