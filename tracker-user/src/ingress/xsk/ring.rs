//! One ring between this process and the kernel: entries in shared memory, and two counts that say how far each side is.
//!
//! Invariants:
//! - A ring has one writer and one reader; of the two, one is the kernel. The type says which side this process is:
//!   [`Producer`] writes entries, [`Consumer`] reads them. Neither can be cloned.
//! - Both counts only grow, and wrap around at 2^32. Written minus read is the number of entries in the ring, never more
//!   than its size, which is a power of two.
//! - A side writes its own count with `Release` after it has written or read the entries, and reads the other's with
//!   `Acquire` before. So an entry is never read before it is written, nor written over before it is read.
//! - The own count is known here without reading it back: the other side never changes it. What the other side claims is
//!   clamped to what is possible, so that not even a broken kernel makes this process leave the ring's memory.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the parts of a ring lie.
#[derive(Debug)]
pub(super) struct Parts<T> {
    /// Entries written so far.
    pub(super) written: NonNull<AtomicU32>,
    /// Entries read so far.
    pub(super) read: NonNull<AtomicU32>,
    /// Whether the kernel asks to be woken up, see `XDP_RING_NEED_WAKEUP`.
    pub(super) flags: NonNull<AtomicU32>,
    /// As many entries as the ring has.
    pub(super) entries: NonNull<T>,
    /// A power of two.
    pub(super) size: u32,
}

/// The kernel sleeps on this ring until it is woken up (Linux 5.4).
const NEED_WAKEUP: u32 = libc::XDP_RING_NEED_WAKEUP;

impl<T: Copy> Parts<T> {
    fn entry(&self, count: u32) -> NonNull<T> {
        let position = (count & (self.size - 1)) as usize;
        // SAFETY: the mask keeps the position within the entries.
        unsafe { self.entries.add(position) }
    }

    fn written(&self) -> &AtomicU32 {
        // SAFETY: valid for as long as the ring, by the contract of its constructor.
        unsafe { self.written.as_ref() }
    }

    fn read(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.read.as_ref() }
    }

    fn needs_wakeup(&self) -> bool {
        // SAFETY: as above.
        unsafe { self.flags.as_ref() }.load(Ordering::Relaxed) & NEED_WAKEUP != 0
    }
}

/// The side that writes.
#[derive(Debug)]
pub(super) struct Producer<T> {
    parts: Parts<T>,
    /// Entries written, those not yet shown to the other side included.
    ahead: u32,
    /// Entries that the other side had read when it was last looked.
    seen_read: u32,
}

// SAFETY: the memory is shared with the kernel alone, and this is the only handle of this process to its side.
unsafe impl<T: Send> Send for Producer<T> {}

impl<T: Copy> Producer<T> {
    /// The writing side of a ring that is empty or as the other side left it.
    ///
    /// # Safety
    /// The parts are those of one ring, valid for as long as this value; `size` is a power of two; there is no other
    /// writer; the entries are only touched through it or by the one reader.
    pub(super) unsafe fn new(parts: Parts<T>) -> Self {
        let (ahead, seen_read) =
            (parts.written().load(Ordering::Relaxed), parts.read().load(Ordering::Acquire));
        Self { parts, ahead, seen_read }
    }

    /// Whether there is room for one more entry.
    pub(super) fn has_room(&mut self) -> bool {
        if self.free() == 0 {
            self.seen_read = self.parts.read().load(Ordering::Acquire);
        }
        self.free() > 0
    }

    /// Puts an entry into the ring; `false`: it is full. The other side sees it from the next [`Self::publish`] on.
    #[must_use]
    pub(super) fn push(&mut self, entry: T) -> bool {
        if !self.has_room() {
            return false;
        }
        // SAFETY: the place is free: the reader is done with it and does not look before `publish`.
        unsafe { self.parts.entry(self.ahead).write(entry) };
        self.ahead = self.ahead.wrapping_add(1);
        true
    }

    /// Shows the other side all that was pushed.
    pub(super) fn publish(&self) {
        self.parts.written().store(self.ahead, Ordering::Release);
    }

    /// Entries that the other side has not read yet.
    pub(super) fn outstanding(&self) -> u32 {
        self.ahead.wrapping_sub(self.parts.read().load(Ordering::Acquire)).min(self.parts.size)
    }

    /// Whether the kernel has to be woken up to read.
    pub(super) fn needs_wakeup(&self) -> bool {
        self.parts.needs_wakeup()
    }

    fn free(&self) -> u32 {
        self.parts.size.saturating_sub(self.ahead.wrapping_sub(self.seen_read))
    }
}

/// The side that reads.
#[derive(Debug)]
pub(super) struct Consumer<T> {
    parts: Parts<T>,
    /// Entries read, those not yet given back to the other side included.
    behind: u32,
    /// Entries that the other side had written when it was last looked.
    seen_written: u32,
}

// SAFETY: as for `Producer`.
unsafe impl<T: Send> Send for Consumer<T> {}

impl<T: Copy> Consumer<T> {
    /// The reading side of a ring.
    ///
    /// # Safety
    /// As for [`Producer::new`], with reader and writer exchanged; any bytes are a valid `T`.
    pub(super) unsafe fn new(parts: Parts<T>) -> Self {
        let behind = parts.read().load(Ordering::Relaxed);
        Self { parts, behind, seen_written: behind }
    }

    /// Takes the next entry. Its place is free for the other side from the next [`Self::release`] on.
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.available() == 0 {
            self.seen_written = self.parts.written().load(Ordering::Acquire);
            if self.available() == 0 {
                return None;
            }
        }
        // SAFETY: the writer has written it, and leaves it alone until `release`.
        let entry = unsafe { self.parts.entry(self.behind).read() };
        self.behind = self.behind.wrapping_add(1);
        Some(entry)
    }

    /// Gives the places of all that was popped back to the other side.
    pub(super) fn release(&self) {
        self.parts.read().store(self.behind, Ordering::Release);
    }

    fn available(&self) -> u32 {
        self.seen_written.wrapping_sub(self.behind).min(self.parts.size)
    }
}

#[cfg(test)]
pub(super) mod tests;
