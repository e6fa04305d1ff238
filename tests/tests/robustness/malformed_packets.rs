//! Malformed UDP packets, each with the one verdict that it must end in. None of them is a request that may be
//! answered: a connection id is only right where something else is wrong.

use serde_json::Value;
use std::collections::BTreeMap;
use tracker_common::verdict::Verdict;
use tracker_common::wire::{
    ACTION_ANNOUNCE, ACTION_CONNECT, ACTION_ERROR, ACTION_SCRAPE, INFO_HASH_LEN, PROTOCOL_ID, request,
};

/// The largest payload of one UDP packet over IPv4.
const MOST_BYTES: usize = 65_507;
/// What an IPv6 packet has room for behind a whole announce.
const MOST_OPTION_BYTES: usize = 1_350;
/// Lengths of ordinary packets: every one up to here comes up.
const ORDINARY_BYTES: usize = 200;

/// How many packets must have ended in which verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected(BTreeMap<&'static str, u64>);

impl Expected {
    /// Expects so many more of these.
    pub(crate) fn add(&mut self, verdict: Verdict, packets: u64) {
        if packets > 0 {
            *self.0.entry(published_name(verdict)).or_default() += packets;
        }
    }

    /// How many of them are not answered.
    pub(crate) fn malformed(&self) -> u64 {
        let answered =
            [Verdict::ConnectAnswered, Verdict::AnnounceAnswered, Verdict::ScrapeAnswered].map(Verdict::name);
        self.0.iter().filter(|(name, _)| !answered.contains(name)).map(|(_, packets)| packets).sum()
    }

    /// What the daemon says.
    pub(crate) fn from_stats(stats: &Value) -> Self {
        let mut counted = Self::default();
        for &verdict in Verdict::ALL {
            let packets = stats["udp"][verdict.name()].as_u64();
            counted.add(verdict, packets.unwrap_or_else(|| panic!("no {} in {stats}", verdict.name())));
        }
        counted
    }
}

/// Whether a random id looks like an old one or like a forged one is a matter of its tag: they count as one here.
fn published_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::ConnectionIdStale => Verdict::ConnectionIdForged.name(),
        verdict => verdict.name(),
    }
}

/// Makes malformed packets, the same ones from the same seed.
pub(crate) struct PacketMaker {
    random: fastrand::Rng,
    next_length: usize,
    packet: Box<[u8; MOST_BYTES]>,
}

impl PacketMaker {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), next_length: 0, packet: Box::new([0; MOST_BYTES]) }
    }

    /// One packet, good until the next; `connection_id` is one that the daemon would accept.
    pub(crate) fn make(&mut self, connection_id: u64, huge: bool) -> (&[u8], Verdict) {
        let (length, verdict) = if huge { self.huge() } else { self.ordinary(connection_id) };
        (&self.packet[..length], verdict)
    }

    /// Up to as many bytes as an unfragmented packet has room for, which may begin like options (BEP 41) or not.
    pub(crate) fn options(&mut self) -> Vec<u8> {
        let mut options = vec![0; self.random.usize(..=MOST_OPTION_BYTES)];
        self.random.fill(&mut options);
        options
    }

    /// Every length in turn, random behind the header.
    fn ordinary(&mut self, connection_id: u64) -> (usize, Verdict) {
        let length = self.next_length;
        self.next_length = (length + 1) % (ORDINARY_BYTES + 1);
        self.random.fill(&mut self.packet[..ORDINARY_BYTES]);
        if length < request::HEADER_LEN {
            // Even the beginning of a sound connect request is too short.
            if self.random.bool() {
                self.header(PROTOCOL_ID, ACTION_CONNECT);
            }
            return (length, Verdict::TooShort);
        }
        let verdict = match self.random.u8(..6) {
            0 => self.connect_without_protocol_id(),
            1 => self.unknown_action(connection_id),
            2 if length < request::ANNOUNCE_LEN => {
                self.header(connection_id, ACTION_ANNOUNCE);
                Verdict::AnnounceTooShort
            }
            3 if length < request::SCRAPE_HASHES + INFO_HASH_LEN => {
                self.header(connection_id, ACTION_SCRAPE);
                Verdict::ScrapeTooShort
            }
            _ => self.wrong_connection_id(connection_id, length),
        };
        (length, verdict)
    }

    /// An announce with an endless tail of what might be options (BEP 41), from someone who has no connection id.
    fn huge(&mut self) -> (usize, Verdict) {
        let length = self.random.usize(ORDINARY_BYTES..=MOST_BYTES);
        let id = self.random.u64(..);
        self.header(id, ACTION_ANNOUNCE);
        let option = [self.random.u8(..4), self.random.u8(..)];
        for bytes in self.packet[request::ANNOUNCE_LEN..length].chunks_exact_mut(2) {
            bytes.copy_from_slice(&option);
        }
        (length, Verdict::ConnectionIdForged)
    }

    fn connect_without_protocol_id(&mut self) -> Verdict {
        // One bit is enough.
        let flipped_bit = 1 << self.random.u32(..64);
        self.header(PROTOCOL_ID ^ flipped_bit, ACTION_CONNECT);
        Verdict::WrongProtocolId
    }

    fn unknown_action(&mut self, connection_id: u64) -> Verdict {
        let action = if self.random.bool() { ACTION_ERROR } else { self.random.u32(ACTION_ERROR..) };
        self.header(connection_id, action);
        Verdict::UnknownAction
    }

    /// A request that is whole but for its connection id: random, or the right one with a flipped bit.
    fn wrong_connection_id(&mut self, connection_id: u64, length: usize) -> Verdict {
        let flipped = connection_id ^ 1 << self.random.u32(..64);
        let id = if self.random.bool() { self.random.u64(..) } else { flipped };
        let whole_announce = length >= request::ANNOUNCE_LEN;
        let whole_scrape = length >= request::SCRAPE_HASHES + INFO_HASH_LEN;
        match (whole_announce, whole_scrape) {
            (true, _) if self.random.bool() => self.header(id, ACTION_ANNOUNCE),
            (_, true) => self.header(id, ACTION_SCRAPE),
            _ => return self.connect_without_protocol_id(),
        }
        Verdict::ConnectionIdForged
    }

    fn header(&mut self, connection_id: u64, action: u32) {
        self.packet[request::CONNECTION_ID].copy_from_slice(&connection_id.to_be_bytes());
        self.packet[request::ACTION].copy_from_slice(&action.to_be_bytes());
    }
}
