//! A full scrape to a file: the same bytes that a client gets over HTTP, for programs on the same host. Made in small steps of
//! the store.

use super::replaced_file::ReplacedFile;
use crate::clock::Now;
use crate::peer_store::Listing;
use crate::scrape_format::{Format, Row};
use crate::state_dump::Calendar;
use crate::tracker::Tracker;
use std::io::{self, Write};
use std::path::Path;

/// What full scrapes over HTTP are: no secret.
const MODE: u32 = 0o644;

/// Writes a full scrape to `path`; the file of before stays until this one is whole. `rest` is called between two pieces, and
/// may give it up. Returns how many torrents there are in it.
///
/// # Errors
/// Where it cannot be written; [`io::ErrorKind::Interrupted`] where it was given up.
pub fn write(
    path: &Path,
    tracker: &Tracker,
    format: Format,
    mut rest: impl FnMut() -> io::Result<()>,
) -> io::Result<u64> {
    let mut file = ReplacedFile::create(path, MODE)?;
    let (mut listing, mut torrents, mut text, mut count) = (Listing::default(), Vec::new(), Vec::new(), 0);
    let calendar = Calendar::read(Now::read());
    format.begin(&mut text);
    let mut more = true;
    while more {
        more = listing.step(tracker.store(), &mut torrents);
        for (info_hash, counts) in torrents.drain(..).filter(|(info_hash, _)| tracker.shows(info_hash)) {
            let last_announce_secs = match format {
                Format::StateDump => tracker.store().last_announce_secs(&info_hash).unwrap_or(0),
                _ => 0,
            };
            let minute = calendar.minute(last_announce_secs);
            format.torrent(&mut text, &Row { info_hash, counts, minute });
            count += 1;
        }
        if !more {
            format.end(&mut text);
        }
        file.write_all(&text)?;
        text.clear();
        rest()?;
    }
    file.commit()?;
    Ok(count)
}

/// Whether an export could be written here.
///
/// # Errors
/// Why not.
pub fn check_writable(path: &Path) -> io::Result<()> {
    ReplacedFile::check(path, MODE)
}
