//! The datagram of livesync, byte for byte opentracker's; every offset of it stands here.
//!
//! | bytes | |
//! |---|---|
//! | 0–3 | tracker id: random, another for every start of a node |
//! | 4–7 | type, big-endian: 0 for IPv4 peers, 1 for IPv6 peers |
//! | from 8 | records, as many as there are |
//!
//! A record has 28 bytes (IPv4) or 40 (IPv6): 20 of the info hash, 4 or 16 of the address, 2 of the port (big-endian), one of
//! flags, and one for an age, which is 0 on the wire: whoever receives it takes its own clock.
//!
//! Where the cluster has a key, type and records are sealed (`sealing.rs`), and the datagram is of a type of its own, which
//! opentracker skips:
//!
//! | bytes | |
//! |---|---|
//! | 0–3 | tracker id, as above |
//! | 4–7 | type 2 |
//! | 8–15 | session: random, another for every start of a node |
//! | 16–23 | number of the datagram within its session, from 1, big-endian |
//! | 24–31 | when it was sealed, in milliseconds since 1970, big-endian |
//! | 32–(end − 16) | sealed: 4 bytes type and the records, as above from byte 4 |
//! | last 16 | the tag |

use crate::events::PeerEvent;
use crate::info_hash::InfoHash;
use crate::peer_store::Standing;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// The longest datagram of opentracker's. With a UDP and an IPv4 header it fits an Ethernet frame, as its records fill it.
pub const MAX_LEN: usize = 1480;
/// The longest sealed datagram: with a UDP and an IPv6 header it fits an Ethernet frame of 1,500 bytes.
pub const MAX_SEALED_LEN: usize = 1452;
/// Which tracker sends.
pub const TRACKER_ID: Range<usize> = 0..4;
/// What kind of datagram it is.
pub const TYPE: Range<usize> = 4..8;
/// Where the records begin.
pub const RECORDS: usize = 8;

/// The type of records with IPv4 addresses.
pub const TYPE_V4: [u8; 4] = [0, 0, 0, 0];
/// The type of records with IPv6 addresses.
pub const TYPE_V6: [u8; 4] = [0, 0, 0, 1];

/// The type of sealed datagrams.
pub const TYPE_SEALED: [u8; 4] = [0, 0, 0, 2];
/// What is not sealed but vouched for: tracker id and type.
pub const SEALED_HEADER: Range<usize> = 0..8;
/// Session, number and time together: no two datagrams have the same.
pub const NONCE: Range<usize> = 8..32;
/// Which start of which node sealed it.
pub const SESSION: Range<usize> = 8..16;
/// Which datagram of its session it is.
pub const NUMBER: Range<usize> = 16..24;
/// When it was sealed.
pub const SEALED_AT: Range<usize> = 24..32;
/// Where what is sealed begins.
pub const SEALED: usize = 32;
/// The length of the tag at the end.
pub const TAG_LEN: usize = 16;

/// The length of a record with an IPv4 address.
pub const RECORD_V4_LEN: usize = INFO_HASH_LEN + 4 + TAIL_LEN;
/// The length of a record with an IPv6 address.
pub const RECORD_V6_LEN: usize = INFO_HASH_LEN + 16 + TAIL_LEN;

const INFO_HASH_LEN: usize = 20;
/// Behind the address: port, flags, age.
const TAIL_LEN: usize = 4;

const SEEDING: u8 = 0x80;
const COMPLETED: u8 = 0x40;
const STOPPED: u8 = 0x20;

