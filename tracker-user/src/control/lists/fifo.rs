//! A FIFO by which torrents are put on the list or taken off it while the tracker runs: lines as in the file of the list.
//! Anyone who may write to it may write half a line, no line at all, or megabytes; none of it stops the others.

use crate::access_list::{Change, NotAHash, parse_line};
use crate::info_hash::InfoHash;
use crate::same_file::is_same;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

/// Bytes that are read at a time: as much as a pipe holds.
const READ: usize = 64 << 10;
/// Reads after which everything is taken that was there at the first of them, also where a writer has made the pipe as large
/// as any user may (`/proc/sys/fs/pipe-max-size`, 1 MiB).
pub(super) const READS_OF_A_PIPE: usize = (1 << 20) / READ;
/// Bytes of a line that are kept: all of its digits, and what tells where they end.
const KEPT: usize = 256;

/// One FIFO, open for reading.
pub(super) struct Fifo {
    path: PathBuf,
    change: Change,
    /// `None` once it has failed; a reload tries again.
    file: Option<File>,
    lines: Lines,
}

/// What has been read from a FIFO.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) changes: Vec<(InfoHash, Change)>,
    /// Lines that begin with anything but an info hash.
    pub(super) bad_lines: usize,
}

impl Fifo {
    /// Opens a FIFO, which it makes where there is none, for its own user alone.
    pub(super) fn open(path: PathBuf, change: Change) -> io::Result<Self> {
        match mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let mut fifo = Self { path, change, file: None, lines: Lines::default() };
        fifo.reopen()?;
        Ok(fifo)
    }

    /// Opens it again. What is in it stays there: the one that was open is closed only then.
    ///
    /// # Errors
    /// Where it cannot be opened, or is none: what is open stays open.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(open(&self.path, flags, Mode::empty())?);
        // Anything else is ready to be read all the time, or never.
        if !file.metadata()?.file_type().is_fifo() {
            let why = "it is no FIFO; remove it, and make one with mkfifo -m 600";
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        self.file = Some(file);
        Ok(())
    }

    /// Whether what is open is not what is at its path: it has failed, or somebody has made another one in its place.
    pub(super) fn is_astray(&self) -> bool {
        let Some(file) = &self.file else { return true };
        // Without one at the path there is nothing better than what is open.
        self.path.metadata().is_ok_and(|there| !is_same(&there, file))
    }

    /// What to wait for.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    pub(super) const fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(super) const fn change(&self) -> Change {
        self.change
    }

    /// Reads what is there, though no more than a pipe holds as a rule.
    ///
    /// # Errors
    /// Where it fails; it is closed then.
    pub(super) fn take(&mut self) -> io::Result<Taken> {
        let mut taken = Taken::default();
        let mut bytes = vec![0; READ];
        let Some(file) = &mut self.file else { return Ok(taken) };
        let (change, lines) = (self.change, &mut self.lines);
        let mut judge = |line: &[u8]| match parse_line(line.trim_ascii()) {
            Ok(info_hash) => taken.changes.extend(info_hash.map(|info_hash| (info_hash, change))),
            Err(NotAHash) => taken.bad_lines += 1,
        };
        match file.read(&mut bytes) {
            // The last writer has gone: what it left unended is a line. Until the next one comes, this end of the pipe
            // would be ready all the time; another is not.
            Ok(0) => {
                lines.end(&mut judge);
                self.reopen().inspect_err(|_| self.file = None)?;
            }
            Ok(length) => lines.take(bytes.get(..length).unwrap_or_default(), &mut judge),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => {
                self.file = None;
                return Err(error);
            }
        }
        Ok(taken)
    }
}

/// Lines out of pieces.
#[derive(Default)]
struct Lines {
    unended: Vec<u8>,
}

