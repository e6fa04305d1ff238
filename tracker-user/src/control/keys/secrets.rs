//! The file of secrets from which nodes that share connection ids make their keys.

use crate::secret_file;
use std::path::{Path, PathBuf};
use thiserror::Error;
use tracker_common::siphash::Key;

/// A file of secrets cannot be used.
#[derive(Debug, Error)]
pub enum SecretsError {
    /// It cannot be read.
    #[error(
        "udp.connection_id_key_file {0:?} cannot be read: {1}; it is looked for below tracker.rootdir, and the user that the \
         tracker runs as must be able to read it"
    )]
    Unreadable(PathBuf, std::io::Error),
    /// A line is no secret.
    #[error(
        "udp.connection_id_key_file {0:?}: line {1} is not 32 hexadecimal digits, and perhaps a blank and the second since \
         1970 from which they count; make a secret with `openssl rand -hex 16`"
    )]
    NoSecret(PathBuf, usize),
    /// Two secrets count from the same second.
    #[error(
        "udp.connection_id_key_file {0:?}: two secrets count from second {1} since 1970; give the newer one a later time, \
         behind a blank"
    )]
    SameTime(PathBuf, u64),
    /// There is none.
    #[error("udp.connection_id_key_file {0:?} has no secret; make one with `openssl rand -hex 16`")]
    None(PathBuf),
}

/// A secret, and the second since 1970 from which it counts.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Secret {
    from_secs: u64,
    key: Key,
}

/// The secrets of a file, at least one, the earliest first. Not `Debug`: they must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secrets(Vec<Secret>);

impl Secrets {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it has anything but secrets, comments and empty lines.
    pub(super) fn read(path: &Path) -> Result<Self, SecretsError> {
        let lines =
            secret_file::lines(path).map_err(|error| SecretsError::Unreadable(path.to_owned(), error))?;
        Self::of_lines(&lines, path)
    }

    /// The same with lines that have been read.
    pub(super) fn of_lines(lines: &[(usize, String)], path: &Path) -> Result<Self, SecretsError> {
        let parsed = lines.iter().map(|(number, line)| {
            parse(line).ok_or_else(|| SecretsError::NoSecret(path.to_owned(), *number))
        });
        let mut secrets = parsed.collect::<Result<Vec<_>, _>>()?;
        secrets.sort_by_key(|secret| secret.from_secs);
        if let Some([_, twice]) = secrets.array_windows().find(|[one, next]| one.from_secs == next.from_secs)
        {
            return Err(SecretsError::SameTime(path.to_owned(), twice.from_secs));
        }
        if secrets.is_empty() { Err(SecretsError::None(path.to_owned())) } else { Ok(Self(secrets)) }
    }

    /// The secret that counts at a second since 1970; before the first has its time, the first.
    pub(super) fn at(&self, secs: u64) -> Key {
        let begun = self.0.iter().rev().find(|secret| secret.from_secs <= secs);
        begun.or(self.0.first()).map(|secret| secret.key).unwrap_or_default()
    }
}

/// A secret is 128 bits, the first 16 digits its first word.
fn parse(line: &str) -> Option<Secret> {
    let (digits, from) = line.split_once(char::is_whitespace).unwrap_or((line, "0"));
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let bits = u128::from_str_radix(digits, 16).ok()?;
    let from = from.trim_start();
    let is_number = from.bytes().all(|digit| digit.is_ascii_digit());
    let from_secs = from.parse().ok().filter(|_| is_number)?;
    Some(Secret { from_secs, key: [(bits >> 64) as u64, bits as u64] })
}

#[cfg(test)]
mod tests {
    use super::{Secrets, SecretsError, parse};
    use std::path::Path;

    const DIGITS: &str = "0123456789abcdefFEDCBA9876543210";
    const KEY: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

    fn of(lines: &[&str]) -> Result<Secrets, SecretsError> {
        let numbered: Vec<_> =
            lines.iter().enumerate().map(|(index, line)| (index + 1, (*line).to_owned())).collect();
        Secrets::of_lines(&numbered, Path::new("file"))
    }

    #[test]
    fn a_line_is_a_secret_and_perhaps_a_time() {
        let parsed = |line: &str| parse(line).map(|secret| (secret.key, secret.from_secs));
        assert_eq!(parsed(DIGITS), Some((KEY, 0)));
        assert_eq!(parsed(&format!("{DIGITS} \t1764000000")), Some((KEY, 1_764_000_000)));
        let wrong = ["", "0", &DIGITS[1..], &format!("{DIGITS}0"), &DIGITS.replace('f', "g")];
        let wrong_time =
            ["x", "-1", "+1", "1.5", "1 2", "18446744073709551616"].map(|time| format!("{DIGITS} {time}"));
        for line in wrong.into_iter().chain(wrong_time.iter().map(String::as_str)) {
            assert_eq!(parsed(line), None, "{line}");
        }
    }

    #[test]
    fn a_secret_counts_from_its_time_on_wherever_it_stands() {
        let (one, two) = ("1".repeat(32), "2".repeat(32));
        let (first, second) = ([0x1111_1111_1111_1111; 2], [0x2222_2222_2222_2222; 2]);
        for lines in [[format!("{two} 100"), one.clone()], [one.clone(), format!("{two} 100")]] {
            let secrets = of(&[&lines[0], &lines[1]]).map_err(|error| error.to_string()).unwrap();
            for (secs, key) in [(0, first), (99, first), (100, second), (u64::MAX, second)] {
                assert_eq!(secrets.at(secs), key, "at {secs}");
            }
        }
        // The old line may go once the time of the new one has come.
        let left = of(&[&format!("{two} 100")]).map_err(|error| error.to_string()).unwrap();
        assert_eq!(left.at(5), second);
    }

    #[test]
    fn a_file_that_says_nothing_or_two_things_is_refused() {
        assert!(matches!(of(&[]), Err(SecretsError::None(_))));
        assert!(matches!(of(&[DIGITS, "nonsense"]), Err(SecretsError::NoSecret(_, 2))));
        assert!(matches!(of(&[DIGITS, &"2".repeat(32)]), Err(SecretsError::SameTime(_, 0))));
    }
}
