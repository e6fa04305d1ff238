//! Signs of life to systemd, given only while every worker gives some itself: a worker that hangs is as bad as a daemon
//! that does, and a restart mends both.

use crate::notify::{Notifier, State};
use crate::pulse::Pulses;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Looks at the workers in the time after which systemd gives the daemon up: two may go wrong.
const LOOKS: u32 = 3;
/// Beats of an idle worker between two looks.
const BEATS: u32 = 2;

/// How often workers shall beat, where systemd watches over the daemon.
pub fn period(notifier: &Notifier) -> Option<Duration> {
    notifier.watchdog().map(|patience| patience / LOOKS / BEATS)
}

/// What looks at the workers.
pub struct Watchdog {
    notifier: Arc<Notifier>,
    pulses: Arc<Pulses>,
}

impl Watchdog {
    /// One that looks at these workers, if systemd wants to know.
    pub const fn new(notifier: Arc<Notifier>, pulses: Arc<Pulses>) -> Self {
        Self { notifier, pulses }
    }

    /// When to look, if ever. Must be called within a runtime.
    pub(super) fn looks(&self) -> Option<Interval> {
        let mut looks = interval(self.notifier.watchdog()? / LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(looks)
    }

    /// Looks, and passes on what it sees.
    pub(super) fn look(&self) {
        let silent = self.pulses.silent();
        if silent.is_empty() {
            self.notifier.tell(State::Alive);
        } else {
            log::error!("no sign of life from worker {}; systemd gets none either", silent.join(", "));
        }
    }
}

/// Waits for the next look; for ever where there is none.
pub(super) async fn next(looks: &mut Option<Interval>) {
    match looks {
        Some(looks) => drop(looks.tick().await),
        None => std::future::pending().await,
    }
}
