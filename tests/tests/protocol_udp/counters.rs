//! Every packet counts exactly once, by its verdict.

use crate::tracker::{Tracker, rules, verdict};
use serde_json::Value;
use std::collections::BTreeMap;
use tracker_tests::udp_client::{INFO_HASH, connect_request, header, scrape_request};

rules! {
    every_packet_counts_once_by_its_verdict,
}

/// Verdicts of the XDP program on packets that it has passed on, or handed over, to be judged elsewhere.
const PASSED_ON: &[&str] = &[
    "announce_proven",
    "scrape_proven",
    "announce_redirected",
    "scrape_redirected",
    "not_udp",
    "not_listening",
    "ip_options",
];

fn every_packet_counts_once_by_its_verdict(tracker: &Tracker) {
    let mut session = tracker.session();
    let announce = session.leecher(6881).payload();
    let mut forged = session.leecher(6881);
    forged.connection_id ^= 1 << 63;
    // The tag names a slot 64 before this one: longer ago than any id holds.
    let mut stale = session.leecher(6881);
    stale.connection_id ^= 0x40;
    let kinds = [
        ("connect_answered", connect_request(7)),
        ("announce_answered", announce.clone()),
        ("scrape_answered", scrape_request(session.id, 7, &[INFO_HASH])),
        ("too_short", vec![0; 15]),
        ("wrong_protocol_id", header(1, 0, 7)),
        ("connection_id_stale", stale.payload()),
        ("connection_id_forged", forged.payload()),
        ("announce_too_short", announce[..97].to_vec()),
        ("scrape_too_short", header(session.id, 2, 7)),
        ("unknown_action", header(session.id, 3, 7)),
    ];
    let mut expected: BTreeMap<&str, u64> = BTreeMap::from([("connect_answered", 1)]);
    for (position, (verdict, payload)) in kinds.iter().enumerate() {
        for _ in 0..=position {
            *expected.entry(verdict).or_default() += 1;
            if verdict.ends_with("_answered") {
                session.client.ask(payload);
            } else {
                session.client.expect_silence(payload);
                *expected.entry(session.client.verdict_after_silence()).or_default() += 1;
            }
        }
    }
    let counted = |stats: &Value| -> BTreeMap<String, u64> {
        let names = stats["udp"].as_object().expect("an object of counters").keys();
        let names = names.filter(|name| !PASSED_ON.contains(&name.as_str()));
        names.map(|name| (name.clone(), verdict(stats, name))).filter(|(_, count)| *count > 0).collect()
    };
    let expected: BTreeMap<String, u64> =
        expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    let stats = tracker.await_stats(|stats| counted(stats) == expected);
    assert_eq!(counted(&stats), expected, "{stats}");
}
