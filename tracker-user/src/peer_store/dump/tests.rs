//! What a dump shows against what a naive store holds, and what a restored store has of it.

use super::{Dump, DumpedPeer, DumpedTorrent, Page, STEP};
use crate::info_hash::InfoHash;
use crate::peer_store::tests::{Naive, NaivePeer, address, announce, hash, leecher, store};
use crate::peer_store::{Limits, PeerStore, Standing, StoreConfig, SwarmCounts, Timeouts, Totals, Update};
use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Torrents with their figures and their peers.
type Content = BTreeMap<InfoHash, (u32, u32, BTreeMap<SocketAddr, (bool, bool, u32)>)>;

fn address_of<const N: usize>(entry: &[u8; N]) -> SocketAddr {
    let (ip, port) = entry.split_at(N - 2);
    let ip = match <[u8; 4]>::try_from(ip) {
        Ok(v4) => IpAddr::from(v4),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(ip).unwrap()),
    };
    SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]]))
}

/// Every torrent of a page with its peers.
fn rows(page: &Page) -> impl Iterator<Item = (&DumpedTorrent, &[DumpedPeer<6>], &[DumpedPeer<18>])> {
    let (mut v4, mut v6) = (&page.v4[..], &page.v6[..]);
    page.torrents.iter().map(move |torrent| {
        let (own_v4, own_v6);
        (own_v4, v4) = v4.split_at(torrent.v4 as usize);
        (own_v6, v6) = v6.split_at(torrent.v6 as usize);
        (torrent, own_v4, own_v6)
    })
}

/// What a dump shows, step after step; nothing twice, and no step with more than it may have.
fn dumped(store: &PeerStore) -> Content {
    let (mut dump, mut content, mut page) = (Dump::default(), Content::new(), Page::default());
    loop {
        page.clear();
        let more = dump.step(store, &mut page);
        assert!(page.entries() <= STEP + 130, "{} entries in a step", page.entries());
        for (torrent, v4, v6) in rows(&page) {
            let row = content.entry(torrent.info_hash).or_default();
            (row.0, row.1) = (torrent.completed, torrent.last_announce_secs);
            let v4 =
                v4.iter().map(|peer| (address_of(&peer.entry), peer.seeder, peer.completed, peer.heard_secs));
            let v6 =
                v6.iter().map(|peer| (address_of(&peer.entry), peer.seeder, peer.completed, peer.heard_secs));
            for (address, seeder, completed, heard_secs) in v4.chain(v6) {
                assert_eq!(
                    row.2.insert(address, (seeder, completed, heard_secs)),
                    None,
                    "{address} came twice"
                );
            }
        }
        if !more {
            return content;
        }
    }
}

fn content_of(naive: &Naive) -> Content {
    let peer = |(address, peer): (&SocketAddr, &NaivePeer)| {
        (*address, (peer.seeder, peer.completed, peer.heard_secs))
    };
    let swarms = naive.0.iter();
    swarms
        .map(|(info_hash, swarm)| {
            (*info_hash, (swarm.completed, swarm.heard_secs, swarm.peers.iter().map(peer).collect()))
        })
        .collect()
}

/// A store with everything that another one holds, by a key of its own.
fn restored(store: &PeerStore) -> PeerStore {
    let timeouts = Timeouts { peer_secs: 100, torrent_secs: 1000 };
    let other = PeerStore::new([7, 8], StoreConfig { timeouts, limits: Limits::default() });
    let (mut dump, mut page) = (Dump::default(), Page::default());
    while dump.step(store, &mut page) {}
    rows(&page).for_each(|(torrent, v4, v6)| other.restore_swarm(torrent, v4, v6, 1099));
    other
}

fn updates() -> impl Strategy<Value = Vec<Update>> {
    let update = (0..6_u8, (0..60_u8, any::<bool>(), 0..3_u16), 0..4_u8, any::<bool>(), 1000..1100_u32)
        .prop_map(|(torrent, peer, standing, completed, now_secs)| Update {
            info_hash: hash(torrent),
            peer: address(peer.0, peer.1, peer.2),
            standing: match standing {
                0 => Standing::Stopped,
                1 => Standing::Seeder,
                _ => Standing::Leecher,
            },
            completed: completed && standing != 0,
            peers_wanted: 0,
            now_secs,
        });
    proptest::collection::vec(update, 0..400).prop_map(|mut updates| {
        updates.sort_by_key(|update| update.now_secs);
        updates
    })
}

