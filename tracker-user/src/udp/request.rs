//! A UDP payload as a request: lengths and numbers checked, nothing believed yet.

use crate::access_list::PeerId;
use crate::info_hash::InfoHash;
use crate::tracker::Event;
use std::ops::Range;
use tracker_common::request::{Kind, classify};
use tracker_common::verdict::Verdict;
use tracker_common::wire::{EVENT_COMPLETED, EVENT_STOPPED, INFO_HASH_LEN, MAX_SCRAPE_HASHES, request};

/// Chosen by the client; comes back as it is.
pub(super) type TransactionId = [u8; 4];

/// A request of BEP 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    Connect { transaction_id: TransactionId },
    Proven { connection_id: u64, transaction_id: TransactionId, question: Question<'a> },
}

/// What is asked by a request that must carry a connection id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question<'a> {
    Announce(AnnounceFields),
    /// Info hashes in the order asked; whole ones only.
    Scrape(&'a [[u8; INFO_HASH_LEN]]),
}

/// The fields of an announce that this tracker uses. The address field (84..88) is not believed, so not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AnnounceFields {
    pub(super) info_hash: InfoHash,
    pub(super) peer_id: PeerId,
    pub(super) bytes_left: u64,
    pub(super) event: Event,
    pub(super) peers_wanted: Option<u32>,
    pub(super) port: u16,
}

/// Reads a payload. The error is the verdict on a packet that is no request.
pub(super) fn parse(payload: &[u8]) -> Result<Request<'_>, Verdict> {
    let Some((header, _)) = payload.split_first_chunk::<{ request::HEADER_LEN }>() else {
        return Err(Verdict::TooShort);
    };
    let transaction_id = field(header, request::TRANSACTION_ID);
    let connection_id = u64::from_be_bytes(field(header, request::CONNECTION_ID));
    let action = u32::from_be_bytes(field(header, request::ACTION));
    let question = match classify(payload.len(), connection_id, action)? {
        Kind::Connect => return Ok(Request::Connect { transaction_id }),
        Kind::Announce => Question::Announce(announce_fields(payload)),
        Kind::Scrape => Question::Scrape(scrape_hashes(payload)),
    };
    Ok(Request::Proven { connection_id, transaction_id, question })
}

/// The torrent that a payload asks about, if it is a request of the kind; its connection id is not proven yet.
pub(super) fn torrent_in_question(payload: &[u8]) -> Option<InfoHash> {
    match parse(payload) {
        Ok(Request::Proven { question: Question::Announce(fields), .. }) => Some(fields.info_hash),
        Ok(Request::Proven { question: Question::Scrape([first, ..]), .. }) => Some(InfoHash(*first)),
        _ => None,
    }
}

/// BEP 41 options behind the fields are skipped: their URL data is for trackers that share a port.
fn announce_fields(announce: &[u8]) -> AnnounceFields {
    let event = match u32::from_be_bytes(field(announce, request::EVENT)) {
        EVENT_COMPLETED => Event::Completed,
        EVENT_STOPPED => Event::Stopped,
        _ => Event::Ordinary,
    };
    let peers_wanted = i32::from_be_bytes(field(announce, request::PEERS_WANTED));
    AnnounceFields {
        info_hash: InfoHash(field(announce, request::INFO_HASH)),
        peer_id: field(announce, request::PEER_ID),
        bytes_left: u64::from_be_bytes(field(announce, request::BYTES_LEFT)),
        event,
        peers_wanted: u32::try_from(peers_wanted).ok(),
        port: u16::from_be_bytes(field(announce, request::PORT)),
    }
}

/// A piece of an info hash at the end is ignored, and so is what an answer has no room for.
fn scrape_hashes(scrape: &[u8]) -> &[[u8; INFO_HASH_LEN]] {
    let hashes = scrape.get(request::SCRAPE_HASHES..).map_or(&[][..], |rest| rest.as_chunks().0);
    &hashes[..hashes.len().min(MAX_SCRAPE_HASHES)]
}

