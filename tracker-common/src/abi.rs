//! The memory that the kernel program and the daemon share: names of maps, values in them, and their version.
//!
//! Values are fixed-width integers and byte arrays with explicit padding: any bytes are a valid value.

use crate::connection_id::Keys;

/// Raised with every change of this file, or of the number of verdicts, that an older program or daemon would misread.
pub const ABI_VERSION: u32 = 5;

/// The name of the program in the object.
pub const PROGRAM: &str = "tracker";
/// The symbol of the object that holds its [`ABI_VERSION`].
pub const ABI_VERSION_SYMBOL: &str = "TRACKER_ABI_VERSION";

/// Names of the maps. The kernel keeps 15 bytes of a name.
pub mod map {
    /// One [`super::Control`], mapped into the daemon's memory.
    pub const CONTROL: &str = "CONTROL";
    /// By [`super::ListenKey::bucket`]: [`super::ListenBucket`], what the daemon listens on. An array, because the
    /// kernel's own hash maps cost every packet a call and a comparison, 25 ns.
    pub const LISTENERS: &str = "LISTENERS";
    /// Per CPU, by verdict: [`super::Counter`].
    pub const COUNTERS: &str = "COUNTERS";
    /// By a keyed hash of a source: when its budget is used up, see [`super::Control::source_cost_ns`].
    pub const SOURCES: &str = "SOURCES";
    /// One element: when the budget of all connects is used up.
    pub const CONNECTS: &str = "CONNECTS";
    /// Networks, IPv4 addresses mapped into IPv6, to [`super::NETWORK_SERVED`] or [`super::NETWORK_BLOCKED`];
    /// the longest prefix counts.
    pub const BLOCKED: &str = "BLOCKED";
    /// By [`super::xsk_index`]: the AF_XDP socket of a receive queue.
    pub const XSKS: &str = "XSKS";
}

/// Elements of [`map::LISTENERS`]; a power of two.
pub const LISTEN_BUCKETS: u32 = 1 << LISTEN_BUCKETS_SHIFT;
const LISTEN_BUCKETS_SHIFT: u32 = 12;
/// Listeners in one [`ListenBucket`].
pub const LISTENERS_PER_BUCKET: usize = 4;
/// Entries of [`map::SOURCES`]; a power of two. 8 bytes each.
pub const SOURCE_BUDGETS: u32 = 1 << 16;
/// Entries of [`map::BLOCKED`].
pub const MAX_BLOCKED: u32 = 1 << 20;

/// Interfaces that may have AF_XDP sockets.
pub const MAX_XSK_INTERFACES: u16 = LISTENER_XSK_SLOT >> LISTENER_XSK_SHIFT;
/// Receive queues of an interface that may have one; those beyond have none.
pub const MAX_XSK_QUEUES: u32 = 256;
/// Entries of [`map::XSKS`].
pub const XSKS: u32 = (MAX_XSK_INTERFACES as u32 + 1) * MAX_XSK_QUEUES;
/// The longest frame, in bytes, that is handed to an AF_XDP socket: it fits a frame of its memory behind what the kernel
/// keeps free there.
pub const MAX_XSK_FRAME_LEN: usize = 1700;

/// The element of [`map::XSKS`] for a receive queue of the interface in a slot of [`Listener::xsk_slot`].
#[inline(always)]
pub const fn xsk_index(slot: u16, queue: u32) -> u32 {
    slot as u32 * MAX_XSK_QUEUES + queue
}

/// A network in [`map::BLOCKED`] that is served, within a longer one that is not.
pub const NETWORK_SERVED: u32 = 0;
/// A network in [`map::BLOCKED`] that is not served.
pub const NETWORK_BLOCKED: u32 = 1;

/// What the daemon tells the program while it runs, each field written whole.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Control {
    /// `CLOCK_MONOTONIC` of the daemon's last sign of life, in nanoseconds. Older than
    /// [`HEARTBEAT_LIMIT_NS`]: everything is passed on.
    pub heartbeat_ns: u64,
    /// The keys of the connection ids.
    pub keys: Keys,
    /// Slots for which a connection id holds.
    pub lifetime_slots: u32,
    /// [`FLAG_LENIENT`], [`FLAG_BLOCKED`].
    pub flags: u32,
    /// What a proven packet costs its source, in nanoseconds: 10^9 divided by the packets allowed per second.
    /// 0: no budget.
    pub source_cost_ns: u64,
    /// What a source may be ahead, in nanoseconds: the cost times the packets allowed at once behind the first.
    pub source_burst_ns: u64,
    /// The same cost for the connects of all sources together.
    pub connect_cost_ns: u64,
    /// The same burst for the connects of all sources together.
    pub connect_burst_ns: u64,
    /// Secret and random: which sources share a budget shall not be an attacker's to choose.
    pub source_hash_key: u64,
}

/// A daemon silent for longer is taken for hung or dead.
pub const HEARTBEAT_LIMIT_NS: u64 = 5_000_000_000;
/// Wrong connection ids are passed on, to be answered with an error.
pub const FLAG_LENIENT: u32 = 1;
/// [`map::BLOCKED`] has entries.
pub const FLAG_BLOCKED: u32 = 2;

/// One way to reach the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct ListenKey {
    /// Destination address, IPv4 mapped into IPv6.
    pub address: [u8; 16],
    /// Index of the interface on which the packet comes in.
    pub interface: u32,
    /// Destination port, big-endian.
    pub port_be: [u8; 2],
    /// Zero.
    pub padding: [u8; 2],
}

