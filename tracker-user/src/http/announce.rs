//! `/announce` (BEP 3, 7, 23, 24, 31): from the query to a peer's word, and from the swarm to bencode. It never
//! believes an address in the query, and never stores anything of a request that it refuses.

use super::query;
use super::refusal::Refusal;
use crate::access_list::PeerId;
use crate::bencode::Writer;
use crate::info_hash::InfoHash;
use crate::tracker::{Announced, Event};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// How the peers of an answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerForm {
    /// As they go over the wire: `peers` (BEP 23) and `peers6` (BEP 7).
    Compact,
    /// As a list of dictionaries (BEP 3), for clients that insist with `compact=0`.
    Dictionaries,
}

/// The peers of an answer, both families as they go over the wire: 6 and 18 bytes each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peers<'a> {
    /// 4 bytes address, 2 bytes port, big-endian.
    pub(super) v4: &'a [u8],
    /// 16 bytes address, 2 bytes port, big-endian.
    pub(super) v6: &'a [u8],
    /// How they are to be written.
    pub(super) form: PeerForm,
}

/// What an announce asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AnnounceQuery {
    /// The torrent.
    pub(super) info_hash: InfoHash,
    /// What the client calls itself, as far as it fits; zeros where it does not say.
    pub(super) peer_id: PeerId,
    /// Where the peer listens; never 0.
    pub(super) port: u16,
    /// Bytes left to download; the largest number where the client does not say, which makes a leecher.
    pub(super) bytes_left: u64,
    /// What has happened.
    pub(super) event: Event,
    /// Peers wanted; `None` leaves it to the tracker.
    pub(super) peers_wanted: Option<u32>,
    /// How the peers are to be written.
    pub(super) peer_form: PeerForm,
}

impl AnnounceQuery {
    /// Reads a query; of a key that comes twice the last counts, but for the info hash, which may come only once.
    pub(super) fn parse(query: &[u8]) -> Result<Self, Refusal> {
        let (mut info_hash, mut peer_id) = (None, PeerId::default());
        let mut port = None;
        let mut bytes_left = u64::MAX;
        let mut event = Event::Ordinary;
        let mut peers_wanted = None;
        let mut peer_form = PeerForm::Compact;
        for (key, value) in query::pairs(query) {
            match key.as_bytes() {
                b"info_hash" if info_hash.is_some() => return Err(Refusal::InfoHashRepeated),
                b"info_hash" => info_hash = Some(query::info_hash(value)?),
                b"port" => port = Some(parse_port(value)?),
                b"left" => bytes_left = query::number(value)?.unwrap_or(u64::MAX),
                b"event" => event = parse_event(value)?,
                b"numwant" => {
                    let wanted = query::number(value)?;
                    peers_wanted = wanted.map(|wanted| u32::try_from(wanted).unwrap_or(u32::MAX));
                }
                b"compact" if query::number(value)? == Some(0) => peer_form = PeerForm::Dictionaries,
                b"compact" => peer_form = PeerForm::Compact,
                b"peer_id" => peer_id = query::beginning(value)?,
                _ => {}
            }
        }
        let info_hash = info_hash.ok_or(Refusal::InfoHashMissing)?;
        let port = port.ok_or(Refusal::PortInvalid)?;
        Ok(Self { info_hash, peer_id, port, bytes_left, event, peers_wanted, peer_form })
    }
}

fn parse_port(value: &[u8]) -> Result<u16, Refusal> {
    let port = query::number(value)?.and_then(|port| u16::try_from(port).ok());
    port.filter(|port| *port != 0).ok_or(Refusal::PortInvalid)
}

fn parse_event(value: &[u8]) -> Result<Event, Refusal> {
    if query::is(value, b"completed")? {
        Ok(Event::Completed)
    } else if query::is(value, b"stopped")? {
        Ok(Event::Stopped)
    } else {
        Ok(Event::Ordinary)
    }
}

