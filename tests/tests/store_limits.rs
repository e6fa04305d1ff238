//! The real daemon with a store that is full, with sources that want more than their share, with addresses that it has no
//! peers of, with decoys, and with more connections than it may have: it goes on answering, and says so once.

use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Instant;
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::http;
use tracker_tests::udp_client::{AnnounceRequest, Announced, INFO_HASH, UdpClient};

const LOOPBACK: &[&str] = &["-i", "127.0.0.1", "-p", "0", "-P", "0", "--set", "udp.workers=1"];

struct Scene {
    daemon: Daemon,
    client: UdpClient,
    id: u64,
}

impl Scene {
    fn start(settings: &[&str]) -> Self {
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let daemon = Daemon::start(&[LOOPBACK, &settings].concat());
        let mut client = UdpClient::new(Ipv4Addr::LOCALHOST.into(), daemon.udp_v4());
        let id = client.connect();
        Self { daemon, client, id }
    }

    /// A leecher of a torrent of this number.
    fn announce(&mut self, torrent: u32, port: u16) -> Announced {
        let mut request = AnnounceRequest::new(self.id, port);
        request.info_hash[..4].copy_from_slice(&torrent.to_be_bytes());
        self.client.announce(&request)
    }

    fn get(&self, more: &str) -> String {
        let hash = http::percent_encoded(&INFO_HASH);
        let response = http::get(self.daemon.tcp_v4(), &format!("/announce?info_hash={hash}&left=1&{more}"));
        assert_eq!(response.status, 200);
        String::from_utf8_lossy(&response.body).into_owned()
    }

    fn times_logged(&self, contained: &str) -> usize {
        self.daemon.log().lines().filter(|line| line.contains(contained)).count()
    }
}

fn figure(stats: &Value, path: &str) -> u64 {
    stats.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {stats}"))
}

#[test]
fn a_full_store_goes_on_answering_and_never_holds_more_peers_than_it_may() {
    let mut scene = Scene::start(&["store.max_peers=300"]);
    for port in 1..=3000_u16 {
        let answer = scene.announce(u32::from(port % 7), port);
        assert!(u64::from(answer.leechers) <= 300, "{answer:?}");
        if port % 250 == 0 {
            assert!(figure(&scene.daemon.stats(), "/peers") <= 300);
        }
    }
    let stats = scene.daemon.stats();
    let (peers, evicted) = (figure(&stats, "/peers"), figure(&stats, "/store/evicted_peers"));
    assert!(peers <= 300 && peers > 100, "{peers}");
    assert_eq!(peers + evicted + figure(&stats, "/store/refused_for_room"), 3000, "{stats}");
    assert_eq!(figure(&stats, "/store/max_peers"), 300);
    assert_eq!(figure(&stats, "/udp/announce_answered"), 3000);
    scene.daemon.await_log_line("store.max_peers is reached");
    // On until control has looked at least once more, which it does before it writes the next line.
    (3001..4000).for_each(|port| drop(scene.announce(1, port)));
    scene.daemon.terminate();
    assert_eq!(scene.times_logged("is reached"), 1, "{}", scene.daemon.log());
}

#[test]
fn a_store_never_has_more_torrents_than_it_may() {
    let mut scene = Scene::start(&["store.max_torrents=200"]);
    for torrent in 0..2000 {
        scene.announce(torrent, 6881);
        if torrent % 250 == 0 {
            assert!(figure(&scene.daemon.stats(), "/torrents") <= 200);
        }
    }
    let stats = scene.daemon.stats();
    let torrents = figure(&stats, "/torrents");
    assert!(torrents <= 200 && torrents > 100, "{torrents}");
    assert!(figure(&stats, "/store/evicted_torrents") > 0, "{stats}");
    assert_eq!(figure(&stats, "/udp/announce_answered"), 2000);
    scene.daemon.await_log_line("store.max_torrents is reached");
    scene.daemon.terminate();
    assert_eq!(scene.times_logged("is reached"), 1, "{}", scene.daemon.log());
}

#[test]
fn a_source_has_no_more_ports_in_a_torrent_and_no_more_torrents_than_its_share() {
    let mut scene = Scene::start(&["store.ports_per_source=5", "store.torrents_per_source=8"]);
    for port in 1..=100 {
        assert!(scene.announce(0, port).leechers <= 5);
    }
    let stats = scene.daemon.stats();
    assert_eq!((figure(&stats, "/peers"), figure(&stats, "/store/refused_by_source_limit")), (5, 95));
    // Whoever is stored comes back as always.
    assert_eq!(scene.announce(0, 1).leechers, 5);
    (0..50).for_each(|torrent| drop(scene.announce(torrent, 1)));
    assert_eq!(figure(&scene.daemon.stats(), "/torrents"), 8);
    scene.daemon.await_log_line("sources have had their share");
    scene.daemon.terminate();
    assert_eq!(scene.times_logged("have had their share"), 1, "{}", scene.daemon.log());
}

