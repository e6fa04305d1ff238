//! By how much announce intervals are stretched while the tracker is overloaded: pure arithmetic on seconds that are given.
//!
//! Clients hear of a longer interval when they announce, and come later only after that: what is done now is felt half an
//! hour later. So it goes up quickly and comes down slowly, or it would swing.

/// Seconds for which the tracker must be overloaded without a break before anything is done.
const BEGINS_AFTER_SECS: u32 = 5;
/// Seconds without overload after which a percentage point is taken back.
const TAKEN_BACK_EVERY_SECS: u32 = 15;

/// The intervals, and how long the tracker has been overloaded or not.
#[derive(Debug)]
pub(super) struct Stretch {
    most_percent: u32,
    percent: u32,
    looked_at_secs: u32,
    overloaded_secs: u32,
    calm_secs: u32,
}

/// What is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Intervals begin to be stretched.
    Begun,
    /// Intervals are as they are configured again.
    Ended,
}

impl Stretch {
    /// Intervals as they are configured; they are stretched to `most_percent` at most, and with 100 never.
    pub(super) const fn new(most_percent: u32, now_secs: u32) -> Self {
        Self { most_percent, percent: 100, looked_at_secs: now_secs, overloaded_secs: 0, calm_secs: 0 }
    }

    /// What intervals are to be now, in percent of what they are configured to be.
    pub(super) const fn percent(&self) -> u32 {
        self.percent
    }

    /// Takes note of whether the tracker was overloaded since the last look. A point a second is added while it is, and
    /// one is taken back every quarter of a minute while it is not.
    pub(super) fn look(&mut self, is_overloaded: bool, now_secs: u32) -> Option<Turn> {
        let passed_secs = now_secs.saturating_sub(self.looked_at_secs);
        self.looked_at_secs = now_secs;
        let before = self.percent;
        if is_overloaded {
            self.calm_secs = 0;
            self.overloaded_secs = self.overloaded_secs.saturating_add(passed_secs);
            if self.overloaded_secs >= BEGINS_AFTER_SECS {
                self.percent = self.percent.saturating_add(passed_secs).min(self.most_percent);
            }
        } else {
            self.overloaded_secs = 0;
            self.calm_secs = self.calm_secs.saturating_add(passed_secs);
            self.percent = self.percent.saturating_sub(self.calm_secs / TAKEN_BACK_EVERY_SECS).max(100);
            self.calm_secs %= TAKEN_BACK_EVERY_SECS;
        }
        match (before, self.percent) {
            (100, percent) if percent > 100 => Some(Turn::Begun),
            (before, 100) if before > 100 => Some(Turn::Ended),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Stretch, Turn};

    #[test]
    fn it_begins_with_overload_that_lasts_and_grows_by_a_point_a_second_to_its_bound() {
        let mut stretch = Stretch::new(130, 1000);
        for now in 1001..1005 {
            assert_eq!((stretch.look(true, now), stretch.percent()), (None, 100));
        }
        assert_eq!((stretch.look(true, 1005), stretch.percent()), (Some(Turn::Begun), 101));
        for now in 1006..1034 {
            assert_eq!((stretch.look(true, now), stretch.percent()), (None, now - 904));
        }
        for now in 1034..1100 {
            assert_eq!((stretch.look(true, now), stretch.percent()), (None, 130));
        }
    }

    #[test]
    fn it_comes_down_by_a_point_every_quarter_of_a_minute_and_says_when_it_is_over() {
        let mut stretch = Stretch::new(200, 0);
        let begun = (1..=7).filter_map(|now| stretch.look(true, now)).collect::<Vec<_>>();
        assert_eq!(begun, [Turn::Begun]);
        assert_eq!(stretch.percent(), 103);
        let turns: Vec<_> = (8..=60).map(|now| (now, stretch.look(false, now))).collect();
        let ended: Vec<_> = turns.iter().filter(|(_, turn)| turn.is_some()).collect();
        assert_eq!(ended, [&(52, Some(Turn::Ended))]);
        assert_eq!(stretch.percent(), 100);
    }

    #[test]
    fn spikes_change_nothing() {
        let mut stretch = Stretch::new(200, 0);
        for now in 1..1000 {
            assert_eq!((stretch.look(now % 5 != 0, now), stretch.percent()), (None, 100));
        }
    }

    #[test]
    fn between_two_looks_of_one_second_nothing_has_happened() {
        let mut stretch = Stretch::new(200, 0);
        assert!((0..100).all(|_| stretch.look(true, 0).is_none()) && stretch.percent() == 100);
        assert_eq!(stretch.look(true, 40), Some(Turn::Begun));
        assert_eq!(stretch.percent(), 140, "a control that was held up counts the seconds that have passed");
    }

    #[test]
    fn with_a_bound_of_100_intervals_stay_as_they_are() {
        let mut stretch = Stretch::new(100, 0);
        assert!((1..100).all(|now| stretch.look(true, now).is_none() && stretch.percent() == 100));
    }
}