impl Lines {
    /// Hands on the lines that a piece ends; of a very long one the beginning alone.
    fn take(&mut self, piece: &[u8], line: &mut impl FnMut(&[u8])) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let room = KEPT.saturating_sub(self.unended.len());
            self.unended.extend(part.iter().take(room));
            if part.ends_with(b"\n") {
                self.end(line);
            }
        }
    }

    /// Hands on what is left as a line.
    fn end(&mut self, line: &mut impl FnMut(&[u8])) {
        line(&self.unended);
        self.unended.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Fifo, KEPT, Lines, Taken};
    use crate::access_list::Change;
    use crate::info_hash::InfoHash;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::stat::Mode;
    use nix::unistd::mkdtemp;
    use nix::unistd::mkfifo;
    use proptest::collection::vec;
    use proptest::{prop_assert_eq, proptest};
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    /// A directory that is removed in the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            Self(mkdtemp(&std::env::temp_dir().join("tracker-user-XXXXXX")).unwrap())
        }

        fn fifo(&self) -> PathBuf {
            self.0.join("fifo")
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    fn is_ready(fifo: &Fifo) -> bool {
        let mut waiting = [PollFd::new(fifo.descriptor().unwrap(), PollFlags::POLLIN)];
        poll(&mut waiting, PollTimeout::ZERO).unwrap() > 0
    }

    /// Everything that there is to read, in one.
    fn take_all(fifo: &mut Fifo) -> Taken {
        let mut all = Taken::default();
        for _ in 0..1000 {
            if !is_ready(fifo) {
                break;
            }
            let mut taken = fifo.take().unwrap();
            all.changes.append(&mut taken.changes);
            all.bad_lines += taken.bad_lines;
        }
        all
    }

    fn write(path: &PathBuf, text: &str) {
        OpenOptions::new().write(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn hash(digit: u8) -> (String, (InfoHash, Change)) {
        (format!("{digit:02x}").repeat(20), (InfoHash([digit; 20]), Change::Add))
    }

    #[test]
    fn lines_come_from_writers_that_come_and_go() {
        let directory = Directory::new();
        let path = directory.fifo();
        let mut fifo = Fifo::open(path.clone(), Change::Add).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!is_ready(&fifo), "nobody has written");
        let [(one, first), (two, second), (three, third)] = [hash(1), hash(2), hash(3)];
        // The second line of the first writer is not ended; it is one all the same, and not half of the next.
        write(&path, &format!("{one} because\nx\n{two}"));
        let expected = Taken { changes: vec![first, second], bad_lines: 1 };
        assert_eq!(take_all(&mut fifo), expected);
        assert!(!is_ready(&fifo), "a writer that has gone leaves nothing to be woken for");
        write(&path, &three);
        assert_eq!(take_all(&mut fifo).changes, [third]);
    }

    #[test]
    fn a_line_in_two_pieces_is_one() {
        let directory = Directory::new();
        let mut fifo = Fifo::open(directory.fifo(), Change::Delete).unwrap();
        let mut writer = OpenOptions::new().write(true).open(directory.fifo()).unwrap();
        let (text, (info_hash, _)) = hash(0x5e);
        writer.write_all(&text.as_bytes()[..17]).unwrap();
        assert_eq!(take_all(&mut fifo), Taken::default());
        writer.write_all(&text.as_bytes()[17..]).unwrap();
        assert_eq!(take_all(&mut fifo), Taken::default());
        writer.write_all(b"\n\n# a comment\n").unwrap();
        assert_eq!(take_all(&mut fifo).changes, [(info_hash, Change::Delete)]);
    }

    #[test]
    fn one_that_was_made_anew_is_read_once_it_is_opened_again() {
        let directory = Directory::new();
        let path = directory.fifo();
        let mut fifo = Fifo::open(path.clone(), Change::Add).unwrap();
        assert!(!fifo.is_astray());
        std::fs::remove_file(&path).unwrap();
        assert!(!fifo.is_astray(), "there is no other");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        assert!(fifo.is_astray());
        fifo.reopen().unwrap();
        assert!(!fifo.is_astray());
        let (text, change) = hash(7);
        write(&path, &text);
        assert_eq!(take_all(&mut fifo).changes, [change]);
        // A file in its place is none: at a reload, and where the last writer has gone.
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &text).unwrap();
        assert!(fifo.is_astray());
        assert!(fifo.reopen().unwrap_err().to_string().contains("no FIFO"));
        writer.write_all(text.as_bytes()).unwrap();
        drop(writer);
        assert_eq!(fifo.take().unwrap().changes, []);
        assert!(fifo.take().unwrap_err().to_string().contains("no FIFO"));
        assert!(fifo.descriptor().is_none(), "nothing is left to be woken by");
    }

    #[test]
    fn what_is_no_fifo_is_not_opened() {
        let directory = Directory::new();
        std::fs::write(directory.fifo(), "").unwrap();
        assert!(Fifo::open(directory.fifo(), Change::Add).is_err());
        assert!(Fifo::open(directory.0.join("nowhere/fifo"), Change::Add).is_err());
    }

    proptest! {
        #[test]
        fn lines_are_the_same_in_whatever_pieces_they_come(
            pieces in vec("[a\n]{0,9}|a{300}", 0..40),
        ) {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            pieces.iter().for_each(|piece| lines.take(piece.as_bytes(), &mut |line| found.push(line.len())));
            lines.end(&mut |line| found.push(line.len()));
            let text = pieces.concat();
            let mut expected: Vec<_> =
                text.split_inclusive('\n').map(|line| line.len().min(KEPT)).collect();
            if text.is_empty() || text.ends_with('\n') {
                expected.push(0);
            }
            prop_assert_eq!(found, expected);
        }
    }
}
