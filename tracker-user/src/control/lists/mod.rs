//! The lists of torrents, looked after by a thread of their own: it reads them at a reload, hears of changes through
//! FIFOs, and writes refused announces to the log. Reading takes as long as it takes; meanwhile the list of before is in
//! force, and then at once and whole the new one.

mod fifo;
mod refused;
mod wish;

pub use wish::Wanted;
pub(super) use wish::{Changed, NoList};

use super::letting_go;
use crate::access_list::{Change, ListKind, ListedTorrents, TorrentList};
use crate::config::types::AccessConfig;
use crate::info_hash::InfoHash;
use crate::tracker::Tracker;
use anyhow::{Context, Result};
use fifo::{Fifo, READS_OF_A_PIPE, Taken};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::Mutex;
use refused::RefusedLog;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use thiserror::Error;
use tokio::sync::oneshot::{Receiver, channel};
use wish::{Verdict, Wish};

/// A list that cannot be read.
#[derive(Debug, Error)]
#[error("access.{} {path:?} cannot be read: {error}; it is looked for below tracker.rootdir, as the user that the \
         tracker runs as", kind.name())]
struct UnreadableList {
    kind: ListKind,
    path: PathBuf,
    error: std::io::Error,
}

/// The lists and what watches over them. Dropping it ends the thread.
#[derive(Debug)]
pub struct Lists {
    wish: Arc<Mutex<Wish>>,
    /// Wakes the thread: by a byte for a new wish, by closing to end.
    wake: UnixStream,
}

impl Lists {
    /// Reads the lists and puts them in force, opens the FIFOs, and starts the thread.
    ///
    /// # Errors
    /// Where a list cannot be read or a FIFO not be opened: nobody would expect the tracker to serve without it.
    pub fn start(config: &AccessConfig, log_refused: bool, tracker: Arc<Tracker>) -> Result<Self> {
        put_in_force(&tracker, read(config)?);
        let fifos = open_fifos(config)?;
        let refused = log_refused.then(|| RefusedLog::of(&tracker));
        let (wake, woken) = UnixStream::pair().context("cannot make a socket to wake a thread")?;
        wake.set_nonblocking(true)
            .and_then(|()| woken.set_nonblocking(true))
            .context("cannot set up a socket")?;
        let wish = Arc::new(Mutex::new(Wish::nothing(config.clone())));
        let keeper = Keeper { wish: Arc::clone(&wish), woken, fifos, refused, tracker };
        let thread = thread::Builder::new().name("lists".to_owned());
        thread.spawn(move || keeper.run()).context("cannot start a thread")?;
        Ok(Self { wish, wake })
    }

    /// Has the lists read again, from elsewhere if there is a new configuration, and returns at once. Whoever wants to
    /// know then hears which list is in force, if one is, or why that of before still is.
    pub fn reload(&self, config: Option<&AccessConfig>) -> Receiver<Result<Option<String>, String>> {
        let (done, outcome) = channel();
        self.ask(|wish| {
            wish.reload = true;
            wish.reloaded.push(done);
            if let Some(config) = config {
                wish.config = config.clone();
            }
        });
        outcome
    }

    /// Has torrents served or not served until the next reload, as the FIFOs do, and returns at once.
    pub fn change(&self, torrents: Vec<InfoHash>, wanted: Wanted) -> Receiver<Result<Changed, NoList>> {
        let (done, outcome) = channel();
        self.ask(|wish| wish.verdicts.push(Verdict { torrents, wanted, done }));
        outcome
    }

    fn ask(&self, wish: impl FnOnce(&mut Wish)) {
        wish(&mut self.wish.lock());
        // Where there is no room for another byte, the thread is to be woken already.
        if let Err(error) = (&self.wake).write(&[0])
            && error.kind() != std::io::ErrorKind::WouldBlock
        {
            self.wish.lock().give_up();
            log::error!("the lists stay as they are: their thread has ended ({error})");
        }
    }
}

