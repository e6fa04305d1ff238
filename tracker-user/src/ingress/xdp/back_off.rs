//! When to try again what has failed: soon at first, then ever more rarely.

use crate::clock::Now;

/// Seconds until the first try, and between two tries at most.
const FIRST_SECS: u32 = 1;
const MOST_SECS: u32 = 60;

/// The tries of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BackOff {
    /// Seconds between the last failure and the next try.
    wait_secs: u32,
    failed_at_secs: u32,
}

impl BackOff {
    /// After a failure; `before` is that of the failure before, if it is not too long ago to matter.
    pub(super) fn after(before: Option<Self>, now: Now) -> Self {
        let failed_at_secs = now.seconds();
        let recent = before.filter(|before| {
            failed_at_secs.saturating_sub(before.failed_at_secs) <= before.wait_secs + MOST_SECS
        });
        let wait_secs = recent.map_or(FIRST_SECS, |before| (before.wait_secs * 2).min(MOST_SECS));
        Self { wait_secs, failed_at_secs }
    }

    /// Whether it is time for the next try.
    pub(super) fn is_over(self, now: Now) -> bool {
        now.seconds().saturating_sub(self.failed_at_secs) >= self.wait_secs
    }
}

#[cfg(test)]
mod tests {
    use super::BackOff;
    use crate::clock::Now;

    /// Seconds between the failures of something that fails at every try, as long as `tries` lasts.
    fn waits(tries: usize) -> Vec<u32> {
        let mut secs = 1000;
        let mut back_off = BackOff::after(None, Now::from_seconds(secs));
        let mut waits = Vec::new();
        for _ in 0..tries {
            let begin = secs;
            while !back_off.is_over(Now::from_seconds(secs)) {
                secs += 1;
            }
            waits.push(secs - begin);
            back_off = BackOff::after(Some(back_off), Now::from_seconds(secs));
        }
        waits
    }

    #[test]
    fn what_goes_on_failing_is_tried_ever_more_rarely_but_every_minute() {
        assert_eq!(waits(9), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn what_has_gone_well_for_a_minute_is_tried_soon_again() {
        let first = BackOff::after(None, Now::from_seconds(1000));
        let soon_again = BackOff::after(Some(first), Now::from_seconds(1061));
        assert!(!soon_again.is_over(Now::from_seconds(1062)));
        let long_after = BackOff::after(Some(soon_again), Now::from_seconds(1124));
        assert!(long_after.is_over(Now::from_seconds(1125)));
    }
}
