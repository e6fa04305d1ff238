//! The memory that the kernel program reads while this process writes it: its map, mapped into ours.
//!
//! Every field is an integer written whole, in an order in which the program never sees half of a change. No system
//! call is needed, so this goes on working after privileges are given up.

use crate::clock::Now;
use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tracker_common::abi::Control;
use tracker_common::connection_id::Keys;

/// One `Control`, shared with the kernel.
#[derive(Debug)]
pub(super) struct ControlMap {
    control: NonNull<Control>,
}

// SAFETY: the memory is only accessed through atomics, and unmapped by the owner alone.
unsafe impl Send for ControlMap {}

/// A bound on packets: so many per second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) packets_per_sec: u32,
    pub(super) burst_packets: u32,
}

impl Budget {
    /// What a packet costs and what may be spent ahead, in nanoseconds; zeros where there is no bound.
    fn in_nanoseconds(self) -> (u64, u64) {
        let cost = 1_000_000_000_u64.checked_div(u64::from(self.packets_per_sec)).unwrap_or(0);
        (cost, cost * u64::from(self.burst_packets))
    }
}

impl ControlMap {
    /// Maps the array of one `Control` behind a descriptor made with `BPF_F_MMAPABLE` (Linux 5.5).
    ///
    /// # Errors
    /// Those of mmap(2).
    pub(super) fn new(map: &impl AsFd) -> Result<Self> {
        let (len, protection) = (size_of::<Control>(), libc::PROT_READ | libc::PROT_WRITE);
        let fd = map.as_fd().as_raw_fd();
        // SAFETY: a new mapping at an address of the kernel's choosing touches no memory of ours.
        let address = unsafe { libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, 0) };
        if address == libc::MAP_FAILED {
            return Err(Error::last_os_error());
        }
        NonNull::new(address.cast()).map(|control| Self { control }).ok_or_else(Error::last_os_error)
    }

    /// Gives a sign of life.
    pub(super) fn beat(&self, now: Now) {
        // SAFETY: the field lies in the mapping.
        store(unsafe { &raw mut (*self.control.as_ptr()).heartbeat_ns }, now.nanoseconds());
    }

    /// The keys that the program uses.
    pub(super) fn keys(&self) -> Keys {
        // SAFETY: the field lies in the mapping.
        let keys = unsafe { &raw const (*self.control.as_ptr()).keys };
        // SAFETY: the program never writes the keys, and any bytes are valid.
        unsafe { keys.read_volatile() }
    }

    /// Gives the program both keys but leaves it issuing with the one that it issues with.
    pub(super) fn prepare_keys(&self, keys: &Keys) {
        let words = keys.words();
        // SAFETY: the field lies in the mapping, and is as long as the words.
        let field = unsafe { &raw mut (*self.control.as_ptr()).keys }.cast::<u64>();
        for (position, word) in words.iter().enumerate().take(words.len() - 1) {
            store(field.wrapping_add(position), *word);
        }
    }

    /// Makes the program issue with the key of which `keys` says so; both are prepared first.
    pub(super) fn publish_keys(&self, keys: &Keys) {
        self.prepare_keys(keys);
        let words = keys.words();
        // SAFETY: as above.
        let field = unsafe { &raw mut (*self.control.as_ptr()).keys }.cast::<u64>();
        store(field.wrapping_add(words.len() - 1), words[words.len() - 1]);
    }

    /// Sets how long an id holds.
    pub(super) fn set_lifetime_slots(&self, slots: u32) {
        // SAFETY: the field lies in the mapping.
        store_half(unsafe { &raw mut (*self.control.as_ptr()).lifetime_slots }, slots);
    }

    /// Sets the flags.
    pub(super) fn set_flags(&self, flags: u32) {
        // SAFETY: the field lies in the mapping.
        store_half(unsafe { &raw mut (*self.control.as_ptr()).flags }, flags);
    }

    /// Sets the budget of a source and that of all connects. The costs come last: they switch the budgets on.
    pub(super) fn set_budgets(&self, source: Budget, connects: Budget) {
        let control = self.control.as_ptr();
        let ((source_cost, source_burst), (connect_cost, connect_burst)) =
            (source.in_nanoseconds(), connects.in_nanoseconds());
        // SAFETY: the fields lie in the mapping, here and below.
        store(unsafe { &raw mut (*control).source_burst_ns }, source_burst);
        // SAFETY: as above.
        store(unsafe { &raw mut (*control).connect_burst_ns }, connect_burst);
        // SAFETY: as above.
        store(unsafe { &raw mut (*control).source_cost_ns }, source_cost);
        // SAFETY: as above.
        store(unsafe { &raw mut (*control).connect_cost_ns }, connect_cost);
    }

    /// Makes one connect cost all that the next centuries earn.
    pub(super) fn exhaust_connects(&self) {
        let control = self.control.as_ptr();
        // SAFETY: the field lies in the mapping, here and below.
        store(unsafe { &raw mut (*control).connect_burst_ns }, 0);
        // SAFETY: as above.
        store(unsafe { &raw mut (*control).connect_cost_ns }, u64::MAX / 4);
    }

    /// Sets the key by which sources share budgets.
    pub(super) fn set_source_hash_key(&self, key: u64) {
        // SAFETY: the field lies in the mapping.
        store(unsafe { &raw mut (*self.control.as_ptr()).source_hash_key }, key);
    }
}

impl Drop for ControlMap {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows from it.
        unsafe { libc::munmap(self.control.as_ptr().cast(), size_of::<Control>()) };
    }
}

/// Writes a field whole. Only called with pointers to the fields of a mapping.
fn store(field: *mut u64, value: u64) {
    // SAFETY: an aligned field of the mapping, which outlives this call; the other side reads whole words.
    unsafe { AtomicU64::from_ptr(field) }.store(value, Ordering::SeqCst);
}

/// Writes a field of half a word whole. Only called with pointers to the fields of a mapping.
fn store_half(field: *mut u32, value: u32) {
    // SAFETY: as for whole words.
    unsafe { AtomicU32::from_ptr(field) }.store(value, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn a_budget_is_its_cost_and_its_burst_in_nanoseconds() {
        let budget =
            |packets_per_sec, burst_packets| Budget { packets_per_sec, burst_packets }.in_nanoseconds();
        assert_eq!(budget(1000, 50), (1_000_000, 50_000_000));
        assert_eq!(budget(0, 50), (0, 0));
        assert_eq!(budget(1, u32::MAX), (1_000_000_000, u64::from(u32::MAX) * 1_000_000_000));
    }
}
