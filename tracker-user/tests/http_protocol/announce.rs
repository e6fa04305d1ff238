//! What an announce says and what it is answered.

use crate::server::Server;
use crate::strict_bencode::{Dictionary, Value};
use tracker_user::counters::HttpVerdict;
use tracker_user::info_hash::InfoHash;
use tracker_user::peer_store::SwarmCounts;

const HASH: &str = "aaaaaaaaaaaaaaaaaaaa";

fn announce(server: &Server, from: &str, rest: &str) -> Dictionary {
    server.get_from(from, &format!("/announce?info_hash={HASH}&{rest}")).dictionary()
}

fn counts(server: &Server) -> SwarmCounts {
    server.tracker.scrape(&InfoHash([b'a'; 20]))
}

#[test]
fn an_answer_is_a_200_of_text_with_an_exact_length_and_strict_bencode() {
    let server = Server::start();
    let response = server.get(&format!("/announce?info_hash={HASH}&port=6881&left=1"));
    assert_eq!(response.status_line, "HTTP/1.1 200 OK");
    assert_eq!(response.header("content-type"), Some("text/plain"));
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(response.header("content-encoding"), None);
    let answer = response.dictionary();
    assert_eq!(answer.bytes("peers"), b"");
    assert_eq!(answer.get("peers6"), None);
    let interval = answer.integer("interval");
    assert!((1620..=1980).contains(&interval), "{interval}");
    assert_eq!(answer.integer("min interval"), interval / 2);
    assert_eq!(answer.bytes("external ip"), [127, 0, 0, 1]);
    let figures = ["complete", "incomplete", "downloaded"].map(|key| answer.integer(key));
    assert_eq!(figures, [0, 1, 0]);
    assert_eq!(server.stop_and_count(), [(HttpVerdict::AnnounceAnswered, 1)]);
}

#[test]
fn compact_absent_or_1_gives_6_bytes_a_peer_and_18_in_peers6() {
    let server = Server::start_behind_proxy();
    announce(&server, "192.0.2.1", "port=258&left=1");
    announce(&server, "2001:db8::1", "port=772&left=1");
    for (from, compact) in [("192.0.2.9", ""), ("192.0.2.9", "&compact=1"), ("2001:db8::9", "&compact=1")] {
        let answer = announce(&server, from, &format!("port=9&event=stopped{compact}"));
        assert_eq!(answer.bytes("peers"), b"", "a peer that stops gets none");
        // Port 10 of the requester is new each time and gone again afterwards.
        let answer = announce(&server, from, &format!("port=10&left=1{compact}"));
        assert_eq!(answer.bytes("peers"), [192, 0, 2, 1, 1, 2]);
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 4];
        assert_eq!(answer.bytes("peers6"), v6);
        announce(&server, from, "port=10&event=stopped");
    }
}

#[test]
fn compact_0_gives_dictionaries_without_peer_ids_with_and_without_no_peer_id() {
    let server = Server::start_behind_proxy();
    announce(&server, "192.0.2.1", "port=258&left=1&peer_id=-XX0001-012345678901");
    announce(&server, "2001:db8::1", "port=772&left=1");
    for extra in ["", "&no_peer_id=1", "&no_peer_id=0"] {
        let answer = announce(&server, "192.0.2.9", &format!("port=10&left=1&compact=0{extra}"));
        let peers: Vec<(String, u64)> = answer
            .list("peers")
            .iter()
            .map(|peer| {
                let Value::Dictionary(peer) = peer else { panic!("{peer:?}") };
                assert_eq!(peer.len(), 2);
                (String::from_utf8(peer.bytes("ip").to_vec()).unwrap(), peer.integer("port"))
            })
            .collect();
        assert_eq!(peers, [("192.0.2.1".to_owned(), 258), ("2001:db8::1".to_owned(), 772)]);
        assert_eq!(answer.get("peers6"), None);
    }
}

#[test]
fn peers_is_there_and_empty_in_a_swarm_of_ipv6_with_numwant_0_and_for_stopped() {
    let server = Server::start_behind_proxy();
    announce(&server, "2001:db8::1", "port=1&left=1");
    let answer = announce(&server, "2001:db8::2", "port=1&left=1");
    assert_eq!(answer.bytes("peers"), b"");
    assert_eq!(answer.bytes("peers6").len(), 18);
    assert_eq!(answer.bytes("external ip").len(), 16);
    announce(&server, "192.0.2.1", "port=1&left=1");
    for rest in ["port=2&left=1&numwant=0", "port=2&event=stopped"] {
        let answer = announce(&server, "192.0.2.2", rest);
        assert_eq!((answer.bytes("peers"), answer.get("peers6")), (&b""[..], None), "{rest}");
    }
    let answer = announce(&server, "192.0.2.2", "port=2&left=1&numwant=0&compact=0");
    assert_eq!(answer.list("peers"), []);
}

