//! One reading of the clock, taken by the ingress once per batch and handed down: nothing below reads a clock.

use std::time::{Duration, SystemTime};

/// Seconds that are counted before the host was started: more than a year, the longest that anything is remembered. So what
/// was heard of before keeps its age when it is known again after a start.
const BEFORE_START_SECS: u32 = 1 << 25;

/// The time since the beginning of 1970, by the host's time of day, which may be set; zero before that.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// A point of `CLOCK_MONOTONIC`, in nanoseconds since the host started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    nanoseconds: u64,
    before_start_secs: u32,
}

impl Now {
    /// Reads `CLOCK_MONOTONIC_COARSE` (resolution of a kernel tick, 1–10 ms): the reading that the kernel
    /// program sees too, and no system call on x86_64 and arm64.
    pub fn read() -> Self {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid timespec for the kernel to write to.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
        debug_assert_eq!(result, 0, "CLOCK_MONOTONIC_COARSE exists since Linux 2.6.32");
        let nanoseconds = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
        Self { nanoseconds, before_start_secs: BEFORE_START_SECS }
    }

    /// A reading made by hand, in nanoseconds.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self { nanoseconds, before_start_secs: 0 }
    }

    /// A reading made by hand, in seconds, with nothing before the host was started.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self { nanoseconds: seconds as u64 * 1_000_000_000, before_start_secs: 0 }
    }

    /// Nanoseconds since the host started.
    pub const fn nanoseconds(self) -> u64 {
        self.nanoseconds
    }

    /// Whole seconds, counted from long before the host was started: what peers and torrents were heard of at.
    pub const fn seconds(self) -> u32 {
        self.before_start_secs + (self.nanoseconds / 1_000_000_000) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Now;

    #[test]
    fn what_was_a_year_before_the_host_was_started_has_a_second() {
        assert!(Now::read().seconds() > 366 * 24 * 60 * 60);
        assert!(Now::read().seconds() < 1 << 31, "a stamp has 31 bits of seconds");
        assert_eq!(Now::from_seconds(7).seconds(), 7);
    }
}
