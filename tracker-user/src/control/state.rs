//! What outlives a run: taken back at the start, and written by a thread of its own while the tracker runs and when it has
//! stopped. The thread rests as long as it works, so that it takes no more than half a core.

use crate::clock::Now;
use crate::config::types::{Config, StateConfig, TrackerConfig};
use crate::peer_store::Timeouts;
use crate::state::export;
use crate::state::moment::{Elapsed, Moment};
use crate::state::snapshot::file::{self, Loaded, Written};
use crate::state::snapshot::writer::Origin;
use crate::tracker::Tracker;
use anyhow::{Context, Result, anyhow};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Takes back what an earlier run has written. The list of torrents is to be in force by then, and nothing to be served yet.
///
/// # Errors
/// Where a snapshot is there but cannot be read: nobody would expect the tracker to start empty, and to write over it.
pub fn restore(config: &Config, tracker: &Arc<Tracker>, origin: Origin) -> Result<()> {
    let Some(path) = &config.state.snapshot else { return Ok(()) };
    let (begun, here) = (Instant::now(), Moment::read(origin.boot, Now::read()));
    let loaded = file::load(path, tracker, timeouts(&config.tracker), here)?;
    let path = path.display();
    match loaded {
        Loaded::Absent => log::info!("{path}: no snapshot yet, starting empty"),
        Loaded::PutAside { damage, kept_as } => {
            let kept_as = kept_as.display();
            log::error!(
                "{path}: {damage}; nothing of it is used, it is kept as {kept_as}, and all starts empty"
            );
        }
        Loaded::Restored { restored, age } => {
            if age == Elapsed::ClockSetBack {
                log::warn!(
                    "{path}: the clock was set back since: its peers are no older than when it was written"
                );
            }
            let (age_secs, took) = (age.secs(), begun.elapsed().as_millis());
            let torrents = tracker.store().totals().torrents;
            log::info!(
                "{path}: {torrents} torrents and {} peers known again, {} peers left out as too old or not served; \
                 written {age_secs} s ago, read in {took} ms",
                restored.peers,
                restored.peers_left_out
            );
        }
    }
    Ok(())
}

/// When peers and torrents are forgotten.
pub const fn timeouts(config: &TrackerConfig) -> Timeouts {
    Timeouts { peer_secs: config.peer_timeout_secs, torrent_secs: config.torrent_timeout_secs }
}

/// Keeps the files of the state up to date.
pub struct StateKeeper {
    /// Ends the thread when it is dropped.
    stop: Option<Sender<()>>,
    /// Where there is anything to write.
    thread: Option<JoinHandle<Keeper>>,
}

impl StateKeeper {
    /// Whether the files could be written when their time comes.
    ///
    /// # Errors
    /// Why not.
    pub fn check(config: &StateConfig) -> Result<()> {
        check("state.snapshot", config.snapshot.as_deref(), file::check_writable)?;
        check("state.export", config.export.as_deref(), export::check_writable)
    }

