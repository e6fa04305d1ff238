//! A file of torrents: 40 hexadecimal digits a line, behind a blank whatever the operator likes to note. Read at the start
//! and at a reload, by a thread that serves nobody. A bad line is skipped and reported: one slip in a list of thousands
//! must not put the rest out of force.

use super::hashes::SortedHashes;
use crate::info_hash::InfoHash;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use tracker_common::wire::INFO_HASH_LEN;

const DIGITS: usize = INFO_HASH_LEN * 2;
/// What is looked at of a line: all of its digits, and enough behind them to see that they end.
const LOOKED_AT: u64 = 256;
/// Bad lines that are reported one by one; of the others there is a count.
const REPORTED: usize = 5;
/// The characters of a bad line that are quoted.
const QUOTED: usize = 60;

/// The torrents that are listed.
#[derive(Debug, Default)]
pub struct ListedTorrents {
    hashes: SortedHashes,
}

impl ListedTorrents {
    /// Reads a file: what is listed, and what was skipped. Blank lines and lines that begin with `#` are neither.
    ///
    /// # Errors
    /// Where the file cannot be read to its end, or is no file.
    pub fn read(path: &Path) -> io::Result<(Self, BadLines)> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"));
        }
        let expected = metadata.len() / (DIGITS as u64 + 1);
        let mut hashes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        let mut bad = BadLines::default();
        read_lines(BufReader::with_capacity(1 << 16, file), |number, line| match parse(line) {
            Ok(info_hash) => hashes.extend(info_hash),
            Err(NotAHash) => bad.note(number, line),
        })?;
        Ok((Self::of(hashes), bad))
    }

    /// These torrents, in any order.
    pub fn of(hashes: impl Into<Vec<InfoHash>>) -> Self {
        let mut hashes = hashes.into();
        hashes.sort_unstable();
        hashes.dedup();
        Self { hashes: SortedHashes::of_sorted(hashes) }
    }

    /// Whether a torrent is listed.
    pub fn contains(&self, info_hash: &InfoHash) -> bool {
        self.hashes.contains(info_hash)
    }

    /// How many are listed.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Hands on every line with its number, counted from 1, without what ends it; of a very long one the beginning alone.
fn read_lines(mut reader: impl BufRead, mut take: impl FnMut(usize, &[u8])) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.by_ref().take(LOOKED_AT).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            reader.skip_until(b'\n')?;
        }
        // The mark that some editors put before the first line.
        let text = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
        take(number, text.trim_ascii());
    }
    Ok(())
}

/// A line that is neither empty, nor a comment, nor begins with an info hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotAHash;

/// The torrent that a line names, `None` where it names none. It must not begin with a blank.
fn parse(line: &[u8]) -> Result<Option<InfoHash>, NotAHash> {
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let (digits, rest) = line.split_first_chunk::<DIGITS>().ok_or(NotAHash)?;
    // A longer word is another kind of hash, or damaged.
    if rest.first().is_some_and(u8::is_ascii_alphanumeric) {
        return Err(NotAHash);
    }
    let mut info_hash = [0; INFO_HASH_LEN];
    for (byte, [high, low]) in info_hash.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(Some(InfoHash(info_hash)))
}

fn digit(character: u8) -> Result<u8, NotAHash> {
    let value = char::from(character).to_digit(16).ok_or(NotAHash)?;
    Ok(value as u8)
}

/// Lines that were skipped, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadLines {
    /// All of them.
    pub count: usize,
    /// The first few, with their numbers and how they begin.
    pub first: Vec<(usize, String)>,
}

impl BadLines {
    fn note(&mut self, number: usize, line: &[u8]) {
        self.count += 1;
        if self.first.len() < REPORTED {
            let text = String::from_utf8_lossy(line).chars().take(QUOTED).collect();
            self.first.push((number, text));
        }
    }
}