/// Writes the answer to an announce. `peers` is there even where it is empty: strict clients miss it otherwise.
pub(super) fn write_answer(out: &mut Vec<u8>, client: IpAddr, announced: &Announced, peers: Peers<'_>) {
    let mut writer = Writer::new(out);
    writer.dictionary();
    writer.entry_integer("complete", u64::from(announced.counts.seeders));
    writer.entry_integer("downloaded", u64::from(announced.counts.completed));
    match client {
        IpAddr::V4(client) => writer.entry_bytes("external ip", &client.octets()),
        IpAddr::V6(client) => writer.entry_bytes("external ip", &client.octets()),
    }
    writer.entry_integer("incomplete", u64::from(announced.counts.leechers));
    writer.entry_integer("interval", u64::from(announced.interval_secs));
    writer.entry_integer("min interval", u64::from(announced.min_interval_secs()));
    match peers.form {
        PeerForm::Compact => {
            writer.entry_bytes("peers", peers.v4);
            if !peers.v6.is_empty() {
                writer.entry_bytes("peers6", peers.v6);
            }
        }
        PeerForm::Dictionaries => write_dictionaries(&mut writer, peers),
    }
    writer.end();
}

/// Writes the peers of both families as one list. They have no `peer id`: the store does not keep any.
fn write_dictionaries(writer: &mut Writer<'_>, peers: Peers<'_>) {
    writer.bytes(b"peers");
    writer.list();
    let mut text = String::new();
    for peer in peers.v4.as_chunks::<PEER_V4_LEN>().0 {
        let [a, b, c, d, port @ ..] = *peer;
        write_dictionary(writer, &mut text, IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port);
    }
    for peer in peers.v6.as_chunks::<PEER_V6_LEN>().0 {
        let Some((address, port)) = peer.split_first_chunk::<16>() else { continue };
        let Some(port) = port.first_chunk::<2>() else { continue };
        write_dictionary(writer, &mut text, IpAddr::V6(Ipv6Addr::from(*address)), *port);
    }
    writer.end();
}

fn write_dictionary(writer: &mut Writer<'_>, text: &mut String, ip: IpAddr, port_be: [u8; 2]) {
    text.clear();
    // Writing to a String cannot fail.
    let _ = write!(text, "{ip}");
    writer.dictionary();
    writer.entry_bytes("ip", text.as_bytes());
    writer.entry_integer("port", u64::from(u16::from_be_bytes(port_be)));
    writer.end();
}

#[cfg(test)]
mod tests {
    use super::{AnnounceQuery, PeerForm, Peers, write_answer};
    use crate::http::refusal::Refusal;
    use crate::info_hash::InfoHash;
    use crate::peer_store::SwarmCounts;
    use crate::tracker::{Announced, Event};
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    const HASH: &str = "info_hash=01234567890123456789";

    fn parse(query: &str) -> Result<AnnounceQuery, Refusal> {
        AnnounceQuery::parse(query.as_bytes())
    }

    #[test]
    fn the_least_announce_is_an_ordinary_leecher_that_leaves_the_rest_to_the_tracker() {
        let expected = AnnounceQuery {
            info_hash: InfoHash(*b"01234567890123456789"),
            peer_id: [0; 20],
            port: 6881,
            bytes_left: u64::MAX,
            event: Event::Ordinary,
            peers_wanted: None,
            peer_form: PeerForm::Compact,
        };
        assert_eq!(parse(&format!("{HASH}&port=6881")), Ok(expected));
    }

