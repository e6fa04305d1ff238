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
//! `CLOCK_MONOTONIC_COARSE` both read, so the two sides agree without talking. Where several hosts share keys, slots are
//! those of the time of day, by an offset to that clock ([`SharedClock`]): no two hosts have been up equally long.

use crate::siphash::{Key, siphash24};

/// A slot is 2 to this power of nanoseconds.
const SLOT_SHIFT: u32 = 34;
/// Bits 0–6 of the tag: the low bits of the slot.
const SLOT_MASK: u64 = 0x7f;
/// Bit 7 of the tag: which key.
const KEY_BIT: u64 = 1 << KEY_SHIFT;
const KEY_SHIFT: u32 = 7;
/// The longest lifetime that 7 bits of slot can tell from a future id: half of the circle.
pub const MAX_LIFETIME_SLOTS: u32 = 63;

/// Both keys and which of them new ids are made with.
///
/// Both are random from the start, since bit 7 of the tag lets a sender choose the key that its id is checked
/// against. Rotation replaces the idle key and makes it the issuing one, so that an id outlives one rotation.
///
/// Lies in memory that the kernel program reads while the daemon writes: fixed-width integers alone.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Keys {
    keys: [Key; 2],
    clock: SharedClock,
    /// 0 or 1.
    issuing: u64,
}

/// What is added to `CLOCK_MONOTONIC`, wrapping, for slots that mean the same on several hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SharedClock {
    /// In nanoseconds, for the slot in which ids are checked.
    checking_offset_ns: u64,
    /// In nanoseconds, for the slot in which ids are made.
    issuing_offset_ns: u64,
}

impl SharedClock {
    /// No other host: the clock as it is.
    pub const LOCAL: Self = Self { checking_offset_ns: 0, issuing_offset_ns: 0 };

    /// Slots to be added to the lifetime of an id that is checked by a shared clock: one by which it is checked ahead, and
    /// one for a host of which the clock is behind.
    pub const MORE_LIFETIME_SLOTS: u32 = 2;

    /// A clock that all hosts share, ahead of this host's `CLOCK_MONOTONIC` by this, in nanoseconds. Ids are checked as if
    /// it were a slot later: the clock of the host that made one may be in the next slot already.
    pub const fn ahead_of_monotonic(offset_ns: u64) -> Self {
        Self { checking_offset_ns: offset_ns.wrapping_add(1 << SLOT_SHIFT), issuing_offset_ns: offset_ns }
    }

    /// By how much two clocks differ, in nanoseconds.
    pub const fn distance_ns(self, other: Self) -> u64 {
        let ahead = self.issuing_offset_ns.wrapping_sub(other.issuing_offset_ns);
        if ahead > ahead.wrapping_neg() { ahead.wrapping_neg() } else { ahead }
    }
}

impl Keys {
    /// Two keys from a source of randomness; the first issues.
    pub const fn new(keys: [Key; 2]) -> Self {
        Self { keys, clock: SharedClock::LOCAL, issuing: 0 }
    }

    /// Keys that several hosts share, by a clock that they share; `issuing`, 0 or 1, says which of them issues.
    pub const fn shared(keys: [Key; 2], issuing: u64, clock: SharedClock) -> Self {
        Self { keys, clock, issuing: issuing & 1 }
    }

    /// The clock by which ids are made and checked.
    pub const fn clock(&self) -> SharedClock {
        self.clock
    }

    /// The slot in which ids are made, at a reading of `CLOCK_MONOTONIC` in nanoseconds.
    #[inline(always)]
    pub const fn issuing_slot(&self, monotonic_ns: u64) -> Slot {
        Slot::from_monotonic_ns(monotonic_ns.wrapping_add(self.clock.issuing_offset_ns))
    }

