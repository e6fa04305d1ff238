//! Datagrams that only a node of the cluster can have made: sealed with XChaCha20-Poly1305, and taken once.
//!
//! **Threat.** Whoever can send to the cluster's network can claim any source address, and with the classic format fill
//! every node's swarms or empty them. A seal proves that the sender has a key. A recorded datagram opens as well, so each is
//! taken once: a window over the numbers of its session tells which have been, and what is older than [`FRESH_MS`] is
//! refused whatever its session, which bounds what must be remembered and what a node that has just started can be told
//! twice. The nonce never repeats: its session is random for every start, its number counts.

use super::packet::{NONCE, NUMBER, SEALED, SEALED_AT, SEALED_HEADER, SESSION, TAG_LEN, TYPE_SEALED};
use arc_swap::ArcSwap;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// How old a sealed datagram may be, and how far ahead the clock of its node, in milliseconds.
pub const FRESH_MS: u64 = 60_000;
/// Numbers of a session below its highest that are still told apart; lower ones are refused.
const WINDOW: u64 = 128;

/// The keys of a cluster: the first seals, all of them open. Not `Debug`: keys must not reach a log.
pub struct KeyRing(Vec<XChaCha20Poly1305>);

/// The keys as both threads see them: replaced whole.
pub type SharedRing = Arc<ArcSwap<KeyRing>>;

impl KeyRing {
    /// The ring of some keys, the sealing one first.
    pub fn new(keys: &[[u8; 32]]) -> Self {
        Self(keys.iter().map(|key| XChaCha20Poly1305::new(key.into())).collect())
    }
}

/// Seals what a node sends.
pub struct Sealer {
    ring: SharedRing,
    tracker_id: [u8; 4],
    session: [u8; 8],
    number: u64,
}

impl Sealer {
    /// For a node with this id; `session` is random.
    pub const fn new(ring: SharedRing, tracker_id: [u8; 4], session: [u8; 8]) -> Self {
        Self { ring, tracker_id, session, number: 0 }
    }

    /// Appends the datagram that has `content`, type and records, sealed within; nothing where there is no key.
    pub fn seal(&mut self, content: &[u8], unix_ms: u64, out: &mut Vec<u8>) {
        self.number += 1;
        let (number, time) = (self.number.to_be_bytes(), unix_ms.to_be_bytes());
        let nonce: [u8; 24] = std::array::from_fn(|at| match at {
            0..8 => self.session[at],
            8..16 => number[at - 8],
            _ => time[at - 16],
        });
        let header = [self.tracker_id, TYPE_SEALED].concat();
        let payload = Payload { msg: content, aad: &header };
        let ring = self.ring.load();
        // Sealing fails only for contents of many gigabytes.
        let Some(Ok(sealed)) = ring.0.first().map(|key| key.encrypt(&XNonce::from(nonce), payload)) else {
            return;
        };
        out.extend_from_slice(&header);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
    }
}

/// Why a sealed datagram is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It is no sealed datagram.
    Malformed,
    /// None of the keys opens it.
    Forged,
    /// It was sealed too long ago, or in the future.
    Stale,
    /// It has come before, or so late that this cannot be told.
    Replayed,
}

/// Opens what other nodes send.
pub struct Opener {
    ring: SharedRing,
    sessions: HashMap<[u8; 8], Seen>,
    /// How many sessions there may be before those that have ended are forgotten.
    forget_above: usize,
}

/// Which datagrams of a session have come.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    highest: u64,
    /// Bit n: the number n below the highest has come.
    below: u128,
    last_ms: u64,
}

impl Opener {
    /// With these keys.
    pub fn new(ring: SharedRing) -> Self {
        Self { ring, sessions: HashMap::new(), forget_above: 64 }
    }

    /// What is sealed in a datagram: type and records. `unix_ms` is the time now.
    ///
    /// # Errors
    /// Where it must not be believed.
    pub fn open(&mut self, datagram: &[u8], unix_ms: u64) -> Result<Vec<u8>, Unopened> {
        let (header, nonce) = match (datagram.get(SEALED_HEADER), chunk::<24>(datagram, NONCE)) {
            (Some(header), Some(nonce)) if header.ends_with(&TYPE_SEALED) => (header, nonce),
            _ => return Err(Unopened::Malformed),
        };
        let sealed =
            datagram.get(SEALED..).filter(|sealed| sealed.len() > TAG_LEN).ok_or(Unopened::Malformed)?;
        let payload = || Payload { msg: sealed, aad: header };
        let ring = self.ring.load();
        let opened = ring.0.iter().find_map(|key| key.decrypt(&XNonce::from(nonce), payload()).ok());
        let content = opened.ok_or(Unopened::Forged)?;
        let number = |range| chunk(datagram, range).map(u64::from_be_bytes).ok_or(Unopened::Malformed);
        let session = chunk::<8>(datagram, SESSION).ok_or(Unopened::Malformed)?;
        let (sealed_at, number) = (number(SEALED_AT)?, number(NUMBER)?);
        if sealed_at.abs_diff(unix_ms) > FRESH_MS {
            return Err(Unopened::Stale);
        }
        self.forget_ended(unix_ms);
        let seen = self.sessions.entry(session).or_default();
        seen.last_ms = unix_ms;
        if seen.note(number) { Ok(content) } else { Err(Unopened::Replayed) }
    }

    /// Forgets sessions of which nothing would be believed any more: their datagrams are stale by now.
    fn forget_ended(&mut self, unix_ms: u64) {
        if self.sessions.len() <= self.forget_above {
            return;
        }
        // A datagram of a node whose clock is ahead is fresh for up to twice as long.
        self.sessions.retain(|_, seen| unix_ms.abs_diff(seen.last_ms) <= 2 * FRESH_MS);
        self.forget_above = (self.sessions.len() * 2).max(64);
    }
}

impl Seen {
    /// Notes a number; whether it has not come before.
    fn note(&mut self, number: u64) -> bool {
        if number > self.highest {
            let ahead = number - self.highest;
            self.below = if ahead < WINDOW { self.below << ahead | 1 } else { 1 };
            self.highest = number;
            return true;
        }
        let back = self.highest - number;
        if back >= WINDOW || self.below & (1 << back) != 0 || number == 0 {
            return false;
        }
        self.below |= 1 << back;
        true
    }
}

fn chunk<const N: usize>(datagram: &[u8], range: Range<usize>) -> Option<[u8; N]> {
    datagram.get(range)?.try_into().ok()
}

#[cfg(test)]
mod tests;
