//! Connection ids of BEP 15: issued and checked by one pure function on both sides of the kernel.
//!
//! **Threat.** A UDP source address can be forged. A tracker that stores or answers forged announces fills its
//! swarms with addresses of an attacker's choosing and points clients at them. The id proves that the sender
//! reads what is sent to its address: it is a keyed hash of that address, so a blind guess holds once in 2^56
//! packets, and nothing is stored until the proof is there.
//!
//! **Form.** 56 bits of SipHash-2-4(key; address as 16 bytes ‖ slot), then one tag byte: bit 7 names one of two
//! keys, bits 0–6 are the low bits of the slot. The tag says which slot to check: a check costs one hash, and
//! a stale id none. The address alone is bound, not the port: address translators change ports between a
//! connect and its announce, and clients use several sockets.
//!
//! **Time.** A slot is 2^34 ns (17.2 s) of `CLOCK_MONOTONIC`, which `bpf_ktime_get_coarse_ns` (Linux 5.11) and
//! `CLOCK_MONOTONIC_COARSE` both read, so the two sides agree without talking.

use crate::siphash::{Key, siphash24};

/// A slot is 2 to this power of nanoseconds.
const SLOT_SHIFT: u32 = 34;
/// Bits 0–6 of the tag: the low bits of the slot.
const SLOT_MASK: u64 = 0x7f;
/// Bit 7 of the tag: which key.
const KEY_BIT: u64 = 0x80;
/// The longest lifetime that 7 bits of slot can tell from a future id: half of the circle.
pub const MAX_LIFETIME_SLOTS: u32 = 63;

/// Both keys and which of them new ids are made with.
///
/// Both are random from the start, since bit 7 of the tag lets a sender choose the key that its id is checked
/// against. Rotation replaces the idle key and makes it the issuing one, so that an id outlives one rotation.
#[derive(Clone, Copy)]
pub struct Keys {
    keys: [Key; 2],
    issuing: bool,
}

impl Keys {
    /// Two keys from a source of randomness; the first issues.
    pub const fn new(keys: [Key; 2]) -> Self {
        Self { keys, issuing: false }
    }

    /// The same keys with the idle one replaced and issuing from now on.
    pub const fn rotated(mut self, fresh: Key) -> Self {
        self.issuing = !self.issuing;
        self.keys[self.issuing as usize] = fresh;
        self
    }
}

/// How a connection id stands to the address that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The id was given to this address within its lifetime.
    Proven,
    /// The tag names a slot outside the lifetime.
    Stale,
    /// The hash is not the one that this address was given.
    Forged,
}

/// A point of `CLOCK_MONOTONIC` as the slot in which ids are issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u64);

impl Slot {
    /// The slot of a reading of `CLOCK_MONOTONIC` in nanoseconds.
    pub const fn from_monotonic_ns(nanoseconds: u64) -> Self {
        Self(nanoseconds >> SLOT_SHIFT)
    }

    /// The number of slots that covers a lifetime in seconds, at least 1 and at most [`MAX_LIFETIME_SLOTS`].
    pub const fn lifetime(seconds: u32) -> u32 {
        let slots = ((seconds as u64 * 1_000_000_000) >> SLOT_SHIFT) as u32 + 1;
        if slots > MAX_LIFETIME_SLOTS { MAX_LIFETIME_SLOTS } else { slots }
    }
}

/// The connection id of an address in a slot, in the byte order of a big-endian integer on the wire.
///
/// `address` is an IPv6 address, or an IPv4 address mapped into one (RFC 4291, section 2.5.5.2).
pub const fn issue(keys: &Keys, address: [u8; 16], slot: Slot) -> u64 {
    let tag = (slot.0 & SLOT_MASK) | if keys.issuing { KEY_BIT } else { 0 };
    tagged(keys, address, slot, tag)
}

/// Whether `id` was issued to `address` in the current slot or one of the `lifetime_slots` before it.
pub const fn prove(keys: &Keys, address: [u8; 16], id: u64, now: Slot, lifetime_slots: u32) -> Proof {
    let age = now.0.wrapping_sub(id) & SLOT_MASK;
    if age > lifetime_slots as u64 {
        return Proof::Stale;
    }
    let issued = Slot(now.0.wrapping_sub(age));
    if tagged(keys, address, issued, id & (KEY_BIT | SLOT_MASK)) == id {
        Proof::Proven
    } else {
        Proof::Forged
    }
}

const fn tagged(keys: &Keys, address: [u8; 16], slot: Slot, tag: u64) -> u64 {
    let key = if tag & KEY_BIT == 0 { keys.keys[0] } else { keys.keys[1] };
    let halves = u128::from_le_bytes(address);
    let hash = siphash24(key, [halves as u64, (halves >> 64) as u64, slot.0]);
    (hash & !(KEY_BIT | SLOT_MASK)) | tag
}

#[cfg(test)]
mod tests;