fn open_fifos(config: &AccessConfig) -> Result<Vec<Fifo>> {
    let wanted =
        [("fifo_add", &config.fifo_add, Change::Add), ("fifo_delete", &config.fifo_delete, Change::Delete)];
    let wanted = wanted.into_iter().filter_map(|(name, path, change)| Some((name, path.as_ref()?, change)));
    wanted
        .map(|(name, path, change)| {
            Fifo::open(path.clone(), change).with_context(|| {
                format!(
                    "access.{name} {path:?} cannot be opened; make it below tracker.rootdir with mkfifo -m 600, and \
                     give it with chown to the user that the tracker runs as"
                )
            })
        })
        .collect()
}

/// The thread.
struct Keeper {
    wish: Arc<Mutex<Wish>>,
    woken: UnixStream,
    fifos: Vec<Fifo>,
    refused: Option<RefusedLog>,
    tracker: Arc<Tracker>,
}

impl Keeper {
    /// Runs until the [`Lists`] are dropped.
    fn run(mut self) {
        loop {
            let ready = self.wait();
            if !self.is_wanted() {
                return;
            }
            let asked = {
                let mut wish = self.wish.lock();
                let nothing = Wish::nothing(wish.config.clone());
                std::mem::replace(&mut *wish, nothing)
            };
            if asked.reload {
                let outcome = self.reload(&asked.config);
                // Not everyone who asks waits for an answer, here and below.
                asked.reloaded.into_iter().for_each(|done| drop(done.send(outcome.clone())));
            }
            asked.verdicts.into_iter().for_each(|verdict| judge(&self.tracker, verdict));
            self.take_changes(&ready);
            if let Some(refused) = &mut self.refused {
                refused.write(&self.tracker);
            }
        }
    }

    /// Takes the bytes that woke the thread; whether there is more to do than to end.
    fn is_wanted(&mut self) -> bool {
        !matches!(self.woken.read(&mut [0; 64]), Ok(0))
    }

    /// Waits for anything to do; for every FIFO whether there is something to read.
    fn wait(&self) -> Vec<bool> {
        let descriptors = self.fifos.iter().filter_map(Fifo::descriptor);
        let waiting = [self.woken.as_fd()].into_iter().chain(descriptors);
        let mut waiting: Vec<_> =
            waiting.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)).collect();
        let timeout = if self.refused.is_some() { RefusedLog::period() } else { PollTimeout::NONE };
        // An error can only be a signal, and then there is nothing to read yet.
        let has_something = poll(&mut waiting, timeout).is_ok_and(|ready| ready > 0);
        let mut polled = waiting.iter().skip(1).map(|fifo| has_something && fifo.any().unwrap_or(true));
        let is_open = self.fifos.iter().map(|fifo| fifo.descriptor().is_some());
        is_open.map(|is_open| is_open && polled.next().unwrap_or(false)).collect()
    }

    fn reload(&mut self, config: &AccessConfig) -> Result<Option<String>, String> {
        self.take_earlier_changes();
        let (mut report, mut failed) = (None, Vec::new());
        match read(config) {
            Ok(list) => {
                report.clone_from(&list.report);
                put_in_force(&self.tracker, list);
            }
            Err(error) => failed.push(format!("{error}; the list of before stays in force")),
        }
        for fifo in self.fifos.iter_mut().filter(|fifo| fifo.is_astray()) {
            if let Err(error) = fifo.reopen() {
                failed.push(format!("{} cannot be opened again: {error}", fifo.path().display()));
            }
        }
        failed.iter().for_each(|why| log::error!("{why}"));
        if failed.is_empty() { Ok(report) } else { Err(failed.join("\n")) }
    }

    /// Takes all that has been written to the FIFOs before a reload: it holds until then, or on where the reload fails.
    fn take_earlier_changes(&mut self) {
        let all = vec![true; self.fifos.len()];
        // No more than that: somebody may write all the time.
        for _ in 0..READS_OF_A_PIPE {
            self.take_changes(&all);
        }
    }

    /// Takes what has been written to the FIFOs.
    fn take_changes(&mut self, ready: &[bool]) {
        for (fifo, _) in self.fifos.iter_mut().zip(ready).filter(|(_, is_ready)| **is_ready) {
            match fifo.take() {
                Ok(taken) => change(&self.tracker, fifo, &taken),
                Err(error) => {
                    log::error!("{} is read no more until a reload: {error}", fifo.path().display());
                }
            }
        }
    }
}

