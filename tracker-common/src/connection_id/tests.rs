//! Facts about connection ids, with time moved by hand.

use super::{Keys, Proof, SharedClock, Slot, issue, prove};

const KEYS: Keys = Keys::new([[1, 2], [3, 4]]);
const ALICE: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
const LIFETIME: u32 = 28;
const SLOT_NS: u64 = 1 << 34;

fn slot(number: u64) -> Slot {
    Slot::from_monotonic_ns(number * SLOT_NS)
}

#[test]
fn an_id_is_the_documented_bytes() {
    // SipHash-2-4 with key words 1 and 2 over ALICE and slot 1000, computed with another implementation:
    // the low byte is replaced by the tag, 1000 mod 128 = 0x68, key 0.
    use core::hash::Hasher;
    let mut independent = siphasher::sip::SipHasher24::new_with_keys(1, 2);
    independent.write(&ALICE);
    independent.write(&1000_u64.to_le_bytes());
    assert_eq!(issue(&KEYS, ALICE, slot(1000)), (independent.finish() & !0xff) | 0x68);
}

#[test]
fn an_id_holds_for_its_whole_lifetime_and_not_a_slot_longer() {
    let id = issue(&KEYS, ALICE, slot(1000));
    for age in 0..=u64::from(LIFETIME) {
        assert_eq!(prove(&KEYS, ALICE, id, slot(1000 + age), LIFETIME), Proof::Proven, "{age} slots old");
    }
    for age in u64::from(LIFETIME) + 1..128 {
        assert_eq!(prove(&KEYS, ALICE, id, slot(1000 + age), LIFETIME), Proof::Stale, "{age} slots old");
    }
}

#[test]
fn an_id_does_not_come_back_to_life_when_the_tag_wraps() {
    let id = issue(&KEYS, ALICE, slot(1000));
    assert_eq!(prove(&KEYS, ALICE, id, slot(1000 + 128), LIFETIME), Proof::Forged);
}

#[test]
fn an_id_from_the_future_is_stale() {
    let id = issue(&KEYS, ALICE, slot(1001));
    assert_eq!(prove(&KEYS, ALICE, id, slot(1000), LIFETIME), Proof::Stale);
}

#[test]
fn every_single_changed_bit_is_refused() {
    let id = issue(&KEYS, ALICE, slot(1000));
    for bit in 0..64 {
        assert_ne!(prove(&KEYS, ALICE, id ^ (1 << bit), slot(1000), LIFETIME), Proof::Proven, "id bit {bit}");
    }
    for bit in 0..128 {
        let mut other = ALICE;
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(prove(&KEYS, other, id, slot(1000), LIFETIME), Proof::Forged, "address bit {bit}");
    }
}

#[test]
fn old_connection_id_stays_valid_for_one_rotation() {
    let id = issue(&KEYS, ALICE, slot(1000));
    let once = KEYS.rotated([5, 6]);
    assert_eq!(prove(&once, ALICE, id, slot(1001), LIFETIME), Proof::Proven);
    assert_ne!(issue(&once, ALICE, slot(1000)), id);
    let twice = once.rotated([7, 8]);
    assert_eq!(prove(&twice, ALICE, id, slot(1002), LIFETIME), Proof::Forged);
}

#[test]
fn keys_are_their_words_and_which_of_them_issues_comes_last() {
    let keys = Keys::shared([[1, 2], [3, 4]], 1, SharedClock::ahead_of_monotonic(7));
    assert_eq!(keys.words(), [1, 2, 3, 4, 7 + SLOT_NS, 7, 1]);
    assert_eq!(Keys::from_words(keys.words()).words(), keys.words());
    assert_eq!(KEYS.words(), [1, 2, 3, 4, 0, 0, 0]);
}

#[test]
fn hosts_with_one_clock_take_each_others_ids_however_long_they_have_been_up() {
    let host = |up_ns: u64, time_ns: u64| {
        (
            Keys::shared([[1, 2], [3, 4]], 0, SharedClock::ahead_of_monotonic(time_ns.wrapping_sub(up_ns))),
            up_ns,
        )
    };
    let time_ns = 1_764_000_000_000_000_000;
    let ((young, young_ns), (old, old_ns)) = (host(5, time_ns), host(u64::MAX - 5, time_ns));
    let id = issue(&young, ALICE, young.issuing_slot(young_ns));
    assert_eq!(id, issue(&old, ALICE, old.issuing_slot(old_ns)));
    // A slot behind, and a slot ahead.
    for (now_ns, proof) in
        [(time_ns - SLOT_NS, Proof::Proven), (time_ns, Proof::Proven), (time_ns - 2 * SLOT_NS, Proof::Stale)]
    {
        let (other, up_ns) = host(99, now_ns);
        assert_eq!(prove(&other, ALICE, id, other.checking_slot(up_ns), LIFETIME), proof);
    }
    assert_eq!(young.clock().distance_ns(host(5, time_ns - 3).0.clock()), 3);
    assert_eq!(young.clock().distance_ns(host(5, time_ns + 3).0.clock()), 3);
}

#[test]
fn a_lifetime_covers_its_seconds_and_never_reaches_the_future() {
    for seconds in [1, 120, 480, 1000] {
        assert!(u64::from(Slot::lifetime(seconds)) * SLOT_NS >= u64::from(seconds) * 1_000_000_000);
    }
    assert_eq!(Slot::lifetime(u32::MAX), super::MAX_LIFETIME_SLOTS);
}
