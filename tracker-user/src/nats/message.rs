//! The messages between sites; every offset of them stands here. Integers are big-endian.
//!
//! | bytes | |
//! |---|---|
//! | 0–3 | `OTX1` |
//! | 4 | kind: 1 events, 2 state, 3 request |
//! | 5–12 | node that sends: random, another for every start |
//!
//! | kind | behind it |
//! |---|---|
//! | events | 8 bytes number of the message, from 1; 4 bytes seconds since its events were heard; records |
//! | state | 8 bytes number of the oldest message that the node can tell again, 8 bytes number of the newest that it has told |
//! | request | 8 bytes number of the first message that the node has missed; the answer is that one and up to 1,023 behind it |
//!
//! A record has 1 byte of flags (0x80 seeding, 0x40 completed, 0x20 stopped, which counts before the others; 0x01 IPv6), 20 bytes
//! of the info hash, 4 or 16 of the address, and 2 of the port.
//!
//! | subject | |
//! |---|---|
//! | `PREFIX.SITE.SHARD` | events; the shard is the first hexadecimal digit of the info hash |
//! | `PREFIX.SITE.state` | state |
//! | `PREFIX.SITE.to.NODE` | requests to a node, and events that it alone has asked for; NODE in hexadecimal digits |

use crate::events::PeerEvent;
use crate::info_hash::InfoHash;
use crate::peer_store::Standing;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Begins every message.
const MAGIC: [u8; 4] = *b"OTX1";
const EVENTS: u8 = 1;
const STATE: u8 = 2;
const REQUEST: u8 = 3;

const SEEDING: u8 = 0x80;
const COMPLETED: u8 = 0x40;
const STOPPED: u8 = 0x20;
const IPV6: u8 = 0x01;

/// Bytes of a record before its address: flags, info hash.
const RECORD_FRONT_LEN: usize = 21;
/// The longest record.
pub(super) const MAX_RECORD_LEN: usize = RECORD_FRONT_LEN + 16 + 2;

/// Subjects that the torrents are divided into.
pub(super) const SHARDS: usize = 16;

/// Messages that a request is answered with at most. Whoever has missed more asks again, so that no answer is longer than what
/// is told can wait for.
pub(super) const ANSWER: u64 = 1024;

/// No node ever tells so many messages: at a million a second that takes nine years.
const MAX_NUMBER: u64 = 1 << 48;

/// A node: random, another for every start.
pub(super) type NodeId = [u8; 8];

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A message, and which node sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) node: NodeId,
    pub(super) content: Content<'a>,
}

/// What a node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// What peers have said to it.
    Events {
        /// Which message of the node it is, from 1.
        number: u64,
        /// Seconds since it was heard.
        age_secs: u32,
        /// The peers.
        records: Records<'a>,
    },
    /// What it has told.
    State {
        /// The oldest message that it can tell again.
        oldest: u64,
        /// The newest that it has told; one less than the oldest where there is none.
        newest: u64,
    },
    /// What it has missed.
    Request {
        /// The first message.
        first: u64,
    },
}

/// Records, each of them whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Records<'a>(&'a [u8]);

/// The shard of a torrent.
pub(super) fn shard(info_hash: &InfoHash) -> usize {
    let [first, ..] = info_hash.0;
    usize::from(first >> 4)
}

