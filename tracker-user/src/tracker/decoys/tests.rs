//! How many decoys there are, what they are, and that they give nothing away.

use super::port;
use crate::access_list::bogons::is_bogon;
use crate::clock::Now;
use crate::config::types::{Config, TrackerConfig};
use crate::info_hash::InfoHash;
use crate::peer_store::PeersOut;
use crate::tracker::{Announce, Event, Protocol, Tracker};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TORRENT: InfoHash = InfoHash([7; 20]);

/// A tracker with decoys, and the peers that have announced.
struct Scene {
    tracker: Tracker,
    real: BTreeSet<SocketAddr>,
    random: fastrand::Rng,
}

impl Scene {
    fn new(percent: u8) -> Self {
        let tracker = TrackerConfig { decoy_peers_percent: percent, ..TrackerConfig::default() };
        let config = Config { tracker, ..Config::default() };
        Self {
            tracker: Tracker::of(&config, [3, 4]),
            real: BTreeSet::new(),
            random: fastrand::Rng::with_seed(5),
        }
    }

    /// Peers in 11.0.0.0/16 and 2600:aaaa::/96, half of them seeders, in a swarm of `count` of each family.
    fn with_peers(percent: u8, v4: u16, v6: u16) -> Self {
        let mut scene = Self::new(percent);
        for number in 0..v4 {
            let [a, b] = number.to_be_bytes();
            scene.announce(real_v4(a, b), u64::from(number % 2), Some(0), 1000);
        }
        for number in 0..v6 {
            scene.announce(real_v6(number), u64::from(number % 2), Some(0), 1000);
        }
        scene
    }

    fn announce(
        &mut self,
        peer: SocketAddr,
        bytes_left: u64,
        peers_wanted: Option<u32>,
        now_secs: u32,
    ) -> Vec<SocketAddr> {
        self.real.insert(peer);
        let event = Event::Ordinary;
        let announce =
            Announce { over: Protocol::Http, info_hash: TORRENT, peer, bytes_left, event, peers_wanted };
        self.send(&announce, now_secs)
    }

    fn send(&mut self, announce: &Announce, now_secs: u32) -> Vec<SocketAddr> {
        let (mut v4, mut v6) = ([0; 200 * 6], [0; 200 * 18]);
        let mut peers = PeersOut::new(&mut v4, &mut v6);
        self.tracker.announce(announce, Now::from_seconds(now_secs), &mut self.random, &mut peers);
        let v4 = peers.v4().as_chunks().0.iter().map(|[a, b, c, d, p, q]| {
            SocketAddr::from((Ipv4Addr::new(*a, *b, *c, *d), u16::from_be_bytes([*p, *q])))
        });
        let v6 = peers.v6().as_chunks::<18>().0.iter().map(|peer| {
            let address: [u8; 16] = peer[..16].try_into().unwrap();
            SocketAddr::from((Ipv6Addr::from(address), u16::from_be_bytes([peer[16], peer[17]])))
        });
        v4.chain(v6).collect()
    }

    fn is_decoy(&self, peer: &SocketAddr) -> bool {
        !self.real.contains(peer)
    }

    /// Answers to a leecher that is in the swarm, all at the same second.
    fn answers(&mut self, count: usize, wanted: u32) -> Vec<Vec<SocketAddr>> {
        (0..count).map(|_| self.announce(real_v4(255, 255), 1, Some(wanted), 1000)).collect()
    }

    fn decoys(&self, answers: &[Vec<SocketAddr>]) -> usize {
        answers.iter().flatten().filter(|peer| self.is_decoy(peer)).count()
    }
}

fn real_v4(a: u8, b: u8) -> SocketAddr {
    (Ipv4Addr::new(11, 0, a, b), 7000).into()
}

fn real_v6(number: u16) -> SocketAddr {
    (Ipv6Addr::new(0x2600, 0xaaaa, 0, 0, 0, 0, 0, number), 7000).into()
}

#[test]
fn the_share_of_decoys_is_the_percentage_whatever_is_wanted_and_there_is() {
    for percent in [1, 10, 33, 50, 90] {
        for (v4, v6, wanted) in
            [(1, 0, 50), (2, 1, 50), (40, 0, 50), (300, 100, 50), (300, 0, 1), (300, 300, 7)]
        {
            let mut scene = Scene::with_peers(percent, v4, v6);
            let answers = scene.answers(3000, wanted);
            let all = answers.iter().map(Vec::len).sum::<usize>() as f64;
            let share = scene.decoys(&answers) as f64 * 100.0 / all;
            // Five times the deviation of a share of independent draws; rounding deviates less.
            let deviation = (f64::from(percent) * f64::from(100 - percent) / all).sqrt();
            assert!(
                (share - f64::from(percent)).abs() < 5.0 * deviation + 0.01,
                "{share} for {percent} of {v4} and {v6} for {wanted}"
            );
            assert!(answers.iter().all(|answer| answer.len() <= wanted as usize));
        }
    }
}

#[test]
fn where_there_is_room_no_peer_makes_room_for_a_decoy() {
    let mut scene = Scene::with_peers(50, 8, 4);
    for answer in scene.answers(200, 50) {
        let real: BTreeSet<_> = answer.iter().filter(|peer| !scene.is_decoy(peer)).collect();
        assert_eq!((real.len(), answer.len()), (12, 24));
    }
}

