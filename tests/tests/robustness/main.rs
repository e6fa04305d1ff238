//! Rubbish by the million: whatever arrives, the daemon goes on serving, stores nothing of it, keeps its size, and
//! counts every packet once. The rubbish is the same on every run.

mod malformed_http;
mod malformed_packets;

use malformed_packets::{Expected, PacketMaker};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tracker_common::verdict::Verdict;
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::swarm::TrackerAddress;
use tracker_tests::udp_client::{AnnounceRequest, INFO_HASH, Row, UdpClient};

const PACKETS: u32 = 1_000_000;
/// Packets between two requests that must be answered. Together they fit the least receive buffer that a kernel
/// gives, one of the largest size among them: none is lost on the way.
const PACKETS_AT_ONCE: u32 = 64;
const HTTP_REQUESTS: u32 = 10_000;
const HTTP_CLIENTS: u32 = 4;
/// What the daemon may grow by: pages that an allocator or a thread touches late, not a store of anything. Five bytes
/// kept of each packet, or 450 of each request, would be more.
const RESIDENT_BYTES_MARGIN: u64 = 4 << 20;
/// The port of all peers that announce, soundly or not.
const PORT: u16 = 51413;

#[test]
fn a_million_malformed_packets_change_nothing_and_are_counted_once() {
    let daemon = Daemon::start(&["-i", "127.0.0.1", "-p", "0", "-P", "0", "-i", "::1", "-P", "0"]);
    let mut expected = Expected::default();
    let mut senders =
        [daemon.udp_v4(), daemon.udp_v6()].map(|tracker| Sender::new(tracker, u64::from(tracker.is_ipv6())));
    // What is touched by the first packets of every kind is not growth.
    let mut send = |batches: u32, expected: &mut Expected| {
        for batch in 0..batches {
            senders[batch as usize % 2].send_batch(expected);
        }
    };
    let batches = PACKETS / PACKETS_AT_ONCE;
    send(batches / 20, &mut expected);
    let resident_bytes_before = daemon.resident_bytes();
    send(batches - batches / 20, &mut expected);
    assert_eq!(expected.malformed(), u64::from(PACKETS));

    assert_counted(&daemon, &expected);
    assert_size(&daemon, resident_bytes_before);
    let stats = daemon.stats();
    assert_eq!((&stats["torrents"], &stats["peers"]), (&1.into(), &2.into()), "{stats}");
    drop(senders);
    assert_still_serves(&daemon, Row { seeders: 0, completed: 0, leechers: 2 });
}

/// One source address: its socket, its connection id, its rubbish.
struct Sender {
    client: UdpClient,
    connection_id: u64,
    maker: PacketMaker,
}

impl Sender {
    fn new(tracker: SocketAddr, seed: u64) -> Self {
        let mut client = UdpClient::new(tracker.ip(), tracker);
        let connection_id = client.connect();
        Self { client, connection_id, maker: PacketMaker::new(seed) }
    }

    /// Sends malformed packets, then a connect and an announce from the same socket: one worker gets them all, in
    /// this order, so their answers mean that nothing waits any more. An answer to any of the malformed ones would
    /// be taken for theirs, and fail.
    fn send_batch(&mut self, expected: &mut Expected) {
        for number in 0..PACKETS_AT_ONCE {
            let (packet, verdict) = self.maker.make(self.connection_id, number == 0);
            expected.add(verdict, 1);
            self.client.send(packet);
        }
        self.connection_id = self.client.connect();
        // Options that mean nothing (BEP 41) are no reason to refuse it.
        let options = self.maker.options();
        let request = AnnounceRequest { options, ..AnnounceRequest::new(self.connection_id, PORT) };
        assert_ne!(self.client.announce(&request).leechers, 0, "the announcer itself is counted");
        expected.add(Verdict::ConnectAnswered, 1);
        expected.add(Verdict::AnnounceAnswered, 1);
    }
}

/// Waits until all is counted, and asserts that each packet is, as what it is, and once.
fn assert_counted(daemon: &Daemon, expected: &Expected) {
    // The first connect of either sender.
    let mut expected = expected.clone();
    expected.add(Verdict::ConnectAnswered, 2);
    let counted = await_value(|| Expected::from_stats(&daemon.stats()), |counted| *counted == expected);
    assert_eq!(counted, expected);
}