impl<'a> Message<'a> {
    /// Reads a message, every record of it.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (magic, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
        let ([kind], rest) = rest.split_first_chunk().ok_or(Malformed)?;
        let (node, rest) = rest.split_first_chunk().ok_or(Malformed)?;
        let (number, rest) = rest.split_first_chunk().ok_or(Malformed)?;
        let number = u64::from_be_bytes(*number);
        if *magic != MAGIC || !(1..=MAX_NUMBER).contains(&number) {
            return Err(Malformed);
        }
        let content = match *kind {
            EVENTS => {
                let (age_secs, records) = rest.split_first_chunk().ok_or(Malformed)?;
                Content::Events {
                    number,
                    age_secs: u32::from_be_bytes(*age_secs),
                    records: Records::parse(records)?,
                }
            }
            STATE => {
                let newest = u64::from_be_bytes(rest.try_into().map_err(|_| Malformed)?);
                if !(number - 1..=MAX_NUMBER).contains(&newest) {
                    return Err(Malformed);
                }
                Content::State { oldest: number, newest }
            }
            REQUEST if rest.is_empty() => Content::Request { first: number },
            _ => return Err(Malformed),
        };
        Ok(Self { node: *node, content })
    }

    /// Its bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        let (kind, first) = match self.content {
            Content::Events { number, .. } => (EVENTS, number),
            Content::State { oldest, .. } => (STATE, oldest),
            Content::Request { first } => (REQUEST, first),
        };
        let mut out = [&MAGIC[..], &[kind], &self.node, &first.to_be_bytes()].concat();
        match self.content {
            Content::Events { age_secs, records: Records(records), .. } => {
                out.extend_from_slice(&age_secs.to_be_bytes());
                out.extend_from_slice(records);
            }
            Content::State { newest, .. } => out.extend_from_slice(&newest.to_be_bytes()),
            Content::Request { .. } => {}
        }
        out
    }
}

impl<'a> Records<'a> {
    /// What was written by [`write_record`]; there may be none.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = split_record(rest, 0).ok_or(Malformed)?;
        }
        Ok(Self(bytes))
    }

    /// The events, heard of at this time.
    pub(super) fn events(self, heard_secs: u32) -> impl Iterator<Item = PeerEvent> + use<'a> {
        let Self(mut rest) = self;
        std::iter::from_fn(move || {
            let (event, behind) = split_record(rest, heard_secs)?;
            rest = behind;
            Some(event)
        })
    }
}

/// Appends the record of an event.
pub(super) fn write_record(out: &mut Vec<u8>, event: &PeerEvent) {
    let standing = match event.standing {
        Standing::Seeder => SEEDING,
        Standing::Leecher => 0,
        Standing::Stopped => STOPPED,
    };
    let family = if event.peer.is_ipv6() { IPV6 } else { 0 };
    out.push(standing | if event.completed { COMPLETED } else { 0 } | family);
    out.extend_from_slice(&event.info_hash.0);
    match event.peer.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&event.peer.port().to_be_bytes());
}

fn split_record(records: &[u8], heard_secs: u32) -> Option<(PeerEvent, &[u8])> {
    let ([flags, info_hash @ ..], rest) = records.split_first_chunk::<RECORD_FRONT_LEN>()?;
    let (ip, rest) = if flags & IPV6 == 0 {
        let (octets, rest) = rest.split_first_chunk::<4>()?;
        (IpAddr::V4(Ipv4Addr::from(*octets)), rest)
    } else {
        let (octets, rest) = rest.split_first_chunk::<16>()?;
        (Ipv6Addr::from(*octets).to_canonical(), rest)
    };
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let standing = match *flags {
        flags if flags & STOPPED != 0 => Standing::Stopped,
        flags if flags & SEEDING != 0 => Standing::Seeder,
        _ => Standing::Leecher,
    };
    let event = PeerEvent {
        info_hash: InfoHash(*info_hash),
        peer: SocketAddr::new(ip, u16::from_be_bytes(*port)),
        standing,
        completed: flags & COMPLETED != 0,
        heard_secs,
    };
    Some((event, rest))
}

#[cfg(test)]
mod tests {
    use super::{Content, MAX_NUMBER, Malformed, Message, Records, shard, write_record};
    use crate::events::PeerEvent;
    use crate::info_hash::InfoHash;
    use crate::peer_store::Standing;

    /// Number 258 of `nodenode`, heard 3 s ago: a leecher at 192.0.2.1:6881, and a stop of [2001:db8::2]:6882 that had completed.
    const LITERAL: &[u8] = b"OTX1\x01nodenode\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03\
        \x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\
        \xc0\x00\x02\x01\x1a\xe1\
        \x61\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\
        \x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x1a\xe2";
    const FRONT_LEN: usize = 25;

    fn events() -> [PeerEvent; 2] {
        let info_hash = InfoHash(std::array::from_fn(|at| at as u8 + 1));
        let leecher = PeerEvent {
            info_hash,
            peer: "192.0.2.1:6881".parse().unwrap(),
            standing: Standing::Leecher,
            completed: false,
            heard_secs: 997,
        };
        let peer = "[2001:db8::2]:6882".parse().unwrap();
        [leecher, PeerEvent { peer, standing: Standing::Stopped, completed: true, ..leecher }]
    }

