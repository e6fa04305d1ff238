//! When a snapshot was written, by clocks that can be trusted after a restart: how long ago that is decides how old its peers
//! are.

use crate::clock::{Now, since_1970};

/// Where the kernel says which start of the host this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// One start of a host: its `boot_id`, or zeros where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot(pub [u8; 16]);

impl Boot {
    /// The start that the host is running from. To be asked before `tracker.rootdir` is entered: `/proc` is not there any
    /// more afterwards.
    pub fn read() -> Self {
        std::fs::read_to_string(BOOT_ID).ok().and_then(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().replace('-', "");
        let number = u128::from_str_radix(&digits, 16).ok()?;
        (digits.len() == 32).then_some(Self(number.to_be_bytes()))
    }
}

/// A moment, by the clocks of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970, by a clock that can be set.
    pub wall_secs: u64,
    /// Seconds of [`Now`], which never jump but begin anew with every start of the host.
    pub secs: u32,
    /// The start of the host that those are counted from.
    pub boot: Boot,
}

/// How much later one moment is than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elapsed {
    /// So many seconds.
    Secs(u64),
    /// It cannot be known: the clock was set back in between.
    ClockSetBack,
}

impl Elapsed {
    /// The seconds; none where they cannot be known.
    pub fn secs(self) -> u64 {
        match self {
            Self::Secs(secs) => secs,
            Self::ClockSetBack => 0,
        }
    }
}

impl Moment {
    /// This moment.
    pub fn read(boot: Boot, now: Now) -> Self {
        Self { wall_secs: since_1970().as_secs(), secs: now.seconds(), boot }
    }

    /// How much later this moment is than an earlier one, perhaps on another host. Within one start of a host a clock that
    /// was set does not matter.
    pub fn since(&self, earlier: &Self) -> Elapsed {
        if self.boot == earlier.boot
            && self.boot != Boot::default()
            && let Some(secs) = self.secs.checked_sub(earlier.secs)
        {
            return Elapsed::Secs(secs.into());
        }
        self.wall_secs.checked_sub(earlier.wall_secs).map_or(Elapsed::ClockSetBack, Elapsed::Secs)
    }
}

#[cfg(test)]
mod tests {
    use super::{Boot, Elapsed, Moment};

    const WRITTEN: Moment = Moment { wall_secs: 1_000_000, secs: 5000, boot: Boot([1; 16]) };

    #[test]
    fn within_one_start_of_the_host_a_clock_that_was_set_does_not_matter() {
        for wall_secs in [0, 1_000_007, 9_000_000_000] {
            let now = Moment { wall_secs, secs: 5007, ..WRITTEN };
            assert_eq!(now.since(&WRITTEN), Elapsed::Secs(7), "{wall_secs}");
        }
    }

    #[test]
    fn from_one_start_to_another_the_clock_of_the_wall_counts() {
        for boot in [Boot([2; 16]), Boot::default()] {
            let now = Moment { wall_secs: 1_000_060, secs: 6000, boot };
            assert_eq!(now.since(&WRITTEN), Elapsed::Secs(60));
            let earlier = Moment { wall_secs: 999_999, secs: 6000, boot };
            assert_eq!(earlier.since(&WRITTEN), Elapsed::ClockSetBack);
        }
        let unknown = Moment { boot: Boot::default(), ..WRITTEN };
        let now = Moment { wall_secs: 1_000_060, secs: 9000, boot: Boot::default() };
        assert_eq!(now.since(&unknown), Elapsed::Secs(60));
        // A container that was moved with its id.
        let now = Moment { wall_secs: 1_000_060, secs: 10, ..WRITTEN };
        assert_eq!(now.since(&WRITTEN), Elapsed::Secs(60));
    }

    #[test]
    fn a_boot_id_is_16_bytes() {
        let boot = Boot::parse("00010203-0405-0607-0809-0a0b0c0d0e0f\n");
        assert_eq!(boot, Some(Boot(std::array::from_fn(|at| at as u8))));
        assert_eq!(Boot::parse("0001"), None);
        assert_eq!(Boot::parse("zz010203-0405-0607-0809-0a0b0c0d0e0f"), None);
        assert_ne!(Boot::read(), Boot::default());
    }
}
