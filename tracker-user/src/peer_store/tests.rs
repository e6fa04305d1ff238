//! The store against a naive one under random announces, with time moved by hand.

mod exact;
mod fairness;
mod late;
mod limits;
mod long;
mod pressure;
mod threads;

use super::{
    Limits, Listing, PeerStore, PeersOut, Reached, Standing, StoreConfig, SwarmCounts, Sweep, Taken,
    Timeouts, Totals, Update,
};
use crate::clock::Now;
use crate::info_hash::InfoHash;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const TIMEOUTS: Timeouts = Timeouts { peer_secs: 100, torrent_secs: 1000 };

/// One peer of the naive store.
#[derive(Clone, Copy, Debug)]
pub(super) struct NaivePeer {
    pub(super) seeder: bool,
    pub(super) completed: bool,
    pub(super) heard_secs: u32,
}

#[derive(Debug, Default)]
pub(super) struct NaiveSwarm {
    pub(super) peers: BTreeMap<SocketAddr, NaivePeer>,
    pub(super) completed: u32,
    pub(super) heard_secs: u32,
}

/// The same behaviour, written for plainness alone.
#[derive(Debug, Default)]
pub(super) struct Naive(pub(super) BTreeMap<InfoHash, NaiveSwarm>);

impl Naive {
    pub(super) fn update(&mut self, update: &Update) {
        let known = self.0.contains_key(&update.info_hash);
        if update.peer.port() == 0 || (update.standing == Standing::Stopped && !known) {
            return;
        }
        let swarm = self.0.entry(update.info_hash).or_default();
        swarm.heard_secs = update.now_secs;
        if update.standing == Standing::Stopped {
            swarm.peers.remove(&update.peer);
        } else {
            let before = swarm.peers.get(&update.peer).is_some_and(|peer| peer.completed);
            swarm.completed += u32::from(update.completed && !before);
            let peer = NaivePeer {
                seeder: update.standing == Standing::Seeder,
                completed: before || update.completed,
                heard_secs: update.now_secs,
            };
            swarm.peers.insert(update.peer, peer);
        }
        self.0.retain(|_, swarm| !swarm.peers.is_empty() || swarm.completed > 0);
    }

    pub(super) fn expire(&mut self, now_secs: u32) {
        for swarm in self.0.values_mut() {
            swarm.peers.retain(|_, peer| now_secs - peer.heard_secs < TIMEOUTS.peer_secs);
        }
        self.0.retain(|_, swarm| {
            let young = now_secs - swarm.heard_secs < TIMEOUTS.torrent_secs;
            !swarm.peers.is_empty() || (swarm.completed > 0 && young)
        });
    }

    fn counts(&self, info_hash: &InfoHash) -> Option<SwarmCounts> {
        self.0.get(info_hash).map(|swarm| {
            let seeders = swarm.peers.values().filter(|peer| peer.seeder).count();
            SwarmCounts {
                seeders: seeders as u32,
                leechers: (swarm.peers.len() - seeders) as u32,
                completed: swarm.completed,
            }
        })
    }

    pub(super) fn totals(&self) -> Totals {
        let all = || self.0.keys().filter_map(|info_hash| self.counts(info_hash));
        Totals {
            torrents: self.0.len() as u64,
            peers: all().map(|counts| counts.peers()).sum(),
            seeders: all().map(|counts| u64::from(counts.seeders)).sum(),
            completed: all().map(|counts| u64::from(counts.completed)).sum(),
        }
    }

    fn completed(&self, update: &Update) -> u32 {
        self.0.get(&update.info_hash).map_or(0, |swarm| swarm.completed)
    }

    fn age_secs(&self, update: &Update) -> Option<u32> {
        let peer = self.0.get(&update.info_hash)?.peers.get(&update.peer)?;
        Some(update.now_secs - peer.heard_secs)
    }

