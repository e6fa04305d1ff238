//! Who is in each torrent by what was announced, to know of each answer whom it has with opentracker and not here.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use tracker_tests::udp_client::AnnounceRequest;

/// The peers of each torrent as they are sent, in hexadecimal, and whether each is a seeder.
#[derive(Default)]
pub(crate) struct Swarms(BTreeMap<[u8; 20], BTreeMap<String, bool>>);

/// What an announce says of a peer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Leecher,
    Seeder,
    Stopped,
}

impl Swarms {
    /// Takes an announce over UDP in, and gives whom this tracker leaves out of the answer.
    pub(crate) fn announce_udp(&mut self, host: Ipv4Addr, request: &AnnounceRequest) -> String {
        let standing = match (request.event, request.bytes_left) {
            (3, _) => Standing::Stopped,
            (_, 0) => Standing::Seeder,
            _ => Standing::Leecher,
        };
        self.announce(request.info_hash, SocketAddrV4::new(host, request.port), standing)
    }

    /// The same over HTTP, with the keys of the query.
    pub(crate) fn announce_http(&mut self, host: Ipv4Addr, torrent: [u8; 20], keys: &str) -> String {
        let value = |key: &str| {
            keys.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key)
        };
        let port = value("port").and_then(|(_, port)| port.parse().ok()).expect("every announce has a port");
        let standing = match (value("event"), value("left")) {
            (Some((_, "stopped")), _) => Standing::Stopped,
            (_, Some((_, "0"))) => Standing::Seeder,
            _ => Standing::Leecher,
        };
        self.announce(torrent, SocketAddrV4::new(host, port), standing)
    }

    /// The peer itself; and for a seeder, all seeders.
    fn announce(&mut self, torrent: [u8; 20], peer: SocketAddrV4, standing: Standing) -> String {
        let swarm = self.0.entry(torrent).or_default();
        let shown = shown(peer);
        if standing == Standing::Stopped {
            swarm.remove(&shown);
            return shown;
        }
        swarm.insert(shown.clone(), standing == Standing::Seeder);
        let is_left_out = |(peer, is_seeder): &(&String, &bool)| {
            **peer == shown || standing == Standing::Seeder && **is_seeder
        };
        swarm.iter().filter(is_left_out).map(|(peer, _)| peer.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Panics unless all these peers were announced for the torrent; how many they are.
    pub(crate) fn count(&self, torrent: [u8; 20], peers: &str) -> usize {
        let swarm = self.0.get(&torrent);
        let known = |peer: &&str| swarm.is_some_and(|swarm| swarm.contains_key(*peer));
        let unknown: Vec<&str> = peers.split_whitespace().filter(|peer| !known(peer)).collect();
        assert!(unknown.is_empty(), "nobody has announced {unknown:?}");
        peers.split_whitespace().count()
    }
}

fn shown(peer: SocketAddrV4) -> String {
    let bytes = peer.ip().octets().into_iter().chain(peer.port().to_be_bytes());
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_announcer_is_left_out_and_for_a_seeder_all_seeders() {
    let mut swarms = Swarms::default();
    let host = Ipv4Addr::new(127, 0, 0, 1);
    assert_eq!(swarms.announce_http(host, [1; 20], "port=1&left=0"), "7f0000010001");
    assert_eq!(swarms.announce_http(host, [1; 20], "port=2&left=1"), "7f0000010002");
    assert_eq!(swarms.announce_http(host, [1; 20], "port=3&left=0"), "7f0000010001 7f0000010003");
    swarms.announce_http(host, [1; 20], "port=1&left=0&event=stopped");
    assert_eq!(swarms.announce_http(host, [1; 20], "port=2&left=0"), "7f0000010002 7f0000010003");
}