proptest! {
    #[test]
    fn a_dump_shows_what_a_naive_store_holds_and_a_restored_store_holds_it_too(updates in updates()) {
        let (store, mut naive) = (store(), Naive::default());
        for update in updates {
            announce(&store, &update, update.now_secs);
            naive.update(&update);
        }
        prop_assert_eq!(dumped(&store), content_of(&naive));
        let other = restored(&store);
        prop_assert_eq!(other.totals(), naive.totals());
        prop_assert_eq!(dumped(&other), content_of(&naive));
        store.clear();
        prop_assert_eq!(store.totals(), Totals::default());
        prop_assert_eq!(dumped(&store), Content::new());
    }
}

#[test]
fn a_swarm_of_thousands_is_shown_in_steps_and_restored_from_them() {
    let store = store();
    for number in 0..5000_u16 {
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), number + 1);
        let standing = if number % 3 == 0 { Standing::Seeder } else { Standing::Leecher };
        announce(&store, &Update { standing, ..leecher(1, peer) }, 1000 + u32::from(number / 60));
    }
    let (mut dump, mut page, mut steps) = (Dump::default(), Page::default(), 0);
    while dump.step(&store, &mut page) {
        steps += 1;
    }
    assert!(steps > 5000 / STEP && page.torrents.len() > 5000 / STEP, "{steps} steps");
    assert_eq!(restored(&store).totals(), Totals { torrents: 1, peers: 5000, seeders: 1667, completed: 0 });
    assert_eq!(dumped(&restored(&store)), dumped(&store));
}

/// Torrents come and go between any two steps, so that those that stay change their places.
#[test]
fn a_torrent_that_stays_is_shown_whole_whatever_else_changes() {
    let store = store();
    let staying = |number: u16| InfoHash(std::array::from_fn(|at| number.to_be_bytes()[at % 2]));
    let of = |number, peer| Update { info_hash: staying(number), ..leecher(1, peer) };
    for number in 0..20_000 {
        announce(&store, &of(number, address(1, false, 1)), 1000);
        announce(&store, &of(number, address(2, true, 2)), 1000);
    }
    let (mut dump, mut page, mut next) = (Dump::default(), Page::default(), 0..2000_u16);
    while dump.step(&store, &mut page) {
        for number in next.by_ref().take(20) {
            for peer in [address(1, false, 1), address(2, true, 2)] {
                announce(&store, &Update { standing: Standing::Stopped, ..of(number, peer) }, 1001);
            }
            announce(&store, &of(30_000 + number, address(3, false, 3)), 1001);
        }
    }
    assert_eq!(next.next(), None, "nothing changed at the end");
    let shown: BTreeMap<_, _> =
        rows(&page).map(|(torrent, v4, v6)| (torrent.info_hash, (v4.len(), v6.len()))).collect();
    assert!((2000..20_000).all(|number| shown.get(&staying(number)) == Some(&(1, 1))));
}

#[test]
fn of_two_words_on_a_peer_the_later_counts() {
    let store = store();
    let update = Update { completed: true, standing: Standing::Seeder, ..leecher(1, address(1, false, 9)) };
    announce(&store, &update, 1000);
    let torrent = DumpedTorrent { info_hash: hash(1), completed: 5, last_announce_secs: 1100, v4: 1, v6: 0 };
    let peer =
        |heard_secs| DumpedPeer { entry: [10, 0, 0, 1, 0, 9], seeder: false, completed: false, heard_secs };
    store.restore_swarm(&torrent, &[peer(999)], &[], 1050);
    assert_eq!(store.scrape(&hash(1)), Some(SwarmCounts { seeders: 1, leechers: 0, completed: 5 }));
    assert_eq!(store.last_announce_secs(&hash(1)), Some(1100));
    store.restore_swarm(&DumpedTorrent { completed: 2, ..torrent }, &[peer(1001)], &[], 1050);
    assert_eq!(store.scrape(&hash(1)), Some(SwarmCounts { seeders: 0, leechers: 1, completed: 5 }));
    // Its completion was counted once, and is not counted again.
    assert_eq!(announce(&store, &update, 1050).counts.completed, 5);
}

#[test]
fn nothing_is_made_known_of_a_torrent_without_peers_and_downloads() {
    let store = store();
    let torrent = DumpedTorrent { info_hash: hash(1), completed: 0, last_announce_secs: 9, v4: 0, v6: 0 };
    store.restore_swarm(&torrent, &[], &[], 1000);
    assert_eq!(store.scrape(&hash(1)), None);
    store.restore_swarm(&DumpedTorrent { completed: 1, ..torrent }, &[], &[], 1000);
    assert_eq!(store.totals(), Totals { torrents: 1, completed: 1, ..Totals::default() });
}
