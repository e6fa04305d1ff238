//! Signs of life of the threads that serve, for whoever watches over them. Where nobody does, none is given, and no thread
//! wakes for it.

use nix::poll::PollTimeout;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// One thread's sign of life: it beats whenever it comes round, and at least once in a period when there is nothing to do.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Option<Watched>);

#[derive(Clone, Debug)]
struct Watched {
    beats: Arc<AtomicU64>,
    period: Duration,
}

impl Pulse {
    /// Gives a sign of life. Costs next to nothing; only the thread itself may call it.
    pub fn beat(&self) {
        if let Some(Watched { beats, .. }) = &self.0 {
            beats.store(beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// How often the thread shall beat, if it shall.
    pub fn period(&self) -> Option<Duration> {
        self.0.as_ref().map(|watched| watched.period)
    }

    /// How long the thread may sleep.
    pub fn sleep(&self) -> PollTimeout {
        let period = self.period().map(|period| period.max(Duration::from_millis(1)));
        period.map_or(PollTimeout::NONE, |period| period.try_into().unwrap_or(PollTimeout::MAX))
    }
}

/// The pulses of all threads.
#[derive(Debug, Default)]
pub struct Pulses {
    period: Option<Duration>,
    known: Mutex<Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    thread: String,
    beats: Weak<AtomicU64>,
    /// When it was last looked at.
    seen: Option<u64>,
}

impl Pulses {
    /// Of threads that shall beat once in this period, or not at all.
    pub fn with_period(period: Option<Duration>) -> Self {
        Self { period, known: Mutex::default() }
    }

    /// A pulse for a thread; it is forgotten when the thread drops it.
    pub fn of(&self, thread: &str) -> Pulse {
        let Some(period) = self.period else { return Pulse::default() };
        let beats = Arc::new(AtomicU64::new(0));
        let known = Known { thread: thread.to_owned(), beats: Arc::downgrade(&beats), seen: None };
        self.known.lock().push(known);
        Pulse(Some(Watched { beats, period }))
    }

    /// The threads that have not beaten since the last call. One that is new has until the next.
    pub fn silent(&self) -> Vec<String> {
        let mut silent = Vec::new();
        self.known.lock().retain_mut(|known| {
            let Some(beats) = known.beats.upgrade() else { return false };
            let beats = beats.load(Ordering::Relaxed);
            if known.seen.replace(beats) == Some(beats) {
                silent.push(known.thread.clone());
            }
            true
        });
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::{Pulse, Pulses};
    use nix::poll::PollTimeout;
    use std::time::Duration;

    #[test]
    fn a_thread_that_does_not_beat_is_named_until_it_ends() {
        let pulses = Pulses::with_period(Some(Duration::from_secs(1)));
        let (one, other) = (pulses.of("one"), pulses.of("other"));
        assert_eq!(pulses.silent(), Vec::<String>::new());
        one.beat();
        assert_eq!(pulses.silent(), ["other"]);
        other.beat();
        assert_eq!(pulses.silent(), ["one"]);
        drop((one, other));
        assert_eq!(pulses.silent(), Vec::<String>::new());
    }

    #[test]
    fn where_nobody_watches_no_thread_wakes() {
        let pulse = Pulses::default().of("one");
        pulse.beat();
        assert_eq!((pulse.period(), pulse.sleep()), (None, PollTimeout::NONE));
        assert_eq!(Pulse::default().sleep(), PollTimeout::NONE);
        let watched = Pulses::with_period(Some(Duration::from_micros(3))).of("one");
        assert_eq!(watched.sleep(), PollTimeout::from(1_u8));
    }
}
