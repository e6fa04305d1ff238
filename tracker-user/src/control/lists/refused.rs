//! The log of refused announces: which torrent, from where, and what stands behind it in the list.

use crate::access_list::{ListKind, REFUSALS_AT_A_TIME, Refusal, Refusals};
use crate::tracker::Tracker;
use nix::poll::PollTimeout;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How often it is written, in milliseconds: so no second has more lines than fit in [`Refusals`].
const PERIOD_MS: u16 = 1000;

pub(super) struct RefusedLog {
    refusals: Arc<Refusals>,
    noted: Receiver<Refusal>,
    written: Instant,
}

impl RefusedLog {
    /// Has the tracker note what it refuses from now on.
    pub(super) fn of(tracker: &Tracker) -> Self {
        let (refusals, noted) = Refusals::channel();
        let refusals = Arc::new(refusals);
        tracker.note_refusals(Arc::clone(&refusals));
        Self { refusals, noted, written: Instant::now() }
    }

    /// How long to wait until there may be something to write.
    pub(super) fn period() -> PollTimeout {
        PollTimeout::from(PERIOD_MS)
    }

    /// Writes what has been noted, unless it has just done so.
    pub(super) fn write(&mut self, tracker: &Tracker) {
        if self.written.elapsed() < Duration::from_millis(PERIOD_MS.into()) {
            return;
        }
        self.written = Instant::now();
        for Refusal { info_hash, client } in self.take() {
            let torrents = tracker.torrents();
            let why = match torrents.kind() {
                Some(ListKind::Whitelist) => "not on the whitelist".to_owned(),
                Some(ListKind::Blacklist) => match torrents.note(&info_hash) {
                    Some(note) => format!("on the blacklist: {note}"),
                    None => "on the blacklist".to_owned(),
                },
                None => "on a list that is no more in force".to_owned(),
            };
            log::info!(target: "refused", "refused {info_hash:?} to {client}, {why}");
        }
        match self.refusals.take_missed() {
            0 => {}
            missed => log::info!(target: "refused", "refused {missed} more announces"),
        }
    }

    /// What has been noted, no more than there is room for: workers note others meanwhile, faster than any log takes them.
    fn take(&self) -> impl Iterator<Item = Refusal> {
        self.noted.try_iter().take(REFUSALS_AT_A_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::RefusedLog;
    use crate::access_list::{REFUSALS_AT_A_TIME, Refusal};
    use crate::config::types::TrackerConfig;
    use crate::info_hash::InfoHash;
    use crate::tracker::Tracker;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    #[test]
    fn it_comes_to_an_end_though_refusals_do_not() {
        let tracker = Tracker::new(TrackerConfig::default(), [1, 2]);
        let log = RefusedLog::of(&tracker);
        let (is_over, begun) = (AtomicBool::new(false), Barrier::new(3));
        let refusal = Refusal { info_hash: InfoHash([7; 20]), client: [192, 0, 2, 1].into() };
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    begun.wait();
                    while !is_over.load(Ordering::Relaxed) {
                        log.refusals.note(refusal);
                    }
                });
            }
            begun.wait();
            // With workers that go on while a line is written, as a log takes its time.
            let slowly = log.take().take(100 * REFUSALS_AT_A_TIME).inspect(|_| {
                while log.refusals.take_missed() == 0 {
                    thread::yield_now();
                }
            });
            let taken = slowly.count();
            is_over.store(true, Ordering::Relaxed);
            assert!((1..=REFUSALS_AT_A_TIME).contains(&taken), "{taken} lines");
        });
    }
}