    /// Whom this announcer may be given.
    fn eligible(&self, update: &Update) -> BTreeSet<SocketAddr> {
        let swarm = self.0.get(&update.info_hash);
        swarm
            .into_iter()
            .flat_map(|swarm| &swarm.peers)
            .filter(|(address, peer)| **address != update.peer && may_get(update.standing, peer.seeder))
            .map(|(address, _)| *address)
            .collect()
    }
}

fn may_get(standing: Standing, seeder: bool) -> bool {
    match standing {
        Standing::Leecher => true,
        Standing::Seeder => !seeder,
        Standing::Stopped => false,
    }
}

pub(super) fn hash(number: u8) -> InfoHash {
    InfoHash([number; 20])
}

pub(super) fn address(number: u8, v6: bool, port: u16) -> SocketAddr {
    let ip = if v6 {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
    };
    SocketAddr::new(ip, port)
}

pub(super) fn store() -> PeerStore {
    PeerStore::new([1, 2], StoreConfig { timeouts: TIMEOUTS, limits: Limits::default() })
}

pub(super) fn sweep_once(store: &PeerStore, now: Now) {
    let mut sweep = Sweep::default();
    while sweep.step(store, now) != Reached::EndOfStore {}
}

fn decode<const N: usize>(entries: &[u8]) -> Vec<SocketAddr> {
    let ip = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
        Ok(v4) => IpAddr::from(v4),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()),
    };
    let peers = entries.as_chunks::<N>().0.iter();
    peers
        .map(|peer| SocketAddr::new(ip(&peer[..N - 2]), u16::from_be_bytes([peer[N - 2], peer[N - 1]])))
        .collect()
}