#[test]
fn left_of_any_size_is_a_leecher_unless_0() {
    let leechers = [
        "left=1",
        "left=9223372036854775808",
        "left=10000000000000000000000000",
        "left=-1",
        "left=",
        "left=x",
        "x=",
    ];
    for left in leechers {
        let server = Server::start();
        server.get(&format!("/announce?info_hash={HASH}&port=1&{left}")).dictionary();
        assert_eq!((counts(&server).seeders, counts(&server).leechers), (0, 1), "{left}");
    }
    for left in ["left=0", "left=00000000000000000000000000"] {
        let server = Server::start();
        server.get(&format!("/announce?info_hash={HASH}&port=1&{left}")).dictionary();
        assert_eq!((counts(&server).seeders, counts(&server).leechers), (1, 0), "{left}");
    }
}

#[test]
fn numwant_bounds_the_peers_and_what_is_no_number_leaves_it_to_the_tracker() {
    let server = Server::start_behind_proxy();
    for host in 0..250 {
        announce(&server, &format!("192.0.2.{host}"), "port=1&left=1");
    }
    for (numwant, peers) in [
        ("", 50),
        ("&numwant=", 50),
        ("&numwant=-1", 50),
        ("&numwant=many", 50),
        ("&numwant=3", 3),
        ("&numwant=201", 200),
        ("&numwant=99999999999999999999999", 200),
    ] {
        let answer = announce(&server, "198.51.100.1", &format!("port=1&left=1{numwant}"));
        assert_eq!(answer.bytes("peers").len(), peers * 6, "{numwant}");
    }
}

#[test]
fn an_empty_paused_or_unknown_event_is_ordinary_and_only_completed_and_stopped_are_more() {
    let server = Server::start();
    for event in ["", "paused", "started", "unknown", "Stopped", "completed2"] {
        server.get(&format!("/announce?info_hash={HASH}&port=1&left=1&event={event}")).dictionary();
        assert_eq!(counts(&server), SwarmCounts { seeders: 0, leechers: 1, completed: 0 }, "{event}");
    }
    server.get(&format!("/announce?info_hash={HASH}&port=1&left=0&event=completed")).dictionary();
    assert_eq!(counts(&server), SwarmCounts { seeders: 1, leechers: 0, completed: 1 });
    server.get(&format!("/announce?info_hash={HASH}&port=1&left=0&event=stopped")).dictionary();
    assert_eq!(counts(&server), SwarmCounts { seeders: 0, leechers: 0, completed: 1 });
}

#[test]
fn an_info_hash_of_another_length_or_missing_or_twice_fails_and_stores_nothing() {
    let server = Server::start();
    for (target, reason) in [
        ("/announce".to_owned(), "info_hash is missing"),
        ("/announce?port=1".to_owned(), "info_hash is missing"),
        ("/announce?info_hash=&port=1".to_owned(), "info_hash must be 20 bytes"),
        (format!("/announce?info_hash={}&port=1", &HASH[1..]), "info_hash must be 20 bytes"),
        (format!("/announce?info_hash={HASH}a&port=1"), "info_hash must be 20 bytes"),
        (format!("/announce?info_hash={}&port=1", "61".repeat(20)), "info_hash must be 20 bytes"),
        (format!("/announce?info_hash={HASH}&info_hash={HASH}&port=1"), "info_hash is given more than once"),
    ] {
        assert_eq!(server.get(&target).failure_reason(), reason, "{target}");
    }
    assert_eq!(server.tracker.store().totals().torrents, 0);
    assert_eq!(server.stop_and_count(), [(HttpVerdict::AnnounceRefused, 7)]);
}

#[test]
fn a_port_0_or_65536_or_negative_or_no_number_or_missing_fails_and_stores_nothing() {
    let server = Server::start();
    for port in ["&port=0", "&port=65536", "&port=-1", "&port=abc", "&port=", ""] {
        let reason = server.get(&format!("/announce?info_hash={HASH}&left=1{port}")).failure_reason();
        assert_eq!(reason, "port must be a number from 1 to 65535", "{port}");
    }
    assert_eq!(server.tracker.store().totals().torrents, 0);
}

#[test]
fn addresses_in_the_query_are_not_believed() {
    let server = Server::start_behind_proxy();
    announce(&server, "192.0.2.1", "port=1&left=1&ip=203.0.113.1&ipv4=203.0.113.1:7&ipv6=2001:db8::7");
    let answer = announce(&server, "192.0.2.2", "port=1&left=1");
    assert_eq!(answer.bytes("peers"), [192, 0, 2, 1, 0, 1]);
    assert_eq!(answer.get("peers6"), None);
    assert_eq!(answer.bytes("external ip"), [192, 0, 2, 2]);
}

#[test]
fn a_forwarded_address_of_a_stranger_is_not_believed() {
    let server = Server::start();
    assert_eq!(announce(&server, "192.0.2.1", "port=1").bytes("external ip"), [127, 0, 0, 1]);
}

#[test]
fn a_peer_id_of_any_length_does_no_harm() {
    let server = Server::start();
    for peer_id in ["", "short", "-XX0001-0123456789012345678901234567890"] {
        server
            .get(&format!("/announce?info_hash={HASH}&port=1&peer_id={peer_id}"))
            .dictionary()
            .bytes("peers");
    }
}