    #[test]
    fn events_have_their_literal_bytes_both_ways() {
        let mut written = Vec::new();
        events().iter().for_each(|event| write_record(&mut written, event));
        let records = Records::parse(&written).unwrap();
        let content = Content::Events { number: 258, age_secs: 3, records };
        let message = Message { node: *b"nodenode", content };
        assert_eq!(message.write(), LITERAL);
        assert_eq!(Message::parse(LITERAL), Ok(message));
        assert_eq!(records.events(997).collect::<Vec<_>>(), events());
    }

    #[test]
    fn a_message_of_any_other_length_is_refused() {
        for len in 0..LITERAL.len() {
            let is_whole = [FRONT_LEN, FRONT_LEN + 27].contains(&len);
            assert_eq!(Message::parse(&LITERAL[..len]).is_ok(), is_whole, "{len} bytes");
        }
        assert_eq!(Message::parse(&[LITERAL, b"x"].concat()), Err(Malformed));
    }

    #[test]
    fn state_and_request_have_their_literal_bytes_both_ways_and_no_other_length() {
        let state = b"OTX1\x02nodenode\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x00\x00\x03\x04";
        let request = b"OTX1\x03nodenode\x00\x00\x00\x00\x00\x00\x01\x02";
        for (literal, content) in [
            (&state[..], Content::State { oldest: 0x102, newest: 0x304 }),
            (request, Content::Request { first: 0x102 }),
        ] {
            let message = Message { node: *b"nodenode", content };
            assert_eq!(message.write(), literal);
            assert_eq!(Message::parse(literal), Ok(message));
            for len in 0..literal.len() {
                assert_eq!(Message::parse(&literal[..len]), Err(Malformed), "{len} bytes");
            }
            assert_eq!(Message::parse(&[literal, b"x"].concat()), Err(Malformed));
        }
    }

    #[test]
    fn numbers_that_no_node_reaches_are_refused() {
        let is_taken = |content| Message::parse(&Message { node: *b"nodenode", content }.write()).is_ok();
        for (first, is_number) in
            [(0, false), (1, true), (MAX_NUMBER, true), (MAX_NUMBER + 1, false), (u64::MAX, false)]
        {
            let records = Records::parse(b"").unwrap();
            assert_eq!(
                is_taken(Content::Events { number: first, age_secs: 0, records }),
                is_number,
                "{first}"
            );
            assert_eq!(is_taken(Content::Request { first }), is_number, "{first}");
            assert_eq!(is_taken(Content::State { oldest: first, newest: first }), is_number, "{first}");
        }
        let state = |oldest, newest| is_taken(Content::State { oldest, newest });
        assert!(state(1, 0) && state(9, 8) && !state(9, 7) && !state(1, u64::MAX));
    }

    #[test]
    fn every_other_kind_and_beginning_is_refused() {
        for (at, byte) in [(0, b'o'), (3, b'2'), (4, 0), (4, 4), (4, 0x11)] {
            let mut wrong = LITERAL.to_vec();
            wrong[at] = byte;
            assert_eq!(Message::parse(&wrong), Err(Malformed), "{byte} at {at}");
        }
    }

    #[test]
    fn a_stop_counts_before_all_other_flags_and_a_mapped_address_is_the_ipv4_address_that_it_is() {
        let mut record = LITERAL[FRONT_LEN + 27..].to_vec();
        record[0] = 0xe1;
        record[21..37].copy_from_slice(b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01");
        let read: Vec<_> = Records::parse(&record).unwrap().events(1).collect();
        assert_eq!((read[0].standing, read[0].completed, read.len()), (Standing::Stopped, true, 1));
        assert_eq!(read[0].peer, "192.0.2.1:6882".parse().unwrap());
        record[0] = 0x91;
        assert_eq!(Records::parse(&record).unwrap().events(1).next().unwrap().standing, Standing::Seeder);
    }

    #[test]
    fn a_shard_is_the_first_hexadecimal_digit() {
        assert_eq!([0x00, 0x0f, 0x10, 0xff].map(|first| shard(&InfoHash([first; 20]))), [0, 0, 1, 15]);
    }
}