/// Bytes that are no records of livesync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The records of one datagram, all of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records<'a> {
    /// With IPv4 addresses.
    V4(&'a [[u8; RECORD_V4_LEN]]),
    /// With IPv6 addresses.
    V6(&'a [[u8; RECORD_V6_LEN]]),
}

/// The tracker id of a datagram, and what stands behind it: the type and the records.
///
/// # Errors
/// Where there is no room for an id and a type.
pub fn split(datagram: &[u8]) -> Result<([u8; 4], &[u8]), Malformed> {
    match datagram.split_first_chunk::<4>() {
        Some((id, rest)) if rest.len() >= TYPE.len() => Ok((*id, rest)),
        _ => Err(Malformed),
    }
}

impl<'a> Records<'a> {
    /// Reads a type and the records behind it.
    ///
    /// # Errors
    /// Where the type is unknown, there is no record, or the last one is not whole.
    pub fn parse(type_and_records: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, records) = type_and_records.split_first_chunk::<4>().ok_or(Malformed)?;
        let parsed = match *kind {
            TYPE_V4 => Self::V4(whole(records)?),
            TYPE_V6 => Self::V6(whole(records)?),
            _ => return Err(Malformed),
        };
        Ok(parsed)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::V4(records) => records.len(),
            Self::V6(records) => records.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records as events that were heard of at `heard_secs`.
    pub fn events(&self, heard_secs: u32) -> impl Iterator<Item = PeerEvent> + use<'a> {
        let (v4, v6): (&[_], &[_]) = match self {
            Self::V4(records) => (records, &[]),
            Self::V6(records) => (&[], records),
        };
        let v4 = v4.iter().map(|record| (record.first_chunk(), address_v4(record), record.last_chunk()));
        let v6 = v6.iter().map(|record| (record.first_chunk(), address_v6(record), record.last_chunk()));
        v4.chain(v6).filter_map(move |parts| event(parts, heard_secs))
    }
}

fn whole<const N: usize>(records: &[u8]) -> Result<&[[u8; N]], Malformed> {
    match records.as_chunks::<N>() {
        (records, []) if !records.is_empty() => Ok(records),
        _ => Err(Malformed),
    }
}

fn address_v4(record: &[u8; RECORD_V4_LEN]) -> Option<IpAddr> {
    let (_, rest) = record.split_at(INFO_HASH_LEN);
    rest.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into())
}

fn address_v6(record: &[u8; RECORD_V6_LEN]) -> Option<IpAddr> {
    let (_, rest) = record.split_at(INFO_HASH_LEN);
    rest.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).to_canonical())
}

type Parts<'a> = (Option<&'a [u8; INFO_HASH_LEN]>, Option<IpAddr>, Option<&'a [u8; TAIL_LEN]>);

fn event((info_hash, ip, tail): Parts<'_>, heard_secs: u32) -> Option<PeerEvent> {
    let [port_high, port_low, flags, _age] = *tail?;
    let standing = match flags {
        flags if flags & STOPPED != 0 => Standing::Stopped,
        flags if flags & SEEDING != 0 => Standing::Seeder,
        _ => Standing::Leecher,
    };
    Some(PeerEvent {
        info_hash: InfoHash(*info_hash?),
        peer: SocketAddr::new(ip?, u16::from_be_bytes([port_high, port_low])),
        standing,
        completed: flags & COMPLETED != 0,
        heard_secs,
    })
}

/// Appends the record of an event.
pub fn write_record(out: &mut Vec<u8>, event: &PeerEvent) {
    out.extend_from_slice(&event.info_hash.0);
    match event.peer.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&event.peer.port().to_be_bytes());
    let standing = match event.standing {
        Standing::Seeder => SEEDING,
        Standing::Leecher => 0,
        Standing::Stopped => STOPPED,
    };
    out.extend_from_slice(&[standing | if event.completed { COMPLETED } else { 0 }, 0]);
}

#[cfg(test)]
mod tests {
    use super::{Malformed, RECORD_V4_LEN, RECORD_V6_LEN, Records, split, write_record};
    use crate::events::PeerEvent;
    use crate::info_hash::InfoHash;
    use crate::peer_store::Standing;

    /// Tracker id, type 0, a leecher at 192.0.2.1:6881 and a seeder at 192.0.2.2:6882 that has completed.
    const V4: &[u8] = b"\xde\xad\xbe\xef\x00\x00\x00\x00\
        \x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\
        \xc0\x00\x02\x01\x1a\xe1\x00\x00\
        \x21\x22\x23\x24\x25\x26\x27\x28\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32\x33\x34\
        \xc0\x00\x02\x02\x1a\xe2\xc0\x00";
    /// Tracker id, type 1, a seeder at [2001:db8::1]:6881 and a stop of [2001:db8::2]:6882.
    const V6: &[u8] = b"\xde\xad\xbe\xef\x00\x00\x00\x01\
        \x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\
        \x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe1\x80\x00\
        \x21\x22\x23\x24\x25\x26\x27\x28\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32\x33\x34\
        \x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x1a\xe2\x20\x00";

