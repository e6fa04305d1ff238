//! Full scrapes: what they are made of, who gets one and when, and that nobody waits for them.

use crate::client::{Client, Response};
use crate::server::Server;
use flate2::read::GzDecoder;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracker_user::access_list::{ListKind, ListedTorrents, TorrentList};
use tracker_user::clock::Now;
use tracker_user::config::types::Config;
use tracker_user::counters::HttpVerdict;
use tracker_user::info_hash::InfoHash;
use tracker_user::peer_store::PeersOut;
use tracker_user::state_dump;
use tracker_user::tracker::{Announce, Event, Protocol};

/// Enough that no socket holds the scrape of all of them.
const MANY: u32 = 200_000;

/// A worker whose full scrapes nobody has to wait for.
fn start() -> Server {
    start_with(|_| ())
}

fn start_with(change: impl FnOnce(&mut Config)) -> Server {
    Server::start_with(|config| {
        config.http.full_scrape_interval_secs = 0;
        change(config);
    })
}

fn announce(server: &Server, info_hash: InfoHash, port: u16, bytes_left: u64, event: Event) {
    let peer = (std::net::Ipv4Addr::new(192, 0, 2, 1), port).into();
    let announce =
        Announce { over: Protocol::Http, info_hash, peer, bytes_left, event, peers_wanted: Some(0) };
    let mut peers = PeersOut::new(&mut [], &mut []);
    server.tracker.announce(&announce, Now::read(), &mut fastrand::Rng::new(), &mut peers);
}

