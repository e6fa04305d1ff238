//! Keys of connection ids that a cluster shares: made of its secrets and of the time of day alone, so that nodes behind one
//! address take each other's ids without a word between them.
//!
//! Each period of `udp.connection_id_rotation_secs` since 1970 has a key. In its first half the key of the period before is
//! the idle one, since ids made with it still hold; in its second half it is that of the period to come, since nodes of
//! which the clocks are ahead will be the first to issue with it.

use super::secrets::Secrets;
use crate::clock::since_1970;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tracker_common::connection_id::{Keys, SharedClock};
use tracker_common::siphash::{Key, siphash24};

/// How far the time of day may run away from what was published before it is published again. Beside a slot, which is what
/// clocks may differ by, it is little; and it is more than what is between two readings of clocks.
const OFFSET_TOLERANCE_NS: u64 = 250_000_000;

/// Which keys are in force at which time. Not `Debug`: secrets must not reach a log.
pub(super) struct KeySchedule {
    secrets: Secrets,
    period_secs: u64,
}

/// The time by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clocks {
    /// Nanoseconds since 1970.
    pub(super) real_ns: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) monotonic_ns: u64,
}

impl Clocks {
    /// Both clocks now.
    ///
    /// # Errors
    /// Where the kernel has none of them, which no kernel does.
    pub(super) fn read() -> nix::Result<Self> {
        let monotonic = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        Ok(Self { real_ns: since_1970().as_nanos() as u64, monotonic_ns: monotonic.as_nanos() as u64 })
    }
}

impl KeySchedule {
    /// Keys of these secrets, for periods of this length.
    pub(super) fn new(secrets: Secrets, period_secs: u32) -> Self {
        Self { secrets, period_secs: u64::from(period_secs.max(1)) }
    }

    /// The same with other secrets.
    pub(super) fn replace_secrets(&mut self, secrets: Secrets) {
        self.secrets = secrets;
    }

    /// The keys that are in force at this time, with the clock by which ids are made.
    pub(super) fn keys_at(&self, clocks: Clocks) -> Keys {
        let period_ns = self.period_secs * 1_000_000_000;
        let (period, into_ns) = (clocks.real_ns / period_ns, clocks.real_ns % period_ns);
        let is_first_half = into_ns < period_ns / 2;
        let neighbour = if is_first_half { period.wrapping_sub(1) } else { period.wrapping_add(1) };
        let mut keys = [Key::default(); 2];
        // The place of a key says its parity: that of its period, on every node.
        for period in [neighbour, period] {
            keys[(period & 1) as usize] = self.key_of(period);
        }
        let offset_ns = clocks.real_ns.wrapping_sub(clocks.monotonic_ns);
        Keys::shared(keys, period & 1, SharedClock::ahead_of_monotonic(offset_ns))
    }

    /// The key of a period: SipHash as a pseudorandom function of its number, under the secret that counts at its beginning.
    fn key_of(&self, period: u64) -> Key {
        let secret = self.secrets.at(period.saturating_mul(self.period_secs));
        [0, 1].map(|word| siphash24(secret, [period, self.period_secs, word]))
    }
}

/// Whether keys or which of them issues are not as they were, leaving the clock aside.
pub(super) fn keys_differ(published: &Keys, now: &Keys) -> bool {
    let [a, b, c, d, _, _, issuing] = published.words();
    let [e, f, g, h, _, _, issuing_now] = now.words();
    [a, b, c, d, issuing] != [e, f, g, h, issuing_now]
}

/// Whether the clock has run away from what was published, or has been set.
pub(super) const fn clocks_differ(published: &Keys, now: &Keys) -> bool {
    published.clock().distance_ns(now.clock()) > OFFSET_TOLERANCE_NS
}

#[cfg(test)]
mod tests;
