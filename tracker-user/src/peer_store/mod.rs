//! Every peer of every torrent, in memory. This first cut fixes the interface; it stores nothing yet.

use crate::clock::Now;
use crate::info_hash::InfoHash;
use std::net::SocketAddr;

/// The three figures of one swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmCounts {
    /// Peers with nothing left to download.
    pub seeders: u32,
    /// Peers with bytes left to download.
    pub leechers: u32,
    /// Downloads completed since the torrent is known, once per peer.
    pub completed: u32,
}

/// What the whole store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Torrents.
    pub torrents: u64,
    /// Peers in all of them.
    pub peers: u64,
    /// Of these, seeders.
    pub seeders: u64,
    /// Completed downloads of the torrents that are known.
    pub completed: u64,
}

/// What a peer is from this announce on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has everything.
    Seeder,
    /// It lacks something.
    Leecher,
    /// It is gone.
    Stopped,
}

/// One peer's word on one torrent.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Address and port of the peer; with port 0 nothing is stored.
    pub peer: SocketAddr,
    /// What the peer is from now on.
    pub standing: Standing,
    /// Whether it says that its download has just finished.
    pub completed: bool,
    /// The most peers to hand out.
    pub peers_wanted: usize,
}

/// Room for the peers of an answer, in the form in which they are sent; a family without room gets none.
#[derive(Debug)]
pub struct PeersOut<'a> {
    v4: &'a mut [u8],
    v6: &'a mut [u8],
    v4_len: usize,
    v6_len: usize,
}

impl<'a> PeersOut<'a> {
    /// Room for as many whole peers as fit each slice: 6 bytes an IPv4 peer, 18 bytes an IPv6 peer.
    pub fn new(v4: &'a mut [u8], v6: &'a mut [u8]) -> Self {
        Self { v4, v6, v4_len: 0, v6_len: 0 }
    }

    /// The IPv4 peers: 4 bytes address, 2 bytes port, big-endian (BEP 23).
    pub fn v4(&self) -> &[u8] {
        &self.v4[..self.v4_len]
    }

    /// The IPv6 peers: 16 bytes address, 2 bytes port, big-endian (BEP 7).
    pub fn v6(&self) -> &[u8] {
        &self.v6[..self.v6_len]
    }
}

/// The store.
#[derive(Debug, Default)]
pub struct PeerStore {}

impl PeerStore {
    /// Draws peers into `peers`, then takes the update in; the counts are those afterwards.
    pub fn announce(
        &self,
        _update: &Update,
        _now: Now,
        _random: &mut fastrand::Rng,
        _peers: &mut PeersOut<'_>,
    ) -> SwarmCounts {
        SwarmCounts::default()
    }

    /// The counts of a torrent; `None` where it is unknown.
    pub fn scrape(&self, _info_hash: &InfoHash) -> Option<SwarmCounts> {
        None
    }

    /// What the whole store holds.
    pub fn totals(&self) -> Totals {
        Totals::default()
    }
}