fn assert_size(daemon: &Daemon, resident_bytes_before: u64) {
    let resident_bytes = daemon.resident_bytes();
    assert!(
        resident_bytes <= resident_bytes_before + RESIDENT_BYTES_MARGIN,
        "{resident_bytes} bytes after {resident_bytes_before}"
    );
}

/// Announces a seeder over UDP and finds it, beside what was there, over HTTP.
fn assert_still_serves(daemon: &Daemon, before: Row) {
    let tracker = daemon.udp_v4();
    let mut client = UdpClient::new(tracker.ip(), tracker);
    let connection_id = client.connect();
    client.announce(&AnnounceRequest::new(connection_id, PORT + 1).seeding());
    let expected = Row { seeders: before.seeders + 1, ..before };
    assert_eq!(TrackerAddress::Http(daemon.tcp_v4()).scrape(INFO_HASH), expected);
}

/// Looks until the value is as it must be; what it is in the end otherwise.
fn await_value<T>(look: impl Fn() -> T, is_met: impl Fn(&T) -> bool) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        let value = look();
        if is_met(&value) || Instant::now() > end {
            return value;
        }
        // Counters and file descriptors announce no change.
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ten_thousand_malformed_http_requests_change_nothing() {
    let daemon = Daemon::start(&["-i", "127.0.0.1", "-p", "0", "-P", "0"]);
    let address = daemon.tcp_v4();
    // By then every worker has started to serve, which takes descriptors and memory.
    send_http_requests(address, 0, HTTP_REQUESTS / 20);
    let open_files_before = daemon.open_files();
    let resident_bytes_before = daemon.resident_bytes();
    send_http_requests(address, 1, HTTP_REQUESTS - HTTP_REQUESTS / 20);

    // One of the first connections may still have been open when they were counted: fewer is no leak.
    let is_met = |open_files: &Vec<_>| open_files.len() <= open_files_before.len();
    let open_files = await_value(|| daemon.open_files(), is_met);
    assert!(is_met(&open_files), "{open_files:?} after {open_files_before:?}");
    assert_size(&daemon, resident_bytes_before);
    let stats = daemon.stats();
    assert_eq!(stats["http"]["announce_answered"], 0, "{stats}");
    assert_eq!((&stats["torrents"], &stats["peers"]), (&0.into(), &0.into()), "{stats}");
    assert_refusals_were_counted(&stats);
    assert_still_serves(&daemon, Row::default());
}

/// A test whose rubbish all ended in the same place would prove little.
fn assert_refusals_were_counted(stats: &serde_json::Value) {
    for verdict in ["announce_refused", "scrape_refused", "not_found", "method_refused", "malformed"] {
        let counted = stats["http"][verdict].as_u64();
        assert!(counted > Some(u64::from(HTTP_REQUESTS / 100)), "{verdict}: {stats}");
    }
}

/// Sends that many requests, from several clients at a time, each on a connection of its own.
fn send_http_requests(address: SocketAddr, round: u64, requests: u32) {
    std::thread::scope(|scope| {
        for client in 0..HTTP_CLIENTS {
            let mut random = fastrand::Rng::with_seed(round << 32 | u64::from(client));
            scope.spawn(move || {
                for _ in 0..requests / HTTP_CLIENTS {
                    send_http_request(address, &malformed_http::make(&mut random));
                }
            });
        }
    });
}

/// Sends a request, says that nothing more comes, and reads until the daemon closes the connection, which it must.
fn send_http_request(address: SocketAddr, request: &[u8]) {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).expect("the daemon accepts connections");
    stream.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    let sent = stream.write_all(request).and_then(|()| stream.shutdown(Shutdown::Write));
    let received = sent.and_then(|()| stream.read_to_end(&mut Vec::new()));
    match received.map_err(|error| error.kind()) {
        // It may have heard enough before everything was sent.
        Ok(_) | Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::NotConnected) => {}
        Err(kind) => panic!("{kind} after {:?}", String::from_utf8_lossy(&request[..request.len().min(200)])),
    }
}