#[test]
fn whoever_gets_no_peers_gets_no_decoys() {
    let mut scene = Scene::new(90);
    assert_eq!(scene.announce(real_v4(0, 1), 1, None, 1000), [], "an empty swarm");
    let mut scene = Scene::with_peers(90, 30, 30);
    assert_eq!(scene.announce(real_v4(0, 1), 1, Some(0), 1000), [], "none wanted");
    let stop = Announce {
        over: Protocol::Udp,
        info_hash: TORRENT,
        peer: real_v4(0, 1),
        bytes_left: 1,
        event: Event::Stopped,
        peers_wanted: None,
    };
    assert_eq!(scene.send(&stop, 1000), [], "stopped");
    let mut scene = Scene::with_peers(0, 30, 30);
    let answers = scene.answers(100, 50);
    assert_eq!(scene.decoys(&answers), 0, "off");
}

#[test]
fn none_is_stored_or_counted() {
    let mut scene = Scene::with_peers(50, 100, 100);
    scene.answers(500, 50);
    let totals = scene.tracker.store().totals();
    assert_eq!((totals.peers, totals.torrents), (201, 1));
    assert_eq!(scene.tracker.scrape(&TORRENT).peers(), 201);
}

#[test]
fn a_decoy_could_be_anybodys_and_no_peer_comes_twice() {
    let mut scene = Scene::with_peers(50, 200, 200);
    let (mut v4, mut v6) = (BTreeSet::new(), BTreeSet::new());
    for hours in 0..40 {
        // So long apart that there are others each time.
        let now = 1000 + hours * 40_000;
        for number in 0..200_u16 {
            let [a, b] = number.to_be_bytes();
            scene.announce(real_v4(a, b), 1, Some(0), now);
            scene.announce(real_v6(number), 1, Some(0), now);
        }
        let answer = scene.announce(real_v4(255, 255), 1, Some(200), now);
        assert_eq!(answer.iter().collect::<BTreeSet<_>>().len(), answer.len());
        for peer in answer.iter().filter(|peer| scene.is_decoy(peer)) {
            assert!(!is_bogon(peer.ip()) && peer.port() >= 1024, "{peer}");
            match peer.ip() {
                IpAddr::V4(ip) => v4.insert(ip.octets()[0]),
                IpAddr::V6(ip) => v6.insert(ip.octets()[0]),
            };
        }
    }
    assert!(v4.len() > 190, "{} of 221 first octets", v4.len());
    assert_eq!(v6.into_iter().collect::<Vec<_>>(), [0x20, 0x24, 0x26, 0x28, 0x2a, 0x2c]);
}

#[test]
fn no_place_in_an_answer_tells_a_decoy() {
    let mut scene = Scene::with_peers(40, 2000, 0);
    let (mut decoys_at, answers) = ([0_u32; 50], scene.answers(4000, 50));
    for answer in &answers {
        assert_eq!(answer.len(), 50);
        for (place, peer) in answer.iter().enumerate() {
            decoys_at[place] += u32::from(scene.is_decoy(peer));
        }
    }
    // 1,600 each; with 0.4 · 0.6 · 4,000 = 960 as its variance five deviations are 155.
    assert!(decoys_at.iter().all(|count| (1445..1755).contains(count)), "{decoys_at:?}");
}

#[test]
fn decoys_come_again_about_as_often_as_peers_and_are_others_in_the_end() {
    let mut scene = Scene::with_peers(50, 100, 0);
    let answers = scene.answers(2000, 20);
    let mut seen = BTreeMap::new();
    answers.iter().flatten().for_each(|peer| *seen.entry(*peer).or_insert(0_u32) += 1);
    let (decoys, peers): (Vec<_>, Vec<_>) = seen.iter().partition(|(peer, _)| scene.is_decoy(peer));
    assert_eq!((decoys.len(), peers.len()), (101, 100));
    // 200 each on average.
    assert!(seen.values().all(|count| (100..300).contains(count)), "{seen:?}");
    let old: BTreeSet<_> = decoys.into_iter().map(|(peer, _)| *peer).collect();
    let later = |scene: &mut Scene, secs: u32| {
        let answer = scene.announce(real_v4(255, 255), 1, Some(200), 1000 + secs);
        answer.iter().filter(|peer| old.contains(peer)).count()
    };
    let soon = later(&mut scene, 1800);
    assert!((80..=97).contains(&soon), "{soon} of 101 after a tenth of their life");
}

#[test]
fn decoys_of_another_torrent_or_another_tracker_are_others() {
    let mut one = Scene::with_peers(50, 60, 0);
    let mut other = Scene::with_peers(50, 60, 0);
    other.tracker.decoys = super::Decoys::new(50, [9, 9]);
    let (of_one, of_other) = (one.answers(20, 100), other.answers(20, 100));
    let of_one: BTreeSet<_> = of_one.iter().flatten().filter(|peer| one.is_decoy(peer)).collect();
    let of_other: BTreeSet<_> = of_other.iter().flatten().filter(|peer| other.is_decoy(peer)).collect();
    assert!(!of_one.is_empty() && of_one.is_disjoint(&of_other));
}

#[test]
fn ports_are_those_that_clients_have() {
    let mut random = fastrand::Rng::with_seed(1);
    let ports: Vec<u16> = (0..10_000).map(|_| port(random.u32(..))).collect();
    assert!(ports.iter().all(|port| *port >= 1024));
    let share = |port| ports.iter().filter(|other| **other == port).count();
    assert!(share(6881) > 1000 && share(51413) > 500);
    assert!(ports.iter().collect::<BTreeSet<_>>().len() > 4000);
}
