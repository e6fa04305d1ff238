//! When clients are told to come back: a number for each protocol, longer while the tracker is overloaded, and spread at
//! random. How long is decided elsewhere: here it is one number that every announce reads.

use super::Protocol;
use crate::config::types::Config;
use std::sync::atomic::{AtomicU32, Ordering};

/// The intervals of a tracker.
#[derive(Debug)]
pub(super) struct Intervals {
    udp_secs: u32,
    http_secs: u32,
    jitter_secs: u32,
    /// The longest that an interval may become, before jitter.
    stretched_most_secs: u32,
    stretch_percent: AtomicU32,
}

impl Intervals {
    pub(super) fn of(config: &Config) -> Self {
        let [udp_secs, http_secs] = config.intervals_secs();
        Self {
            udp_secs,
            http_secs,
            jitter_secs: config.tracker.interval_jitter_secs,
            stretched_most_secs: config.stretched_interval_most_secs(),
            stretch_percent: AtomicU32::new(100),
        }
    }

    /// The interval as it is configured.
    const fn configured_secs(&self, over: Protocol) -> u32 {
        match over {
            Protocol::Udp => self.udp_secs,
            Protocol::Http => self.http_secs,
        }
    }

    /// The shortest that any client is told.
    pub(super) fn earliest_secs(&self, over: Protocol) -> u32 {
        self.configured_secs(over).saturating_sub(self.jitter_secs)
    }

    /// The interval now, before jitter. Stretching makes none shorter than it was configured.
    pub(super) fn secs(&self, over: Protocol) -> u32 {
        let secs = self.configured_secs(over);
        let stretched = u64::from(secs) * u64::from(self.stretch_percent()) / 100;
        u32::try_from(stretched).unwrap_or(u32::MAX).min(self.stretched_most_secs).max(secs)
    }

    /// The interval that one client is told.
    pub(super) fn draw(&self, over: Protocol, random: &mut fastrand::Rng) -> u32 {
        let secs = self.secs(over);
        let jitter = self.jitter_secs.min(secs);
        secs - jitter + random.u32(0..=jitter.saturating_mul(2))
    }

    /// By how much intervals are stretched, in percent; 100: not at all.
    pub(super) fn stretch_percent(&self) -> u32 {
        self.stretch_percent.load(Ordering::Relaxed)
    }

    /// Stretches intervals from the next announce on.
    pub(super) fn set_stretch(&self, percent: u32) {
        self.stretch_percent.store(percent, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Intervals, Protocol};
    use crate::config::types::Config;

    fn config(udp_secs: u32, http_secs: u32) -> Config {
        let mut config = Config::default();
        (config.udp.interval_secs, config.http.interval_secs) = (udp_secs, http_secs);
        config
    }

    #[test]
    fn each_protocol_has_its_own_interval_or_that_of_both() {
        let intervals = Intervals::of(&config(0, 0));
        assert_eq!((intervals.secs(Protocol::Udp), intervals.secs(Protocol::Http)), (1800, 1800));
        let intervals = Intervals::of(&config(900, 2400));
        assert_eq!((intervals.secs(Protocol::Udp), intervals.secs(Protocol::Http)), (900, 2400));
    }

    #[test]
    fn clients_of_both_protocols_are_spread_over_the_jitter() {
        let intervals = Intervals::of(&config(900, 2400));
        let mut random = fastrand::Rng::with_seed(1);
        for (over, middle) in [(Protocol::Udp, 900), (Protocol::Http, 2400)] {
            let drawn: Vec<u32> = (0..5000).map(|_| intervals.draw(over, &mut random)).collect();
            assert_eq!(drawn.iter().min().zip(drawn.iter().max()), Some((&(middle - 180), &(middle + 180))));
        }
    }

    #[test]
    fn a_stretched_interval_with_its_jitter_stays_below_the_timeout_of_peers() {
        let intervals = Intervals::of(&config(600, 2460));
        intervals.set_stretch(150);
        assert_eq!(intervals.secs(Protocol::Udp), 900);
        // A sixteenth of 2,700 s is left for those who come late: 2,700 - 168 - 180.
        intervals.set_stretch(1000);
        assert_eq!(intervals.secs(Protocol::Udp), 2352);
        assert_eq!(intervals.secs(Protocol::Http), 2460, "no shorter than it was configured");
        let mut random = fastrand::Rng::with_seed(1);
        assert!((0..5000).all(|_| intervals.draw(Protocol::Udp, &mut random) <= 2532));
        intervals.set_stretch(100);
        assert_eq!((intervals.secs(Protocol::Udp), intervals.secs(Protocol::Http)), (600, 2460));
    }
}
