//! Keys of a cluster in time, moved by hand: nodes agree, and no id is refused while it holds.

use super::{Clocks, KeySchedule, Secrets, clocks_differ, keys_differ};
use std::path::Path;
use tracker_common::connection_id::{Keys, Proof, SharedClock, Slot, issue, prove};

const PERIOD_SECS: u32 = 3600;
const LIFETIME_SECS: u32 = 480;
const LIFETIME_MS: i64 = LIFETIME_SECS as i64 * 1000;
/// How far clocks may be apart, as the documentation says.
const SKEW_MS: i64 = 15_000;
const ADDRESS: [u8; 16] = [9; 16];
/// The beginning of a period, in seconds since 1970.
const BEGINNING_SECS: u64 = 490_000 * PERIOD_SECS as u64;
const ONE: &str = "0123456789abcdef0123456789ABCDEF";
const OTHER: &str = "ffffffffffffffffffffffffffffffff";

fn secrets(lines: &[&str]) -> Secrets {
    let numbered: Vec<_> = lines.iter().map(|line| (1, (*line).to_owned())).collect();
    Secrets::of_lines(&numbered, Path::new("file")).map_err(|error| error.to_string()).unwrap()
}

/// A node: its keys, and how long its host had been up when the period began.
struct Node {
    schedule: KeySchedule,
    uptime_secs: u64,
    /// Milliseconds by which its clock is ahead.
    ahead_ms: i64,
}

impl Node {
    fn new(lines: &[&str], uptime_secs: u64, ahead_ms: i64) -> Self {
        Self { schedule: KeySchedule::new(secrets(lines), PERIOD_SECS), uptime_secs, ahead_ms }
    }

    /// Its keys and its monotonic clock, so many milliseconds after the period began.
    fn at(&self, ms: i64) -> (Keys, u64) {
        let monotonic_ns = ((self.uptime_secs * 1000) as i64 + ms) as u64 * 1_000_000;
        let real_ns = ((BEGINNING_SECS * 1000) as i64 + ms + self.ahead_ms) as u64 * 1_000_000;
        (self.schedule.keys_at(Clocks { real_ns, monotonic_ns }), monotonic_ns)
    }

    fn issue(&self, ms: i64) -> u64 {
        let (keys, monotonic_ns) = self.at(ms);
        issue(&keys, ADDRESS, keys.issuing_slot(monotonic_ns))
    }

    fn prove(&self, id: u64, ms: i64) -> Proof {
        self.prove_of(ADDRESS, id, ms)
    }

    fn prove_of(&self, address: [u8; 16], id: u64, ms: i64) -> Proof {
        let (keys, monotonic_ns) = self.at(ms);
        let slots = Slot::lifetime(LIFETIME_SECS) + SharedClock::MORE_LIFETIME_SLOTS;
        prove(&keys, address, id, keys.checking_slot(monotonic_ns), slots)
    }
}

#[test]
fn nodes_take_each_others_ids_at_any_moment_though_their_hosts_and_clocks_differ() {
    let nodes = [
        Node::new(&[ONE], 10_000, 0),
        Node::new(&[ONE], 5_000_000, SKEW_MS / 2),
        Node::new(&[ONE], 77_777, -SKEW_MS / 2),
    ];
    // Two periods before and two after, with their boundaries and middles in them, off the beat of the slots.
    let boundaries = (-4..=4).flat_map(|half| [-1, 0, 1].map(|off| half * 1_800_000 + off));
    for ms in (-7_300_000..7_300_000).step_by(33_331).chain(boundaries) {
        for issuer in &nodes {
            let id = issuer.issue(ms);
            for checker in &nodes {
                for later_ms in [0, 1, LIFETIME_MS / 2, LIFETIME_MS] {
                    let (from, by) = (issuer.ahead_ms, checker.ahead_ms);
                    let proof = checker.prove(id, ms + later_ms);
                    assert_eq!(
                        proof,
                        Proof::Proven,
                        "made {from} ms ahead at {ms}, {later_ms} ms old, {by} ms ahead"
                    );
                }
            }
        }
    }
}

#[test]
fn a_clock_that_is_a_minute_off_makes_ids_that_others_refuse() {
    let (right, ahead, behind) = (
        Node::new(&[ONE], 10_000, 0),
        Node::new(&[ONE], 10_000, 60_000),
        Node::new(&[ONE], 10_000, -LIFETIME_MS),
    );
    assert_eq!(right.prove(ahead.issue(0), 0), Proof::Stale);
    assert_eq!(right.prove(behind.issue(0), 60_000), Proof::Stale);
}

#[test]
fn an_id_dies_some_slots_after_its_lifetime_and_is_worth_nothing_elsewhere() {
    let (node, stranger) = (Node::new(&[ONE], 10_000, 0), Node::new(&[OTHER], 10_000, 0));
    let id = node.issue(0);
    assert_eq!(node.prove(id, LIFETIME_MS + 60_000), Proof::Stale);
    assert_eq!(stranger.prove(id, 1), Proof::Forged);
    assert_eq!(node.prove_of([8; 16], id, 1), Proof::Forged, "another address");
    assert_eq!(node.prove(id, 2 * 3_600_000), Proof::Stale);
    // 128 slots on, the tag is the same again.
    assert_eq!(node.prove(id, ((128_u64 << 34) / 1_000_000) as i64), Proof::Forged);
}

