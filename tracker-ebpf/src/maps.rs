//! The maps, as `tracker_common::abi` describes them.

use crate::headers::Address;
use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, xdp_action};
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, LpmTrie, PerCpuArray, XskMap};
use aya_ebpf::programs::XdpContext;
use tracker_common::abi::{
    Control, Counter, LISTEN_BUCKETS, ListenBucket, ListenKey, Listener, MAX_BLOCKED, MAX_XSK_QUEUES,
    SOURCE_BUDGETS, XSKS as XSK_ENTRIES, xsk_index,
};
use tracker_common::verdict::Verdict;

#[map]
static CONTROL: Array<Control> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
static LISTENERS: Array<ListenBucket> = Array::with_max_entries(LISTEN_BUCKETS, 0);

#[map]
static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(Verdict::COUNT as u32, 0);

#[map]
static SOURCES: Array<u64> = Array::with_max_entries(SOURCE_BUDGETS, 0);

#[map]
static CONNECTS: Array<u64> = Array::with_max_entries(1, 0);

#[map]
static BLOCKED: LpmTrie<[u8; 16], u32> = LpmTrie::with_max_entries(MAX_BLOCKED, BPF_F_NO_PREALLOC);

#[map]
static XSKS: XskMap = XskMap::with_max_entries(XSK_ENTRIES, 0);

/// What the daemon says now.
#[inline(always)]
pub(crate) fn control() -> Option<&'static Control> {
    CONTROL.get(0)
}

/// What the daemon says of an address and port, by the words of a `ListenKey`.
#[inline(always)]
pub(crate) fn listener(key: [u64; 3]) -> Option<Listener> {
    let bucket = LISTENERS.get(ListenKey::bucket(key))?;
    for entry in &bucket.entries {
        // Words, each read at its time: the daemon may be writing. Half of a key is nobody's.
        if (entry[2] ^ key[2]) | (entry[1] ^ key[1]) | (entry[0] ^ key[0]) == 0 {
            return Some(Listener::from_word(entry[3]));
        }
    }
    None
}

/// Counts a packet of `len` bytes.
#[inline(always)]
pub(crate) fn count(verdict: Verdict, len: usize) {
    if let Some(counter) = COUNTERS.get_ptr_mut(verdict.index() as u32) {
        // SAFETY: the element belongs to this CPU alone while the program runs, and the pointer is checked.
        let counter = unsafe { &mut *counter };
        counter.packets += 1;
        counter.bytes += len as u64;
    }
}

/// When the budget of the source with this hash is used up.
#[inline(always)]
pub(crate) fn source_budget(hash: u32) -> Option<*mut u64> {
    SOURCES.get_ptr_mut(hash & (SOURCE_BUDGETS - 1))
}

/// When the budget of all connects is used up.
#[inline(always)]
pub(crate) fn connect_budget() -> Option<*mut u64> {
    CONNECTS.get_ptr_mut(0)
}

/// Hands the packet to the AF_XDP socket of its receive queue; whether there is one.
#[inline(always)]
pub(crate) fn hand_over(context: &XdpContext, slot: u16) -> bool {
    let queue = context.rx_queue_index();
    // What the helper returns where there is no socket stands in its flags since Linux 5.3.
    queue < MAX_XSK_QUEUES && XSKS.redirect(xsk_index(slot, queue), xdp_action::XDP_PASS.into()).is_ok()
}

/// A key whose address stands where words may be written: the stack takes no word that is not aligned.
#[repr(C, align(8))]
struct AlignedKey {
    padding: u32,
    key: Key<[u8; 16]>,
}

/// Whether the address lies in a blocked network.
#[inline(always)]
pub(crate) fn is_blocked(address: Address) -> bool {
    let aligned = AlignedKey { padding: 0, key: Key::new(128, address.octets()) };
    BLOCKED.get(&aligned.key).is_some_and(|says| *says != 0)
}
