//! The comparison itself: both trackers, one sequence of requests, and the answers and statistics of each.

use crate::differences;
use crate::fields::{Fields, compared};
use crate::requests::{FORBIDDEN, UdpSession, add_http_answer, announce_query, get, get_from, torrent};
use crate::statistics;
use crate::swarms::Swarms;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use tracker_tests::daemon::Daemon;
use tracker_tests::http::percent_encoded;
use tracker_tests::opentracker::Opentracker;
use tracker_tests::skip::skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, PROTOCOL_ID, header};

/// The announce that is given some of those that it might be given.
const ONE_OF_MANY: &str = "one peer of many";
const REDIRECT: &str = "https://tracker.example/about";

/// Addresses in three networks, of which two are one larger network.
pub(crate) const HOSTS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 33), Ipv4Addr::new(127, 9, 0, 1)];

/// Where both protocols are served.
#[derive(Clone, Copy)]
struct Tracker {
    tcp: SocketAddr,
    udp: SocketAddr,
}

#[test]
fn every_answer_and_all_statistics_are_opentrackers_but_for_the_differences_that_are_documented() {
    if let Some(reason) = Opentracker::missing() {
        return skipped(&format!("comparison with opentracker: {reason}"));
    }
    let whitelist: String = (0..16).map(|number| hex(&torrent(number)) + "\n").collect();
    let more = format!("access.stats 127.0.0.1\ntracker.redirect_url {REDIRECT}\n");
    let opentracker = Opentracker::start(&whitelist, &more);
    let theirs = recorded(Tracker { tcp: opentracker.address(), udp: opentracker.address() });

    let directory = TemporaryDirectory::new();
    let list = directory.path().join("whitelist.txt");
    std::fs::write(&list, whitelist).expect("the directory is ours");
    let list = list.to_str().expect("the path is text");
    let arguments = [
        "-i",
        "127.0.0.1",
        "-p",
        "0",
        "-P",
        "0",
        "--mode",
        "socket",
        "-A",
        "127.0.0.1",
        "-w",
        list,
        "-r",
        REDIRECT,
    ];
    let daemon = Daemon::start(&[&arguments[..], &["--set", "http.full_scrape_interval_secs=0"]].concat());
    // The first connection to opentracker has shown that it listens.
    drop(TcpStream::connect(daemon.tcp_v4()).expect("the daemon listens"));
    let ours = recorded(Tracker { tcp: daemon.tcp_v4(), udp: daemon.udp_v4() });

    differences::explain(&compared(&theirs, &ours), &theirs);
}

/// Everything that a tracker answers, one request after the other.
fn recorded(tracker: Tracker) -> Fields {
    let (mut fields, mut swarms) = (Fields::new(), Swarms::default());
    announce_over_udp(&mut fields, &mut swarms, tracker);
    announce_over_http(&mut fields, &mut swarms, tracker);
    scrape(&mut fields, tracker);
    fail(&mut fields, tracker);
    statistics::add_full_scrapes(&mut fields, tracker.tcp);
    statistics::add_all(&mut fields, tracker.tcp);
    // What the trackers count differently comes last.
    differ(&mut fields, tracker);
    fields
}

fn udp_announce(number: u8, port: u16) -> AnnounceRequest {
    AnnounceRequest { info_hash: torrent(number), ..AnnounceRequest::new(0, port) }
}

fn announce_over_udp(fields: &mut Fields, swarms: &mut Swarms, tracker: Tracker) {
    for (host, address) in HOSTS.into_iter().enumerate() {
        let session = UdpSession::new(address, tracker.udp);
        let mut announce = |name: &str, request: AnnounceRequest| {
            let name = format!("udp/{host}/{name}");
            fields.insert(format!("{name}/left out"), swarms.announce_udp(address, &request));
            session.announce(fields, &name, request);
        };
        for port in 1..=4 {
            announce(&format!("leecher {port}"), udp_announce(0, port).event(2));
        }
        announce("seeder", udp_announce(0, 5).seeding());
        announce("renewed", udp_announce(0, 1));
        announce("completed", udp_announce(0, 2).seeding().event(1));
        announce("completed again", udp_announce(0, 2).seeding().event(1));
        announce("leecher once more", udp_announce(0, 5));
        announce("stopped", udp_announce(0, 3).event(3));
        announce("stopped again", udp_announce(0, 3).event(3));
        announce("stopped stranger", udp_announce(1, 9).event(3));
        announce("no peers wanted", udp_announce(0, 4).wanting(0));
        announce("all peers wanted", udp_announce(0, 4).wanting(500));
        announce("any number wanted", udp_announce(0, 4).wanting(-1));
        announce("alone", udp_announce(2 + host as u8, 1).seeding());
        announce("paused", udp_announce(0, 4).event(4));
    }
}

