//! Messages have their numbers and keep them, everyone is told once, whoever missed something again, and there is an end to memory.

use super::answers::ASKING_NS;
use super::{Audience, KEPT_SECS, MAX_RECORDS_LEN, OVERHEAD, Outbox, Outgoing};
use crate::clock::Now;
use crate::events::PeerEvent;
use crate::info_hash::InfoHash;
use crate::nats::message::{ANSWER, Content, Message};
use crate::peer_store::Standing;

const NODE: [u8; 8] = *b"nodenode";
const INTERVAL_MS: u32 = 200;

fn at_ms(ms: u64) -> Now {
    Now::from_nanoseconds(ms * 1_000_000)
}

/// A leecher of the torrent of these bytes.
fn event(torrent: u8, port: u16) -> PeerEvent {
    PeerEvent {
        info_hash: InfoHash([torrent; 20]),
        peer: ([192, 0, 2, 1], port).into(),
        standing: Standing::Leecher,
        completed: false,
        heard_secs: 0,
    }
}

fn outbox(max_bytes: usize) -> Outbox {
    Outbox::new(NODE, INTERVAL_MS, max_bytes)
}

/// Has so many messages of one event each.
fn with_messages(count: u16) -> Outbox {
    let mut outbox = outbox(1 << 20);
    (1..=count).for_each(|port| {
        outbox.add(&event(1, port), at_ms(0));
        outbox.close_all();
    });
    outbox
}

fn send(outbox: &mut Outbox, now: Now) -> Option<Outgoing> {
    let outgoing = outbox.next(now)?;
    outbox.has_gone(&outgoing);
    Some(outgoing)
}

/// Everything that goes out now: audience and number.
fn all(outbox: &mut Outbox, now: Now) -> Vec<(Audience, u64)> {
    std::iter::from_fn(|| send(outbox, now)).map(|sent| (sent.audience, sent.number)).collect()
}

fn to_everyone(numbers: std::ops::RangeInclusive<u64>) -> Vec<(Audience, u64)> {
    numbers.map(|number| (Audience::Everyone, number)).collect()
}

/// The oldest and newest of its state.
fn state(outbox: &Outbox) -> (u64, u64) {
    match Message::parse(&outbox.state()).unwrap().content {
        Content::State { oldest, newest } => (oldest, newest),
        other => panic!("{other:?} is no state"),
    }
}

#[test]
fn an_event_waits_for_the_interval_and_each_shard_has_a_message() {
    let mut outbox = outbox(1 << 20);
    outbox.add(&event(0x11, 1), at_ms(1000));
    outbox.add(&event(0x1f, 2), at_ms(1100));
    outbox.add(&event(0xf1, 3), at_ms(1100));
    outbox.close_due(at_ms(1199));
    assert_eq!(outbox.next(at_ms(1199)), None);
    outbox.close_due(at_ms(1200));
    let first = send(&mut outbox, at_ms(5000)).unwrap();
    assert_eq!((first.number, first.shard, first.events, first.is_new), (1, 1, 2, true));
    let message = Message::parse(&first.bytes).unwrap();
    let Content::Events { number: 1, age_secs: 4, records } = message.content else { panic!("{message:?}") };
    assert_eq!((message.node, records.events(0).count()), (NODE, 2));
    assert_eq!(outbox.next(at_ms(5000)), None);
    outbox.close_due(at_ms(1300));
    assert_eq!(send(&mut outbox, at_ms(1300)).map(|sent| (sent.number, sent.shard)), Some((2, 15)));
}

#[test]
fn a_message_that_is_full_does_not_wait() {
    let mut outbox = outbox(1 << 20);
    (0..2000).for_each(|port| outbox.add(&event(1, port), at_ms(0)));
    let sent: Vec<_> = std::iter::from_fn(|| send(&mut outbox, at_ms(0))).collect();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|sent| sent.bytes.len() <= 25 + MAX_RECORDS_LEN && sent.events == 606));
}

#[test]
fn everyone_is_told_once_and_what_has_not_gone_out_goes_out_later() {
    let mut outbox = with_messages(3);
    assert_eq!(state(&outbox), (1, 0));
    assert_eq!(outbox.next(at_ms(0)).map(|next| next.number), Some(1));
    assert_eq!(all(&mut outbox, at_ms(0)), to_everyone(1..=3));
    assert_eq!(all(&mut outbox, at_ms(0)), []);
    assert_eq!(state(&outbox), (1, 3));
}

#[test]
fn a_node_that_has_missed_something_is_told_alone_until_it_has_heard_all() {
    let mut outbox = with_messages(4);
    all(&mut outbox, at_ms(0));
    outbox.ask(*b"asker--1", 3, at_ms(0));
    assert_eq!(all(&mut outbox, at_ms(0)), [], "somebody else may ask as well");
    let later = Now::from_nanoseconds(ASKING_NS);
    outbox.add(&event(1, 9), at_ms(0));
    outbox.close_all();
    let alone = |number| (Audience::Node(*b"asker--1"), number);
    let expected = [(Audience::Everyone, 5), alone(3), alone(4), alone(5)];
    assert_eq!(all(&mut outbox, later), expected);
    assert_eq!(all(&mut outbox, later), []);
    outbox.ask(*b"asker--1", 6, later);
    assert_eq!(all(&mut outbox, Now::from_nanoseconds(9 * ASKING_NS)), [], "there is no such message yet");
}

