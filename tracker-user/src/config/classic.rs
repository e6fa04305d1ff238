//! opentracker's file format: a keyword, a blank, a value; `#` begins a comment; `listen.*` depends on order.

use super::draft::{Applied, Draft};
use super::finding::{Finding, Place};
use super::keys::Setting;
use std::collections::BTreeMap;
use std::path::Path;

/// Takes the text of a file in; `path` is for the findings.
pub(super) fn read(draft: &mut Draft, path: &Path, text: &str) {
    let mut scalars = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let place = Place::File { path: path.to_owned(), line: Some(line_number) };
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        let (keyword, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if read_line(draft, &place, keyword, value.trim()) == Applied::Refused {
            continue;
        }
        if Setting::named(keyword).is_some_and(Setting::is_scalar)
            && let Some(earlier) = scalars.insert(keyword, line_number)
        {
            let what = format!("this replaces the value of line {earlier}");
            draft.findings.push(Finding::error(&place, keyword, what).as_warning());
        }
    }
}

/// One line that is neither empty nor a comment.
fn read_line(draft: &mut Draft, place: &Place, keyword: &str, value: &str) -> Applied {
    if keyword.starts_with('[') || keyword.contains('=') || value.starts_with('=') {
        let finding = Finding::error(place, keyword, "expected a keyword, a blank and a value");
        draft.findings.push(finding.mended_by("a file in TOML needs a name that ends in .toml"));
        return Applied::Refused;
    }
    draft.apply(place, keyword, keyword, value)
}

/// The line up to its comment. A `#` within a word is no comment: URLs have them.
fn without_comment(line: &str) -> &str {
    let starts_comment =
        |(at, _): &(usize, &str)| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices('#').find(starts_comment).map_or(line, |(at, _)| &line[..at])
}