/// The bytes of one field; `range` is one of [`request`] and as long as the result.
fn field<const LEN: usize>(bytes: &[u8], range: Range<usize>) -> [u8; LEN] {
    let mut value = [0; LEN];
    if let Some(bytes) = bytes.get(range)
        && bytes.len() == LEN
    {
        value.copy_from_slice(bytes);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{AnnounceFields, Question, Request, parse};
    use crate::info_hash::InfoHash;
    use crate::tracker::Event;
    use tracker_common::verdict::Verdict;

    const CONNECT: [u8; 16] = [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 1, 2, 3, 4];

    fn announce() -> Vec<u8> {
        let mut bytes = vec![9, 8, 7, 6, 5, 4, 3, 2, 0, 0, 0, 1, 0xa, 0xb, 0xc, 0xd];
        bytes.extend([0x11; 20]); // info hash
        bytes.extend([0x22; 20]); // peer id
        bytes.extend([0; 8]); // downloaded
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 0]); // left
        bytes.extend([0; 8]); // uploaded
        bytes.extend([0, 0, 0, 2]); // event: started
        bytes.extend([203, 0, 113, 9]); // ip
        bytes.extend([0; 4]); // key
        bytes.extend([0, 0, 0, 30]); // num_want
        bytes.extend([0x1a, 0xe1]); // port
        bytes
    }

    fn fields(bytes: &[u8]) -> AnnounceFields {
        match parse(bytes) {
            Ok(Request::Proven { question: Question::Announce(fields), .. }) => fields,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_connect_is_sixteen_literal_bytes_or_more() {
        let connect = Request::Connect { transaction_id: [1, 2, 3, 4] };
        assert_eq!(parse(&CONNECT), Ok(connect));
        assert_eq!(parse(&[&CONNECT[..], &[0xff; 100]].concat()), Ok(connect));
        for length in 0..16 {
            assert_eq!(parse(&CONNECT[..length]), Err(Verdict::TooShort));
        }
    }

    #[test]
    fn a_connect_without_the_protocol_id_is_refused() {
        for position in 0..8 {
            let mut bytes = CONNECT;
            bytes[position] ^= 1;
            assert_eq!(parse(&bytes), Err(Verdict::WrongProtocolId));
        }
    }

    #[test]
    fn an_announce_is_these_literal_bytes() {
        let expected = AnnounceFields {
            info_hash: InfoHash([0x11; 20]),
            peer_id: [0x22; 20],
            bytes_left: 256,
            event: Event::Ordinary,
            peers_wanted: Some(30),
            port: 6881,
        };
        assert_eq!(
            parse(&announce()),
            Ok(Request::Proven {
                connection_id: 0x0908_0706_0504_0302,
                transaction_id: [0xa, 0xb, 0xc, 0xd],
                question: Question::Announce(expected),
            })
        );
    }

    #[test]
    fn an_announce_is_whole_from_98_bytes_on() {
        for length in 16..98 {
            assert_eq!(parse(&announce()[..length]), Err(Verdict::AnnounceTooShort), "{length} bytes");
        }
        let long = [&announce()[..], &[2, 255, b'/'], &[0xff; 1400]].concat();
        assert_eq!(fields(&long), fields(&announce()));
    }

    #[test]
    fn events_other_than_completed_and_stopped_are_ordinary() {
        for (number, event) in [
            (0, Event::Ordinary),
            (1, Event::Completed),
            (2, Event::Ordinary),
            (3, Event::Stopped),
            (4, Event::Ordinary),
            (u32::MAX, Event::Ordinary),
        ] {
            let mut bytes = announce();
            bytes[80..84].copy_from_slice(&number.to_be_bytes());
            assert_eq!(fields(&bytes).event, event, "event {number}");
        }
    }

    #[test]
    fn a_negative_number_of_peers_leaves_it_to_the_tracker() {
        for (wanted, expected) in [(-1, None), (i32::MIN, None), (0, Some(0)), (i32::MAX, Some(0x7fff_ffff))]
        {
            let mut bytes = announce();
            bytes[92..96].copy_from_slice(&wanted.to_be_bytes());
            assert_eq!(fields(&bytes).peers_wanted, expected);
        }
    }

    #[test]
    fn a_scrape_is_as_many_hashes_as_are_whole() {
        let mut bytes = announce()[..16].to_vec();
        bytes[11] = 2;
        bytes.extend((0..74 * 20).map(|n| (n / 20) as u8));
        for length in 16..bytes.len() {
            match parse(&bytes[..length]) {
                Ok(Request::Proven { question: Question::Scrape(hashes), .. }) => {
                    assert_eq!(hashes.len(), (length - 16) / 20);
                    assert!(hashes.iter().enumerate().all(|(n, hash)| *hash == [n as u8; 20]));
                }
                other => assert_eq!((other, length < 36), (Err(Verdict::ScrapeTooShort), true)),
            }
        }
    }

    #[test]
    fn an_unknown_action_is_refused() {
        for action in [3, 4, 0x0100_0000, u32::MAX] {
            let mut bytes = announce();
            bytes[8..12].copy_from_slice(&action.to_be_bytes());
            assert_eq!(parse(&bytes), Err(Verdict::UnknownAction));
        }
    }
}
