//! Every mode of the statistics and every format of full scrapes as fields.

use crate::bencode;
use crate::fields::{Fields, without_numbers_before};
use crate::requests::get;
use std::net::SocketAddr;

const LINES: [&str; 18] = [
    "peer",
    "conn",
    "scrp",
    "udp4",
    "tcp4",
    "fscr",
    "torr",
    "completed",
    "syncs",
    "herr",
    "renew",
    "top10",
    "top100",
    "s24s",
    "busy",
    "woodpeckers",
    "numwants",
    "version",
];

/// Before these words stand figures that depend on when one asks.
const OF_THE_MOMENT: [&str; 5] = [" seconds", " conns/s", " success/s", " scrape/s", " bytes/s"];

/// Adds every mode, the default one too.
pub(crate) fn add_all(fields: &mut Fields, tracker: SocketAddr) {
    // First: modes that one of the trackers has not count as errors.
    let everything = get(tracker, "/stats?mode=everything");
    assert_eq!(everything.status, 200);
    add_xml(fields, &String::from_utf8_lossy(&everything.body));
    add_lines(fields, "stats/default", tracker, "/stats");
    for mode in LINES {
        add_lines(fields, &format!("stats/{mode}"), tracker, &format!("/stats?mode={mode}"));
    }
}

/// A page as its lines. A line of two words and a count is named by the words.
fn add_lines(fields: &mut Fields, name: &str, tracker: SocketAddr, target: &str) {
    let response = get(tracker, target);
    fields.insert(format!("{name}/status"), response.status.to_string());
    if response.status != 200 {
        return;
    }
    fields.insert(format!("{name}/type"), response.header("content-type").unwrap_or_default().to_owned());
    let text = String::from_utf8_lossy(&response.body).into_owned();
    // The end of the last line, or that it has none.
    fields.insert(format!("{name}/lines"), text.matches('\n').count().to_string());
    fields.insert(format!("{name}/ends"), text.ends_with('\n').to_string());
    for (number, line) in text.lines().enumerate() {
        let label = if name == "stats/herr" {
            line.get(..7).unwrap_or(line).to_owned()
        } else {
            format!("{number:03}")
        };
        fields.insert(format!("{name}/{label}"), without_numbers_before(line, &OF_THE_MOMENT));
    }
}

/// Each element that holds text, named by all elements around it, and each of a name by its attribute or its number.
fn add_xml(fields: &mut Fields, xml: &str) {
    let mut path = Vec::<String>::new();
    let mut position = 0;
    for part in xml.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        if tag.starts_with('?') {
            continue;
        }
        if tag.strip_prefix('/').is_some() {
            path.pop();
            continue;
        }
        path.push(tag.replace('/', " "));
        let name = format!("everything/{}", path.join("/"));
        // The order of the elements is that of the fields' values here.
        position += 1;
        fields.insert(format!("{name}/position"), position.to_string());
        let text = text.trim();
        if !text.is_empty() {
            let is_of_the_moment = matches!(tag, "tracker_id" | "uptime");
            let value = if is_of_the_moment {
                text.parse::<u64>().map(|_| "a number".to_owned()).expect("a number")
            } else {
                text.to_owned()
            };
            fields.insert(name, value);
        }
    }
    assert!(path.is_empty(), "{path:?} never end");
}

/// Adds every format of a full scrape, torrents in the order of their hashes.
pub(crate) fn add_full_scrapes(fields: &mut Fields, tracker: SocketAddr) {
    for format in ["txt", "txtp", "url"] {
        let text = add_full_scrape(fields, format, tracker, &format!("/stats?mode=tpbs&format={format}"));
        add_sorted(fields, format, String::from_utf8_lossy(&text).lines().map(str::to_owned));
    }
    let binary = add_full_scrape(fields, "bin", tracker, "/stats?mode=tpbs&format=bin");
    let records =
        binary.chunks(28).map(|record| record.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    add_sorted(fields, "bin", records);
    let dump = add_full_scrape(fields, "statedump", tracker, "/stats?mode=statedump");
    // The minute of the last announce may be the next one for whom was asked later.
    let lines = String::from_utf8_lossy(&dump).into_owned();
    let without_minute = lines.lines().map(|line| {
        let [hash, minute, downloaded] = *line.split(':').collect::<Vec<_>>() else { panic!("{line}") };
        let minute: u64 = minute.parse().expect("a minute is a number");
        let now = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs() / 60;
        assert!((now.saturating_sub(2)..=now).contains(&minute), "{line} in minute {now}");
        format!("{hash}:minute:{downloaded}")
    });
    add_sorted(fields, "statedump", without_minute);
    for (name, target) in [("ben", "/stats?mode=tpbs&format=ben"), ("bare", "/scrape")] {
        let bencoded = add_full_scrape(fields, name, tracker, target);
        bencode::flatten(fields, &format!("full/{name}"), &bencoded);
    }
}

fn add_full_scrape(fields: &mut Fields, name: &str, tracker: SocketAddr, target: &str) -> Vec<u8> {
    let response = get(tracker, target);
    fields.insert(format!("full/{name}/status"), response.status.to_string());
    let coding = response.header("content-encoding").unwrap_or("identity");
    fields.insert(format!("full/{name}/coding"), coding.to_owned());
    let decoded = response.decoded();
    fields.insert(format!("full/{name}/bytes"), decoded.len().to_string());
    decoded
}

fn add_sorted(fields: &mut Fields, name: &str, rows: impl Iterator<Item = String>) {
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    for (number, row) in rows.into_iter().enumerate() {
        fields.insert(format!("full/{name}/{number:03}"), row);
    }
}
