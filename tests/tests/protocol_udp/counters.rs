//! Every packet counts exactly once, by its verdict.

use crate::tracker::{Tracker, rules};
use std::collections::BTreeMap;
use tracker_tests::udp_client::{INFO_HASH, connect_request, header, scrape_request};

rules! {
    every_packet_counts_once_by_its_verdict,
}

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
                *expected.entry("connect_answered").or_default() += 1;
            }
        }
    }
    let stats = tracker.daemon.stats();
    let counted: BTreeMap<&str, u64> = stats["udp"]
        .as_object()
        .expect("an object of counters")
        .iter()
        .map(|(name, count)| (name.as_str(), count.as_u64().expect("counters are numbers")))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(counted, expected);
}
