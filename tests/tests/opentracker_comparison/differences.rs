//! The one table of intended differences, each with what it makes of opentracker's answer. Each has a line in
//! `docs/opentracker-compatibility.md` that begins with its name.

use crate::fields::{Compared, Fields, last_part};
use crate::replay::HOSTS;

/// A difference that is meant to be.
struct Difference {
    /// As the documentation has it.
    name: &'static str,
    /// The fields that it shows in; a `*` stands for any part between two slashes, at the end for any number of them.
    fields: &'static [&'static str],
    /// What is to be there.
    here: Here,
}

/// What is to be in a field here.
enum Here {
    /// This, by opentracker's value of the field and all its fields.
    Is(fn(&Compared, &Fields) -> Option<String>),
    /// In these fields, named by their last part, these values; in any other nothing.
    Exactly(&'static [(&'static str, &'static str)]),
    /// Anything, in a field that opentracker does not have.
    More,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "own-address",
        fields: &["udp/*/*/peers", "http/*/*/peers"],
        here: Here::Is(without_own_address),
    },
    Difference { name: "external-ip", fields: &["http/*/*/external ip"], here: Here::Is(address_of_host) },
    Difference {
        name: "stopped-downloaded",
        fields: &["http/*/stopped/downloaded"],
        here: Here::Is(downloaded_before),
    },
    Difference {
        name: "unknown-scrape",
        fields: &["scrape/http/unknown/files/*"],
        here: Here::Exactly(&[("complete", "0"), ("downloaded", "0"), ("incomplete", "0")]),
    },
    Difference {
        name: "forbidden-udp",
        fields: &["fail/udp/forbidden/*"],
        here: Here::Exactly(&[("action", "3"), ("error", FORBIDDEN)]),
    },
    Difference {
        name: "wrong-id",
        fields: &["fail/udp/wrong id/*"],
        here: Here::Exactly(&[("action", "silence")]),
    },
    Difference {
        name: "compact-0",
        fields: &["differ/compact=0/*"],
        here: Here::Exactly(ANSWERED_BUT_PEERS),
    },
    Difference { name: "bad-numwant", fields: &["differ/bad numwant/*"], here: Here::Is(answered) },
    Difference {
        name: "port-0",
        fields: &["differ/port 0/*"],
        here: Here::Exactly(&[
            ("status", "200"),
            ("type", "text/plain"),
            ("failure reason", "port must be a number from 1 to 65535"),
            ("retry in", "never"),
        ]),
    },
    Difference {
        name: "no-info-hash",
        fields: &["differ/no info_hash/*"],
        here: Here::Exactly(&[
            ("status", "200"),
            ("type", "text/plain"),
            ("failure reason", "info_hash is missing"),
            ("retry in", "never"),
        ]),
    },
    Difference {
        name: "completed-early",
        fields: &["differ/completed with bytes left/*"],
        here: Here::Is(completed_once_more),
    },
    Difference {
        name: "gzip-unasked",
        fields: &["full/*/coding"],
        here: Here::Exactly(&[("coding", "identity")]),
    },
    Difference { name: "full-scrapes-counted", fields: &["stats/fscr/*"], here: Here::Is(full_scrapes) },
    Difference { name: "error-labels", fields: &["stats/herr/*"], here: Here::Is(error_by_its_label) },
    Difference {
        name: "top-leechers",
        fields: &["stats/top10/*", "stats/top100/*"],
        here: Here::Is(with_top_leechers),
    },
    Difference {
        name: "own-modes",
        fields: &["stats/busy/status", "stats/woodpeckers/status", "stats/numwants/status"],
        here: Here::Exactly(&[("status", "200")]),
    },
    Difference {
        name: "own-modes",
        fields: &["stats/busy/*", "stats/woodpeckers/*", "stats/numwants/*"],
        here: Here::More,
    },
    Difference {
        name: "version",
        fields: &["stats/version/*", "everything/stats/version"],
        here: Here::Exactly(&[
            ("status", "200"),
            ("type", "text/plain"),
            ("lines", "1"),
            ("ends", "true"),
            ("000", VERSION),
            ("version", VERSION),
        ]),
    },
    Difference { name: "own-counters", fields: &["everything/stats/opentracker-xdp/*"], here: Here::More },
];

