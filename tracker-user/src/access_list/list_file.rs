//! A file of torrents: 40 hexadecimal digits a line, behind a blank whatever the operator likes to note. Read at the start
//! and at a reload, by a thread that serves nobody. A bad line is skipped and reported: one slip in a list of thousands
//! must not put the rest out of force.

use super::hashes::SortedHashes;
use crate::info_hash::InfoHash;
use crate::text_file::{BadLines, Line, read_lines};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use tracker_common::wire::INFO_HASH_LEN;

const DIGITS: usize = INFO_HASH_LEN * 2;
/// Bytes of a note that are shown.
const NOTE: usize = 160;
/// Bytes of the longest file that is read: how long a file says it is need not be what there is in it, and the end of a hole
/// of terabytes is far away.
const LONGEST: u64 = 64 << 30;
/// The place of a torrent without a note.
const NO_NOTE: u32 = u32::MAX;

/// The torrents that are listed.
#[derive(Debug, Default)]
pub struct ListedTorrents {
    hashes: SortedHashes,
    notes: Option<Notes>,
}

/// Where the notes behind the torrents stand: they stay in the file, four bytes each remain.
#[derive(Clone, Debug)]
struct Notes {
    /// Kept open, so that the offsets hold though another file takes its name.
    file: Arc<File>,
    /// For every hash in order, the offset of its line; [`NO_NOTE`] also for what lies beyond 4 GiB.
    offsets: Box<[u32]>,
}