/// Puts in force what an operator has said of torrents.
fn judge(tracker: &Tracker, Verdict { torrents, wanted, done }: Verdict) {
    let changed = || {
        let list = tracker.torrents();
        let kind = list.kind()?;
        let changes: Vec<_> = torrents.iter().map(|torrent| (*torrent, wanted.change(kind))).collect();
        let (list, changed) = list.changed(&changes)?;
        Some((list, Changed { kind, changed }))
    };
    // Apart, as a list that is looked at cannot be let go.
    let outcome = changed().map(|(list, changed)| {
        publish(tracker, list);
        changed
    });
    // Whoever asked may be gone.
    let _ = done.send(outcome.ok_or(NoList));
}

/// Puts changes in force, all that came together at once.
fn change(tracker: &Tracker, fifo: &Fifo, taken: &Taken) {
    let (path, bad) = (fifo.path().display(), taken.bad_lines);
    if bad > 0 {
        log::warn!("{path}: skipped {bad} lines that do not begin with 40 hexadecimal digits");
    }
    if taken.changes.is_empty() {
        return;
    }
    let Some((torrents, count)) = tracker.torrents().changed(&taken.changes) else {
        log::warn!("{path}: {} lines are ignored, since no list is in force", taken.changes.len());
        return;
    };
    publish(tracker, torrents);
    let verb = match fifo.change() {
        Change::Add => "put on the list",
        Change::Delete => "taken off the list",
    };
    log::info!("{path}: {count} of {} torrents {verb}, the others were before", taken.changes.len());
}

/// A list, and what to log once it is in force.
struct ReadList {
    torrents: TorrentList,
    report: Option<String>,
}

/// Reads the list that is configured, if one is.
fn read(config: &AccessConfig) -> Result<ReadList, UnreadableList> {
    let (kind, source): (_, &Path) = match (&config.whitelist, &config.blacklist) {
        (Some(path), _) => (ListKind::Whitelist, path),
        (None, Some(path)) => (ListKind::Blacklist, path),
        (None, None) => return Ok(ReadList { torrents: TorrentList::default(), report: None }),
    };
    let begun = Instant::now();
    let (listed, bad) = ListedTorrents::read(source).map_err(|error| UnreadableList {
        kind,
        path: source.to_owned(),
        error,
    })?;
    let (name, path, took) = (kind.name(), source.display(), begun.elapsed().as_millis());
    let report = format!("{name} {path} in force: {} torrents, read in {took} ms", listed.len());
    if bad.count > 0 {
        log::warn!("{name} {path}: skipped what does not begin with 40 hexadecimal digits: {bad}");
    }
    if listed.is_empty() && kind == ListKind::Whitelist {
        log::warn!("{name} {path} is empty: every announce is refused");
    }
    let torrents = TorrentList::new(kind, listed, config.lists_apply_to_scrapes).read_from(source);
    Ok(ReadList { torrents, report: Some(report) })
}

fn put_in_force(tracker: &Tracker, list: ReadList) {
    let before = publish(tracker, list.torrents);
    match (list.report, before) {
        (Some(report), _) => log::info!("{report}"),
        (None, Some(kind)) => log::info!("no {} in force any more: every torrent is served", kind.name()),
        (None, None) => {}
    }
}

/// Publishes a list, and frees the one of before once no worker looks at it any more: freeing megabytes takes longer
/// than a packet. Returns what kind of list that was.
fn publish(tracker: &Tracker, torrents: TorrentList) -> Option<ListKind> {
    // This thread alone publishes lists.
    let torrents = torrents.following(&tracker.torrents());
    let before = tracker.replace_torrents(Arc::new(torrents));
    letting_go::wait(&before);
    before.kind()
}