impl ListenKey {
    /// The key as it lies in memory, in the byte order of the host.
    pub const fn words(&self) -> [u64; 3] {
        let [p0, p1] = self.port_be;
        let [i0, i1, i2, i3] = self.interface.to_ne_bytes();
        let [z0, z1] = self.padding;
        let address = u128::from_le_bytes(self.address);
        let (first, second) = (u64::from_le(address as u64), u64::from_le((address >> 64) as u64));
        [first, second, u64::from_ne_bytes([i0, i1, i2, i3, p0, p1, z0, z1])]
    }

    /// The element of [`map::LISTENERS`] that holds the key with these words.
    #[inline(always)]
    pub const fn bucket(words: [u64; 3]) -> u32 {
        // No secret: what is in the map is the operator's choice, and a packet costs the same wherever it leads.
        let mixed = (words[0] ^ words[1].rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ words[2];
        (mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> (u64::BITS - LISTEN_BUCKETS_SHIFT)) as u32
    }
}

/// One element of [`map::LISTENERS`]: per listener the words of its [`ListenKey`], then its [`Listener`]. Zeros: none,
/// for no interface has the index 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ListenBucket {
    /// The listeners, in any order.
    pub entries: [[u64; 4]; LISTENERS_PER_BUCKET],
}

impl ListenBucket {
    /// Adds a listener; false: the bucket is full. A key must not be added twice.
    #[must_use]
    pub fn add(&mut self, key: [u64; 3], listener: &Listener) -> bool {
        let Some(free) = self.entries.iter_mut().find(|entry| **entry == [0; 4]) else { return false };
        *free = [key[0], key[1], key[2], u64::from_ne_bytes(listener.to_bytes())];
        true
    }
}

/// What else must be right about a packet for a [`ListenKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Listener {
    /// The interface's own link address.
    pub link_address: [u8; 6],
    /// [`LISTENER_UNTAGGED`], [`LISTENER_DEAF`], [`LISTENER_XSK_SLOT`].
    pub flags: u16,
}

/// Frames with the tag of a VLAN are passed on: the host has none on this interface.
pub const LISTENER_UNTAGGED: u16 = 1;
/// Nothing listens here. The address is the host's own or a broadcast address, so no packet comes from it either.
pub const LISTENER_DEAF: u16 = 2;
/// The slot of the interface among those with AF_XDP sockets, from 1; 0: it has none.
pub const LISTENER_XSK_SLOT: u16 = 0xf0;
const LISTENER_XSK_SHIFT: u32 = 4;

impl Listener {
    /// The value from the word that lies in memory.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        let [a, b, c, d, e, f, y, z] = word.to_ne_bytes();
        Self { link_address: [a, b, c, d, e, f], flags: u16::from_ne_bytes([y, z]) }
    }

    /// The slot of its interface among those with AF_XDP sockets, from 1; 0: it has none.
    #[inline(always)]
    pub const fn xsk_slot(&self) -> u16 {
        (self.flags & LISTENER_XSK_SLOT) >> LISTENER_XSK_SHIFT
    }

    /// The flag for a slot, 1 to [`MAX_XSK_INTERFACES`], or 0 for none.
    pub const fn xsk_flag(slot: u16) -> u16 {
        (slot << LISTENER_XSK_SHIFT) & LISTENER_XSK_SLOT
    }

    /// The link address as it lies in memory, in the lower bytes of a little-endian word.
    #[inline(always)]
    pub const fn link_word(&self) -> u64 {
        let [a, b, c, d, e, f] = self.link_address;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }

    /// The value as it lies in memory.
    pub const fn to_bytes(&self) -> [u8; 8] {
        let ([a, b, c, d, e, f], [y, z]) = (self.link_address, self.flags.to_ne_bytes());
        [a, b, c, d, e, f, y, z]
    }
}

/// Packets that ended in one verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counter {
    /// How many.
    pub packets: u64,
    /// Their bytes, link header included; of a packet in several buffers those of the first.
    pub bytes: u64,
}

const _: () = assert!(size_of::<Keys>() == 56);
const _: () = assert!(size_of::<Control>() == 112 && align_of::<Control>() == 8);
const _: () = assert!(size_of::<ListenKey>() == 24);
const _: () = assert!(size_of::<Listener>() == 8);
const _: () = assert!(size_of::<ListenBucket>() == 128);
const _: () = assert!(size_of::<Counter>() == 16);
const _: () = assert!(SOURCE_BUDGETS.is_power_of_two());
const _: () = assert!(MAX_XSK_QUEUES.is_power_of_two() && XSKS == 4096);

#[cfg(test)]
mod tests {
    use super::{
        LISTENER_DEAF, LISTENER_UNTAGGED, Listener, MAX_XSK_INTERFACES, MAX_XSK_QUEUES, XSKS, xsk_index,
    };

    #[test]
    fn every_queue_of_every_slot_has_an_entry_of_its_own() {
        let mut taken = [false; XSKS as usize];
        for slot in 1..=MAX_XSK_INTERFACES {
            for queue in 0..MAX_XSK_QUEUES {
                let entry = &mut taken[xsk_index(slot, queue) as usize];
                assert!(!*entry, "slot {slot}, queue {queue}");
                *entry = true;
            }
        }
    }

    #[test]
    fn a_slot_stands_beside_the_other_flags() {
        for slot in 0..=MAX_XSK_INTERFACES {
            for others in [0, LISTENER_UNTAGGED, LISTENER_DEAF, LISTENER_UNTAGGED | LISTENER_DEAF] {
                let listener = Listener { link_address: [0xff; 6], flags: others | Listener::xsk_flag(slot) };
                assert_eq!(listener.xsk_slot(), slot);
                assert_eq!(listener.flags & (LISTENER_UNTAGGED | LISTENER_DEAF), others);
                assert_eq!(Listener::from_word(u64::from_ne_bytes(listener.to_bytes())), listener);
            }
        }
    }
}