#[test]
fn what_several_nodes_have_missed_everyone_is_told_once() {
    let mut outbox = with_messages(5);
    all(&mut outbox, at_ms(0));
    outbox.ask(*b"asker--1", 4, at_ms(0));
    outbox.ask(*b"asker--2", 2, at_ms(1));
    assert_eq!(all(&mut outbox, at_ms(50)), []);
    let later = Now::from_nanoseconds(ASKING_NS);
    let alone = |number| (Audience::Node(*b"asker--2"), number);
    let first = send(&mut outbox, later).unwrap();
    assert_eq!((first.audience, first.number, first.is_new), (alone(2).0, 2, false));
    assert_eq!(state(&outbox), (1, 5));
    let together = to_everyone(4..=5);
    assert_eq!(all(&mut outbox, later), [vec![alone(3)], together].concat());
}

#[test]
fn news_goes_before_what_is_repeated_however_many_ask() {
    let mut outbox = with_messages(9);
    all(&mut outbox, at_ms(0));
    let later = Now::from_nanoseconds(ASKING_NS);
    (0..20_u64).for_each(|asker| outbox.ask(asker.to_be_bytes(), 1, at_ms(0)));
    assert_eq!(
        send(&mut outbox, later).map(|sent| (sent.audience, sent.number)),
        Some((Audience::Everyone, 1))
    );
    outbox.add(&event(1, 99), at_ms(0));
    outbox.close_all();
    let next = send(&mut outbox, later).unwrap();
    assert_eq!((next.number, next.is_new), (10, true));
    assert_eq!(all(&mut outbox, later), to_everyone(2..=10), "those who had to wait miss the new one");
}

#[test]
fn an_answer_has_an_end_and_who_asks_meanwhile_is_answered_behind_it() {
    let count = 2 * ANSWER + 8;
    let mut outbox = with_messages(count as u16);
    all(&mut outbox, at_ms(0));
    let later = Now::from_nanoseconds(ASKING_NS);
    outbox.ask(*b"asker--1", ANSWER + 5, at_ms(0));
    assert!(send(&mut outbox, later).is_some());
    outbox.ask(*b"asker--2", 1, at_ms(0));
    outbox.ask(*b"asker--1", ANSWER + 9, at_ms(0));
    let of = |asker: &[u8; 8], numbers: std::ops::Range<u64>| -> Vec<_> {
        numbers.map(|number| (Audience::Node(*asker), number)).collect()
    };
    let expected = [of(b"asker--1", ANSWER + 6..2 * ANSWER + 5), of(b"asker--2", 1..ANSWER + 1)].concat();
    assert!(all(&mut outbox, later) == expected);
}

#[test]
fn a_message_that_cannot_be_sent_goes_out_without_its_events() {
    let mut outbox = with_messages(2);
    let before = outbox.bytes();
    let first = outbox.next(at_ms(0)).unwrap();
    outbox.empty(&first);
    assert_eq!(outbox.bytes(), before - 27);
    let empty = send(&mut outbox, at_ms(0)).unwrap();
    assert_eq!((empty.number, empty.events, empty.is_new, empty.bytes.len()), (1, 0, true, 25));
    assert!(Message::parse(&empty.bytes).is_ok());
    assert_eq!(all(&mut outbox, at_ms(0)), to_everyone(2..=2));
}

#[test]
fn the_oldest_makes_room_and_what_was_never_told_is_counted_as_lost() {
    let message = 27 + OVERHEAD;
    let mut outbox = outbox(3 * message);
    let push = |outbox: &mut Outbox, port| {
        outbox.add(&event(1, port), at_ms(0));
        outbox.close_all();
        assert!(outbox.bytes() <= 3 * message);
    };
    (1..=3).for_each(|port| push(&mut outbox, port));
    assert_eq!(all(&mut outbox, at_ms(0)), to_everyone(1..=3));
    (4..=5).for_each(|port| push(&mut outbox, port));
    assert_eq!((outbox.lost_events(), state(&outbox)), (0, (3, 3)));
    outbox.ask(NODE, 1, at_ms(0));
    (6..=8).for_each(|port| push(&mut outbox, port));
    assert_eq!((outbox.lost_events(), state(&outbox)), (2, (6, 5)));
    assert_eq!(
        all(&mut outbox, at_ms(999)),
        to_everyone(6..=8)
            .into_iter()
            .chain((6..=8).map(|number| (Audience::Node(NODE), number)))
            .collect::<Vec<_>>()
    );
}

#[test]
fn what_is_too_old_is_let_go() {
    let mut outbox = with_messages(2);
    outbox.close_due(Now::from_seconds(KEPT_SECS));
    assert_eq!((outbox.lost_events(), state(&outbox).0), (0, 1));
    outbox.close_due(Now::from_seconds(KEPT_SECS + 1));
    assert_eq!((outbox.lost_events(), outbox.bytes(), state(&outbox).0), (2, 0, 3));
}
