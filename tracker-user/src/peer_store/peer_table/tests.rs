//! The table against a plain list of the same peers.

use super::{Audience, INDEXED_ABOVE, PeerTable};
use crate::peer_store::peer::Stamp;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::{BTreeMap, BTreeSet};

type Entry = [u8; 6];

fn entry(number: u16) -> Entry {
    let [high, low] = number.to_be_bytes();
    [10, 0, high, low, 0x1a, 0xe1]
}

#[derive(Clone, Debug)]
enum Step {
    Upsert { number: u16, seeder: bool },
    Remove { number: u16 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..300_u16, any::<bool>()).prop_map(|(number, seeder)| Step::Upsert { number, seeder }),
        1 => (0..300_u16).prop_map(|number| Step::Remove { number }),
    ];
    proptest::collection::vec(step, 0..800)
}

fn check(table: &PeerTable<6>, naive: &BTreeMap<Entry, bool>) {
    assert_eq!(table.len(), naive.len());
    assert_eq!(table.seeders(), naive.values().filter(|seeder| **seeder).count());
    assert_eq!(table.leechers() + table.seeders(), table.len());
    for (entry, seeder) in naive {
        let position = table.position(entry).expect("a stored peer is found");
        assert_eq!(table.entries[position], *entry);
        assert_eq!(position >= table.leechers(), *seeder, "{entry:?} stands on the wrong side");
    }
}

proptest! {
    #[test]
    fn the_table_holds_what_a_plain_map_holds(steps in steps()) {
        let (mut table, mut naive) = (PeerTable::<6>::default(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Upsert { number, seeder } => {
                    let stamp = Stamp::new(u32::from(number), false);
                    match table.position(&entry(number)) {
                        Some(position) => table.renew(position, seeder, stamp),
                        None => table.insert(entry(number), seeder, stamp),
                    }
                    naive.insert(entry(number), seeder);
                }
                Step::Remove { number } => {
                    let position = table.position(&entry(number));
                    prop_assert_eq!(position.is_some(), naive.remove(&entry(number)).is_some());
                    if let Some(position) = position {
                        table.remove(position);
                    }
                }
            }
        }
        check(&table, &naive);
        for (position, entry) in table.entries.iter().enumerate() {
            prop_assert_eq!(table.stamp(position), Stamp::new(u32::from(u16::from_be_bytes([entry[2], entry[3]])), false));
        }
    }

    #[test]
    fn a_draw_is_of_distinct_available_peers_leechers_first(
        seeders in 0..90_u16, leechers in 0..90_u16, own in 0..200_u16, wanted in 0..200_usize, seed in any::<u64>(),
        for_seeder in any::<bool>(),
    ) {
        let mut table = PeerTable::<6>::default();
        for number in 0..seeders + leechers {
            table.insert(entry(number), number < seeders, Stamp::new(0, false));
        }
        let audience = if for_seeder { Audience::Seeder } else { Audience::Leecher };
        let own_position = table.position(&entry(own));
        let available = table.available(audience, own_position);
        let mut out = vec![[0_u8; 6]; wanted.min(available)];
        table.draw(audience, own_position, &mut out, &mut fastrand::Rng::with_seed(seed));
        let eligible: BTreeSet<Entry> = (0..seeders + leechers)
            .filter(|number| *number != own && !(for_seeder && *number < seeders))
            .map(entry)
            .collect();
        prop_assert_eq!(eligible.len(), available);
        let drawn: BTreeSet<Entry> = out.iter().copied().collect();
        prop_assert_eq!(drawn.len(), out.len(), "a peer came twice");
        prop_assert!(drawn.is_subset(&eligible));
        let is_seeder = |entry: &Entry| u16::from_be_bytes([entry[2], entry[3]]) < seeders;
        prop_assert!(out.is_sorted_by_key(is_seeder), "a seeder stands before a leecher");
    }
}

#[test]
fn every_peer_is_drawn_about_equally_often() {
    const PEERS: usize = 200;
    const DRAWS: usize = 20_000;
    let mut table = PeerTable::<6>::default();
    for number in 0..PEERS as u16 {
        table.insert(entry(number), number % 3 == 0, Stamp::new(0, false));
    }
    let (mut random, mut times) = (fastrand::Rng::with_seed(7), vec![0_u32; PEERS]);
    for _ in 0..DRAWS {
        let mut out = [[0_u8; 6]; 10];
        table.draw(Audience::Leecher, None, &mut out, &mut random);
        for drawn in out {
            times[usize::from(drawn[3])] += 1;
        }
    }
    let expected = (DRAWS * 10 / PEERS) as f64;
    let chi_squared: f64 = times.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
    // 199 degrees of freedom: above 300 comes once in a hundred thousand. Neighbours are drawn together, which
    // makes the ten peers of a draw one observation: the bound is ten times as wide.
    assert!(chi_squared < 3000.0, "chi squared {chi_squared}");
}

#[test]
fn memory_is_given_back_after_a_spike() {
    let mut table = PeerTable::<6>::default();
    for number in 0..10_000 {
        table.insert(entry(number), number % 2 == 0, Stamp::new(0, false));
    }
    assert!(table.index.is_some());
    for _ in 10..10_000 {
        table.remove(0);
    }
    assert_eq!(table.len(), 10);
    assert!(table.entries.capacity() < 64, "{} entries kept", table.entries.capacity());
    assert!(table.index.is_none());
}

#[test]
fn a_table_gains_its_index_without_losing_a_peer() {
    let mut table = PeerTable::<6>::default();
    for number in 0..=INDEXED_ABOVE as u16 {
        assert!(table.index.is_none());
        table.insert(entry(number), true, Stamp::new(0, false));
    }
    assert!(table.index.is_some());
    assert!((0..=INDEXED_ABOVE as u16).all(|number| table.position(&entry(number)).is_some()));
}
