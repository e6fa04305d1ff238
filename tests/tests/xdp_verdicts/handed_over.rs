//! What goes to AF_XDP sockets, and what does not although there is one.

use crate::frames::{CONNECT, OUR_MAC, VLAN, Way, announce, over_v4, padded, scrape, tagged};
use crate::scene::{Scene, id, in_one_slot};
use crate::table::{Row, answered, check, dropped, handed_over, passed};
use std::os::fd::OwnedFd;
use tracker_common::abi::{MAX_XSK_FRAME_LEN, MAX_XSK_INTERFACES};
use tracker_common::verdict::Verdict;
use tracker_tests::kernel_program::{Action, TEST_RUN_INTERFACE};
use tracker_tests::skip::skipped;

/// The receive queue on which a test run's packets come in.
const QUEUE: u32 = 0;
/// Some slot other than the first: slots are not to be mixed up.
const SLOT: u16 = 3;

/// A scene whose interface has a slot, with a socket for its queue.
fn with_socket_or_skipped(slot: u16) -> Option<(Scene, OwnedFd)> {
    let mut scene = Scene::new_or_skipped()?;
    listen_with_slot(&mut scene, slot);
    let socket = scene.program.add_socket(slot, QUEUE);
    Some((scene, socket))
}

fn listen_with_slot(scene: &mut Scene, slot: u16) {
    for way in Way::both() {
        scene.program.listen_with_slot(way.tracker, TEST_RUN_INTERFACE, OUR_MAC, slot);
    }
}

/// Checks the rows that are made for each way and the id that its client holds.
fn check_both_ways(scene: &mut Scene, rows: impl Fn(Way, u64) -> Vec<Row>) {
    let keys = scene.control.keys;
    check(scene, |now_ns| {
        Way::both().into_iter().flat_map(|way| rows(way, id(&keys, way.client.ip(), 0, now_ns))).collect()
    });
}

/// Rows of proven requests, each made by `row` of its name, its frame and its verdicts with and without a socket.
fn proven(way: Way, id: u64, row: impl Fn(&str, Vec<u8>, Verdict, Verdict) -> Row) -> Vec<Row> {
    let announced = (Verdict::AnnounceRedirected, Verdict::AnnounceProven);
    let scraped = (Verdict::ScrapeRedirected, Verdict::ScrapeProven);
    let rows = [
        ("announce", way.frame(&announce(id)), announced),
        ("announce, padded", padded(&way.frame(&announce(id)), &[0; 9]), announced),
        ("announce of a VLAN", tagged(&way.frame(&announce(id)), &[(VLAN, 100)]), announced),
        ("announce with a partial checksum", way.partially_summed(&announce(id)), announced),
        ("scrape of one", way.frame(&scrape(id, 1)), scraped),
        ("scrape of 70", way.frame(&scrape(id, 70)), scraped),
    ];
    let rows = rows.into_iter().map(|(name, frame, (with, without))| {
        row(&format!("{}, {name}", way.family()), frame, with, without)
    });
    rows.collect()
}

#[test]
fn proven_announces_and_scrapes_go_to_the_socket_of_their_queue() {
    for slot in [1, SLOT, MAX_XSK_INTERFACES] {
        let Some((mut scene, _socket)) = with_socket_or_skipped(slot) else { return };
        check_both_ways(&mut scene, |way, id| {
            proven(way, id, |name, frame, with, _| handed_over(name, frame, with))
        });
    }
}

#[test]
fn what_has_no_socket_goes_to_the_udp_sockets() {
    let Some((mut scene, socket)) = with_socket_or_skipped(SLOT) else { return };
    let all_pass = |scene: &mut Scene| {
        check_both_ways(scene, |way, id| {
            proven(way, id, |name, frame, _, without| passed(name, frame, without))
        });
    };
    // The interface has no slot; it has one without sockets; only another queue has a socket.
    listen_with_slot(&mut scene, 0);
    all_pass(&mut scene);
    listen_with_slot(&mut scene, SLOT + 1);
    all_pass(&mut scene);
    let _of_other_queue = scene.program.add_socket(SLOT + 1, QUEUE + 1);
    all_pass(&mut scene);
    // The socket is closed, as when its daemon has ended.
    listen_with_slot(&mut scene, SLOT);
    drop(socket);
    all_pass(&mut scene);
}

#[test]
fn nothing_else_goes_to_a_socket() {
    let Some((mut scene, _socket)) = with_socket_or_skipped(SLOT) else { return };
    check_both_ways(&mut scene, |way, id| {
        let other_port = Way { tracker: std::net::SocketAddr::new(way.tracker.ip(), 53), ..way };
        vec![
            answered("connect", way.frame(&CONNECT)),
            dropped("forged id", way.frame(&announce(id ^ 0x100)), Verdict::ConnectionIdForged),
            dropped("forged id of a scrape", way.frame(&scrape(id ^ 0x100, 1)), Verdict::ConnectionIdForged),
            dropped("too short", way.frame(&announce(id)[..97]), Verdict::AnnounceTooShort),
            passed("another port", other_port.frame(&announce(id)), Verdict::NotListening),
        ]
    });
}

#[test]
fn a_source_over_its_budget_does_not_reach_the_socket() {
    let Some((mut scene, _socket)) = with_socket_or_skipped(SLOT) else { return };
    scene.change(|control| (control.source_cost_ns, control.source_burst_ns) = (1 << 50, 0));
    let keys = scene.control.keys;
    let announce_at = |now_ns| over_v4().frame(&announce(id(&keys, over_v4().client.ip(), 0, now_ns)));
    let first = in_one_slot(|now_ns| scene.run(&announce_at(now_ns)));
    // Where the slot changed under it, the first was another.
    assert!([Action::HandedOver, Action::Dropped].contains(&first.action), "{first:?}");
    check(&mut scene, |now_ns| vec![dropped("the next", announce_at(now_ns), Verdict::SourceOverBudget)]);
}

#[test]
fn a_frame_that_is_too_long_for_a_socket_goes_to_the_udp_sockets() {
    let Some((mut scene, _socket)) = with_socket_or_skipped(SLOT) else { return };
    check_both_ways(&mut scene, |way, id| {
        let of_len = |len: usize| {
            let frame = way.frame(&announce(id));
            let padding = vec![0; len - frame.len()];
            padded(&frame, &padding)
        };
        let tail = vec![0; MAX_XSK_FRAME_LEN];
        vec![
            handed_over("the longest", of_len(MAX_XSK_FRAME_LEN), Verdict::AnnounceRedirected),
            passed("a byte too long", of_len(MAX_XSK_FRAME_LEN + 1), Verdict::AnnounceProven),
            passed("long", way.frame(&[&announce(id)[..], &tail].concat()), Verdict::AnnounceProven),
        ]
    });
}

#[test]
fn a_frame_in_several_buffers_goes_to_the_udp_sockets() {
    let Some((mut scene, _socket)) = with_socket_or_skipped(SLOT) else { return };
    let run = in_one_slot(|now_ns| {
        let way = over_v4();
        let frame = way.frame(&announce(scene.id(way.client.ip(), 0, now_ns)));
        let len = frame.len() as u32;
        // The request lies whole in the first buffer, and Ethernet padding in the next.
        scene.program.run_in_several_buffers(&padded(&frame, &[0; 300]), len)
    });
    let Some(run) = run else { return skipped("frames in several buffers: needs Linux 6.18") };
    assert_eq!((run.action, run.verdict), (Action::Passed, Verdict::AnnounceProven));
}
