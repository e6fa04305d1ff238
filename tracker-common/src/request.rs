//! What a payload claims to be, by its length and its first 16 bytes: the first check, the same on both sides.

use crate::verdict::Verdict;
use crate::wire::{ACTION_ANNOUNCE, ACTION_CONNECT, ACTION_SCRAPE, INFO_HASH_LEN, PROTOCOL_ID, request};

/// The three requests of BEP 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks for a connection id, and carries none.
    Connect,
    /// Carries a connection id and at least the fields of an announce.
    Announce,
    /// Carries a connection id and at least one whole info hash.
    Scrape,
}

/// Names a payload of at least [`request::HEADER_LEN`] bytes, or the verdict on one that is no request.
///
/// The cheap checks come first: a flood of rubbish never reaches the hash that proves a connection id.
///
/// # Errors
/// The verdict with which the packet ends.
#[inline(always)]
pub const fn classify(payload_len: usize, connection_id: u64, action: u32) -> Result<Kind, Verdict> {
    match action {
        ACTION_CONNECT if connection_id == PROTOCOL_ID => Ok(Kind::Connect),
        ACTION_CONNECT => Err(Verdict::WrongProtocolId),
        ACTION_ANNOUNCE if payload_len >= request::ANNOUNCE_LEN => Ok(Kind::Announce),
        ACTION_ANNOUNCE => Err(Verdict::AnnounceTooShort),
        ACTION_SCRAPE if payload_len >= request::SCRAPE_HASHES + INFO_HASH_LEN => Ok(Kind::Scrape),
        ACTION_SCRAPE => Err(Verdict::ScrapeTooShort),
        _ => Err(Verdict::UnknownAction),
    }
}
