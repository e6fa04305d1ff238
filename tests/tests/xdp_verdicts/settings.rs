//! What the daemon says changes the verdict: listeners, heartbeat, budgets.

use crate::frames::{CONNECT, OUR_MAC, Way, address, announce, over_v4, over_v6, scrape};
use crate::scene::{Scene, clock_ns, in_one_slot};
use crate::table::{answered, check, passed};
use tracker_common::abi::HEARTBEAT_LIMIT_NS;
use tracker_common::verdict::Verdict;
use tracker_tests::kernel_program::{Action, TEST_RUN_INTERFACE};

/// A cost that is not earned back while a test runs.
const COST_NS: u64 = 1_000_000_000_000;

#[test]
fn a_listener_of_another_interface_does_not_count() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    let way = Way { tracker: address("192.0.2.77:6969"), ..over_v4() };
    scene.program.listen(way.tracker, TEST_RUN_INTERFACE + 1, OUR_MAC);
    check(&mut scene, |_| vec![passed("elsewhere", way.frame(&CONNECT), Verdict::NotListening)]);
    scene.program.listen(way.tracker, TEST_RUN_INTERFACE, OUR_MAC);
    check(&mut scene, |_| vec![answered("here", way.frame(&CONNECT))]);
}

#[test]
fn everything_is_passed_on_once_the_daemon_is_silent() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    let long_ago = clock_ns() - HEARTBEAT_LIMIT_NS - 1;
    scene.change(|control| control.heartbeat_ns = long_ago);
    let keys = scene.control.keys;
    check(&mut scene, |now_ns| {
        let mut rows = Vec::new();
        for way in Way::both() {
            let id = crate::scene::id(&keys, way.client.ip(), 0, now_ns);
            for payload in [CONNECT.to_vec(), announce(id), scrape(id, 1), announce(0), vec![], vec![9; 99]] {
                let name = format!("{}, {} bytes", way.family(), payload.len());
                rows.push(passed(name, way.frame(&payload), Verdict::DaemonSilent));
            }
        }
        rows.push(passed("no source", over_v4().from("0.0.0.0").frame(&CONNECT), Verdict::DaemonSilent));
        rows
    });
}

#[test]
fn a_fresh_heartbeat_ends_the_silence() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    scene.change(|control| control.heartbeat_ns = 0);
    check(&mut scene, |_| vec![passed("silent", over_v4().frame(&CONNECT), Verdict::DaemonSilent)]);
    scene.change(|control| control.heartbeat_ns = clock_ns() + 60_000_000_000);
    check(&mut scene, |_| vec![answered("alive", over_v4().frame(&CONNECT))]);
}

/// Runs packets one after the other in a fresh scene and compares their verdicts.
fn check_budget(
    set: impl Fn(&mut Scene),
    packets: impl Fn(&Scene, u64) -> Vec<(Vec<u8>, Verdict)>,
) -> Option<Scene> {
    let (scene, failures) = in_one_slot(|now_ns| {
        let mut scene = Scene::new_or_skipped()?;
        set(&mut scene);
        let mut failures = Vec::new();
        for (number, (frame, expected)) in packets(&scene, now_ns).into_iter().enumerate() {
            let run = scene.run(&frame);
            if run.verdict != expected || run.action != action_of(expected) {
                failures
                    .push(format!("packet {number}: {:?}, {:?}, not {expected:?}", run.action, run.verdict));
            }
        }
        Some((scene, failures))
    })?;
    assert!(failures.is_empty(), "{failures:#?}");
    Some(scene)
}

fn action_of(verdict: Verdict) -> Action {
    match verdict {
        Verdict::ConnectAnswered => Action::Answered,
        Verdict::AnnounceProven | Verdict::ScrapeProven | Verdict::ChecksumUnsure => Action::Passed,
        _ => Action::Dropped,
    }
}

fn set_source_budget(scene: &mut Scene) {
    scene.change(|control| (control.source_cost_ns, control.source_burst_ns) = (COST_NS, 2 * COST_NS));
}

fn set_connect_budget(scene: &mut Scene) {
    scene.change(|control| (control.connect_cost_ns, control.connect_burst_ns) = (COST_NS, COST_NS));
}

fn announce_from(scene: &Scene, way: Way, now_ns: u64) -> Vec<u8> {
    way.frame(&announce(scene.id(way.client.ip(), 0, now_ns)))
}