impl ListedTorrents {
    /// Reads a file: what is listed, and what was skipped. Blank lines and lines that begin with `#` are neither.
    ///
    /// # Errors
    /// Where the file cannot be read to its end, is no file, or is longer than there is memory for.
    pub fn read(path: &Path) -> io::Result<(Self, BadLines)> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"));
        }
        if metadata.len() > LONGEST {
            let why = format!("it has {} bytes, and a list at most {LONGEST}", metadata.len());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        // The last line need not be ended.
        let most = metadata.len() / (DIGITS as u64 + 1) + 1;
        let mut hashes = Vec::new();
        hashes.try_reserve_exact(usize::try_from(most).unwrap_or(usize::MAX))?;
        let (mut noted, mut bad) = (Vec::new(), BadLines::default());
        read_lines(
            BufReader::with_capacity(1 << 16, &file),
            |Line { number, offset, text }| match parse_line(text) {
                Ok(Some(info_hash)) => {
                    hashes.push(info_hash);
                    if let (true, Ok(offset)) = (text.len() > DIGITS, u32::try_from(offset)) {
                        noted.push((info_hash, offset));
                    }
                }
                Ok(None) => {}
                Err(NotAHash) => bad.note(number, text),
            },
        )?;
        let mut listed = Self::of(hashes);
        if !noted.is_empty() {
            listed.notes = Some(Notes { file: Arc::new(file), offsets: offsets(&listed.hashes, &noted) });
        }
        Ok((listed, bad))
    }

    /// These torrents, in any order.
    pub fn of(hashes: impl Into<Vec<InfoHash>>) -> Self {
        let mut hashes = hashes.into();
        hashes.sort_unstable();
        hashes.dedup();
        Self { hashes: SortedHashes::of_sorted(hashes), notes: None }
    }

    /// The same torrents without those that are in `flipped`, and with what else is in it.
    pub(super) fn with_flipped(&self, flipped: &BTreeSet<InfoHash>) -> Self {
        let kept = self.hashes.as_slice().iter().filter(|hash| !flipped.contains(hash));
        let added = flipped.iter().filter(|hash| !self.contains(hash));
        let flipped = Self::of(kept.chain(added).copied().collect::<Vec<_>>());
        let notes = self.notes.as_ref().map(|notes| {
            let offset_of = |hash: &InfoHash| Some((*hash, notes.offset(self.hashes.position(hash)?)?));
            let noted: Vec<_> = flipped.hashes.as_slice().iter().filter_map(offset_of).collect();
            Notes { file: Arc::clone(&notes.file), offsets: offsets(&flipped.hashes, &noted) }
        });
        Self { notes, ..flipped }
    }

    /// What stands behind a torrent in the file, as far as the file still has it. Reads the file, so it is nothing for
    /// a thread that serves.
    pub fn note(&self, info_hash: &InfoHash) -> Option<String> {
        let notes = self.notes.as_ref()?;
        let offset = notes.offset(self.hashes.position(info_hash)?)?;
        let mut bytes = [0; DIGITS + NOTE];
        let length = notes.file.read_at(&mut bytes, u64::from(offset)).ok()?;
        let line = bytes[..length].split(|byte| *byte == b'\n').next()?.trim_ascii();
        if parse_line(line) != Ok(Some(*info_hash)) {
            return None;
        }
        let note = String::from_utf8_lossy(line.get(DIGITS..)?).trim().replace(char::is_control, " ");
        (!note.is_empty()).then_some(note)
    }

    /// Whether a torrent is listed.
    pub fn contains(&self, info_hash: &InfoHash) -> bool {
        self.hashes.contains(info_hash)
    }

    /// All of them, in order.
    pub(super) fn as_slice(&self) -> &[InfoHash] {
        self.hashes.as_slice()
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

impl Notes {
    fn offset(&self, position: usize) -> Option<u32> {
        self.offsets.get(position).copied().filter(|offset| *offset != NO_NOTE)
    }
}

/// For every hash in order, the offset that it has among `noted`.
fn offsets(hashes: &SortedHashes, noted: &[(InfoHash, u32)]) -> Box<[u32]> {
    let mut offsets = vec![NO_NOTE; hashes.len()];
    for (hash, offset) in noted {
        if let Some(place) = hashes.position(hash).and_then(|position| offsets.get_mut(position)) {
            *place = *offset;
        }
    }
    offsets.into()
}

/// A line that is neither empty, nor a comment, nor begins with an info hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHash;

/// The torrent that a line without blanks at its ends names; `None` where it is empty or a comment.
///
/// # Errors
/// Where it begins with anything but 40 hexadecimal digits.
pub fn parse_line(line: &[u8]) -> Result<Option<InfoHash>, NotAHash> {
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

#[cfg(test)]
mod tests {
    use super::{ListedTorrents, NotAHash, parse_line};
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

    #[test]
    fn a_line_begins_with_a_hash_and_goes_on_as_it_likes() {
        for rest in ["", " ", " 2026-11-24 a reason", "\treason", "# reason", ", reason", ";", "\u{a0}x"] {
            assert_eq!(parse_line(format!("{HEX}{rest}").as_bytes()), Ok(Some(HASH)), "{rest:?}");
        }
    }

    #[test]
    fn blank_lines_and_comments_name_nothing() {
        for line in ["", "#", "# a comment", &format!("#{HEX}")] {
            assert_eq!(parse_line(line.as_bytes()), Ok(None), "{line}");
        }
    }

    #[test]
    fn anything_else_is_a_bad_line() {
        for line in [&HEX[1..], "x", &format!("{HEX}0"), &format!("{HEX}x"), &HEX.replace('a', "g"), "\0"] {
            assert_eq!(parse_line(line.as_bytes()), Err(NotAHash), "{line}");
        }
    }

    #[test]
    fn a_note_is_found_again_behind_its_torrent_and_nowhere_else() {
        let path = std::env::temp_dir().join(format!("tracker-user-{}-notes", std::process::id()));
        let line = |byte: u8, note: &str| format!("{}{note}\n", format!("{byte:02x}").repeat(20));
        let text = [line(3, " 2026 a\treason "), "#\n\nx\n".into(), line(1, ""), line(2, &"z".repeat(500))];
        let text = text.concat().replace("zzz", " z ") + &line(4, " #last");
        std::fs::write(&path, &text).unwrap();
        let (listed, bad) = ListedTorrents::read(&path).unwrap();
        assert_eq!((listed.len(), bad.count), (4, 1));
        let note = |listed: &ListedTorrents, byte| listed.note(&InfoHash([byte; 20]));
        let notes = [None, Some("2026 a reason"), None, Some("#last")];
        let notes = notes.map(|note| note.map(str::to_owned));
        assert_eq!([1, 3, 9, 4].map(|byte| note(&listed, byte)), notes);
        assert!(note(&listed, 2).unwrap().starts_with("z  z"));
        let flipped = [1, 8].map(|byte| InfoHash([byte; 20])).into();
        let changed = listed.with_flipped(&flipped);
        assert_eq!([1, 3, 8, 4].map(|byte| note(&changed, byte)), notes);
        // Another file of that name is another file; the same file with other lines has no note for this one.
        std::fs::write(&path, text.replace("03", "ff")).unwrap();
        assert_eq!(note(&listed, 3), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(note(&listed, 4), notes[3]);
    }

    #[test]
    fn what_is_no_file_cannot_be_read() {
        assert!(ListedTorrents::read(Path::new("/nowhere/list")).is_err());
        assert!(ListedTorrents::read(Path::new("/dev/zero")).is_err());
        assert!(ListedTorrents::read(Path::new("/")).is_err());
    }

    #[test]
    fn a_file_that_says_it_is_endless_is_refused_before_memory_is_taken_for_it() {
        let path = std::env::temp_dir().join(format!("tracker-user-{}-endless", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 43).unwrap();
        let refused = ListedTorrents::read(&path).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(refused.contains("8796093022208 bytes"), "{refused}");
    }

    #[test]
    fn a_very_long_line_names_its_torrent() {
        let line = format!("{HEX} {}", "x".repeat(10_000));
        assert_eq!(parse_line(line.as_bytes()), Ok(Some(HASH)));
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(line in vec(any::<u8>(), 0..60)) {
            let _ = parse_line(&line);
        }

        #[test]
        fn every_hash_is_read_back_from_either_case(bytes: [u8; 20], upper: bool) {
            let line: String =
                bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect();
            prop_assert_eq!(parse_line(line.as_bytes()), Ok(Some(InfoHash(bytes))));
        }

    }
}
