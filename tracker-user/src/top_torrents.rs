//! The largest swarms: a ranking of those that a walk through the store meets, and such a walk in small steps, which holds as
//! many torrents as are asked for and those of one step, and no lock. Not for a thread that answers packets.

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
    /// Leechers alone.
    Leechers,
}

impl Rank {
    /// The figure by which a swarm is compared.
    pub const fn of(self, counts: &SwarmCounts) -> u64 {
        match self {
            Self::Peers => counts.peers(),
            Self::Seeders => counts.seeders as u64,
            Self::Leechers => counts.leechers as u64,
        }
    }
}

/// The largest of the swarms that were met so far.
#[derive(Debug)]
pub struct Ranking {
    rank: Rank,
    most: usize,
    /// The smallest of them first: it makes room for a larger one.
    largest: BinaryHeap<Reverse<Ranked>>,
}

/// A walk through the store, with the largest swarms that it has met.
#[derive(Debug)]
pub struct TopTorrents {
    listing: Listing,
    ranking: Ranking,
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

impl Ranking {
    /// A ranking of the `most` largest swarms; of two of the same size the lower hash comes first, as with opentracker.
    pub const fn new(most: usize, rank: Rank) -> Self {
        Self { rank, most, largest: BinaryHeap::new() }
    }

    /// Takes a swarm in, if it has a size and is among the largest. What is in already may come again: a walk through the
    /// store shows a torrent twice where others went meanwhile.
    pub fn consider(&mut self, info_hash: InfoHash, counts: SwarmCounts) {
        let ranked = Ranked { size: self.rank.of(&counts), info_hash, counts };
        let is_larger =
            self.largest.len() < self.most || self.largest.peek().is_some_and(|smallest| smallest.0 < ranked);
        if ranked.size == 0 || !is_larger || self.largest.iter().any(|known| known.0.info_hash == info_hash) {
            return;
        }
        self.largest.push(Reverse(ranked));
        if self.largest.len() > self.most {
            self.largest.pop();
        }
    }

    /// What has been found, the largest first.
    pub fn found(self) -> Vec<(InfoHash, SwarmCounts)> {
        let ranked = self.largest.into_sorted_vec();
        ranked.into_iter().map(|Reverse(Ranked { info_hash, counts, .. })| (info_hash, counts)).collect()
    }
}

impl TopTorrents {
    /// A walk that looks for the `most` largest swarms.
    pub fn new(most: usize, rank: Rank) -> Self {
        Self { listing: Listing::default(), ranking: Ranking::new(most, rank), met: Vec::new() }
    }

    /// Looks at some hundred torrents; whether there are more to come.
    pub fn step(&mut self, store: &PeerStore) -> bool {
        let has_more = self.listing.step(store, &mut self.met);
        self.met.drain(..).for_each(|(info_hash, counts)| self.ranking.consider(info_hash, counts));
        has_more
    }

    /// What has been found, the largest first; torrents without a peer are not among them.
    pub fn found(self) -> Vec<(InfoHash, SwarmCounts)> {
        self.ranking.found()
    }
}

#[cfg(test)]
mod tests {
    use super::{Rank, Ranking, TopTorrents};
    use crate::clock::Now;
    use crate::config::types::TrackerConfig;
    use crate::info_hash::InfoHash;
    use crate::peer_store::{PeersOut, SwarmCounts};
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

    #[test]
    fn a_torrent_that_a_walk_shows_twice_is_ranked_once() {
        let mut ranking = Ranking::new(3, Rank::Leechers);
        for (number, leechers) in [(1, 5), (2, 3), (1, 5), (1, 6), (3, 1)] {
            let counts = SwarmCounts { seeders: 0, leechers, completed: 0 };
            ranking.consider(info_hash(number), counts);
        }
        let found: Vec<_> =
            ranking.found().into_iter().map(|(hash, counts)| (hash, counts.leechers)).collect();
        assert_eq!(found, [(info_hash(1), 5), (info_hash(2), 3), (info_hash(3), 1)]);
    }
}