#[test]
fn refused_addresses_are_told_so_over_both_protocols_and_nothing_of_them_is_stored() {
    for setting in ["store.refuse_bogons=true", "store.refuse_networks=127.0.0.0/8"] {
        let scene = Scene::start(&[setting]);
        let answer = scene.client.ask(&AnnounceRequest::new(scene.id, 6881).payload());
        let reason = b"Peers of this address are not taken in by this tracker.";
        assert_eq!((&answer[..4], &answer[8..]), (&[0, 0, 0, 3][..], &reason[..]), "{setting}");
        assert_eq!(
            scene.get("port=6881"),
            "d14:failure reason55:Peers of this address are not taken in by this tracker.8:retry in5:nevere"
        );
        let stats = scene.daemon.stats();
        let refused = (figure(&stats, "/udp/address_refused"), figure(&stats, "/http/address_refused"));
        assert_eq!((refused, figure(&stats, "/torrents")), ((1, 1), 0));
    }
    let mut scene = Scene::start(&["store.refuse_networks=10.0.0.0/8"]);
    assert_eq!(scene.announce(0, 1).leechers, 1);
}

#[test]
fn decoys_are_in_answers_of_both_protocols_and_nowhere_else() {
    let mut scene = Scene::start(&["tracker.decoy_peers=50"]);
    for port in 1..=40 {
        scene.client.announce(&AnnounceRequest::new(scene.id, port).wanting(0));
    }
    let is_decoy = |peer: &&SocketAddr| peer.ip() != Ipv4Addr::LOCALHOST;
    let answer = scene.client.announce(&AnnounceRequest::new(scene.id, 41).wanting(60));
    let distinct: BTreeSet<_> = answer.peers.iter().collect();
    assert_eq!((answer.peers.len(), distinct.len(), answer.leechers), (60, 60, 41));
    assert_eq!(answer.peers.iter().filter(is_decoy).count(), 30);
    assert_eq!(scene.client.announce(&AnnounceRequest::new(scene.id, 41).wanting(0)).peers, []);
    assert_eq!(scene.client.announce(&AnnounceRequest::new(scene.id, 41).event(3)).peers, []);
    // 40 are there; as dictionaries decoys have what peers have.
    let dictionaries = scene.get("port=42&numwant=60&compact=0");
    let count = |text: &str| dictionaries.matches(text).count();
    assert_eq!((count("d2:ip"), count("4:port"), count("2:ip9:127.0.0.1")), (60, 60, 30), "{dictionaries}");
    assert!(scene.get("port=42&numwant=60").contains("5:peers360:"));
    assert_eq!(figure(&scene.daemon.stats(), "/peers"), 41);
    let full = http::get(scene.daemon.tcp_v4(), "/stats?mode=tpbs&format=txt");
    assert!(String::from_utf8_lossy(&full.body).ends_with(":0:41\n"), "{full:?}");
}

#[test]
fn each_protocol_has_its_interval() {
    let settings = ["udp.interval_secs=1000", "http.interval_secs=2000", "tracker.interval_jitter_secs=0"];
    let mut scene = Scene::start(&settings);
    assert_eq!(scene.announce(0, 1).interval_secs, 1000);
    let answer = scene.get("port=1");
    assert!(answer.contains("8:intervali2000e12:min intervali1000e"), "{answer}");
    let stats = scene.daemon.stats();
    assert_eq!((figure(&stats, "/intervals/udp_secs"), figure(&stats, "/intervals/http_secs")), (1000, 2000));
}

#[test]
fn more_connections_than_there_may_be_make_intervals_longer() {
    let settings = [
        "http.workers=1",
        "http.max_connections=2",
        "tracker.interval_jitter_secs=0",
        "tracker.peer_timeout_secs=9999",
    ];
    let mut scene = Scene::start(&settings);
    assert_eq!(scene.announce(0, 1).interval_secs, 1800);
    let (deadline, address) = (Instant::now() + DEADLINE, scene.daemon.tcp_v4());
    // One closes another, until control has seen enough of it.
    while scene.times_logged("overloaded: announce intervals become longer") == 0 {
        assert!(Instant::now() < deadline, "{}", scene.daemon.log());
        drop([(); 8].map(|()| TcpStream::connect(address)));
    }
    assert!(scene.announce(0, 1).interval_secs > 1800);
    let stats = scene.daemon.stats();
    assert!(figure(&stats, "/intervals/stretch_percent") > 100, "{stats}");
    assert!(figure(&stats, "/intervals/connections_closed_for_room") > 0, "{stats}");
}
