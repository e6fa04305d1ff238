//! Stores to measure: torrents as popular as Zipf's law says, each with one peer at least.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tracker_user::clock::Now;
use tracker_user::info_hash::InfoHash;
use tracker_user::peer_store::{
    Limits, PeerStore, PeersOut, Reached, Standing, StoreConfig, Sweep, Timeouts, Update,
};

/// The exponent of Zipf's law.
const EXPONENT: f64 = 0.9;
/// When all peers are heard of, in seconds.
pub(crate) const NOW_SECS: u32 = 1_000_000;

/// What is in a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Population {
    /// Torrents.
    pub(crate) torrents: u32,
    /// Peers in all of them.
    pub(crate) peers: u32,
    /// Of a hundred peers, those of IPv6.
    pub(crate) v6_percent: u32,
}

/// How many peers torrents have.
pub(crate) struct Popularity {
    cumulated: Vec<f64>,
}

impl Popularity {
    pub(crate) fn new(torrents: u32) -> Self {
        let weights = (1..=torrents).map(|rank| f64::from(rank).powf(-EXPONENT));
        let cumulated = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { cumulated: cumulated.collect() }
    }

    /// A torrent, drawn by its popularity.
    pub(crate) fn draw(&self, random: &mut fastrand::Rng) -> u32 {
        let all = self.cumulated.last().copied().unwrap_or_default();
        let drawn = random.f64() * all;
        self.cumulated.partition_point(|sum| *sum < drawn) as u32
    }
}

/// The info hash of a torrent's number.
pub(crate) fn info_hash(torrent: u32) -> InfoHash {
    let mut random = fastrand::Rng::with_seed(u64::from(torrent) + 1);
    InfoHash(std::array::from_fn(|_| random.u8(..)))
}

/// The address of a peer's number: no two have the same.
pub(crate) fn address(peer: u32, v6_percent: u32) -> SocketAddr {
    // A bijection, so that addresses are spread and none comes twice.
    let spread = peer.wrapping_mul(0x9e37_79b1);
    let port = 1024 + (spread >> 7) as u16 % 60_000;
    if peer % 100 < v6_percent {
        let [a, b, c, d] = spread.to_be_bytes();
        let ip = Ipv6Addr::from([0x20, 0x01, 0x0d, 0xb8, a, b, c, d, 1, 2, 3, 4, 5, 6, 7, 8]);
        return SocketAddr::new(IpAddr::V6(ip), port);
    }
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(spread)), port)
}

/// A store that a configuration of the tracker makes.
pub(crate) fn store() -> PeerStore {
    let timeouts = Timeouts { peer_secs: 45 * 60, torrent_secs: 24 * 60 * 60 };
    PeerStore::new(
        [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210],
        StoreConfig { timeouts, limits: Limits::default() },
    )
}

/// An announce by the peer of a number.
pub(crate) fn update(torrent: u32, peer: u32, v6_percent: u32) -> Update {
    Update {
        info_hash: info_hash(torrent),
        peer: address(peer, v6_percent),
        standing: if peer.is_multiple_of(4) { Standing::Leecher } else { Standing::Seeder },
        completed: false,
        peers_wanted: 0,
        now_secs: NOW_SECS,
    }
}

/// Fills a store: the first peer of each torrent has the torrent's number, the others come by popularity.
pub(crate) fn fill(store: &PeerStore, population: Population) {
    let popularity = Popularity::new(population.torrents);
    let mut random = fastrand::Rng::with_seed(7);
    for peer in 0..population.peers {
        let torrent = if peer < population.torrents { peer } else { popularity.draw(&mut random) };
        let update = update(torrent, peer, population.v6_percent);
        store.announce(&update, &mut random, &mut PeersOut::new(&mut [], &mut []));
    }
    let totals = store.totals();
    assert_eq!((totals.torrents, totals.peers), (population.torrents.into(), population.peers.into()));
}

/// Walks the store as the daemon does until so late, if less often.
pub(crate) fn sweep_until(store: &PeerStore, until_secs: u32) {
    for now_secs in (NOW_SECS..=until_secs).step_by(5 * 60) {
        let (mut sweep, now) = (Sweep::default(), Now::from_seconds(now_secs));
        while sweep.step(store, now) != Reached::EndOfStore {}
    }
}
