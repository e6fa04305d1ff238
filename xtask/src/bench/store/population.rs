//! Who announces what over UDP: torrents as popular as Zipf's law says, each with one peer at least, and no two peers with
//! the same address and port.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::fmt::Write;
use std::net::Ipv4Addr;
use tracker_common::siphash::siphash24;
use tracker_common::wire::INFO_HASH_LEN;

/// The exponent of Zipf's law.
const EXPONENT: f64 = 0.9;
/// Peers for each torrent on average.
const PEERS_PER_TORRENT: u32 = 5;
/// Addresses of loopback that peers announce from; those with the same address differ by their ports.
const ADDRESSES: u32 = 1 << 16;
const FIRST_PORT: u32 = 1024;

/// Everybody who announces.
pub(super) struct Population {
    /// The torrent of each peer.
    torrents: Vec<u32>,
    torrent_count: u32,
}

/// One peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) ip: Ipv4Addr,
    pub(super) port: u16,
    pub(super) torrent: u32,
}

impl Population {
    /// So many peers in a fifth as many torrents.
    pub(super) fn new(peers: u32) -> Self {
        let torrent_count = peers / PEERS_PER_TORRENT;
        let cumulated: Vec<f64> = (1..=torrent_count)
            .scan(0.0, |sum, rank| {
                *sum += f64::from(rank).powf(-EXPONENT);
                Some(*sum)
            })
            .collect();
        let all = cumulated.last().copied().unwrap_or_default();
        let mut random = SmallRng::seed_from_u64(7);
        let mut by_popularity = || {
            let drawn = random.gen_range(0.0..all);
            cumulated.partition_point(|sum| *sum < drawn) as u32
        };
        let torrents =
            (0..peers).map(|peer| if peer < torrent_count { peer } else { by_popularity() }).collect();
        Self { torrents, torrent_count }
    }

    /// How many peers there are.
    pub(super) fn len(&self) -> u32 {
        self.torrents.len() as u32
    }

    /// How many torrents there are.
    pub(super) fn torrents(&self) -> u32 {
        self.torrent_count
    }

    /// Peers in groups of different addresses; all groups have the same addresses.
    pub(super) fn rounds(&self) -> u32 {
        self.len().div_ceil(ADDRESSES)
    }

    /// The peers of the addresses with these numbers, one of each round.
    pub(super) fn peer(&self, round: u32, address: u32) -> Option<Peer> {
        let number = round * ADDRESSES + address;
        let torrent = *self.torrents.get(number as usize)?;
        let [_, _, c, d] = address.to_be_bytes();
        Some(Peer { ip: Ipv4Addr::new(127, 1, c, d), port: (FIRST_PORT + round) as u16, torrent })
    }

    /// How many addresses there are.
    pub(super) fn addresses(&self) -> u32 {
        self.len().min(ADDRESSES)
    }

    /// Every torrent's info hash, one a line in hexadecimal.
    pub(super) fn info_hashes_hex(&self) -> String {
        let mut text = String::with_capacity(self.torrent_count as usize * (2 * INFO_HASH_LEN + 1));
        for torrent in 0..self.torrent_count {
            for byte in info_hash(torrent) {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        text
    }
}

/// The info hash of a torrent's number.
pub(super) fn info_hash(torrent: u32) -> [u8; INFO_HASH_LEN] {
    let words = [0, 1, 2].map(|part| siphash24([5, 7], [u64::from(torrent), part, 0]).to_be_bytes());
    std::array::from_fn(|at| words.as_flattened()[at])
}

#[cfg(test)]
mod tests {
    use super::Population;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_peers_are_alike_and_every_torrent_has_one() {
        let population = Population::new(200_000);
        let peers: Vec<_> = (0..population.rounds())
            .flat_map(|round| (0..population.addresses()).map(move |address| (round, address)))
            .filter_map(|(round, address)| population.peer(round, address))
            .collect();
        let places: BTreeSet<_> = peers.iter().map(|peer| (peer.ip, peer.port)).collect();
        let torrents: BTreeSet<_> = peers.iter().map(|peer| peer.torrent).collect();
        assert_eq!((peers.len(), places.len(), torrents.len()), (200_000, 200_000, 40_000));
    }
}
