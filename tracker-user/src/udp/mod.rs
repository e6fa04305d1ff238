//! One UDP payload in, at most one answer out, and always one verdict: the same for every way in.
//!
//! Knows no socket and no clock. Nothing is allocated, nothing is stored for a source that has proven nothing,
//! and no answer to such a source is longer than its question.

mod request;
mod response;
#[cfg(test)]
mod tests;

pub use response::Packet;

use crate::access_list::{ADDRESS_NOT_ALLOWED, CLIENT_NOT_ALLOWED, NOT_AUTHORIZED};
use crate::clock::Now;
use crate::counters::UdpCounters;
use crate::info_hash::InfoHash;
use crate::peer_store::{PREFETCHED, PeersOut};
use crate::tracker::{Announce, Protocol, Tracker};
use arc_swap::{ArcSwap, Cache};
use request::{AnnounceFields, Question, Request, TransactionId, parse, torrent_in_question};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tracker_common::connection_id::{self, Keys, Proof};
use tracker_common::verdict::Verdict;
use tracker_common::wire::{MAX_PAYLOAD_V4, MAX_PAYLOAD_V6, response as wire_response};

/// The keys of the connection ids as all workers see them: one snapshot, replaced whole.
pub type SharedKeys = Arc<ArcSwap<Keys>>;

/// What to do about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Ignore(Verdict),
    /// Send this many bytes of the packet back to where it came from.
    Reply(Verdict, usize),
}

impl Outcome {
    /// Why.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Ignore(verdict) | Self::Reply(verdict, _) => verdict,
        }
    }
}

/// How a wrong connection id is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongId {
    /// In silence: an answer would go to whoever was forged.
    Dropped,
    /// With an error, for debugging.
    Answered,
}

/// How connection ids are checked.
#[derive(Clone, Copy, Debug)]
pub struct IdPolicy {
    /// Slots for which an id holds, see [`crate::config::types::UdpConfig::connection_id_slots`].
    pub lifetime_slots: u32,
    /// How a wrong one is met.
    pub wrong_id: WrongId,
}

/// Handles the packets of one worker. Not `Debug`: the keys must not reach a log.
pub struct Handler {
    tracker: Arc<Tracker>,
    keys: Cache<SharedKeys, Arc<Keys>>,
    policy: IdPolicy,
    random: fastrand::Rng,
    counters: Arc<UdpCounters>,
    /// Torrents of the batch at hand; kept for its memory.
    expected: Vec<InfoHash>,
}

impl Handler {
    /// A handler for one worker.
    pub fn new(tracker: Arc<Tracker>, keys: SharedKeys, policy: IdPolicy) -> Self {
        Self {
            tracker,
            keys: Cache::new(keys),
            policy,
            random: fastrand::Rng::new(),
            counters: Arc::default(),
            expected: Vec::with_capacity(PREFETCHED),
        }
    }

    /// Has what is noted of announces counted here, by the thread that calls [`Self::handle`] and no other.
    #[must_use]
    pub fn counting_in(self, counters: Arc<UdpCounters>) -> Self {
        Self { counters, ..self }
    }

