//! What the store may hold, and what it had to give up for that.

use super::Timeouts;

/// Everything a store is told when it is made.
#[derive(Clone, Copy, Debug)]
pub struct StoreConfig {
    /// When peers and torrents are forgotten.
    pub timeouts: Timeouts,
    /// What the store may hold.
    pub limits: Limits,
}

/// What the store may hold. 0 always means: no limit.
///
/// A source is an IPv4 address or an IPv6 /64, since whoever has one address of a /64 has all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory for torrents and peers.
    pub max_memory_bytes: u64,
    /// Peers in all torrents.
    pub max_peers: u64,
    /// Torrents.
    pub max_torrents: u64,
    /// Torrents in which one source has peers.
    pub torrents_per_source: u32,
    /// Peers that one source has in one torrent. With [`Limits::torrents_per_source`], 0 means 1,024.
    pub ports_per_source: u16,
}

/// How hard the store presses against its [`Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Peers given up before their time to stay within the limits, since the start.
    pub evicted_peers: u64,
    /// Torrents given up before their time to stay within the limits, since the start.
    pub evicted_torrents: u64,
    /// Announces that were answered but not stored, for their source had its share, since the start.
    pub refused_by_source_limit: u64,
    /// Announces that were answered but not stored, for nothing could be given up in time, since the start.
    pub refused_for_room: u64,
    /// Bytes that torrents and peers take now.
    pub memory_bytes: u64,
    /// Bytes that they may take as they are, whatever came and went before: what [`Limits::max_memory_bytes`] bounds.
    pub reckoned_bytes: u64,
}