#[test]
fn each_period_has_a_key_of_its_own_and_none_tells_another() {
    let node = Node::new(&[ONE], 10_000, 0);
    let mut seen = std::collections::BTreeSet::new();
    for period in 0..100 {
        let [a, b, c, d, ..] = node.at(period * 3_600_000).0.words();
        seen.extend([a, b, c, d]);
    }
    // In its first half a period has its own key and that of the one before.
    assert_eq!(seen.len(), 2 * 101);
    let longer = KeySchedule::new(secrets(&[ONE]), PERIOD_SECS * 2);
    let clocks = Clocks { real_ns: BEGINNING_SECS * 1_000_000_000, monotonic_ns: 0 };
    assert!(longer.keys_at(clocks).words()[..4].iter().all(|word| !seen.contains(word)));
}

#[test]
fn a_secret_with_a_time_changes_on_one_node_after_the_other_and_no_id_is_refused() {
    // From the middle of a period: it counts from the beginning of the next.
    let from = BEGINNING_SECS + u64::from(PERIOD_SECS) + 1000;
    let (both, new) = ([ONE, &format!("{OTHER} {from}")], [&*format!("{OTHER} {from}")]);
    let (mut early, mut late) = (Node::new(&[ONE], 10_000, SKEW_MS), Node::new(&[ONE], 99_000, 0));
    for ms in (0..14_400_000).step_by(59_999) {
        // Each is told when it suits its operator, before the time comes and after it has passed for all.
        let (told_early, told_late, done_early, done_late) = (1_000_000, 7_000_000, 8_000_000, 12_000_000);
        for (node, told, done) in [(&mut early, told_early, done_early), (&mut late, told_late, done_late)] {
            let lines: &[&str] = if ms < told {
                &[ONE]
            } else if ms < done {
                &both
            } else {
                &new
            };
            node.schedule.replace_secrets(secrets(lines));
        }
        for later_ms in [0, LIFETIME_MS] {
            // Between these two moments a node may learn of the new secret: what it has in force stays.
            assert_eq!(
                late.prove(early.issue(ms), ms + later_ms),
                Proof::Proven,
                "at {ms}, {later_ms} later"
            );
            assert_eq!(
                early.prove(late.issue(ms), ms + later_ms),
                Proof::Proven,
                "at {ms}, {later_ms} later"
            );
        }
    }
    early.schedule.replace_secrets(secrets(&both));
    let (old, changed) = (Node::new(&[ONE], 1000, 0), Node::new(&[OTHER], 1000, 0));
    assert_eq!(old.prove(early.issue(7_100_000), 7_100_000), Proof::Proven);
    assert_eq!(changed.prove(early.issue(7_300_000), 7_300_000), Proof::Proven);
    assert_eq!(old.prove(early.issue(7_300_000), 7_300_000), Proof::Forged);
}

#[test]
fn a_clock_that_is_set_by_less_than_a_slot_refuses_no_id() {
    for set_ms in [-SKEW_MS, SKEW_MS] {
        for ms in (0..7_200_000).step_by(77_773) {
            let mut node = Node::new(&[ONE], 10_000, 0);
            let id = node.issue(ms);
            node.ahead_ms = set_ms;
            assert_eq!(node.prove(id, ms), Proof::Proven, "at {ms}, by {set_ms}");
            assert_eq!(node.prove(id, ms + LIFETIME_MS), Proof::Proven, "at {ms}, by {set_ms}");
        }
    }
}

#[test]
fn a_clock_that_is_set_by_more_is_followed() {
    let (mut node, other) = (Node::new(&[ONE], 10_000, -86_400_000), Node::new(&[ONE], 5, 0));
    assert_ne!(other.prove(node.issue(10_000), 10_000), Proof::Proven, "made a day ago");
    let (before, _) = node.at(10_000);
    node.ahead_ms = 0;
    let (after, _) = node.at(10_000);
    assert!(clocks_differ(&before, &after) && keys_differ(&before, &after));
    assert_eq!(other.prove(node.issue(10_000), 10_000), Proof::Proven);
}

#[test]
fn keys_are_published_anew_when_they_change_or_the_clock_is_set_and_not_for_its_trembling() {
    let mut node = Node::new(&[ONE], 10_000, 0);
    let (keys, _) = node.at(0);
    for (ahead_ms, differs) in [(249, false), (-249, false), (251, true), (-251, true), (0, false)] {
        node.ahead_ms = ahead_ms;
        assert_eq!(clocks_differ(&keys, &node.at(1_000).0), differs, "{ahead_ms} ms");
    }
    for (ms, differs) in [(1_000, false), (1_799_999, false), (1_800_000, true), (3_600_000, true)] {
        assert_eq!(keys_differ(&keys, &node.at(ms).0), differs, "at {ms}");
    }
    // From the middle of a period to its end only the idle key is another.
    assert_eq!(keys.words().last(), node.at(3_599_999).0.words().last());
    assert_ne!(keys.words().last(), node.at(3_600_000).0.words().last());
}
