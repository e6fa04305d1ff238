//! A text file that an operator has written, line by line, and what is wrong with some of its lines. Read by threads that
//! serve nobody.

use std::fmt;
use std::io::{self, BufRead, Read};

/// What is looked at of a line: more than a line needs that is as it should be.
const LOOKED_AT: u64 = 256;
/// Bad lines that are reported one by one; of the others there is a count.
const REPORTED: usize = 5;
/// The characters of a bad line that are quoted.
const QUOTED: usize = 60;

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: usize,
    /// Where its text begins, in bytes.
    pub offset: u64,
    /// It without blanks at its ends; of a very long one the beginning alone.
    pub text: &'a [u8],
}

/// Hands on every line, however the file is made: one of gigabytes takes no more memory than any other.
///
/// # Errors
/// Where it cannot be read to its end.
pub fn read_lines(mut reader: impl BufRead, mut take: impl FnMut(Line<'_>)) -> io::Result<()> {
    let mut line = Vec::new();
    let mut begin = 0;
    for number in 1.. {
        line.clear();
        let mut length = reader.by_ref().take(LOOKED_AT).read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            length += reader.skip_until(b'\n')?;
        }
        // The mark that some editors put before the first line.
        let text = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
        let text = text.trim_ascii_start();
        let offset = begin + (line.len() - text.len()) as u64;
        take(Line { number, offset, text: text.trim_ascii_end() });
        begin += length as u64;
    }
    Ok(())
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
    /// Notes one of them.
    pub fn note(&mut self, number: usize, line: &[u8]) {
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
    use super::{BadLines, LOOKED_AT, read_lines};
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    fn lines(text: &[u8]) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        read_lines(text, |line| {
            assert!(text[line.offset as usize..].starts_with(line.text));
            lines.push((line.number, String::from_utf8_lossy(line.text).into_owned()));
        })
        .unwrap();
        lines
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
        let text = format!("first {}\nsecond", "x".repeat(100_000));
        let found = lines(text.as_bytes());
        let lengths: Vec<_> = found.iter().map(|(number, line)| (*number, line.len())).collect();
        assert_eq!(lengths, [(1, LOOKED_AT as usize), (2, 6)]);
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

    proptest! {
        #[test]
        fn any_bytes_are_read_as_lines_without_a_panic(text in vec(any::<u8>(), 0..2000)) {
            let expected = text.split_inclusive(|byte| *byte == b'\n').count();
            let mut count = 0;
            read_lines(&*text, |line| {
                count += 1;
                assert_eq!(line.number, count);
                assert!(text[line.offset as usize..].starts_with(line.text));
            })
            .unwrap();
            prop_assert_eq!(count, expected);
        }
    }
}
