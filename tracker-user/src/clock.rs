//! One reading of the clock, taken by the ingress once per batch and handed down: nothing below reads a clock.

use tracker_common::connection_id::Slot;

/// A point of `CLOCK_MONOTONIC`, in nanoseconds since the host started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    nanoseconds: u64,
}

impl Now {
    /// Reads `CLOCK_MONOTONIC_COARSE` (resolution of a kernel tick, 1–10 ms): the reading that the kernel
    /// program sees too, and no system call on x86_64 and arm64.
    pub fn read() -> Self {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid timespec for the kernel to write to.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
        debug_assert_eq!(result, 0, "CLOCK_MONOTONIC_COARSE exists since Linux 2.6.32");
        Self { nanoseconds: time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
    }

    /// A reading made by hand, in nanoseconds.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self { nanoseconds }
    }

    /// A reading made by hand, in seconds.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self { nanoseconds: seconds as u64 * 1_000_000_000 }
    }

    /// Nanoseconds since the host started.
    pub const fn nanoseconds(self) -> u64 {
        self.nanoseconds
    }

    /// Whole seconds since the host started.
    pub const fn seconds(self) -> u32 {
        (self.nanoseconds / 1_000_000_000) as u32
    }

    /// The slot in which connection ids are issued now.
    pub const fn slot(self) -> Slot {
        Slot::from_monotonic_ns(self.nanoseconds)
    }
}