impl fmt::Display for BadLines {
    /// `lines 3 ("x"), 7 ("y") and 12 more`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.count == 1 { "line" } else { "lines" })?;
        for (position, (number, text)) in self.first.iter().enumerate() {
            let separator = if position == 0 { "" } else { "," };
            write!(formatter, "{separator} {number} ({text:?})")?;
        }
        match self.count.saturating_sub(self.first.len()) {
            0 => Ok(()),
            more => write!(formatter, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadLines, ListedTorrents, NotAHash, parse, read_lines};
    use crate::info_hash::InfoHash;
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};
    use std::path::Path;

    const HEX: &str = "00112233445566778899aAbBcCdDeEfF01234567";
    const HASH: InfoHash = InfoHash([
        0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01,
        0x23, 0x45, 0x67,
    ]);

    fn lines(text: &[u8]) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        let keep = |number, line: &[u8]| lines.push((number, String::from_utf8_lossy(line).into_owned()));
        read_lines(text, keep).unwrap();
        lines
    }

    #[test]
    fn a_line_begins_with_a_hash_and_goes_on_as_it_likes() {
        for rest in ["", " ", " 2026-11-24 a reason", "\treason", "# reason", ", reason", ";", "\u{a0}x"] {
            assert_eq!(parse(format!("{HEX}{rest}").as_bytes()), Ok(Some(HASH)), "{rest:?}");
        }
    }

    #[test]
    fn blank_lines_and_comments_name_nothing() {
        for line in ["", "#", "# a comment", &format!("#{HEX}")] {
            assert_eq!(parse(line.as_bytes()), Ok(None), "{line}");
        }
    }

    #[test]
    fn anything_else_is_a_bad_line() {
        for line in [&HEX[1..], "x", &format!("{HEX}0"), &format!("{HEX}x"), &HEX.replace('a', "g"), "\0"] {
            assert_eq!(parse(line.as_bytes()), Err(NotAHash), "{line}");
        }
    }

    #[test]
    fn lines_end_as_they_do_on_any_system_and_have_numbers() {
        let expected = ["a", "b", "", "c"].map(str::to_owned);
        let numbered: Vec<_> = (1..).zip(expected).collect();
        assert_eq!(lines(b"a\nb\n\nc\n"), numbered);
        assert_eq!(lines(b"\xef\xbb\xbfa\r\n \tb \r\n\r\nc"), numbered);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_long_line_is_one_line() {
        let text = format!("{HEX} {}\n{HEX}\n", "x".repeat(100_000));
        let found = lines(text.as_bytes());
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(_, line)| parse(line.as_bytes()) == Ok(Some(HASH))));
    }

    #[test]
    fn bad_lines_are_told_of_with_their_numbers_and_then_counted() {
        let mut bad = BadLines::default();
        bad.note(3, b"x\xff");
        assert_eq!(bad.to_string(), "line 3 (\"x\u{fffd}\")");
        (4..12).for_each(|number| bad.note(number, b"y"));
        let expected = "lines 3 (\"x\u{fffd}\"), 4 (\"y\"), 5 (\"y\"), 6 (\"y\"), 7 (\"y\") and 4 more";
        assert_eq!(bad.to_string(), expected);
    }

    #[test]
    fn what_is_no_file_cannot_be_read() {
        assert!(ListedTorrents::read(Path::new("/nowhere/list")).is_err());
        assert!(ListedTorrents::read(Path::new("/dev/zero")).is_err());
        assert!(ListedTorrents::read(Path::new("/")).is_err());
    }

    proptest! {
        #[test]
        fn every_hash_is_read_back_from_either_case(bytes: [u8; 20], upper: bool) {
            let line: String =
                bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect();
            prop_assert_eq!(parse(line.as_bytes()), Ok(Some(InfoHash(bytes))));
        }

        #[test]
        fn any_bytes_are_read_as_lines_without_a_panic(text in vec(any::<u8>(), 0..2000)) {
            let expected = text.split_inclusive(|byte| *byte == b'\n').count();
            let mut count = 0;
            read_lines(&*text, |number, line| {
                count += 1;
                assert_eq!(number, count);
                let _ = parse(line);
            })
            .unwrap();
            prop_assert_eq!(count, expected);
        }
    }
}
