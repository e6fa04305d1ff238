//! When a peer was last heard of, in one byte: seven bits of ticks, and whether it has completed.
//!
//! A tick is a hundredth of the peer timeout, in whole seconds. A tick of seven bits means one of 128: which, a shard's
//! [`Window`] says, which expiry moves along. All stamps of a shard lie within its window.

/// Ticks that a peer lives at most, with room left in seven bits for a walk that is late.
const TICKS_PER_TIMEOUT: u32 = 100;
/// Ticks that a window spans.
const SPAN: u32 = 128;
const COMPLETED: u8 = 0x80;

/// How seconds become ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    tick_secs: u32,
    life: u32,
}

impl Ticks {
    /// Ticks for peers that are forgotten after so many seconds.
    pub(super) const fn of_timeout(peer_timeout_secs: u32) -> Self {
        let tick_secs = match peer_timeout_secs.div_ceil(TICKS_PER_TIMEOUT) {
            0 => 1,
            secs => secs,
        };
        // The seconds that are lost to rounding must not shorten a life.
        let rounding = if tick_secs == 1 { 0 } else { 1 };
        Self { tick_secs, life: peer_timeout_secs.div_ceil(tick_secs) + rounding }
    }

    /// The tick of a second.
    pub(super) const fn at(self, secs: u32) -> u32 {
        secs / self.tick_secs
    }

    /// The first second of a tick.
    pub(super) const fn start_secs(self, tick: u32) -> u32 {
        tick.saturating_mul(self.tick_secs)
    }

    /// Seconds of so many ticks.
    pub(super) const fn secs(self, ticks: u32) -> u32 {
        ticks.saturating_mul(self.tick_secs)
    }

    /// The age in ticks at which a peer is forgotten.
    pub(super) const fn life(self) -> u32 {
        self.life
    }
}

/// When a peer was heard of, within a [`Window`], and whether it has completed once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(u8);

impl Stamp {
    /// Whether the peer has said once that it completed its download.
    pub(super) const fn completed(self) -> bool {
        self.0 & COMPLETED != 0
    }

    /// The stamp as it is stored.
    pub(super) const fn byte(self) -> u8 {
        self.0
    }

    /// A stamp that was stored.
    pub(super) const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }
}

/// The 128 ticks in which all stamps of a shard lie.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    first: u32,
}

impl Window {
    /// The window in which everything fits that is alive at `tick`, and as much of what comes as possible.
    pub(super) const fn around(tick: u32, ticks: Ticks) -> Self {
        Self { first: tick.saturating_sub(ticks.life) }
    }

    /// Whether a tick lies behind it, so that it must move before anything is stamped.
    pub(super) const fn is_left_behind_at(self, tick: u32) -> bool {
        tick >= self.first + SPAN
    }

    /// The stamp of a tick; what lies outside counts as the nearest tick within.
    pub(super) fn stamp(self, tick: u32, completed: bool) -> Stamp {
        let within = tick.clamp(self.first, self.first + (SPAN - 1));
        Stamp((within as u8 & !COMPLETED) | if completed { COMPLETED } else { 0 })
    }

    /// The tick of a stamp.
    pub(super) const fn tick(self, stamp: Stamp) -> u32 {
        let ahead = (stamp.0 as u32).wrapping_sub(self.first) % SPAN;
        self.first + ahead
    }

    /// The age of a stamp in ticks; one that another thread took a moment later counts as now.
    pub(super) const fn age(self, stamp: Stamp, now_tick: u32) -> u32 {
        now_tick.saturating_sub(self.tick(stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::{Ticks, Window};

    #[test]
    fn every_tick_of_a_window_comes_back() {
        for first in [0, 1, 127, 128, 1000, 77_777] {
            let window = Window { first };
            for tick in first..first + 128 {
                assert!(!window.is_left_behind_at(tick));
                let stamp = window.stamp(tick, tick % 2 == 0);
                assert_eq!((window.tick(stamp), stamp.completed()), (tick, tick % 2 == 0));
            }
            assert!(window.is_left_behind_at(first + 128));
        }
    }

    #[test]
    fn what_lies_outside_of_a_window_is_moved_to_its_edge() {
        let window = Window { first: 500 };
        assert_eq!(window.tick(window.stamp(3, true)), 500);
        assert_eq!(window.tick(window.stamp(5000, true)), 627);
    }

    #[test]
    fn nobody_is_forgotten_before_the_timeout_and_nobody_two_ticks_after_it() {
        for timeout_secs in (1..400).chain([2700, 86_400, 604_800]) {
            let ticks = Ticks::of_timeout(timeout_secs);
            assert!(ticks.life() <= 101, "{timeout_secs} s are {} ticks", ticks.life());
            for heard_secs in [5000, 5001, 5026, 5027] {
                let window = Window::around(ticks.at(heard_secs), ticks);
                let stamp = window.stamp(ticks.at(heard_secs), false);
                let is_over =
                    |age_secs: u32| window.age(stamp, ticks.at(heard_secs + age_secs)) >= ticks.life();
                assert!(!is_over(timeout_secs - 1), "{timeout_secs}");
                let slack_secs = if timeout_secs <= 100 { 0 } else { 2 * ticks.secs(1) };
                assert!(is_over(timeout_secs + slack_secs), "{timeout_secs}");
            }
        }
    }
}