    fn counting_from(first: u8) -> InfoHash {
        InfoHash(std::array::from_fn(|at| first + at as u8))
    }

    fn event(first: u8, peer: &str, standing: Standing, completed: bool) -> PeerEvent {
        let (info_hash, peer) = (counting_from(first), peer.parse().unwrap());
        PeerEvent { info_hash, peer, standing, completed, heard_secs: 77 }
    }

    fn of_v4() -> [PeerEvent; 2] {
        [
            event(0x01, "192.0.2.1:6881", Standing::Leecher, false),
            event(0x21, "192.0.2.2:6882", Standing::Seeder, true),
        ]
    }

    fn of_v6() -> [PeerEvent; 2] {
        [
            event(0x01, "[2001:db8::1]:6881", Standing::Seeder, false),
            event(0x21, "[2001:db8::2]:6882", Standing::Stopped, false),
        ]
    }

    #[test]
    fn both_types_of_record_have_their_literal_bytes_both_ways() {
        for (datagram, events) in [(V4, of_v4()), (V6, of_v6())] {
            let (id, rest) = split(datagram).unwrap();
            assert_eq!(id, [0xde, 0xad, 0xbe, 0xef]);
            let records = Records::parse(rest).unwrap();
            assert_eq!(records.events(77).collect::<Vec<_>>(), events);
            let mut written = datagram[..super::RECORDS].to_vec();
            events.iter().for_each(|event| write_record(&mut written, event));
            assert_eq!(written, datagram);
        }
    }

    #[test]
    fn of_every_length_only_whole_records_are_taken() {
        for (datagram, record_len) in [(V4, RECORD_V4_LEN), (V6, RECORD_V6_LEN)] {
            for len in 0..=datagram.len() {
                let parsed = split(&datagram[..len]).and_then(|(_, rest)| Records::parse(rest));
                let whole = len > 8 && (len - 8).is_multiple_of(record_len);
                assert_eq!(parsed.is_ok(), whole, "{len} bytes");
                assert_eq!(
                    parsed.map_or(0, |records| records.len()),
                    if whole { (len - 8) / record_len } else { 0 }
                );
            }
        }
    }

    #[test]
    fn every_other_type_is_refused() {
        for kind in [2_u32, 0xff, 0x0100_0000, u32::MAX] {
            let datagram = [&V4[..4], &kind.to_be_bytes(), &V4[8..]].concat();
            assert_eq!(Records::parse(split(&datagram).unwrap().1), Err(Malformed), "{kind}");
        }
    }

    #[test]
    fn a_stop_counts_before_all_other_flags_and_unknown_flags_and_ages_mean_nothing() {
        let mut record = V4[8..8 + RECORD_V4_LEN].to_vec();
        for (flags, standing, completed) in [
            (0xe0, Standing::Stopped, true),
            (0x90, Standing::Seeder, false),
            (0x1f, Standing::Leecher, false),
        ] {
            record[26..].copy_from_slice(&[flags, 9]);
            let payload = [&V4[4..8], &record].concat();
            let events: Vec<_> = Records::parse(&payload).unwrap().events(1).collect();
            assert_eq!(
                events.iter().map(|event| (event.standing, event.completed)).collect::<Vec<_>>(),
                [(standing, completed)]
            );
        }
    }

    #[test]
    fn an_ipv4_peer_that_comes_as_ipv6_is_the_ipv4_peer_that_it_is() {
        let mut payload = V6[4..48].to_vec();
        payload[24..40].copy_from_slice(b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01");
        let events: Vec<_> = Records::parse(&payload).unwrap().events(1).collect();
        assert_eq!(events[0].peer, "192.0.2.1:6881".parse().unwrap());
    }
}
