//! The peers that are announced, and the torrents that they are in: all made from numbers and a seed, none kept.

use std::ops::Range;
use tracker_common::wire::INFO_HASH_LEN;

/// The lowest port on which a peer says that it listens.
const FIRST_PORT: u16 = 1024;
const PORTS: u64 = 64_000;
/// Peers of one source that are announced in a row while the tracker is filled.
const RUN: u64 = 64;

/// An IP family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// All peers of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peers {
    pub(crate) family: Family,
    /// The numbers of the addresses that they announce from.
    pub(crate) sources: Range<u32>,
    pub(crate) count: u64,
}

/// All peers and torrents.
#[derive(Clone, Debug)]
pub(crate) struct Population {
    pub(crate) torrents: u64,
    /// From which hashes, ports and parts are made.
    pub(crate) seed: u64,
    /// The share of the peers that have everything, from 0 to 1.
    pub(crate) seeders: f64,
}

/// One peer in one torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its number among the peers of its family.
    pub(crate) number: u64,
    /// The number of its torrent.
    pub(crate) torrent: u64,
    /// On which it listens.
    pub(crate) port: u16,
    pub(crate) is_seeder: bool,
}

impl Peers {
    /// The source of a peer.
    pub(crate) fn source(&self, number: u64) -> u32 {
        self.sources.start + (number % self.source_count()) as u32
    }

    /// A peer of a source, drawn with a random number.
    pub(crate) fn of_source(&self, source: u32, random: u64) -> u64 {
        let place = u64::from(source - self.sources.start);
        let of_this_source = (self.count - place).div_ceil(self.source_count());
        place + random % of_this_source * self.source_count()
    }

    /// Every peer once, some of one source in a row and then some of the next.
    pub(crate) fn in_runs(&self) -> impl Iterator<Item = u64> + use<> {
        let (count, sources) = (self.count, self.source_count());
        let rows = count.div_ceil(sources);
        let runs = rows.div_ceil(RUN);
        let rows_of = move |run: u64| run * RUN..((run + 1) * RUN).min(rows);
        let numbers = (0..runs).flat_map(move |run| {
            (0..sources).flat_map(move |source| rows_of(run).map(move |row| row * sources + source))
        });
        numbers.filter(move |number| *number < count)
    }

    fn source_count(&self) -> u64 {
        u64::from(self.sources.end - self.sources.start).max(1)
    }
}

impl Population {
    /// The peer with this number.
    pub(crate) fn peer(&self, number: u64) -> Peer {
        let mixed = mix(self.seed ^ number);
        // 53 bits, as many as a float has.
        let drawn = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        Peer {
            number,
            torrent: number % self.torrents,
            port: FIRST_PORT + (mixed % PORTS) as u16,
            is_seeder: drawn < self.seeders,
        }
    }

    /// The info hash of a torrent: as random as a real one.
    pub(crate) fn info_hash(&self, torrent: u64) -> [u8; INFO_HASH_LEN] {
        let first = mix(self.seed.wrapping_add(torrent.wrapping_mul(3)));
        let second = mix(first ^ torrent);
        let third = mix(second);
        let mut info_hash = [0; INFO_HASH_LEN];
        info_hash[..8].copy_from_slice(&first.to_be_bytes());
        info_hash[8..16].copy_from_slice(&second.to_be_bytes());
        info_hash[16..].copy_from_slice(&third.to_be_bytes()[..4]);
        info_hash
    }
}

/// A number that looks random (the finisher of SplitMix64).
pub(crate) const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Family, Peers, Population};
    use std::collections::HashSet;

    #[test]
    fn every_peer_comes_once_in_runs_of_one_source() {
        let peers = Peers { family: Family::V4, sources: 5..8, count: 1000 };
        let numbers: Vec<u64> = peers.in_runs().collect();
        assert_eq!(numbers.len(), 1000);
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(numbers[..64].iter().all(|number| peers.source(*number) == 5));
        assert_eq!(peers.source(numbers[64]), 6);
    }

    #[test]
    fn a_peer_drawn_for_a_source_is_of_that_source() {
        let peers = Peers { family: Family::V6, sources: 3..10, count: 100 };
        for source in 3..10 {
            for random in 0..50 {
                let number = peers.of_source(source, random);
                assert!(number < 100);
                assert_eq!(peers.source(number), source);
            }
        }
    }

    #[test]
    fn torrents_have_different_hashes_and_seeders_their_share() {
        let population = Population { torrents: 1000, seed: 7, seeders: 0.25 };
        let hashes: HashSet<_> = (0..1000).map(|torrent| population.info_hash(torrent)).collect();
        assert_eq!(hashes.len(), 1000);
        let seeders = (0..10_000).filter(|number| population.peer(*number).is_seeder).count();
        assert!((2300..2700).contains(&seeders), "{seeders}");
        assert_eq!(population.peer(2017).torrent, 17);
    }
}
