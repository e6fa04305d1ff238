//! Full scrapes of the real daemon, of what real announces have told it and of what a state dump has: in every format, at
//! constant memory, and from one run of the daemon to the next.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::http;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};

const ARGUMENTS: &[&str] = &[
    "-i",
    "127.0.0.1",
    "-p",
    "0",
    "-P",
    "0",
    "--set",
    "http.full_scrape_interval_secs=0",
    "--http-workers",
    "1",
];
const MIB: u64 = 1 << 20;

type Hash = [u8; 20];

fn hash(number: u32) -> Hash {
    let mut hash = [0xc3; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    hash
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Torrent `n` of three has `n` seeders, one leecher, and one completed download if it has a seeder.
fn announce(daemon: &Daemon) {
    let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
    let connection_id = client.connect();
    for number in 0..3 {
        let leecher = AnnounceRequest { info_hash: hash(number), ..AnnounceRequest::new(connection_id, 1) };
        client.announce(&leecher);
        for port in 0..number as u16 {
            let seeder = AnnounceRequest { port: 2 + port, ..leecher.clone() }.seeding();
            client.announce(&seeder.event(u32::from(port == 0)));
        }
    }
}

fn get(daemon: &Daemon, target: &str) -> Vec<u8> {
    let response = http::get(daemon.tcp_v4(), target);
    assert_eq!(response.status, 200, "{target}");
    response.body
}

#[test]
fn every_format_tells_what_was_announced_byte_for_byte() {
    let daemon = Daemon::start(ARGUMENTS);
    announce(&daemon);
    let lines = |line: &dyn Fn(u32) -> Vec<u8>| (0..3).map(line).collect::<BTreeSet<_>>();
    for (format, expected) in [
        ("txt", lines(&|n| format!("{}:{n}:1\n", hex(&hash(n))).into_bytes())),
        ("txtp", lines(&|n| format!("{}:{n}:1:{}\n", hex(&hash(n)), n.min(1)).into_bytes())),
        ("url", lines(&|n| format!("%00%00%00%0{n}{}:{n}:1\n", "%c3".repeat(16)).into_bytes())),
    ] {
        let body = get(&daemon, &format!("/stats?mode=tpbs&format={format}"));
        let found: BTreeSet<_> = body.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        assert_eq!(found, expected, "{format}");
    }
    let body = get(&daemon, "/stats?mode=tpbs&format=bin");
    let found: BTreeSet<_> = body.chunks(28).map(<[u8]>::to_vec).collect();
    assert_eq!(found, lines(&|n| [&hash(n)[..], &n.to_be_bytes(), &1_u32.to_be_bytes()].concat()));
    let row = |n: u32| {
        let counts = format!("d8:completei{n}e10:downloadedi{}e10:incompletei1ee", n.min(1));
        [b"20:", &hash(n)[..], counts.as_bytes()].concat()
    };
    for target in ["/scrape", "/stats?mode=tpbs&format=ben"] {
        let body = get(&daemon, target);
        let rows = body.strip_prefix(b"d5:filesd").and_then(|rows| rows.strip_suffix(b"ee"));
        let rows = rows.expect("it is a dictionary in a dictionary");
        let found: BTreeSet<_> = rows.chunks(row(0).len()).map(<[u8]>::to_vec).collect();
        assert_eq!(found, lines(&row));
    }
}

#[test]
fn downloads_are_known_again_after_a_restart() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("dump");
    let file = path.to_str().expect("the path is text");
    let load = [ARGUMENTS, &["-l", file]].concat();
    let ended = Daemon::start_refused(&load);
    assert!(ended.log.contains(file) && ended.log.contains("state.load"), "{}", ended.log);

    let daemon = Daemon::start(ARGUMENTS);
    announce(&daemon);
    let dump = get(&daemon, "/stats?mode=statedump");
    drop(daemon);
    std::fs::write(&path, [b"nonsense\n", &dump[..]].concat()).expect("the directory is ours");
    let daemon = Daemon::start(&load);
    daemon.await_log_line("line 1 (\"nonsense\")");
    daemon.await_log_line("2 torrents known again, 1 left out");
    let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
    let connection_id = client.connect();
    let rows = client.scrape(connection_id, &[hash(0), hash(1), hash(2)]);
    let figures: Vec<_> = rows.iter().map(|row| (row.seeders, row.leechers, row.completed)).collect();
    assert_eq!(figures, [(0, 0, 0), (0, 0, 1), (0, 0, 1)]);
    // The dump of what was loaded is what was loaded, but for those without downloads.
    let sorted =
        |dump: &[u8]| String::from_utf8_lossy(dump).lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let expected: BTreeSet<_> = sorted(&dump).into_iter().filter(|line| line.ends_with(":1")).collect();
    assert_eq!(sorted(&get(&daemon, "/stats?mode=statedump")), expected);
}

#[test]
fn a_full_scrape_of_many_torrents_takes_no_memory_for_them() {
    const MANY: u32 = 400_000;
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("dump");
    let minute = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs() / 60;
    let mut random = fastrand::Rng::with_seed(2);
    let mut line = || format!("{}:{minute}:1\n", hex(&std::array::from_fn(|_| random.u8(..))));
    let dump: String = (0..MANY).map(|_| line()).collect();
    std::fs::write(&path, dump).expect("the directory is ours");
    let daemon = Daemon::start(&[ARGUMENTS, &["-l", path.to_str().expect("the path is text")]].concat());
    for coding in ["identity", "gzip", "zstd"] {
        let before = daemon.resident_bytes();
        let (received, most) = read_slowly(daemon.tcp_v4(), coding, || daemon.resident_bytes());
        assert!(received > u64::from(MANY) * 20, "{received} bytes of {coding}");
        let growth = most.saturating_sub(before);
        assert!(growth < 4 * MIB, "{growth} bytes more for {received} bytes of {coding}");
    }
    assert_eq!(daemon.stats()["full_scrapes"]["whole"], 3);
}

/// The lines of the head of an answer but for its date, in order.
fn head_of(daemon: SocketAddr, method: &str) -> BTreeSet<String> {
    let mut stream = TcpStream::connect(daemon).expect("the daemon accepts connections");
    stream.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    let headers = "Host: x\r\nAccept-Encoding: gzip\r\nConnection: close";
    let request = format!("{method} /scrape HTTP/1.1\r\n{headers}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the daemon reads requests");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the daemon closes the connection");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends in an empty line");
    assert_eq!(body.is_empty(), method == "HEAD");
    // How a body is coded for the way is left out where there is none (RFC 9110, section 9.3.2).
    let is_compared =
        |line: &String| !["date:", "transfer-encoding:"].iter().any(|name| line.starts_with(name));
    head.lines().map(str::to_lowercase).filter(is_compared).collect()
}

#[test]
fn a_head_has_the_headers_of_a_get_and_is_no_full_scrape() {
    let daemon = Daemon::start(ARGUMENTS);
    let (head, get) = (head_of(daemon.tcp_v4(), "HEAD"), head_of(daemon.tcp_v4(), "GET"));
    assert!(get.contains("content-encoding: gzip") && get.contains("vary: accept-encoding"), "{get:?}");
    assert_eq!(head, get);
    assert_eq!(daemon.stats()["http"]["full_scrape_begun"], 1);
}

/// Reads a full scrape in small pieces and samples a figure all the while; the bytes and the largest sample.
fn read_slowly(daemon: SocketAddr, coding: &str, sample: impl Fn() -> u64) -> (u64, u64) {
    let mut stream = TcpStream::connect(daemon).expect("the daemon accepts connections");
    stream.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    let request = format!("GET /scrape HTTP/1.0\r\nAccept-Encoding: {coding}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the daemon reads requests");
    let (mut received, mut most, mut piece) = (0, 0, vec![0; 64 << 10]);
    loop {
        match stream.read(&mut piece).expect("the daemon sends on") {
            0 => return (received, most),
            length => {
                received += length as u64;
                most = most.max(sample());
            }
        }
    }
}