#[test]
fn an_ipv4_address_has_a_budget_of_its_own_for_announces_and_scrapes() {
    check_budget(set_source_budget, |scene, now_ns| {
        let (one, other) = (over_v4(), over_v4().from("198.51.100.8"));
        let announce = announce_from(scene, one, now_ns);
        let scrape = one.frame(&scrape(scene.id(one.client.ip(), 0, now_ns), 1));
        vec![
            (announce.clone(), Verdict::AnnounceProven),
            (scrape.clone(), Verdict::ScrapeProven),
            (announce.clone(), Verdict::AnnounceProven),
            (announce, Verdict::SourceOverBudget),
            (scrape, Verdict::SourceOverBudget),
            (announce_from(scene, other, now_ns), Verdict::AnnounceProven),
            (one.frame(&CONNECT), Verdict::ConnectAnswered),
        ]
    });
}

#[test]
fn an_ipv6_network_of_64_bits_shares_one_budget() {
    check_budget(set_source_budget, |scene, now_ns| {
        let from = |source| announce_from(scene, over_v6().from(source), now_ns);
        vec![
            (from("2001:db8:7::7"), Verdict::AnnounceProven),
            (from("2001:db8:7::8"), Verdict::AnnounceProven),
            (from("2001:db8:7:0:ffff::9"), Verdict::AnnounceProven),
            (from("2001:db8:7::7"), Verdict::SourceOverBudget),
            (from("2001:db8:7::a"), Verdict::SourceOverBudget),
            (from("2001:db8:7:1::7"), Verdict::AnnounceProven),
            (from("2001:db8:8::7"), Verdict::AnnounceProven),
        ]
    });
}

#[test]
fn only_a_proven_source_spends_its_budget() {
    check_budget(set_source_budget, |scene, now_ns| {
        let forged = over_v4().frame(&announce(scene.id(over_v4().client.ip(), 0, now_ns) ^ 0x100));
        let mut packets = vec![(forged, Verdict::ConnectionIdForged); 10];
        packets.extend(vec![(announce_from(scene, over_v4(), now_ns), Verdict::AnnounceProven); 3]);
        packets
    });
}

#[test]
fn a_budget_is_one_number_and_a_source_is_within_it_again_when_it_has_been_earned() {
    let announces = |scene: &Scene, now_ns| {
        let announce = announce_from(scene, over_v4(), now_ns);
        let (proven, over) = (Verdict::AnnounceProven, Verdict::SourceOverBudget);
        vec![
            (announce.clone(), proven),
            (announce.clone(), proven),
            (announce.clone(), proven),
            (announce, over),
        ]
    };
    let Some(mut scene) = check_budget(set_source_budget, announces) else { return };
    let touched = scene.program.touched_budgets();
    let [(index, earned_at_ns)] = touched[..] else { panic!("not one budget: {touched:?}") };
    assert!(earned_at_ns <= clock_ns() + 3 * COST_NS && earned_at_ns > 3 * COST_NS);
    scene.program.set_budget(index, clock_ns() + COST_NS);
    let run = in_one_slot(|now_ns| {
        let frame = announce_from(&scene, over_v4(), now_ns);
        scene.run(&frame)
    });
    assert_eq!(run.verdict, Verdict::AnnounceProven);
}

#[test]
fn connects_of_all_sources_share_one_budget_and_announces_have_no_part_in_it() {
    check_budget(set_connect_budget, |scene, now_ns| {
        vec![
            (over_v4().frame(&CONNECT), Verdict::ConnectAnswered),
            (over_v6().frame(&CONNECT), Verdict::ConnectAnswered),
            (over_v4().from("198.51.100.8").frame(&CONNECT), Verdict::ConnectOverBudget),
            (over_v6().frame(&CONNECT), Verdict::ConnectOverBudget),
            (announce_from(scene, over_v4(), now_ns), Verdict::AnnounceProven),
        ]
    });
}

#[test]
fn a_connect_that_the_stack_must_judge_spends_nothing() {
    check_budget(set_connect_budget, |_, _| {
        let checksum = tracker_tests::packet::Checksum::Wrong;
        let udp = tracker_tests::packet::Udp { checksum, ..over_v4().udp(&CONNECT) };
        let wrong = crate::frames::framed(udp.packet());
        let mut packets = vec![(wrong, Verdict::ChecksumUnsure); 5];
        packets.extend(vec![(over_v4().frame(&CONNECT), Verdict::ConnectAnswered); 2]);
        packets
    });
}

#[test]
fn without_budgets_nothing_is_spent() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    let keys = scene.control.keys;
    check(&mut scene, |now_ns| {
        let id = crate::scene::id(&keys, over_v4().client.ip(), 0, now_ns);
        let frame = over_v4().frame(&announce(id));
        (0..50).map(|_| passed("again", frame.clone(), Verdict::AnnounceProven)).collect()
    });
    assert_eq!(scene.program.touched_budgets(), []);
}