const FORBIDDEN: &str = "Requested download is not authorized for use with this tracker.";
const VERSION: &str = concat!("$Source: opentracker-xdp$: $Revision: ", env!("CARGO_PKG_VERSION"), "$");
/// To the only peer of a torrent, a seeder.
const ANSWERED_BUT_PEERS: &[(&str, &str)] = &[
    ("status", "200"),
    ("type", "text/plain"),
    ("complete", "1"),
    ("downloaded", "0"),
    ("incomplete", "0"),
    ("interval", "at random"),
    ("min interval", "at random"),
    ("external ip", "7f000001"),
];
/// The labels of `mode=herr` that opentracker has mixed up, and the attribute of `mode=everything` that has their counts.
const MIXED_UP: [(&str, &str); 3] =
    [("403 IP ", "403 Access Denied"), ("404 INV", "404 Not found"), ("500 SRV", "500 Internal Server")];

/// The peers that are given, without those that are of no use to the announcer.
fn without_own_address(seen: &Compared, theirs: &Fields) -> Option<String> {
    let left_out = theirs.get(&seen.beside("left out"))?;
    let is_left = |peer: &&str| !left_out.split(' ').any(|left_out| left_out == *peer);
    Some(seen.theirs.as_deref()?.split(' ').filter(is_left).collect::<Vec<_>>().join(" "))
}