fn announce_over_http(fields: &mut Fields, swarms: &mut Swarms, tracker: Tracker) {
    for (host, address) in HOSTS.into_iter().enumerate() {
        for (name, torrent_number, keys) in [
            ("leecher", 0, "port=1001&left=1&event=started&compact=1"),
            ("seeder", 0, "port=1002&left=0&numwant=200"),
            (
                "renewed",
                0,
                "port=1001&left=1&uploaded=7&downloaded=8&corrupt=0&key=abc&no_peer_id=1&supportcrypto=1",
            ),
            ("completed", 0, "port=1001&left=0&event=completed"),
            ("stopped", 0, "port=1002&left=0&event=stopped"),
            ("another torrent", 6, "port=1003&left=1"),
            ("no peers wanted", 6, "port=1004&left=1&numwant=0"),
            ("any number wanted", 6, "port=1004&left=1&numwant=-1"),
            ("first of many", 7, "port=1005&left=1"),
            ("second of many", 7, "port=1006&left=1"),
            (ONE_OF_MANY, 7, "port=1005&left=1&numwant=1"),
        ] {
            let torrent = torrent(torrent_number);
            let response = get_from(address, tracker.tcp, &announce_query(torrent, keys));
            let left_out = swarms.announce_http(address, torrent, keys);
            let is_any = name == ONE_OF_MANY;
            let name = format!("http/{host}/{name}");
            add_http_answer(fields, &name, &response);
            fields.insert(format!("{name}/left out"), left_out);
            // Which one it is is chance, with opentracker even the peer itself.
            if let Some(peers) = fields.get_mut(&format!("{name}/peers")).filter(|_| is_any) {
                *peers = format!("{} of many", swarms.count(torrent, peers));
            }
        }
    }
}

fn scrape(fields: &mut Fields, tracker: Tracker) {
    let session = UdpSession::new(HOSTS[0], tracker.udp);
    session.scrape(fields, "scrape/udp/known", &[torrent(0)]);
    session.scrape(fields, "scrape/udp/several", &[torrent(6), torrent(15), FORBIDDEN, torrent(2)]);
    session.scrape(fields, "scrape/udp/many", &[torrent(0); 74]);
    let query = |torrents: &[[u8; 20]]| {
        let keys: Vec<String> =
            torrents.iter().map(|torrent| format!("info_hash={}", percent_encoded(torrent))).collect();
        format!("/scrape?{}", keys.join("&"))
    };
    let mut over_http = |name: &str, torrents: &[[u8; 20]]| {
        add_http_answer(fields, &format!("scrape/http/{name}"), &get(tracker.tcp, &query(torrents)));
    };
    over_http("known", &[torrent(0)]);
    over_http("several", &[torrent(0), torrent(2), torrent(6)]);
    over_http("unknown", &[torrent(15)]);
}

/// Requests that fail, which both trackers count alike.
fn fail(fields: &mut Fields, tracker: Tracker) {
    let session = UdpSession::new(HOSTS[1], tracker.udp);
    let forbidden = AnnounceRequest { info_hash: FORBIDDEN, ..udp_announce(0, 1) };
    session.announce(fields, "fail/udp/forbidden", forbidden);
    session.announce(fields, "fail/udp/wrong id", AnnounceRequest { connection_id: 1, ..udp_announce(0, 1) });
    session.send(fields, "fail/udp/short", b"short");
    session.send(fields, "fail/udp/unknown action", &header(PROTOCOL_ID, 9, 1));
    let forbidden = announce_query(FORBIDDEN, "port=1&left=0");
    for (name, target) in [
        ("forbidden", &*forbidden),
        ("not found", "/nothing"),
        ("root", "/"),
        ("unknown mode", "/stats?mode=nonsense"),
    ] {
        add_http_answer(fields, &format!("fail/http/{name}"), &get(tracker.tcp, target));
    }
    let response = get_from(HOSTS[1], tracker.tcp, "/stats");
    add_http_answer(fields, "fail/http/forbidden stats", &response);
}

/// Requests that the trackers answer and count differently.
fn differ(fields: &mut Fields, tracker: Tracker) {
    for (name, keys) in [
        ("compact=0", "port=1001&left=0&compact=0"),
        ("bad numwant", "port=1001&left=0&numwant=x"),
        ("port 0", "port=0&left=0"),
    ] {
        let response = get(tracker.tcp, &announce_query(torrent(8), keys));
        add_http_answer(fields, &format!("differ/{name}"), &response);
    }
    add_http_answer(fields, "differ/no info_hash", &get(tracker.tcp, "/announce?port=1&left=0"));
    let session = UdpSession::new(HOSTS[0], tracker.udp);
    let (completed, mut swarms) = (udp_announce(9, 1).event(1), Swarms::default());
    let left_out = swarms.announce_udp(HOSTS[0], &completed);
    fields.insert("differ/completed with bytes left/left out".to_owned(), left_out);
    session.announce(fields, "differ/completed with bytes left", completed);
    session.scrape(fields, "differ/completed with bytes left/scrape", &[torrent(9)]);
}

pub(crate) fn hex(hash: &[u8; 20]) -> String {
    hash.iter().map(|byte| format!("{byte:02X}")).collect()
}