    #[test]
    fn every_key_is_read_in_any_order_between_unknown_ones() {
        let expected = AnnounceQuery {
            info_hash: InfoHash(*b"01234567890123456789"),
            peer_id: *b"short\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            port: 1,
            bytes_left: 0,
            event: Event::Completed,
            peers_wanted: Some(7),
            peer_form: PeerForm::Dictionaries,
        };
        let query = "numwant=7&x=%zz&left=0&compact=0&event=completed&%zz=1&port=1&info%5Fhash=\
                     0123456789%301%32%333456789&peer_id=short&ip=1.2.3.4";
        assert_eq!(parse(query), Err(Refusal::InfoHashLength));
        assert_eq!(parse(&query.replace("%301%32%33", "%301%32")), Ok(expected));
    }

    #[test]
    fn a_damaged_value_of_a_known_key_refuses_the_request() {
        for key in ["peer_id", "port", "left", "event", "numwant", "compact"] {
            assert_eq!(parse(&format!("{HASH}&port=1&{key}=1%4")), Err(Refusal::BadEncoding), "{key}");
        }
        assert_eq!(parse("info_hash=0123456789012345678%4g&port=1"), Err(Refusal::BadEncoding));
    }

    #[test]
    fn an_info_hash_is_there_once() {
        assert_eq!(parse("port=1"), Err(Refusal::InfoHashMissing));
        assert_eq!(parse(""), Err(Refusal::InfoHashMissing));
        assert_eq!(parse(&format!("{HASH}&port=1&{HASH}")), Err(Refusal::InfoHashRepeated));
        assert_eq!(parse("info_hash=&port=1"), Err(Refusal::InfoHashLength));
    }

    #[test]
    fn a_port_that_nobody_can_reach_is_refused() {
        for port in ["", "&port", "&port=", "&port=0", "&port=65536", "&port=-1", "&port=abc"] {
            assert_eq!(parse(&format!("{HASH}{port}")), Err(Refusal::PortInvalid), "{port}");
        }
        assert_eq!(parse(&format!("{HASH}&port=65535")).map(|query| query.port), Ok(65535));
    }

    fn answer(v4: &[u8], v6: &[u8], form: PeerForm) -> Vec<u8> {
        let counts = SwarmCounts { seeders: 1, leechers: 2, completed: 3 };
        let mut out = Vec::new();
        let client = "192.0.2.1".parse().unwrap();
        let announced = Announced { counts, interval_secs: 1801, ..Announced::default() };
        write_answer(&mut out, client, &announced, Peers { v4, v6, form });
        out
    }

    #[test]
    fn an_answer_has_its_literal_bytes() {
        let start = b"d8:completei1e10:downloadedi3e11:external ip4:\xc0\x00\x02\x0110:incompletei2e\
                      8:intervali1801e12:min intervali900e5:peers";
        let with = |end: &[u8]| [&start[..], end].concat();
        assert_eq!(answer(b"", b"", PeerForm::Compact), with(b"0:e"));
        assert_eq!(
            answer(b"\x01\x02\x03\x04\x1a\xe1", b"", PeerForm::Compact),
            with(b"6:\x01\x02\x03\x04\x1a\xe1e")
        );
        let v6 = b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1";
        assert_eq!(answer(b"", v6, PeerForm::Compact), with(&[b"0:6:peers618:", &v6[..], b"e"].concat()));
        assert_eq!(answer(b"", b"", PeerForm::Dictionaries), with(b"lee"));
        assert_eq!(
            answer(b"\x01\x02\x03\x04\x1a\xe1", v6, PeerForm::Dictionaries),
            with(b"ld2:ip7:1.2.3.44:porti6881eed2:ip11:2001:db8::14:porti6881eeee")
        );
    }

    proptest! {
        #[test]
        fn any_number_of_bytes_left_but_zero_is_a_leecher(digits in "[0-9]{1,40}") {
            let left = parse(&format!("{HASH}&port=1&left={digits}")).unwrap().bytes_left;
            prop_assert_eq!(left == 0, digits.bytes().all(|digit| digit == b'0'));
        }

        #[test]
        fn any_query_is_read_without_a_panic(query in any::<Vec<u8>>()) {
            let _ = AnnounceQuery::parse(&query);
        }
    }
}
