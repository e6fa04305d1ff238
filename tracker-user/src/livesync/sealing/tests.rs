//! What is opened and what is not: other keys, changed bytes, other times, numbers that came before.

use super::{FRESH_MS, KeyRing, Opener, Sealer, Seen, SharedRing, Unopened, WINDOW};
use arc_swap::ArcSwap;
use std::sync::Arc;

const NOW_MS: u64 = 1_764_000_000_000;
const CONTENT: &[u8] = b"\0\0\0\0and records";

fn ring(keys: &[u8]) -> SharedRing {
    let keys: Vec<_> = keys.iter().map(|key| [*key; 32]).collect();
    Arc::new(ArcSwap::from_pointee(KeyRing::new(&keys)))
}

fn sealer(ring: &SharedRing) -> Sealer {
    Sealer::new(Arc::clone(ring), *b"node", *b"session1")
}

fn sealed(sealer: &mut Sealer) -> Vec<u8> {
    let mut datagram = Vec::new();
    sealer.seal(CONTENT, NOW_MS, &mut datagram);
    datagram
}

#[test]
fn a_sealed_datagram_has_its_layout_and_opens_once() {
    let ring = ring(&[1]);
    let datagram = sealed(&mut sealer(&ring));
    let front = b"node\0\0\0\x02session1\0\0\0\0\0\0\0\x01\0\0\x01\x9a\xb6\x97\xe8\x00";
    assert_eq!(NOW_MS.to_be_bytes(), front[24..]);
    assert_eq!(datagram[..32], *front);
    assert_eq!(datagram.len(), 32 + CONTENT.len() + 16);
    assert!(!datagram.windows(7).any(|bytes| bytes == b"records"), "the content is readable");
    let mut opener = Opener::new(ring);
    assert_eq!(opener.open(&datagram, NOW_MS), Ok(CONTENT.to_vec()));
    assert_eq!(opener.open(&datagram, NOW_MS), Err(Unopened::Replayed));
}

#[test]
fn no_changed_byte_and_no_shorter_datagram_opens() {
    let ring = ring(&[1]);
    let datagram = sealed(&mut sealer(&ring));
    let mut opener = Opener::new(ring);
    for at in 0..datagram.len() {
        let mut changed = datagram.clone();
        changed[at] ^= 1;
        let expected = if (4..8).contains(&at) { Unopened::Malformed } else { Unopened::Forged };
        assert_eq!(opener.open(&changed, NOW_MS), Err(expected), "byte {at}");
    }
    for len in 0..datagram.len() {
        let expected = if len <= 32 + 16 { Unopened::Malformed } else { Unopened::Forged };
        assert_eq!(opener.open(&datagram[..len], NOW_MS), Err(expected), "{len} bytes");
    }
    assert!(opener.open(&datagram, NOW_MS).is_ok(), "what was refused has left a trace");
}

#[test]
fn keys_change_without_a_gap() {
    let (old, both, new) = (ring(&[1]), ring(&[2, 1]), ring(&[2]));
    let (of_old, of_both) = (sealed(&mut sealer(&old)), sealed(&mut sealer(&both)));
    let opens =
        |ring: &SharedRing, datagram: &[u8]| Opener::new(Arc::clone(ring)).open(datagram, NOW_MS).is_ok();
    assert!(opens(&both, &of_old) && opens(&both, &of_both) && opens(&new, &of_both));
    assert!(!opens(&old, &of_both) && !opens(&new, &of_old));
    let mut opener = Opener::new(Arc::clone(&old));
    old.store(Arc::new(KeyRing::new(&[[2; 32], [1; 32]])));
    assert!(opener.open(&of_both, NOW_MS).is_ok(), "a running node goes on with the old ring");
}

#[test]
fn what_is_too_old_or_of_the_future_is_refused() {
    let ring = ring(&[1]);
    let datagram = sealed(&mut sealer(&ring));
    for now in [NOW_MS + FRESH_MS + 1, NOW_MS - FRESH_MS - 1, 0, u64::MAX] {
        assert_eq!(Opener::new(Arc::clone(&ring)).open(&datagram, now), Err(Unopened::Stale));
    }
    for now in [NOW_MS + FRESH_MS, NOW_MS - FRESH_MS] {
        assert!(Opener::new(Arc::clone(&ring)).open(&datagram, now).is_ok());
    }
}

#[test]
fn datagrams_may_overtake_each_other_within_the_window_but_come_once() {
    let mut seen = Seen::default();
    assert!(!seen.note(0), "numbers begin at 1");
    for number in [1, 3, 2, 200, 200 - (WINDOW - 1)] {
        assert!(seen.note(number), "{number}");
        assert!(!seen.note(number), "{number} again");
    }
    assert!(!seen.note(200 - WINDOW), "below the window");
    assert!(seen.note(u64::MAX) && !seen.note(u64::MAX) && seen.note(u64::MAX - 1));
}

#[test]
fn sessions_that_have_ended_are_forgotten() {
    let ring = ring(&[1]);
    let mut opener = Opener::new(Arc::clone(&ring));
    for session in 0..1000_u64 {
        let mut sealer = Sealer::new(Arc::clone(&ring), *b"node", session.to_be_bytes());
        let (mut datagram, now) = (Vec::new(), NOW_MS + session * FRESH_MS);
        sealer.seal(CONTENT, now, &mut datagram);
        assert!(opener.open(&datagram, now).is_ok());
    }
    assert!(opener.sessions.len() <= 65, "{} sessions are remembered", opener.sessions.len());
}