    /// Begins to load what these payloads will touch, for a batch that is about to be handled.
    pub fn prefetch<'a>(&mut self, payloads: impl Iterator<Item = &'a [u8]>) {
        self.expected.clear();
        self.expected.extend(payloads.filter_map(torrent_in_question).take(PREFETCHED));
        self.tracker.prefetch(&self.expected);
    }

    /// Handles one payload. An answer is written to the front of `out`.
    pub fn handle(&mut self, source: SocketAddr, payload: &[u8], now: Now, out: &mut Packet) -> Outcome {
        if !is_answerable(source) {
            return Outcome::Ignore(Verdict::UnanswerableSource);
        }
        if !self.tracker.allows(source.ip()) {
            return Outcome::Ignore(Verdict::SourceBlocked);
        }
        match parse(payload) {
            Err(verdict) => Outcome::Ignore(verdict),
            // In silence: the client tries another tracker by itself, and an error would make it give this one up.
            Ok(Request::Connect { .. }) if self.tracker.is_draining() => {
                Outcome::Ignore(Verdict::ConnectOverBudget)
            }
            Ok(Request::Connect { transaction_id }) => {
                let keys = self.keys.load();
                let slot = keys.issuing_slot(now.nanoseconds());
                let id = connection_id::issue(keys, id_address(source), slot);
                let len = response::write_connect(out, transaction_id, id);
                Outcome::Reply(Verdict::ConnectAnswered, len)
            }
            Ok(Request::Proven { connection_id, transaction_id, question }) => {
                match self.prove(source, connection_id, now) {
                    Proof::Proven => self.answer(&Asker { source, transaction_id, now }, &question, out),
                    Proof::Stale => self.refuse(Verdict::ConnectionIdStale, transaction_id, out),
                    Proof::Forged => self.refuse(Verdict::ConnectionIdForged, transaction_id, out),
                }
            }
        }
    }

    fn prove(&mut self, source: SocketAddr, id: u64, now: Now) -> Proof {
        let keys = self.keys.load();
        let slot = keys.checking_slot(now.nanoseconds());
        connection_id::prove(keys, id_address(source), id, slot, self.policy.lifetime_slots)
    }

    fn refuse(&self, verdict: Verdict, transaction_id: TransactionId, out: &mut Packet) -> Outcome {
        match self.policy.wrong_id {
            WrongId::Dropped => Outcome::Ignore(verdict),
            WrongId::Answered => {
                // No longer than the shortest question: even this answer multiplies nothing.
                let len = response::write_error(out, transaction_id, b"wrong connection id");
                Outcome::Reply(Verdict::ConnectionIdRefused, len)
            }
        }
    }

    fn answer(&mut self, asker: &Asker, question: &Question<'_>, out: &mut Packet) -> Outcome {
        match question {
            Question::Announce(fields) => match self.refusal(asker, fields) {
                None => {
                    let len = self.announce(asker, fields, out);
                    Outcome::Reply(Verdict::AnnounceAnswered, len)
                }
                Some((verdict, reason)) => {
                    let len = response::write_error(out, asker.transaction_id, reason.as_bytes());
                    Outcome::Reply(verdict, len)
                }
            },
            Question::Scrape(hashes) => {
                let rows = hashes.iter().map(|hash| self.tracker.scrape(&InfoHash(*hash)));
                let len = response::write_scrape(out, asker.transaction_id, rows);
                Outcome::Reply(Verdict::ScrapeAnswered, len)
            }
        }
    }

    /// Why an announce is not taken in, and what its client is told.
    fn refusal(&self, asker: &Asker, fields: &AnnounceFields) -> Option<(Verdict, &'static str)> {
        if !self.tracker.takes_peers_of(asker.source.ip()) {
            return Some((Verdict::AddressRefused, ADDRESS_NOT_ALLOWED));
        }
        if !self.tracker.allows_client(&fields.peer_id) {
            return Some((Verdict::ClientDenied, CLIENT_NOT_ALLOWED));
        }
        if !self.tracker.permits(&fields.info_hash, asker.source.ip().to_canonical()) {
            return Some((Verdict::TorrentForbidden, NOT_AUTHORIZED));
        }
        None
    }

    fn announce(&mut self, asker: &Asker, fields: &AnnounceFields, out: &mut Packet) -> usize {
        let ip = asker.source.ip().to_canonical();
        let announce = Announce {
            over: Protocol::Udp,
            info_hash: fields.info_hash,
            peer: SocketAddr::new(ip, fields.port),
            bytes_left: fields.bytes_left,
            event: fields.event,
            peers_wanted: fields.peers_wanted,
        };
        // Only peers of the asker's own family fit this answer; the other family gets no room.
        let mut peers = match ip {
            IpAddr::V4(_) => PeersOut::new(&mut out[wire_response::PEERS..MAX_PAYLOAD_V4], &mut []),
            IpAddr::V6(_) => PeersOut::new(&mut [], &mut out[wire_response::PEERS..MAX_PAYLOAD_V6]),
        };
        let announced = self.tracker.announce(&announce, asker.now, &mut self.random, &mut peers);
        self.counters.announces.note(&self.tracker.noted(&announce, &announced), asker.now);
        let len = wire_response::PEERS + peers.v4().len() + peers.v6().len();
        response::write_announce(out, asker.transaction_id, &announced);
        len
    }
}

/// Who asks a question, proven.
struct Asker {
    source: SocketAddr,
    transaction_id: TransactionId,
    now: Now,
}

/// The address that a connection id is bound to, IPv4 mapped into IPv6.
fn id_address(source: SocketAddr) -> [u8; 16] {
    match source.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// Whether an answer could reach its one sender: forged sources of this kind would make the host shout.
fn is_answerable(source: SocketAddr) -> bool {
    let ip = source.ip();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    source.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}
