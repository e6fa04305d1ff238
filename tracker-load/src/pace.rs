//! When requests are due: at a set rate whatever becomes of them, or as many as keep a number of them under way.

use std::time::Duration;

/// For how long a closed loop sleeps at most: something may have to be given up.
const CLOSED_PAUSE: Duration = Duration::from_millis(1);

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Open loop: so many in a second.
    Rate(f64),
    /// Closed loop: so many under way at any time.
    UnderWay(usize),
}

/// A pace from a point of time on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    start_ns: u64,
    taken: u64,
}

impl Schedule {
    /// From `start_ns` on.
    pub(crate) const fn new(pace: Pace, start_ns: u64) -> Self {
        Self { pace, start_ns, taken: 0 }
    }

    /// Requests that are due and not yet taken, while this many are under way.
    pub(crate) fn due(&self, now_ns: u64, under_way: usize) -> u64 {
        match self.pace {
            Pace::Rate(per_sec) => {
                // The first is due at the start itself.
                let until_now = now_ns.saturating_sub(self.start_ns) as f64 * per_sec / 1e9;
                (until_now as u64 + 1).saturating_sub(self.taken)
            }
            Pace::UnderWay(most) => most.saturating_sub(under_way) as u64,
        }
    }

    /// Takes the next request and says when it is due, which at a set rate may be long ago.
    pub(crate) fn take(&mut self, now_ns: u64) -> u64 {
        let due_ns = self.next_due_ns(now_ns);
        self.taken += 1;
        due_ns
    }

    /// How long to wait at most.
    pub(crate) fn pause(&self, now_ns: u64) -> Duration {
        match self.pace {
            Pace::Rate(_) => Duration::from_nanos(self.next_due_ns(now_ns).saturating_sub(now_ns)),
            Pace::UnderWay(_) => CLOSED_PAUSE,
        }
    }

    /// Requests that were due before `end_ns` and never taken.
    pub(crate) fn never_sent(&self, end_ns: u64) -> u64 {
        match self.pace {
            Pace::Rate(_) => self.due(end_ns.saturating_sub(1), 0),
            Pace::UnderWay(_) => 0,
        }
    }

    fn next_due_ns(&self, now_ns: u64) -> u64 {
        match self.pace {
            Pace::Rate(per_sec) => self.start_ns + (self.taken as f64 * 1e9 / per_sec).ceil() as u64,
            Pace::UnderWay(_) => now_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, Schedule};
    use std::time::Duration;

    #[test]
    fn an_open_loop_keeps_its_times_however_late_it_is() {
        let mut schedule = Schedule::new(Pace::Rate(1000.0), 5_000_000);
        assert_eq!(schedule.due(5_000_000, 99), 1);
        assert_eq!(schedule.take(5_000_000), 5_000_000);
        assert_eq!(schedule.due(5_000_000, 0), 0);
        assert_eq!(schedule.pause(5_000_000), Duration::from_millis(1));
        // A second went by unused: a thousand are due, each at its own time.
        assert_eq!(schedule.due(1_005_000_000, 0), 1000);
        assert_eq!(schedule.take(1_005_000_000), 6_000_000);
        assert_eq!(schedule.take(1_005_000_000), 7_000_000);
        assert_eq!(schedule.never_sent(1_005_000_000), 997);
    }

    #[test]
    fn a_request_is_due_no_sooner_than_the_schedule_says() {
        let mut schedule = Schedule::new(Pace::Rate(777_777.0), 12_345);
        let mut now_ns = 12_345;
        for _ in 0..100_000 {
            assert_eq!(schedule.due(now_ns, 0), 1);
            assert!(schedule.take(now_ns) <= now_ns);
            assert_eq!(schedule.due(now_ns, 0), 0);
            now_ns += schedule.pause(now_ns).as_nanos() as u64;
        }
    }

    #[test]
    fn a_closed_loop_fills_up_what_is_under_way() {
        let mut schedule = Schedule::new(Pace::UnderWay(10), 0);
        assert_eq!(schedule.due(50, 3), 7);
        assert_eq!(schedule.take(50), 50);
        assert_eq!(schedule.due(50, 10), 0);
        assert_eq!(schedule.due(50, 11), 0);
        assert_eq!(schedule.never_sent(1_000_000), 0);
    }
}