fn address_of_host(seen: &Compared, _: &Fields) -> Option<String> {
    let host: usize = seen.field.split('/').nth(1)?.parse().ok()?;
    Some(HOSTS[host].octets().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The same as in the answer to `completed`.
fn downloaded_before(seen: &Compared, theirs: &Fields) -> Option<String> {
    theirs.get(&seen.field.replace("/stopped/", "/completed/")).cloned()
}

fn answered(seen: &Compared, _: &Fields) -> Option<String> {
    let answer = ANSWERED_BUT_PEERS.iter().chain(&[("peers", "")]);
    answer.into_iter().find(|(part, _)| *part == last_part(&seen.field)).map(|(_, value)| (*value).to_owned())
}

/// A scraped row is seeders, completed, leechers, of four bytes each.
fn completed_once_more(seen: &Compared, theirs: &Fields) -> Option<String> {
    match last_part(&seen.field) {
        "peers" => without_own_address(seen, theirs),
        "rest" => {
            let row = seen.theirs.as_deref()?.trim_matches(['[', ']']);
            let mut bytes: Vec<&str> = row.split(", ").collect();
            assert_eq!(bytes.get(4..8)?, ["00"; 4], "none was completed");
            bytes[7] = "01";
            Some(format!("[{}]", bytes.join(", ")))
        }
        _ => seen.theirs.clone(),
    }
}

/// In thousandths, and their bytes; the rest is of the moment.
fn full_scrapes(seen: &Compared, theirs: &Fields) -> Option<String> {
    let lengths: Vec<usize> = theirs
        .iter()
        .filter(|(field, _)| matches("full/*/bytes", field))
        .map(|(_, length)| length.parse().expect("a length is a number"))
        .collect();
    match (last_part(&seen.field), seen.theirs.as_deref()) {
        ("000", Some("0")) => Some((lengths.len() * 1000).to_string()),
        ("001", Some("0")) => Some(lengths.iter().sum::<usize>().to_string()),
        (_, theirs) => theirs.map(str::to_owned),
    }
}

fn error_by_its_label(seen: &Compared, theirs: &Fields) -> Option<String> {
    let label = last_part(&seen.field);
    let Some((_, code)) = MIXED_UP.into_iter().find(|(mixed_up, _)| *mixed_up == label) else {
        return seen.theirs.clone();
    };
    let mut counts = theirs.iter().filter(|(field, _)| field.contains(code) && !field.ends_with("position"));
    let count = counts.next().map(|(_, count)| count)?;
    Some(format!("{label} {count}"))
}

/// One table more behind those of opentracker, of as many torrents and in the same form.
fn with_top_leechers(seen: &Compared, theirs: &Fields) -> Option<String> {
    let lines: usize = theirs.get(&seen.beside("lines"))?.parse().expect("it is a number");
    let most = if seen.field.starts_with("stats/top100/") { 100 } else { 10 };
    let leechers = |(field, leechers): (&String, &String)| {
        let hash = field.strip_prefix("full/ben/files/")?.strip_suffix("/incomplete")?;
        Some((leechers.parse::<u32>().expect("it is a number"), hash.to_uppercase()))
    };
    let mut torrents: Vec<(u32, String)> = theirs.iter().filter_map(leechers).collect();
    torrents.retain(|(leechers, _)| *leechers > 0);
    torrents.sort_by_key(|(leechers, _)| std::cmp::Reverse(*leechers));
    let mut table = vec![format!("Top {most} torrents by leechers:")];
    table.extend(torrents.into_iter().take(most).map(|(leechers, hash)| format!("\t{leechers}\t{hash}")));
    match last_part(&seen.field) {
        "lines" => Some((lines + table.len()).to_string()),
        part => match part.parse::<usize>().ok().and_then(|line| line.checked_sub(lines)) {
            Some(line) => table.get(line).cloned(),
            None => seen.theirs.clone(),
        },
    }
}

impl Difference {
    fn covers(&self, field: &str) -> bool {
        self.fields.iter().any(|pattern| matches(pattern, field))
    }

    /// What is wrong with a field that it covers, if anything is.
    fn wrong(&self, seen: &Compared, theirs: &Fields) -> Option<String> {
        let expected = match self.here {
            Here::Is(expected) => expected(seen, theirs),
            Here::Exactly(values) => {
                let value = values.iter().find(|(part, _)| *part == last_part(&seen.field));
                value.map(|(_, value)| (*value).to_owned())
            }
            Here::More if seen.theirs.is_none() => seen.ours.clone(),
            Here::More => None,
        };
        let Compared { field, theirs, ours } = seen;
        (expected != *ours).then(|| {
            format!("{field}: opentracker {theirs:?}, by `{}` {expected:?} here, but {ours:?}", self.name)
        })
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

/// Panics unless every field is what opentracker has in it, or what an intended difference makes of that, and every intended
/// difference has shown.
pub(crate) fn explain(compared: &[Compared], theirs: &Fields) {
    let wrong = |seen: &Compared| match DIFFERENCES.iter().find(|difference| difference.covers(&seen.field)) {
        Some(difference) => difference.wrong(seen, theirs),
        None => seen.differs().then(|| {
            format!("{}: opentracker {:?}, here {:?}, not documented", seen.field, seen.theirs, seen.ours)
        }),
    };
    let wrong: Vec<String> = compared.iter().filter_map(wrong).collect();
    let shows = |difference: &&Difference| {
        compared.iter().any(|seen| seen.differs() && difference.covers(&seen.field))
    };
    let unseen: Vec<&str> = DIFFERENCES
        .iter()
        .filter(|difference| !shows(difference))
        .map(|difference| difference.name)
        .collect();
    assert!(
        wrong.is_empty() && unseen.is_empty(),
        "differences that are not as documented:\n{}\ndifferences that did not show: {unseen:?}",
        wrong.join("\n")
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
    known.dedup();
    assert_eq!(documented, known);
}

#[test]
fn a_pattern_covers_parts_and_ends() {
    assert!(matches("a/*/c", "a/b/c") && matches("a/*", "a/b/c") && matches("a", "a"));
    assert!(!matches("a/*/c", "a/b/d") && !matches("a/*/c", "a/c") && !matches("a", "a/b"));
}
