//! The one table of intended differences. Each has a line in `docs/opentracker-compatibility.md` that begins with its name.

use crate::fields::Mismatch;

/// A difference that is meant to be.
struct Difference {
    /// As the documentation has it.
    name: &'static str,
    /// The fields that it shows in; a `*` stands for any part between two slashes, at the end for any number of them.
    fields: &'static [&'static str],
}

const DIFFERENCES: &[Difference] = &[
    Difference { name: "own-address", fields: &["udp/*/*/peers", "http/*/*/peers"] },
    Difference { name: "external-ip", fields: &["http/*/*/external ip"] },
    Difference { name: "stopped-downloaded", fields: &["http/*/stopped/downloaded"] },
    Difference { name: "unknown-scrape", fields: &["scrape/http/unknown/*"] },
    Difference { name: "forbidden-udp", fields: &["fail/udp/forbidden/*"] },
    Difference { name: "wrong-id", fields: &["fail/udp/wrong id/*"] },
    Difference { name: "compact-0", fields: &["differ/compact=0/*"] },
    Difference { name: "bad-numwant", fields: &["differ/bad numwant/*"] },
    Difference { name: "port-0", fields: &["differ/port 0/*"] },
    Difference { name: "no-info-hash", fields: &["differ/no info_hash/*"] },
    Difference { name: "completed-early", fields: &["differ/completed with bytes left/*"] },
    Difference { name: "gzip-unasked", fields: &["full/*/coding"] },
    Difference { name: "full-scrapes-counted", fields: &["stats/fscr/*"] },
    Difference { name: "error-labels", fields: &["stats/herr/*"] },
    Difference { name: "top-leechers", fields: &["stats/top10/*", "stats/top100/*"] },
    Difference { name: "own-modes", fields: &["stats/busy/*", "stats/woodpeckers/*", "stats/numwants/*"] },
    Difference { name: "version", fields: &["stats/version/*", "everything/stats/version"] },
    Difference { name: "own-counters", fields: &["everything/stats/opentracker-xdp/*"] },
];

impl Difference {
    fn covers(&self, field: &str) -> bool {
        self.fields.iter().any(|pattern| matches(pattern, field))
    }
}

/// Whether a field is one of those that a pattern names.
fn matches(pattern: &str, field: &str) -> bool {
    match (pattern.split_once('/'), field.split_once('/')) {
        (None, _) if pattern == "*" => true,
        (None, None) => pattern == field,
        (Some((first, pattern)), Some((part, field))) => {
            (first == "*" || first == part) && matches(pattern, field)
        }
        _ => false,
    }
}

/// Panics unless every mismatch is an intended difference, and every intended difference has shown.
pub(crate) fn explain(mismatches: &[Mismatch]) {
    let is_intended =
        |mismatch: &&Mismatch| DIFFERENCES.iter().any(|difference| difference.covers(&mismatch.field));
    let unexplained: Vec<String> = mismatches
        .iter()
        .filter(|mismatch| !is_intended(mismatch))
        .map(|Mismatch { field, theirs, ours }| format!("{field}: opentracker {theirs:?}, here {ours:?}"))
        .collect();
    let unseen = DIFFERENCES
        .iter()
        .filter(|difference| !mismatches.iter().any(|mismatch| difference.covers(&mismatch.field)));
    let unseen: Vec<&str> = unseen.map(|difference| difference.name).collect();
    assert!(
        unexplained.is_empty() && unseen.is_empty(),
        "differences that are not documented:\n{}\ndifferences that did not show: {unseen:?}",
        unexplained.join("\n")
    );
}

#[test]
fn every_difference_of_the_table_is_documented_and_no_other() {
    let page = include_str!("../../../docs/opentracker-compatibility.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut documented: Vec<&str> = rows.collect();
    let mut known: Vec<&str> = DIFFERENCES.iter().map(|difference| difference.name).collect();
    documented.sort_unstable();
    known.sort_unstable();
    assert_eq!(documented, known);
}

#[test]
fn a_pattern_covers_parts_and_ends() {
    assert!(matches("a/*/c", "a/b/c") && matches("a/*", "a/b/c") && matches("a", "a"));
    assert!(!matches("a/*/c", "a/b/d") && !matches("a/*/c", "a/c") && !matches("a", "a/b"));
}
