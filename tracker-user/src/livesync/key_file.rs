//! The file of a cluster's keys: 64 hexadecimal digits a line, the key that seals first.

use super::sealing::KeyRing;
use crate::secret_file;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Keys that a ring may have: each datagram that none opens costs a try of all.
const MAX_KEYS: usize = 8;

/// A file of keys cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error(
        "livesync.cluster.key_file {0:?} cannot be read: {1}; it is looked for below tracker.rootdir, as the user that \
         the tracker runs as"
    )]
    Unreadable(PathBuf, std::io::Error),
    /// A line is no key.
    #[error(
        "livesync.cluster.key_file {0:?}: line {1} is not 64 hexadecimal digits; make a key with `openssl rand -hex 32`"
    )]
    NoKey(PathBuf, usize),
    /// There is no key, or there are too many.
    #[error("livesync.cluster.key_file {0:?} has {1} keys; it takes 1 to {MAX_KEYS}, the sealing one first")]
    Count(PathBuf, usize),
}

/// Reads a file of keys.
///
/// # Errors
/// Where it has anything but keys, comments and empty lines.
pub fn read(path: &Path) -> Result<KeyRing, KeyFileError> {
    let lines = secret_file::lines(path).map_err(|error| KeyFileError::Unreadable(path.to_owned(), error))?;
    let keys = lines
        .iter()
        .map(|(number, line)| key(line).ok_or_else(|| KeyFileError::NoKey(path.to_owned(), *number)))
        .collect::<Result<Vec<_>, _>>()?;
    if !(1..=MAX_KEYS).contains(&keys.len()) {
        return Err(KeyFileError::Count(path.to_owned(), keys.len()));
    }
    Ok(KeyRing::new(&keys))
}

fn key(line: &str) -> Option<[u8; 32]> {
    let (digits, []) = line.as_bytes().as_chunks::<2>() else { return None };
    let value = |digit: u8| char::from(digit).to_digit(16);
    let bytes: Option<Vec<u8>> =
        digits.iter().map(|[high, low]| Some((value(*high)? * 16 + value(*low)?) as u8)).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{KeyFileError, MAX_KEYS, key, read};

    fn read_text(name: &str, text: &str) -> Result<(), KeyFileError> {
        let path = std::env::temp_dir().join(format!("tracker-user-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let read = read(&path);
        std::fs::remove_file(&path).unwrap();
        read.map(|_| ())
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        let digits = "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100";
        assert_eq!(key(digits).map(|key| (key[1], key[15], key[16])), Some((0x11, 0xff, 0xff)));
        for wrong in [&digits[1..], &digits[2..], &format!("{digits}00"), &digits.replace('3', "g"), ""] {
            assert_eq!(key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_has_keys_and_comments_and_nothing_else() {
        let key = "ab".repeat(32);
        assert!(read_text("good", &format!("# ours\n\n  {key}\n{key}\n")).is_ok());
        assert!(matches!(read_text("bad", &format!("{key}\n{key} old\n")), Err(KeyFileError::NoKey(_, 2))));
        assert!(matches!(read_text("none", "# none\n"), Err(KeyFileError::Count(_, 0))));
        let many = format!("{key}\n").repeat(MAX_KEYS + 1);
        assert!(matches!(read_text("many", &many), Err(KeyFileError::Count(_, 9))));
    }
}