#[derive(Clone, Debug)]
enum Step {
    Announce { torrent: u8, peer: (u8, bool, u16), standing: Standing, completed: bool, wanted: usize },
    Pass { secs: u32 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let standing = prop_oneof![3 => any::<bool>().prop_map(|seeder| if seeder { Standing::Seeder } else { Standing::Leecher }),
                    1 => proptest::strategy::Just(Standing::Stopped)];
    let peer = (0..40_u8, any::<bool>(), 0..3_u16);
    let announce = (0..4_u8, peer, standing, any::<bool>(), 0..60_usize).prop_map(
        |(torrent, peer, standing, completed, wanted)| Step::Announce {
            torrent,
            peer,
            standing,
            completed,
            wanted,
        },
    );
    let step = prop_oneof![30 => announce, 1 => (0..400_u32).prop_map(|secs| Step::Pass { secs })];
    proptest::collection::vec(step, 0..600)
}

/// Announces to both stores and compares the answer with what the naive store allows.
pub(super) fn announce_to_both(store: &PeerStore, naive: &mut Naive, update: &Update) {
    let (mut room_v4, mut room_v6) = ([0; 200 * 6], [0; 200 * 18]);
    let mut out = PeersOut::new(&mut room_v4, &mut room_v6);
    let eligible = naive.eligible(update);
    let (age_secs, before) = (naive.age_secs(update), naive.counts(&update.info_hash).unwrap_or_default());
    assert_eq!(store.age_secs(&update.info_hash, update.peer, update.now_secs), age_secs);
    let taken = store.announce(update, &mut fastrand::Rng::with_seed(3), &mut out);
    naive.update(update);
    let counts = naive.counts(&update.info_hash).unwrap_or_default();
    let first_completion = counts.completed > before.completed;
    let is_stored = update.peer.port() != 0 && (update.standing != Standing::Stopped || taken.is_stored);
    assert_eq!(taken, Taken { counts, renewed_after_secs: age_secs, first_completion, is_stored });

    let given = [decode::<6>(out.v4()), decode::<18>(out.v6())].concat();
    let distinct: BTreeSet<SocketAddr> = given.iter().copied().collect();
    assert_eq!(distinct.len(), given.len(), "a peer came twice");
    assert!(distinct.is_subset(&eligible), "{distinct:?} are not all of {eligible:?}");
    assert_eq!(given.len(), eligible.len().min(update.peers_wanted));
}

proptest! {
    #[test]
    fn the_store_answers_what_a_naive_store_answers(steps in steps()) {
        let (store, mut naive, mut now_secs) = (store(), Naive::default(), 5000);
        for step in steps {
            match step {
                Step::Announce { torrent, peer, standing, completed, wanted } => {
                    let update = Update {
                        info_hash: hash(torrent),
                        peer: address(peer.0, peer.1, peer.2),
                        standing,
                        completed: completed && standing != Standing::Stopped,
                        peers_wanted: wanted,
                        now_secs,
                    };
                    announce_to_both(&store, &mut naive, &update);
                }
                Step::Pass { secs } => {
                    now_secs += secs;
                    sweep_once(&store, Now::from_seconds(now_secs));
                    naive.expire(now_secs);
                }
            }
            assert_eq!(store.totals(), naive.totals());
            for torrent in 0..4 {
                assert_eq!(store.scrape(&hash(torrent)), naive.counts(&hash(torrent)));
            }
        }
    }
}

pub(super) fn leecher(torrent: u8, peer: SocketAddr) -> Update {
    Update {
        info_hash: hash(torrent),
        peer,
        standing: Standing::Leecher,
        completed: false,
        peers_wanted: 0,
        now_secs: 0,
    }
}

pub(super) fn announce(store: &PeerStore, update: &Update, secs: u32) -> Taken {
    store.announce(
        &Update { now_secs: secs, ..*update },
        &mut fastrand::Rng::with_seed(1),
        &mut PeersOut::new(&mut [], &mut []),
    )
}

#[test]
fn a_peer_is_forgotten_at_its_timeout_and_not_a_second_before() {
    let store = store();
    announce(&store, &leecher(1, address(1, false, 1)), 1000);
    sweep_once(&store, Now::from_seconds(1099));
    assert_eq!(store.totals().peers, 1);
    sweep_once(&store, Now::from_seconds(1100));
    assert_eq!(store.totals(), Totals::default());
}

#[test]
fn a_torrent_that_was_completed_outlives_its_peers() {
    let store = store();
    let completed =
        Update { standing: Standing::Seeder, completed: true, ..leecher(1, address(1, false, 1)) };
    announce(&store, &completed, 1000);
    announce(&store, &Update { standing: Standing::Stopped, completed: false, ..completed }, 1001);
    sweep_once(&store, Now::from_seconds(2000));
    assert_eq!(store.scrape(&hash(1)), Some(SwarmCounts { seeders: 0, leechers: 0, completed: 1 }));
    sweep_once(&store, Now::from_seconds(2001));
    assert_eq!(store.scrape(&hash(1)), None);
}

#[test]
fn a_large_swarm_expires_over_many_steps_while_announces_go_on() {
    let store = store();
    for number in 0..20_000_u16 {
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), number + 1);
        announce(&store, &leecher(1, peer), 1000);
    }
    let (mut sweep, mut steps, newcomer) = (Sweep::default(), 0, address(2, true, 1));
    while sweep.step(&store, Now::from_seconds(1100)) != Reached::EndOfStore {
        announce(&store, &leecher(1, newcomer), 1100);
        steps += 1;
    }
    assert!(steps > 20_000 / 512, "the swarm was swept in {steps} steps");
    assert_eq!(store.totals(), Totals { torrents: 1, peers: 1, seeders: 0, completed: 0 });
}

#[test]
fn a_listing_shows_every_torrent_once_when_nothing_changes() {
    let store = store();
    for torrent in 0..200 {
        announce(&store, &leecher(torrent, address(1, false, 1)), 1000);
    }
    let (mut listing, mut shown) = (Listing::default(), Vec::new());
    while listing.step(&store, &mut shown) {}
    shown.sort_by_key(|(info_hash, _)| *info_hash);
    let one = SwarmCounts { seeders: 0, leechers: 1, completed: 0 };
    assert_eq!(shown, (0..200).map(|torrent| (hash(torrent), one)).collect::<Vec<_>>());
}
