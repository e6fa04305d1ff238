//! What the statistics give with `mode=statedump` and a later start takes back: `HEX:minutes:downloaded` for every torrent,
//! in minutes since 1970. Peers are not in it: they announce again.

use crate::access_list::parse_line;
use crate::clock::{Now, since_1970};
use crate::config::types::TrackerConfig;
use crate::info_hash::InfoHash;
use crate::text_file::{BadLines, Line, read_lines};
use crate::tracker::Tracker;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::time::Duration;

/// Minutes since 1970 of moments that are known in seconds of [`Now`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// When those seconds began, in seconds since 1970.
    began_secs: u64,
}

impl Calendar {
    /// By the clocks of the host.
    pub fn read(now: Now) -> Self {
        // From the fraction of a second, too: or the minute of one moment would change from one reading to the next.
        let into_second = Duration::from_nanos(now.nanoseconds() % 1_000_000_000);
        let began = since_1970().saturating_sub(into_second + Duration::from_secs(now.seconds().into()));
        Self { began_secs: began.as_secs() }
    }

    /// The minute of a second.
    pub fn minute(self, secs: u32) -> u64 {
        (self.began_secs + u64::from(secs)) / 60
    }

    /// The second in the middle of a minute, so that it is in the same minute though clocks differ by a second; 0 for what
    /// was before seconds are counted.
    fn secs(self, minute: u64) -> u32 {
        let since_began = minute.saturating_mul(60).saturating_add(30).saturating_sub(self.began_secs);
        u32::try_from(since_began).unwrap_or(u32::MAX)
    }
}

/// What came of a state dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Torrents whose downloads are known again.
    pub torrents: u64,
    /// Torrents of which there is nothing to know: no downloads, forgotten by now, or not served.
    pub left_out: u64,
    /// Lines that were skipped.
    pub bad: BadLines,
}

/// Tells the tracker what a file has of torrents. To be done before anything is served.
///
/// # Errors
/// Where the file cannot be read to its end.
pub fn load(path: &Path, tracker: &Tracker, config: &TrackerConfig, now: Now) -> io::Result<Loaded> {
    let file = File::open(path)?;
    let calendar = Calendar::read(now);
    let this_minute = calendar.minute(now.seconds());
    let timeout_minutes = u64::from(config.torrent_timeout_secs / 60);
    let mut loaded = Loaded::default();
    read_lines(BufReader::with_capacity(1 << 16, file), |Line { number, text, .. }| match parse(text) {
        Ok(None) => {}
        Err(NotOfADump) => loaded.bad.note(number, text),
        Ok(Some(Entry { info_hash, minute, downloaded })) => {
            let is_forgotten = this_minute.saturating_sub(minute) >= timeout_minutes;
            if downloaded == 0 || is_forgotten || !tracker.torrents().permits(&info_hash) {
                loaded.left_out += 1;
            } else {
                // A clock that was set back does not make a torrent live longer.
                let last_announce_secs = calendar.secs(minute).min(now.seconds());
                tracker.store().restore(&info_hash, downloaded, last_announce_secs);
                loaded.torrents += 1;
            }
        }
    })?;
    Ok(loaded)
}

/// A line of a state dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    info_hash: InfoHash,
    /// Of its last announce, since 1970.
    minute: u64,
    downloaded: u32,
}

/// A line that is neither empty, nor a comment, nor of a state dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotOfADump;

fn parse(line: &[u8]) -> Result<Option<Entry>, NotOfADump> {
    let Some(info_hash) = parse_line(line).map_err(|_| NotOfADump)? else { return Ok(None) };
    let mut fields = line.split(|byte| *byte == b':').skip(1).map(|field| std::str::from_utf8(field).ok());
    let (minute, downloaded) = (fields.next().flatten(), fields.next().flatten());
    let minute = minute.and_then(|minute| minute.parse().ok());
    let downloaded = downloaded.and_then(|downloaded| downloaded.parse::<u64>().ok());
    let (Some(minute), Some(downloaded), None) = (minute, downloaded, fields.next()) else {
        return Err(NotOfADump);
    };
    let downloaded = u32::try_from(downloaded).unwrap_or(u32::MAX);
    Ok(Some(Entry { info_hash, minute, downloaded }))
}

#[cfg(test)]
mod tests {
    use super::{Calendar, Entry, NotOfADump, load, parse};
    use crate::clock::Now;
    use crate::config::types::TrackerConfig;
    use crate::info_hash::InfoHash;
    use crate::tracker::Tracker;

    fn hex(byte: u8) -> String {
        format!("{byte:02X}").repeat(20)
    }

    #[test]
    fn a_line_has_a_torrent_a_minute_and_its_downloads() {
        let entry = |minute, downloaded| Entry { info_hash: InfoHash([0xab; 20]), minute, downloaded };
        let line = |rest: &str| parse(format!("{}{rest}", hex(0xab)).as_bytes());
        assert_eq!(line(":29924798:41"), Ok(Some(entry(29_924_798, 41))));
        assert_eq!(line(":0:5000000000"), Ok(Some(entry(0, u32::MAX))));
        for bad in ["", ":1", ":1:", "::1", ":1:2:3", ":-1:2", ":1:x", " 1:2"] {
            assert_eq!(line(bad), Err(NotOfADump), "{bad}");
        }
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"AB:1:2"), Err(NotOfADump));
    }

    #[test]
    fn a_minute_is_the_same_on_another_host() {
        let (one, other) = (Calendar { began_secs: 1_000_000 }, Calendar { began_secs: 2_000_000 });
        let minute = one.minute(1_500_000);
        assert_eq!(other.minute(other.secs(minute)), minute);
        assert_eq!(other.secs(1), 0);
    }

    #[test]
    fn downloads_are_known_again_unless_they_are_too_old() {
        let config = TrackerConfig::default();
        let tracker = Tracker::new(config.clone(), [1, 2]);
        let now = Now::read();
        let this_minute = Calendar::read(now).minute(now.seconds());
        let (lately, long_ago) = (this_minute - 60, this_minute - 24 * 60);
        let lines = [(1, lately, 7), (2, lately, 0), (3, long_ago, 9), (4, this_minute + 99, 5)];
        let text: String =
            lines.iter().map(|(byte, minute, n)| format!("{}:{minute}:{n}\n", hex(*byte))).collect();
        let path = std::env::temp_dir().join(format!("tracker-user-{}-dump", std::process::id()));
        std::fs::write(&path, text + "nonsense\n").unwrap();
        let loaded = load(&path, &tracker, &config, now);
        std::fs::remove_file(&path).unwrap();
        let loaded = loaded.unwrap();
        assert_eq!((loaded.torrents, loaded.left_out, loaded.bad.count), (2, 2, 1));
        let downloads = [1, 2, 3, 4].map(|byte| tracker.scrape(&InfoHash([byte; 20])).completed);
        assert_eq!(downloads, [7, 0, 0, 5]);
        assert_eq!(tracker.store().totals().torrents, 2);
    }
}
