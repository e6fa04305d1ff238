//! BEP 15 on the wire: every number, size and byte offset of the UDP tracker protocol, and nothing else.
//!
//! All integers of the protocol are big-endian. Offsets count from the first byte of the UDP payload.

use core::ops::Range;

/// First 8 bytes of a connect request (BEP 15).
pub const PROTOCOL_ID: u64 = 0x0000_0417_2710_1980;

/// Action of a connect request and of its response.
pub const ACTION_CONNECT: u32 = 0;
/// Action of an announce request and of its response.
pub const ACTION_ANNOUNCE: u32 = 1;
/// Action of a scrape request and of its response.
pub const ACTION_SCRAPE: u32 = 2;
/// Action of an error response.
pub const ACTION_ERROR: u32 = 3;

/// Event of an announce: the download has finished.
pub const EVENT_COMPLETED: u32 = 1;
/// Event of an announce: the download begins.
pub const EVENT_STARTED: u32 = 2;
/// Event of an announce: the peer leaves the swarm.
pub const EVENT_STOPPED: u32 = 3;

/// Bytes of an info hash (BEP 3; BEP 52 truncates to the same).
pub const INFO_HASH_LEN: usize = 20;
/// Bytes of a peer in an IPv4 response: address and port.
pub const PEER_V4_LEN: usize = 6;
/// Bytes of a peer in an IPv6 response: address and port.
pub const PEER_V6_LEN: usize = 18;

/// The largest UDP payload that crosses Ethernet in one IPv4 packet.
pub const MAX_PAYLOAD_V4: usize = 1472;
/// The largest UDP payload that crosses Ethernet in one IPv6 packet.
pub const MAX_PAYLOAD_V6: usize = 1452;

/// Where the fields of a request lie.
pub mod request {
    use super::Range;

    /// Connect: [`super::PROTOCOL_ID`]; every other request: the connection id.
    pub const CONNECTION_ID: Range<usize> = 0..8;
    /// One of the `ACTION_` numbers.
    pub const ACTION: Range<usize> = 8..12;
    /// Chosen by the client, comes back as it is.
    pub const TRANSACTION_ID: Range<usize> = 12..16;
    /// What every request begins with; a connect request has no more than this.
    pub const HEADER_LEN: usize = 16;

    /// Announce: info hash.
    pub const INFO_HASH: Range<usize> = 16..36;
    /// Announce: peer id.
    pub const PEER_ID: Range<usize> = 36..56;
    /// Announce: bytes left to download, 64 bits.
    pub const BYTES_LEFT: Range<usize> = 64..72;
    /// Announce: one of the `EVENT_` numbers, or an ordinary announce.
    pub const EVENT: Range<usize> = 80..84;
    /// Announce: peers wanted, signed; a negative number leaves it to the tracker.
    pub const PEERS_WANTED: Range<usize> = 92..96;
    /// Announce: the port on which the peer listens.
    pub const PORT: Range<usize> = 96..98;
    /// The shortest announce. BEP 41 options may follow it.
    pub const ANNOUNCE_LEN: usize = 98;

    /// Scrape: the first info hash; others follow without a gap.
    pub const SCRAPE_HASHES: usize = 16;
}

/// Where the fields of a response lie.
pub mod response {
    use super::Range;

    /// One of the `ACTION_` numbers.
    pub const ACTION: Range<usize> = 0..4;
    /// The request's own.
    pub const TRANSACTION_ID: Range<usize> = 4..8;

    /// Connect: the connection id.
    pub const CONNECTION_ID: Range<usize> = 8..16;
    /// A whole connect response.
    pub const CONNECT_LEN: usize = 16;

    /// Announce: seconds until the next announce.
    pub const INTERVAL: Range<usize> = 8..12;
    /// Announce: peers with bytes left to download.
    pub const LEECHERS: Range<usize> = 12..16;
    /// Announce: peers with nothing left to download.
    pub const SEEDERS: Range<usize> = 16..20;
    /// Announce: the first peer; others follow without a gap.
    pub const PEERS: usize = 20;

    /// Scrape: the first row; others follow without a gap, in the order asked.
    pub const SCRAPE_ROWS: usize = 8;
    /// A row of a scrape: seeders, completed, leechers, 4 bytes each.
    pub const SCRAPE_ROW_LEN: usize = 12;

    /// Error: text to the end of the packet.
    pub const ERROR_MESSAGE: usize = 8;
}

/// The most info hashes that one scrape is answered for: as many rows as fit an unfragmented IPv6 packet.
pub const MAX_SCRAPE_HASHES: usize = (MAX_PAYLOAD_V6 - response::SCRAPE_ROWS) / response::SCRAPE_ROW_LEN;
