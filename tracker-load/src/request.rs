//! Requests of BEP 15 as they lie in a datagram, and what an answer to one says.

use crate::population::{Family, Peer, Population};
use std::ops::Range;
use tracker_common::wire::{
    ACTION_ANNOUNCE, ACTION_CONNECT, ACTION_ERROR, ACTION_SCRAPE, EVENT_STARTED, INFO_HASH_LEN, PEER_V4_LEN,
    PEER_V6_LEN, PROTOCOL_ID, request, response,
};

/// What every peer id begins with: whose peers these are.
const PEER_ID_PREFIX: &[u8; 8] = b"-TL0100-";
/// What a leecher has left to download.
const BYTES_LEFT: u64 = 1 << 30;
/// The longest request: a scrape of as many torrents as are answered.
pub(crate) const MAX_LEN: usize = request::SCRAPE_HASHES + 74 * INFO_HASH_LEN;

/// A connection id.
pub(crate) type ConnectionId = [u8; 8];

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Announce,
    Scrape,
    /// An announce with an id that its source was never given.
    Forged,
    /// An announce with an id whose time is over.
    Stale,
}

impl Kind {
    /// All of them, in the order in which they are counted.
    pub(crate) const ALL: [Self; 5] =
        [Self::Connect, Self::Announce, Self::Scrape, Self::Forged, Self::Stale];

    /// As it is called in a report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Announce => "announce",
            Self::Scrape => "scrape",
            Self::Forged => "forged",
            Self::Stale => "stale",
        }
    }

    /// Whether a tracker is to answer it.
    pub(crate) const fn expects_answer(self) -> bool {
        matches!(self, Self::Connect | Self::Announce | Self::Scrape)
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    /// The number of the address that it is sent from.
    pub(crate) source: u32,
    /// Whose announce it is; of a scrape, the first torrent.
    pub(crate) peer: Peer,
    /// Whether an announce is the first of its peer.
    pub(crate) is_first: bool,
}

/// What all requests have in common.
#[derive(Clone, Debug)]
pub(crate) struct Composer {
    pub(crate) population: Population,
    pub(crate) peers_wanted: i32,
    /// From 1 to 74.
    pub(crate) scrape_hashes: u64,
}

impl Composer {
    /// Writes a request and returns its length; `payload` has room for [`MAX_LEN`] bytes.
    pub(crate) fn write(
        &self,
        request: &Request,
        connection_id: ConnectionId,
        transaction_id: u32,
        payload: &mut [u8],
    ) -> usize {
        let (first, action) = match request.kind {
            Kind::Connect => (PROTOCOL_ID.to_be_bytes(), ACTION_CONNECT),
            Kind::Announce => (connection_id, ACTION_ANNOUNCE),
            Kind::Scrape => (connection_id, ACTION_SCRAPE),
            Kind::Forged => (forged(connection_id, transaction_id), ACTION_ANNOUNCE),
            Kind::Stale => (stale(connection_id), ACTION_ANNOUNCE),
        };
        put(payload, request::CONNECTION_ID, &first);
        put(payload, request::ACTION, &action.to_be_bytes());
        put(payload, request::TRANSACTION_ID, &transaction_id.to_be_bytes());
        match request.kind {
            Kind::Connect => request::HEADER_LEN,
            Kind::Scrape => self.write_hashes(request.peer.torrent, payload),
            Kind::Announce | Kind::Forged | Kind::Stale => self.write_announce(request, payload),
        }
    }

    fn write_announce(&self, request: &Request, payload: &mut [u8]) -> usize {
        let Request { peer, is_first, .. } = request;
        let payload = &mut payload[..request::ANNOUNCE_LEN];
        payload[request::INFO_HASH.start..].fill(0);
        put(payload, request::INFO_HASH, &self.population.info_hash(peer.torrent));
        let peer_id = &mut payload[request::PEER_ID];
        peer_id[..8].copy_from_slice(PEER_ID_PREFIX);
        peer_id[12..].copy_from_slice(&peer.number.to_be_bytes());
        let left = if peer.is_seeder { 0 } else { BYTES_LEFT };
        put(payload, request::BYTES_LEFT, &left.to_be_bytes());
        let event = if *is_first { EVENT_STARTED } else { 0 };
        put(payload, request::EVENT, &event.to_be_bytes());
        put(payload, request::PEERS_WANTED, &self.peers_wanted.to_be_bytes());
        put(payload, request::PORT, &peer.port.to_be_bytes());
        request::ANNOUNCE_LEN
    }

    fn write_hashes(&self, first: u64, payload: &mut [u8]) -> usize {
        let mut end = request::SCRAPE_HASHES;
        for place in 0..self.scrape_hashes {
            let torrent = (first + place) % self.population.torrents;
            put(payload, end..end + INFO_HASH_LEN, &self.population.info_hash(torrent));
            end += INFO_HASH_LEN;
        }
        end
    }
}

/// An id whose hash is wrong and whose time is right.
fn forged(mut connection_id: ConnectionId, transaction_id: u32) -> ConnectionId {
    for (byte, other) in connection_id.iter_mut().zip(transaction_id.to_be_bytes()) {
        *byte ^= other;
    }
    connection_id[4] ^= 0x55;
    connection_id
}

/// An id as opentracker-xdp gave it out eighteen minutes ago: the last byte names its time. To other trackers it is a
/// forged one.
fn stale(mut connection_id: ConnectionId) -> ConnectionId {
    connection_id[7] ^= 0x40;
    connection_id
}

fn put(payload: &mut [u8], field: Range<usize>, value: &[u8]) {
    payload[field].copy_from_slice(value);
}