    /// Starts the thread, where there is anything to write. Whatever an earlier run or other nodes have left is to be in the
    /// store by then: it writes what is there.
    ///
    /// # Errors
    /// Where there is no thread to be had.
    pub fn start(config: &StateConfig, tracker: &Arc<Tracker>, origin: Origin) -> Result<Self> {
        if config.snapshot.is_none() && config.export.is_none() {
            return Ok(Self { stop: None, thread: None });
        }
        let (stop, stopped) = channel();
        let keeper = Keeper { config: config.clone(), tracker: Arc::clone(tracker), origin, stopped };
        let thread = thread::Builder::new().name("state".to_owned());
        let thread = thread.spawn(move || keeper.run()).context("cannot start a thread")?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Writes the last snapshot. To be done when nothing is served any more.
    ///
    /// # Errors
    /// Where it cannot be written, or the thread has ended before: what is known now is lost.
    pub fn stop(self) -> Result<()> {
        let Some(keeper) = self.end()? else { return Ok(()) };
        // Nobody is served any more, and somebody waits.
        keeper.snapshot(|| Ok(())).context("the last snapshot is not written, the one of before stays")
    }

    /// Leaves the files as they are: what is in memory is not to be trusted, or no more than what is in them.
    ///
    /// # Errors
    /// Where the thread has ended before.
    pub fn abandon(self) -> Result<()> {
        self.end().map(drop)
    }

    fn end(mut self) -> Result<Option<Keeper>> {
        self.stop = None;
        let ended = self.thread.take().map(JoinHandle::join).transpose();
        ended.map_err(|_panic| anyhow!("the thread that writes snapshots panicked"))
    }
}

fn check(name: &str, path: Option<&Path>, check: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    check(path).with_context(|| {
        format!(
            "{name} {path:?} cannot be written; its directory, below tracker.rootdir, must belong to the user that the \
             tracker runs as"
        )
    })
}

/// The thread.
struct Keeper {
    config: StateConfig,
    tracker: Arc<Tracker>,
    origin: Origin,
    stopped: Receiver<()>,
}

/// Why the thread stops waiting.
enum Woken {
    Due,
    Stopped,
}

impl Keeper {
    /// Runs until the [`StateKeeper`] is stopped, and gives itself back.
    fn run(self) -> Self {
        let period = |path: &Option<_>, secs: u32| {
            (path.is_some() && secs > 0).then(|| Duration::from_secs(u64::from(secs)))
        };
        let snapshot_period = period(&self.config.snapshot, self.config.snapshot_interval_secs);
        let export_period = period(&self.config.export, self.config.export_interval_secs);
        let begun = Instant::now();
        let mut snapshot_due = snapshot_period.map(|period| begun + period);
        let mut export_due = export_period.map(|period| begun + self.first_export_in(period));
        while let Woken::Due = self.wait(snapshot_due.into_iter().chain(export_due).min()) {
            let now = Instant::now();
            if export_due.is_some_and(|due| due <= now) {
                self.export();
                export_due = export_period.map(|period| now + period);
            }
            if snapshot_due.is_some_and(|due| due <= now) {
                // It is said in the log, and there will be another.
                let _ = self.snapshot(self.resting());
                snapshot_due = snapshot_period.map(|period| now + period);
            }
        }
        self
    }

    /// At once, but for a store that still has to hear of its torrents: an export of a run before is better than none of
    /// them.
    fn first_export_in(&self, period: Duration) -> Duration {
        let Some(path) = self.config.export.as_ref().filter(|path| path.exists()) else {
            return Duration::ZERO;
        };
        if self.tracker.store().totals().torrents > 0 {
            return Duration::ZERO;
        }
        log::info!("{}: no torrent is known yet, so the export of before stays for now", path.display());
        period
    }

    fn wait(&self, due: Option<Instant>) -> Woken {
        let ended = match due {
            Some(due) => self.stopped.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => self.stopped.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match ended {
            Err(RecvTimeoutError::Timeout) => Woken::Due,
            _ => Woken::Stopped,
        }
    }

    /// Rests as long as there was work, and gives the work up where the tracker stops.
    fn resting(&self) -> impl FnMut() -> io::Result<()> {
        let mut begun = Instant::now();
        move || match self.wait(Some(Instant::now() + begun.elapsed())) {
            Woken::Due => {
                begun = Instant::now();
                Ok(())
            }
            Woken::Stopped => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Writes a snapshot, where one is wanted, and says in the log how it went.
    fn snapshot(&self, rest: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        let Some(path) = &self.config.snapshot else { return Ok(()) };
        let begun = Instant::now();
        let written = file::write(path, self.tracker.store(), self.origin, rest);
        let (path, took) = (path.display(), begun.elapsed().as_millis());
        match &written {
            Ok(Written { contents, bytes }) => {
                let peers = contents.v4 + contents.v6;
                log::info!("{path}: {peers} peers written, {bytes} bytes in {took} ms");
            }
            // The tracker stops: another one follows at once, or is not wanted.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => log::error!("{path} cannot be written, the snapshot of before stays: {error}"),
        }
        written.map(drop)
    }

    fn export(&self) {
        let Some(path) = &self.config.export else { return };
        let written = export::write(path, &self.tracker, self.config.export_format, self.resting());
        let path = path.display();
        match written {
            Ok(torrents) => log::debug!("{path}: {torrents} torrents written"),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => log::error!("{path} cannot be written, the export of before stays: {error}"),
        }
    }
}