    /// The slot in which ids are checked, at a reading of `CLOCK_MONOTONIC` in nanoseconds.
    #[inline(always)]
    pub const fn checking_slot(&self, monotonic_ns: u64) -> Slot {
        Slot::from_monotonic_ns(monotonic_ns.wrapping_add(self.clock.checking_offset_ns))
    }

    /// The same keys with the idle one replaced and issuing from now on.
    pub const fn rotated(mut self, fresh: Key) -> Self {
        self.issuing = self.idle();
        self.keys[self.issuing as usize & 1] = fresh;
        self
    }

    /// The keys as they lie in memory, and last which of them issues: written in this order, a reader on the other
    /// side never issues with half a key.
    pub const fn words(&self) -> [u64; Self::WORDS] {
        let [[a, b], [c, d]] = self.keys;
        let SharedClock { checking_offset_ns, issuing_offset_ns } = self.clock;
        [a, b, c, d, checking_offset_ns, issuing_offset_ns, self.issuing]
    }

    /// How many words [`Self::words`] are.
    pub const WORDS: usize = 7;

    /// Keys from their words.
    pub const fn from_words(words: [u64; Self::WORDS]) -> Self {
        let [a, b, c, d, checking_offset_ns, issuing_offset_ns, issuing] = words;
        let clock = SharedClock { checking_offset_ns, issuing_offset_ns };
        Self { keys: [[a, b], [c, d]], clock, issuing: issuing & 1 }
    }

    /// Which key is idle, 0 or 1: the one that [`Self::rotated`] replaces.
    const fn idle(&self) -> u64 {
        (self.issuing & 1) ^ 1
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

/// Which id an address has or claims to have: all that the one hash needs beside keys and address.
///
/// [`issue`] and [`prove`] are made of it; the kernel program uses the parts, so as to hash in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    slot: u64,
    tag: u64,
}

impl Claim {
    /// The id that is given now.
    #[inline(always)]
    pub const fn issued(keys: &Keys, now: Slot) -> Self {
        Self { slot: now.0, tag: (now.0 & SLOT_MASK) | (keys.issuing & 1) << KEY_SHIFT }
    }

    /// The id that the tag of `id` speaks of; `None`: it is stale.
    #[inline(always)]
    pub const fn made(id: u64, now: Slot, lifetime_slots: u32) -> Option<Self> {
        let age = now.0.wrapping_sub(id) & SLOT_MASK;
        if age > lifetime_slots as u64 {
            return None;
        }
        Some(Self { slot: now.0.wrapping_sub(age), tag: id & (KEY_BIT | SLOT_MASK) })
    }

    /// The id itself, in the byte order of a big-endian integer on the wire.
    #[inline(always)]
    pub const fn id(self, keys: &Keys, address: [u8; 16]) -> u64 {
        // An index, not a choice: the verifier of the kernel walks through the hash once for each way that leads there.
        let key = keys.keys[(self.tag >> KEY_SHIFT) as usize & 1];
        let halves = u128::from_le_bytes(address);
        let hash = siphash24(key, [halves as u64, (halves >> 64) as u64, self.slot]);
        (hash & !(KEY_BIT | SLOT_MASK)) | self.tag
    }
}

/// The connection id of an address in a slot, in the byte order of a big-endian integer on the wire.
///
/// `address` is an IPv6 address, or an IPv4 address mapped into one (RFC 4291, section 2.5.5.2).
pub const fn issue(keys: &Keys, address: [u8; 16], slot: Slot) -> u64 {
    Claim::issued(keys, slot).id(keys, address)
}

/// Whether `id` was issued to `address` in the current slot or one of the `lifetime_slots` before it.
pub const fn prove(keys: &Keys, address: [u8; 16], id: u64, now: Slot, lifetime_slots: u32) -> Proof {
    match Claim::made(id, now, lifetime_slots) {
        None => Proof::Stale,
        Some(claim) if claim.id(keys, address) == id => Proof::Proven,
        Some(_) => Proof::Forged,
    }
}

#[cfg(test)]
mod tests;
