//! Snapshots in files: written beside and renamed, read at a start, and put aside where they are not what was written.

use super::format::{Contents, Damage, Header};
use super::parser::{Item, Parser};
use super::restorer::{Restored, Restorer, Terms};
use super::writer::{Origin, SnapshotWriter};
use crate::clock::Now;
use crate::peer_store::{PeerStore, Timeouts};
use crate::state::moment::{Elapsed, Moment};
use crate::state::replaced_file::ReplacedFile;
use crate::tracker::Tracker;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// It has the addresses of people in it.
const MODE: u32 = 0o600;
/// Bytes that are read at a time.
const READ: usize = 256 << 10;

/// A snapshot that cannot be read or written, or not be put aside.
#[derive(Debug, Error)]
pub enum FileError {
    /// It is there, but cannot be read.
    #[error(
        "state.snapshot {0:?} cannot be read below tracker.rootdir: {1}; give it to the user that the tracker runs \
             as, or move it away to start empty"
    )]
    Unreadable(PathBuf, io::Error),
    /// It is damaged, and its place cannot be made free.
    #[error("state.snapshot {0:?} is damaged ({1}), and cannot be put aside: {2}; move it away")]
    InTheWay(PathBuf, Damage, io::Error),
}

/// What came of reading a snapshot at the start.
#[derive(Debug)]
pub enum Loaded {
    /// There is none.
    Absent,
    /// It was taken back.
    Restored {
        /// What was taken back.
        restored: Restored,
        /// How long ago it was written.
        age: Elapsed,
    },
    /// It is not what was written, and nothing of it was taken back.
    PutAside {
        /// What is wrong with it.
        damage: Damage,
        /// Where it is now.
        kept_as: PathBuf,
    },
}

/// Takes a snapshot back into an empty store. To be done before anything is served.
///
/// # Errors
/// Where it cannot be read though it is there, or stays in the way of the next.
pub fn load(
    path: &Path,
    tracker: &Arc<Tracker>,
    timeouts: Timeouts,
    here: Moment,
) -> Result<Loaded, FileError> {
    let unreadable = |error| FileError::Unreadable(path.to_owned(), error);
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Absent),
        opened => opened.map_err(unreadable)?,
    };
    match restore(&mut file, tracker, timeouts, here) {
        Ok((restored, age)) => Ok(Loaded::Restored { restored, age }),
        Err(failure) => {
            // Some of it may have been stored before the damage was met.
            tracker.store().clear();
            match failure {
                Failure::Unreadable(error) => Err(unreadable(error)),
                Failure::Damaged(damage) => match put_aside(path, here.wall_secs) {
                    Ok(kept_as) => Ok(Loaded::PutAside { damage, kept_as }),
                    Err(error) => Err(FileError::InTheWay(path.to_owned(), damage, error)),
                },
            }
        }
    }
}

/// Why a file was not taken back.
enum Failure {
    Unreadable(io::Error),
    Damaged(Damage),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Damage> for Failure {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

fn restore(
    file: &mut impl Read,
    tracker: &Arc<Tracker>,
    timeouts: Timeouts,
    here: Moment,
) -> Result<(Restored, Elapsed), Failure> {
    let (mut parser, mut buffer) = (Parser::default(), vec![0; READ]);
    let (mut begun, mut end) = (None, None);
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        parser.push(&buffer[..length]);
        while let Some(item) = parser.next_item()? {
            match item {
                Item::Header(header) => {
                    let (terms, age) = terms(&header, timeouts, here);
                    begun = Some((Restorer::start(tracker, terms)?, age));
                }
                Item::Torrents(block) => {
                    if let Some((restorer, _)) = &begun {
                        restorer.put(block);
                    }
                }
                Item::End(contents) => end = Some(contents),
            }
        }
    }
    parser.finish()?;
    let (restorer, age) = begun.ok_or(Damage::CutOff)?;
    let begun_secs = restorer.begun_secs();
    let restored = restorer.finish()?;
    if end != Some(restored.contents) {
        return Err(Damage::Missing.into());
    }
    tracker.knows_downloads_until(begun_secs);
    Ok((restored, age))
}

/// How old what is in a file has become.
fn terms(header: &Header, timeouts: Timeouts, here: Moment) -> (Terms, Elapsed) {
    let age = here.since(&header.begun);
    let age_secs = u32::try_from(age.secs()).unwrap_or(u32::MAX);
    (Terms { begun_secs: here.secs.saturating_sub(age_secs), now_secs: here.secs, timeouts }, age)
}

/// Gives a file another name, one that nothing has yet.
fn put_aside(path: &Path, wall_secs: u64) -> io::Result<PathBuf> {
    let free = (0_u32..).find_map(|attempt| {
        let mut name: OsString = path.into();
        name.push(format!(".damaged-{wall_secs}"));
        if attempt > 0 {
            name.push(format!("-{attempt}"));
        }
        let is_free = fs::symlink_metadata(&name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        is_free.then_some(name)
    });
    let name = free.ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &name)?;
    Ok(name.into())
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows of torrents, and peers.
    pub contents: Contents,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes a snapshot. `rest` is called between two pieces, and may give it up: then the file of before stays.
///
/// # Errors
/// Where it cannot be written; [`io::ErrorKind::Interrupted`] where it was given up.
pub fn write(
    path: &Path,
    store: &PeerStore,
    origin: Origin,
    mut rest: impl FnMut() -> io::Result<()>,
) -> io::Result<Written> {
    let mut file = ReplacedFile::create(path, MODE)?;
    let mut writer = SnapshotWriter::new(origin, 0, Moment::read(origin.boot, Now::read()))?;
    let mut bytes = 0;
    while let Some(piece) = writer.next_piece(store)? {
        file.write_all(&piece)?;
        bytes += piece.len() as u64;
        rest()?;
    }
    file.commit()?;
    Ok(Written { contents: writer.contents(), bytes })
}

/// Whether a snapshot could be written here.
///
/// # Errors
/// Why not.
pub fn check_writable(path: &Path) -> io::Result<()> {
    ReplacedFile::check(path, MODE)
}
