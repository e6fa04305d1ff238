//! The lists of torrents: read at the start, and again when the daemon reloads, by a thread of their own. Reading takes
//! as long as it takes; meanwhile the list of before is in force, and then at once and whole the new one.

use crate::access_list::{ListKind, ListedTorrents, TorrentList};
use crate::config::types::AccessConfig;
use crate::tracker::Tracker;
use anyhow::{Context, Result};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long to wait for a worker that still looks something up in a list that has been replaced.
const LETTING_GO: Duration = Duration::from_millis(1);

/// A list that cannot be read.
#[derive(Debug, Error)]
#[error("access.{} {:?} cannot be read: {error}; it is looked for below tracker.rootdir, as the user that the tracker runs as",
    kind.name(), path)]
pub(super) struct UnreadableList {
    kind: ListKind,
    path: Box<Path>,
    error: std::io::Error,
}

/// The thread that reads lists. Dropping it ends the thread.
pub struct Lists {
    /// What to read next: of several wishes the last counts.
    wish: Arc<Mutex<Wish>>,
    thread: JoinHandle<()>,
}

struct Wish {
    config: AccessConfig,
    reload: bool,
    end: bool,
}

impl Lists {
    /// Reads the lists and puts them in force, and starts the thread.
    ///
    /// # Errors
    /// Where a list cannot be read: nobody would expect the tracker to serve without it.
    pub fn start(config: &AccessConfig, tracker: Arc<Tracker>) -> Result<Self> {
        put_in_force(&tracker, read(config)?);
        let wish = Arc::new(Mutex::new(Wish { config: config.clone(), reload: false, end: false }));
        let wishes = Arc::clone(&wish);
        let thread = thread::Builder::new()
            .name("lists".to_owned())
            .spawn(move || serve(&wishes, &tracker))
            .context("cannot start a thread")?;
        Ok(Self { wish, thread })
    }

    /// Has the lists read again, from elsewhere if there is a new configuration, and returns at once.
    pub fn reload(&self, config: Option<&AccessConfig>) {
        {
            let mut wish = self.wish.lock();
            wish.reload = true;
            if let Some(config) = config {
                wish.config = config.clone();
            }
        }
        self.thread.thread().unpark();
    }
}

impl Drop for Lists {
    fn drop(&mut self) {
        self.wish.lock().end = true;
        self.thread.thread().unpark();
    }
}

/// Reads whenever it is asked to.
fn serve(wish: &Mutex<Wish>, tracker: &Tracker) {
    loop {
        let config = {
            let mut wish = wish.lock();
            if wish.end {
                return;
            }
            std::mem::take(&mut wish.reload).then(|| wish.config.clone())
        };
        match config.as_ref().map(read) {
            Some(Ok(list)) => put_in_force(tracker, list),
            Some(Err(error)) => log::error!("{error}; the list of before stays in force"),
            None => thread::park(),
        }
    }
}

/// A list, and what to log once it is in force.
struct ReadList {
    torrents: TorrentList,
    report: Option<String>,
}

/// Reads the list that is configured, if one is.
fn read(config: &AccessConfig) -> Result<ReadList, UnreadableList> {
    let (kind, path) = match (&config.whitelist, &config.blacklist) {
        (Some(path), _) => (ListKind::Whitelist, path),
        (None, Some(path)) => (ListKind::Blacklist, path),
        (None, None) => return Ok(ReadList { torrents: TorrentList::default(), report: None }),
    };
    let begun = Instant::now();
    let (listed, bad) = ListedTorrents::read(path).map_err(|error| UnreadableList {
        kind,
        path: path.as_path().into(),
        error,
    })?;
    let (name, path, took) = (kind.name(), path.display(), begun.elapsed().as_millis());
    let report = format!("{name} {path} in force: {} torrents, read in {took} ms", listed.len());
    if bad.count > 0 {
        log::warn!("{name} {path}: skipped what does not begin with 40 hexadecimal digits: {bad}");
    }
    if listed.is_empty() && kind == ListKind::Whitelist {
        log::warn!("{name} {path} is empty: every announce is refused");
    }
    let torrents = TorrentList::new(kind, listed, config.lists_apply_to_scrapes);
    Ok(ReadList { torrents, report: Some(report) })
}

/// Publishes a list, and frees the one of before once no worker looks at it any more: freeing megabytes takes longer
/// than a packet.
fn put_in_force(tracker: &Tracker, list: ReadList) {
    let before = tracker.replace_torrents(Arc::new(list.torrents));
    match list.report {
        Some(report) => log::info!("{report}"),
        None if before.is_list() => log::info!("no list in force any more: every torrent is served"),
        None => {}
    }
    while Arc::strong_count(&before) > 1 {
        thread::sleep(LETTING_GO);
    }
}
