//! Connection ids: which hold, which do not, and what becomes of the latter.

use crate::frames::{CONNECT, Way, announce, scrape};
use crate::scene::{LIFETIME_SLOTS, Scene, id};
use crate::table::{Row, answered, check, dropped, passed};
use tracker_common::abi::FLAG_LENIENT;
use tracker_common::connection_id::{Keys, SharedClock};
use tracker_common::verdict::Verdict;

const FIRST_KEYS: Keys = Keys::new([[0x1111, 0x2222], [0x3333, 0x4444]]);

/// Ids with the verdict on why they do not hold, if they do not.
fn ids(keys: &Keys, way: Way, now_ns: u64) -> Vec<(String, u64, Option<Verdict>)> {
    let (address, lifetime) = (way.client.ip(), i64::from(LIFETIME_SLOTS));
    let from = |slots_ago| id(keys, address, slots_ago, now_ns);
    let (valid, forged, stale) = (None, Some(Verdict::ConnectionIdForged), Some(Verdict::ConnectionIdStale));
    let neighbour = way.from(if way.client.is_ipv4() { "198.51.100.8" } else { "2001:db8:7::8" });
    let other_tracker = Keys::new([[7, 7], [8, 8]]);
    let mut ids = vec![
        ("fresh".to_owned(), from(0), valid),
        ("as old as allowed".to_owned(), from(lifetime), valid),
        ("a slot too old".to_owned(), from(lifetime + 1), stale),
        ("half the circle old".to_owned(), from(64), stale),
        ("from the next slot".to_owned(), from(-1), stale),
        ("a neighbour's".to_owned(), id(keys, neighbour.client.ip(), 0, now_ns), forged),
        ("another tracker's".to_owned(), id(&other_tracker, address, 0, now_ns), forged),
        ("fresh, as if of the other key".to_owned(), from(0) ^ 0x80, forged),
        ("a slot older than it says".to_owned(), with_slot_of(from(1), from(0)), forged),
        ("a slot younger than it says".to_owned(), with_slot_of(from(0), from(1)), forged),
    ];
    ids.extend((8..64).map(|bit| (format!("bit {bit} wrong"), from(0) ^ (1 << bit), forged)));
    ids
}

fn with_slot_of(id: u64, other: u64) -> u64 {
    (id & !0x7f) | (other & 0x7f)
}

/// An announce and a scrape for each id and way.
fn rows(keys: &Keys, now_ns: u64, refused: fn(String, Vec<u8>, Verdict) -> Row) -> Vec<Row> {
    let mut rows = Vec::new();
    for way in Way::both() {
        for (name, id, refusal) in ids(keys, way, now_ns) {
            let name = |request: &str| format!("{} {request}, {name}", way.family());
            let (announce, scrape) = (way.frame(&announce(id)), way.frame(&scrape(id, 2)));
            if let Some(verdict) = refusal {
                rows.push(refused(name("announce"), announce, verdict));
                rows.push(refused(name("scrape"), scrape, verdict));
            } else {
                rows.push(passed(name("announce"), announce, Verdict::AnnounceProven));
                rows.push(passed(name("scrape"), scrape, Verdict::ScrapeProven));
            }
        }
    }
    rows
}

#[test]
fn an_id_holds_for_its_address_and_lifetime_whichever_key_made_it() {
    for keys in [FIRST_KEYS, FIRST_KEYS.rotated([0x5555, 0x6666])] {
        let Some(mut scene) = Scene::new_or_skipped() else { return };
        scene.change(|control| control.keys = keys);
        check(&mut scene, |now_ns| rows(&keys, now_ns, dropped));
    }
}

#[test]
fn by_a_shared_clock_an_id_may_be_made_a_slot_ahead() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    // Slots of both clocks begin together, so that the rows are all of one; what is added wraps, as at the time of day.
    let keys = Keys::shared(
        [[0x1111, 0x2222], [0x3333, 0x4444]],
        1,
        SharedClock::ahead_of_monotonic(0_u64.wrapping_sub(5 << 34)),
    );
    scene.change(|control| control.keys = keys);
    let lifetime = i64::from(LIFETIME_SLOTS);
    check(&mut scene, |now_ns| {
        let rows = Way::both().into_iter().flat_map(|way| {
            let announce = |slots_ago| way.frame(&announce(id(&keys, way.client.ip(), slots_ago, now_ns)));
            let local = way.frame(&announce_of_local(&keys, way, now_ns));
            [
                answered(format!("{} connect", way.family()), way.frame(&CONNECT)),
                passed(format!("{} a slot ahead", way.family()), announce(-1), Verdict::AnnounceProven),
                passed(format!("{} fresh", way.family()), announce(0), Verdict::AnnounceProven),
                passed(format!("{} old", way.family()), announce(lifetime - 1), Verdict::AnnounceProven),
                dropped(format!("{} two ahead", way.family()), announce(-2), Verdict::ConnectionIdStale),
                dropped(format!("{} too old", way.family()), announce(lifetime), Verdict::ConnectionIdStale),
                dropped(format!("{} by the local clock", way.family()), local, Verdict::ConnectionIdStale),
            ]
        });
        rows.collect()
    });
}

/// An announce with the id that these keys make without their clock.
fn announce_of_local(keys: &Keys, way: Way, now_ns: u64) -> Vec<u8> {
    let [a, b, c, d, ..] = keys.words();
    announce(id(&Keys::new([[c, d], [a, b]]), way.client.ip(), 0, now_ns))
}

#[test]
fn a_lenient_tracker_passes_wrong_ids_on() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    scene.change(|control| control.flags = FLAG_LENIENT);
    let keys = scene.control.keys;
    check(&mut scene, |now_ns| {
        rows(&keys, now_ns, |name, frame, _| passed(name, frame, Verdict::ConnectionIdPassed))
    });
}

#[test]
fn an_id_outlives_one_rotation_of_the_keys_and_not_two() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    let once = FIRST_KEYS.rotated([0x5555, 0x6666]);
    let twice = once.rotated([0x7777, 0x8888]);
    let announces = |now_ns, row: fn(Way, Vec<u8>) -> Row| {
        let announce = |way: Way| way.frame(&announce(id(&FIRST_KEYS, way.client.ip(), 0, now_ns)));
        Way::both().into_iter().map(|way| row(way, announce(way))).collect()
    };
    scene.change(|control| control.keys = once);
    check(&mut scene, |now_ns| {
        announces(now_ns, |way, frame| passed(way.family(), frame, Verdict::AnnounceProven))
    });
    scene.change(|control| control.keys = twice);
    check(&mut scene, |now_ns| {
        announces(now_ns, |way, frame| dropped(way.family(), frame, Verdict::ConnectionIdForged))
    });
}