/// A torrent of its number.
fn numbered(number: u32) -> InfoHash {
    let mut hash = [0x2d; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    InfoHash(hash)
}

/// Seeders by one torrent each.
fn fill(server: &Server, torrents: u32) {
    (0..torrents).for_each(|number| announce(server, numbered(number), 1, 0, Event::Ordinary));
}

fn ask(server: &Server, target: &str, headers: &str) -> Client {
    let mut client = server.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: t\r\n{headers}Connection: close\r\n\r\n"));
    client
}

fn full_scrape(server: &Server, target: &str, headers: &str) -> Response {
    let response = ask(server, target, headers).streamed();
    assert_eq!((response.status(), response.header("content-type")), (200, Some("text/plain")));
    assert_eq!(response.header("vary"), Some("accept-encoding"));
    response
}

fn refusal(server: &Server, target: &str) -> (u16, Option<String>) {
    let response = server.get(target);
    (response.status(), response.header("retry-after").map(str::to_owned))
}

#[test]
fn every_format_has_every_torrent_byte_for_byte() {
    let server = start();
    announce(&server, InfoHash(*b" !\"#$%&'()*+,-./0123"), 1, 0, Event::Completed);
    announce(&server, InfoHash(*b" !\"#$%&'()*+,-./0123"), 2, 0, Event::Ordinary);
    announce(&server, InfoHash(*b" !\"#$%&'()*+,-./0123"), 3, 9, Event::Ordinary);
    let ben = b"d5:filesd20: !\"#$%&'()*+,-./0123d8:completei2e10:downloadedi1e10:incompletei1eeee";
    let hex = "202122232425262728292A2B2C2D2E2F30313233";
    for (target, expected) in [
        ("/scrape", &ben[..]),
        ("/stats?mode=tpbs", ben),
        ("/stats?mode=tpbs&format=ben", ben),
        ("/stats?mode=tpbs&format=bin", b" !\"#$%&'()*+,-./0123\0\0\0\x02\0\0\0\x01"),
        ("/stats?mode=tpbs&format=txt", format!("{hex}:2:1\n").as_bytes()),
        ("/stats?format=txtp&mode=tpbs", format!("{hex}:2:1:1\n").as_bytes()),
        ("/stats?mode=tpbs&format=url", b"%20%21%22%23$%25%26%27%28%29%2a%2b%2c-./0123:2:1\n"),
    ] {
        let response = full_scrape(&server, target, "");
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
        assert_eq!(response.body.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{target}");
    }
    assert_eq!(server.stop_and_count(), [(HttpVerdict::FullScrapeBegun, 7)]);
}

#[test]
fn an_empty_tracker_has_an_empty_full_scrape() {
    let server = start();
    for (format, expected) in [("ben", "d5:filesdee"), ("bin", ""), ("txt", "")] {
        let target = format!("/stats?mode=tpbs&format={format}");
        assert_eq!(full_scrape(&server, &target, "").body, expected.as_bytes());
        let gzip = full_scrape(&server, &target, "Accept-Encoding: gzip\r\n");
        assert_eq!(decoded(&gzip), expected.as_bytes());
    }
}

#[test]
fn every_torrent_is_there_once_however_it_is_coded() {
    let server = start();
    fill(&server, MANY);
    let expected: Vec<String> = (0..MANY).map(|number| format!("{:?}:1:0", numbered(number))).collect();
    for (accepted, coding) in [("", None), ("gzip, br", Some("gzip")), ("gzip, zstd", Some("zstd"))] {
        let header = format!("Accept-Encoding: {accepted}\r\n");
        let response = full_scrape(&server, "/stats?mode=tpbs&format=txt", &header);
        assert_eq!(response.header("content-encoding"), coding);
        let text = String::from_utf8(decoded(&response)).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert!(lines == expected, "{} lines of {coding:?}", lines.len());
    }
}

fn decoded(response: &Response) -> Vec<u8> {
    let mut text = Vec::new();
    match response.header("content-encoding") {
        None => text.clone_from(&response.body),
        Some("gzip") => drop(GzDecoder::new(&*response.body).read_to_end(&mut text).unwrap()),
        Some("zstd") => text = zstd::decode_all(&*response.body).unwrap(),
        Some(other) => panic!("{other}"),
    }
    text
}

#[test]
fn before_http_1_1_there_are_no_chunks() {
    let server = start();
    fill(&server, 1000);
    let mut client = server.connect();
    client.send("GET /stats?mode=tpbs&format=bin HTTP/1.0\r\n\r\n");
    let response = client.streamed();
    assert_eq!((response.status(), response.header("transfer-encoding")), (200, None));
    assert_eq!(response.body.len(), 28 * 1000);
}

#[test]
fn a_connection_goes_on_after_a_full_scrape() {
    let server = start();
    fill(&server, 1000);
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET /stats?mode=tpbs&format=bin HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_eq!(client.streamed().body.len(), 28 * 1000);
    }
}

#[test]
fn a_head_request_gets_no_body_and_holds_no_place() {
    let server = start_with(|config| {
        (config.http.full_scrapes_max, config.http.full_scrape_interval_secs) = (1, 300);
    });
    for _ in 0..3 {
        let mut client = server.connect();
        client.send("HEAD /scrape HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        assert_eq!(client.response_head().status(), 200);
        assert!(client.is_closed());
    }
    // Nor is it the one in five minutes.
    assert_eq!(full_scrape(&server, "/scrape", "").status(), 200);
}

#[test]
fn announces_are_answered_while_a_client_takes_its_time() {
    let server = start();
    fill(&server, MANY);
    let mut slow = ask(&server, "/stats?mode=tpbs&format=txt", "");
    let head = slow.response_head();
    assert_eq!(head.status(), 200);
    let mut text = slow.chunk().unwrap();
    // On the same thread, and with changes to the torrents that are still to come.
    for number in 0..100_u32 {
        let hash = "b".repeat(20);
        let answer = server.get(&format!("/announce?info_hash={hash}&port={}&left=0", 1000 + number));
        assert_eq!(answer.dictionary().integer("complete"), u64::from(number) + 1);
    }
    while let Some(mut chunk) = slow.chunk() {
        text.append(&mut chunk);
    }
    let lines: std::collections::HashSet<_> = text.split(|byte| *byte == b'\n').collect();
    assert!((0..MANY).all(|number| lines.contains(format!("{:?}:1:0", numbered(number)).as_bytes())));
}

#[test]
fn more_at_once_than_there_may_be_are_told_to_come_back() {
    let server = start_with(|config| config.http.full_scrapes_max = 1);
    fill(&server, MANY);
    let mut running = ask(&server, "/scrape", "");
    assert_eq!(running.response_head().status(), 200);
    assert_eq!(refusal(&server, "/scrape"), (503, Some("60".to_owned())));
    // It makes room where it ends, and where its client goes away.
    while running.chunk().is_some() {}
    let mut running = ask(&server, "/scrape", "");
    assert_eq!(running.response_head().status(), 200);
    assert_eq!(refusal(&server, "/stats?mode=tpbs"), (503, Some("60".to_owned())));
    drop(running);
    let deadline = Instant::now() + Duration::from_secs(20);
    while ask(&server, "/scrape", "").response_head().status() != 200 {
        assert!(Instant::now() < deadline, "its place is still taken");
    }
}

#[test]
fn an_address_gets_one_in_five_minutes() {
    let server = Server::start_behind_proxy();
    let get_from = |client: &str| {
        let header = format!("X-Forwarded-For: {client}\r\n");
        let mut client = ask(&server, "/scrape", &header);
        let head = client.response_head();
        (head.status(), head.header("retry-after").map(|secs| secs.parse::<u32>().unwrap()))
    };
    assert_eq!(get_from("192.0.2.1"), (200, None));
    let (status, retry_after) = get_from("192.0.2.1");
    assert_eq!(status, 429);
    assert!(retry_after.is_some_and(|secs| (200..=300).contains(&secs)), "{retry_after:?}");
    assert_eq!(get_from("192.0.2.2"), (200, None));
    let expected = [(HttpVerdict::FullScrapeBegun, 2), (HttpVerdict::FullScrapeRefused, 1)];
    assert_eq!(server.stop_and_count(), expected);
}

#[test]
fn full_scrapes_are_for_those_who_may_read_the_statistics() {
    let server = start_with(|config| config.access.stats = vec!["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(refusal(&server, "/scrape"), (403, None));
    assert_eq!(refusal(&server, "/stats?mode=tpbs"), (403, None));
    assert_eq!(server.stop_and_count(), [(HttpVerdict::StatsForbidden, 2)]);
}

#[test]
fn switched_off_there_is_no_full_scrape() {
    let server = start_with(|config| config.http.full_scrape = false);
    assert_eq!(server.get("/scrape").failure_reason(), "info_hash is missing");
    assert_eq!(refusal(&server, "/stats?mode=tpbs&format=txt"), (404, None));
    assert_eq!(server.get("/scrape?").failure_reason(), "info_hash is missing");
    assert_eq!(server.stop_and_count(), [(HttpVerdict::ScrapeRefused, 2), (HttpVerdict::NotFound, 1)]);
}

#[test]
fn torrents_that_are_hidden_from_scrapes_are_hidden_from_full_scrapes() {
    let server = start();
    fill(&server, 2);
    for (applies, lines) in [(false, 2), (true, 1)] {
        let listed = ListedTorrents::of([numbered(0)]);
        let list = TorrentList::new(ListKind::Blacklist, listed, applies);
        server.tracker.replace_torrents(Arc::new(list));
        let text = full_scrape(&server, "/stats?mode=tpbs&format=txt", "").body;
        assert_eq!(text.split_inclusive(|byte| *byte == b'\n').count(), lines);
    }
}

#[test]
fn full_scrapes_are_counted() {
    let server = start();
    fill(&server, MANY);
    let body = full_scrape(&server, "/scrape", "").body.len();
    let mut running = ask(&server, "/scrape", "");
    assert_eq!(running.response_head().status(), 200);
    let figures = || {
        let json: serde_json::Value = serde_json::from_slice(&server.get("/stats?format=json").body).unwrap();
        let figures = &json["full_scrapes"];
        ["running", "whole", "cut_off", "bytes"].map(|figure| figures[figure].as_u64().unwrap())
    };
    assert_eq!(figures(), [1, 1, 0, body as u64]);
    drop(running);
    let deadline = Instant::now() + Duration::from_secs(20);
    while figures()[0] != 0 {
        assert!(Instant::now() < deadline, "{:?}", figures());
    }
    assert_eq!(figures()[1..3], [1, 1]);
}

#[test]
fn a_state_dump_is_read_back_by_the_next_tracker() {
    let server = start();
    for (number, completions) in [(1, 3_u16), (2, 0), (3, 1)] {
        announce(&server, numbered(number), 1, 9, Event::Ordinary);
        (0..completions).for_each(|port| announce(&server, numbered(number), 2 + port, 0, Event::Completed));
    }
    let minute = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 60;
    let before = minute();
    let dump = full_scrape(&server, "/stats?mode=statedump", "Accept-Encoding: gzip\r\n");
    let text = String::from_utf8(decoded(&dump)).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let downloads = [(1, 3), (2, 0), (3, 1)];
    for (line, (number, completed)) in lines.iter().zip(downloads) {
        // Announced within the test, which has begun in the minute before at the earliest.
        let is_of = |minute: u64| *line == format!("{:?}:{minute}:{completed}", numbered(number));
        assert!((before - 1..=minute()).any(is_of), "{line}");
    }
    assert_eq!(lines.len(), 3);

    let path = std::env::temp_dir().join(format!("tracker-user-{}-statedump", std::process::id()));
    std::fs::write(&path, &text).unwrap();
    let next = start();
    let loaded = state_dump::load(&path, &next.tracker, &Config::default().tracker, Now::read());
    std::fs::remove_file(&path).unwrap();
    let loaded = loaded.unwrap();
    assert_eq!((loaded.torrents, loaded.left_out, loaded.bad.count), (2, 1, 0));
    let known = downloads.map(|(number, _)| next.tracker.scrape(&numbered(number)).completed);
    assert_eq!(known, [3, 0, 1]);
}
