//! The log of refused announces: which torrent, from where, and what stands behind it in the list.

use crate::access_list::{ListKind, Refusal, Refusals};
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
        for Refusal { info_hash, client } in self.noted.try_iter() {
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
}