/// What a datagram from the tracker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Connected(ConnectionId),
    /// With this many peers.
    Announced(u32),
    Scraped,
    /// An error response (BEP 15).
    Refused,
}

/// The transaction id of an answer.
pub(crate) fn transaction_id(answer: &[u8]) -> Option<u32> {
    answer.get(response::TRANSACTION_ID)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Reads an answer to a request of this kind and family; `None`: it is no such answer.
pub(crate) fn read_answer(kind: Kind, family: Family, answer: &[u8]) -> Option<Answer> {
    let action = u32::from_be_bytes(*answer.first_chunk()?);
    let peer_len = match family {
        Family::V4 => PEER_V4_LEN,
        Family::V6 => PEER_V6_LEN,
    };
    match (action, kind) {
        (ACTION_ERROR, _) => Some(Answer::Refused),
        (ACTION_CONNECT, Kind::Connect) => {
            let connection_id = *answer.get(response::CONNECTION_ID)?.first_chunk()?;
            Some(Answer::Connected(connection_id))
        }
        (ACTION_ANNOUNCE, Kind::Announce | Kind::Forged | Kind::Stale) => {
            let peers = answer.get(response::PEERS..)?;
            (peers.len() % peer_len == 0).then_some(Answer::Announced((peers.len() / peer_len) as u32))
        }
        (ACTION_SCRAPE, Kind::Scrape) => {
            let rows = answer.get(response::SCRAPE_ROWS..)?;
            (rows.len() % response::SCRAPE_ROW_LEN == 0).then_some(Answer::Scraped)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Composer, Kind, MAX_LEN, Request, read_answer};
    use crate::population::{Family, Peer, Population};

    const ID: [u8; 8] = [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0x87];

    fn written(kind: Kind) -> Vec<u8> {
        let population = Population { torrents: 10, seed: 1, seeders: 0.5 };
        let composer = Composer { population, peers_wanted: 30, scrape_hashes: 2 };
        let peer = Peer { number: 0x0102, torrent: 3, port: 0x1f90, is_seeder: false };
        let request = Request { kind, source: 0, peer, is_first: true };
        let mut payload = vec![0xee; MAX_LEN];
        let len = composer.write(&request, ID, 0x1122_3344, &mut payload);
        payload.truncate(len);
        payload
    }

    #[test]
    fn a_connect_has_these_bytes() {
        let expected = [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44];
        assert_eq!(written(Kind::Connect), expected);
    }

    #[test]
    fn an_announce_has_these_bytes() {
        let population = Population { torrents: 10, seed: 1, seeders: 0.5 };
        let mut expected = ID.to_vec();
        expected.extend([0, 0, 0, 1, 0x11, 0x22, 0x33, 0x44]);
        expected.extend(population.info_hash(3));
        expected.extend(b"-TL0100-\0\0\0\0\0\0\0\0\0\0\x01\x02");
        expected.extend([0; 8]);
        expected.extend([0, 0, 0, 0, 0x40, 0, 0, 0]);
        expected.extend([0; 8]);
        expected.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30, 0x1f, 0x90]);
        assert_eq!(written(Kind::Announce), expected);
        assert_eq!(expected.len(), 98);
    }

    #[test]
    fn a_scrape_has_the_hashes_of_torrents_in_a_row() {
        let population = Population { torrents: 10, seed: 1, seeders: 0.5 };
        let mut expected = ID.to_vec();
        expected.extend([0, 0, 0, 2, 0x11, 0x22, 0x33, 0x44]);
        expected.extend(population.info_hash(3));
        expected.extend(population.info_hash(4));
        assert_eq!(written(Kind::Scrape), expected);
    }

    #[test]
    fn wrong_ids_are_announces_but_for_their_ids() {
        let announce = written(Kind::Announce);
        let forged = written(Kind::Forged);
        let stale = written(Kind::Stale);
        assert_eq!(forged[8..], announce[8..]);
        assert_eq!(forged[..8], [0xb1, 0x83, 0x91, 0xe7, 0xf1, 0xa5, 0xa6, 0x87]);
        assert_eq!(stale[8..], announce[8..]);
        assert_eq!(stale[..8], [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xc7]);
    }

    #[test]
    fn an_answer_is_read_as_what_was_asked_or_not_at_all() {
        let connected = [0, 0, 0, 0, 1, 2, 3, 4, 9, 8, 7, 6, 5, 4, 3, 2];
        let id = [9, 8, 7, 6, 5, 4, 3, 2];
        let read = |kind, answer: &[u8]| read_answer(kind, Family::V4, answer);
        assert_eq!(read(Kind::Connect, &connected), Some(Answer::Connected(id)));
        assert_eq!(read(Kind::Announce, &connected), None);
        assert_eq!(read(Kind::Connect, &connected[..15]), None);
        let mut announced = vec![0, 0, 0, 1];
        announced.resize(20 + 3 * 6, 0);
        assert_eq!(read(Kind::Announce, &announced), Some(Answer::Announced(3)));
        assert_eq!(read_answer(Kind::Announce, Family::V6, &announced), Some(Answer::Announced(1)));
        announced.push(0);
        assert_eq!(read(Kind::Announce, &announced), None);
        assert_eq!(
            read(Kind::Scrape, &[0, 0, 0, 2, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            Some(Answer::Scraped)
        );
        assert_eq!(read(Kind::Scrape, &[0, 0, 0, 3, 0, 0, 0, 0, b'n', b'o']), Some(Answer::Refused));
        assert_eq!(read(Kind::Scrape, &[0, 0]), None);
    }
}
