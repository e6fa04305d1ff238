//! A node that joins: before it is ready it has what another node has, over connections that break and lie, or it starts without.

use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use tracker_tests::daemon::Daemon;
use tracker_tests::http;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};
use tracker_user::clock::Now;
use tracker_user::config::types::TrackerConfig;
use tracker_user::info_hash::InfoHash;
use tracker_user::peer_store::PeersOut;
use tracker_user::state::moment::Boot;
use tracker_user::state::snapshot::file;
use tracker_user::state::snapshot::writer::Origin;
use tracker_user::tracker::{Announce, Event, Protocol, Tracker};

/// Enough for a snapshot of several blocks.
const TORRENTS: u32 = 30_000;

fn hash(number: u32) -> [u8; 20] {
    let mut hash = [0xc5; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    hash
}

/// A daemon with these settings, on loopback.
fn start(settings: &[String]) -> Daemon {
    let mut arguments = vec!["-i", "127.0.0.1", "-p", "0", "-P", "0", "--http-workers", "1"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    Daemon::start(&arguments)
}

/// A daemon that knows many torrents and lets loopback fetch them.
fn donor(directory: &Path) -> Daemon {
    let tracker = Tracker::new(TrackerConfig::default(), [1, 2]);
    let (now, mut random) = (Now::read(), fastrand::Rng::with_seed(1));
    for number in 0..TORRENTS {
        for port in 1..=1 + number % 2 {
            let announce = Announce {
                over: Protocol::Udp,
                info_hash: InfoHash(hash(number)),
                peer: ([127, 0, 0, 2], port as u16).into(),
                bytes_left: u64::from(port - 1),
                event: if number % 3 == 0 { Event::Completed } else { Event::Ordinary },
                peers_wanted: None,
            };
            tracker.announce(&announce, now, &mut random, &mut PeersOut::new(&mut [], &mut []));
        }
    }
    let path = directory.join("donor");
    let origin = Origin { store_id: 1, boot: Boot::read() };
    file::write(&path, tracker.store(), origin, || Ok(())).expect("the directory is ours");
    start(&[format!("state.snapshot={}", path.display()), "batchsync.cluster.admin_ip=127.0.0.1".to_owned()])
}

fn joining(donors: &[SocketAddr], more: &[&str]) -> Daemon {
    let joins = donors.iter().map(|donor| format!("batchsync.cluster.join={donor}"));
    start(&joins.chain(more.iter().map(|setting| (*setting).to_owned())).collect::<Vec<_>>())
}

fn figures(daemon: &Daemon) -> Vec<u64> {
    let stats = daemon.stats();
    let figure = |name: &str| stats[name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"));
    ["torrents", "peers", "seeders", "completed"].map(figure).to_vec()
}

#[test]
fn a_node_has_the_state_of_another_when_it_is_ready() {
    let directory = TemporaryDirectory::new();
    let donor = donor(directory.path());
    let node = joining(&[donor.tcp_v4()], &[]);
    let log = node.log();
    let position = |text| log.find(text).unwrap_or_else(|| panic!("no {text:?} in {log}"));
    assert!(position("joined: 30000 torrents and 45000 peers") < position("ready: "), "{log}");
    assert_eq!(figures(&node), figures(&donor));
    assert_eq!(figures(&node), [30_000, 45_000, 30_000, 15_000]);
    let mut client = UdpClient::new(node.udp_v4().ip(), node.udp_v4());
    let connection_id = client.connect();
    let newcomer = AnnounceRequest { info_hash: hash(7), ..AnnounceRequest::new(connection_id, 9) };
    let mut ports: Vec<_> = client.announce(&newcomer).peers.iter().map(|peer| peer.port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [1, 2]);
    assert_eq!(donor.stats()["http"]["snapshot_begun"], 1);
}

#[test]
fn what_a_node_is_given_is_a_snapshot_that_a_file_may_be() {
    let directory = TemporaryDirectory::new();
    let donor = donor(directory.path());
    let fetched = http::get(donor.tcp_v4(), "/cluster/snapshot");
    assert_eq!(fetched.status, 200);
    let path = directory.path().join("fetched");
    std::fs::write(&path, &fetched.body).expect("the directory is ours");
    let node = start(&[format!("state.snapshot={}", path.display())]);
    assert_eq!(figures(&node), figures(&donor));
}

/// A daemon that joins a node which takes its connection and says nothing.
fn waiting_to_join() -> (Daemon, TcpListener, TcpStream) {
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = silent.local_addr().expect("it is bound");
    let join = format!("batchsync.cluster.join={address}");
    let arguments = ["-i", "127.0.0.1", "-p", "0", "-P", "0", "--set", &join];
    let more = ["--set", "batchsync.cluster.join_timeout_secs=60"];
    let daemon = Daemon::spawn(&mut Daemon::command(&[&arguments[..], &more].concat()));
    let (connection, _) = silent.accept().expect("it asks");
    (daemon, silent, connection)
}

/// Answers a request with nothing but a status.
fn answer(mut client: TcpStream, status: &str) {
    let mut request = vec![0; 4096];
    assert_ne!(client.read(&mut request).expect("the node sends its request"), 0);
    // The node may have ended.
    drop(client.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()));
}

#[test]
fn a_reload_that_comes_before_it_is_ready_is_done_then() {
    let (daemon, silent, connection) = waiting_to_join();
    daemon.signal(Signal::SIGHUP);
    drop(silent);
    answer(connection, "403 Forbidden");
    daemon.await_log_line("ready: ");
    daemon.await_log_line("reloaded access.deny");
}

#[test]
fn it_may_be_stopped_before_it_is_ready() {
    let (mut daemon, _silent, _connection) = waiting_to_join();
    assert!(daemon.terminate().success(), "{}", daemon.log());
    daemon.await_log_line("SIGTERM before anything was served");
}

#[test]
fn a_proxy_gets_nothing_though_its_address_is_that_of_a_node() {
    let both = ["batchsync.cluster.admin_ip=127.0.0.1", "access.proxy=127.0.0.1"];
    let donor = start(&both.map(str::to_owned));
    assert_eq!(http::get(donor.tcp_v4(), "/cluster/snapshot").status, 403);
}

#[test]
fn who_is_not_of_the_cluster_gets_nothing_and_starts_without() {
    let closed = start(&[]);
    assert_eq!(http::get(closed.tcp_v4(), "/cluster/snapshot").status, 404);
    let donor =
        start(&["batchsync.cluster.admin_ip=192.0.2.1".to_owned(), "access.proxy=127.0.0.1".to_owned()]);
    assert_eq!(http::get(donor.tcp_v4(), "/cluster/snapshot").status, 403);
    // A proxy vouches for clients, not for nodes.
    let request = "GET /cluster/snapshot HTTP/1.0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
    let mut stream = TcpStream::connect(donor.tcp_v4()).expect("the daemon accepts connections");
    stream.write_all(request.as_bytes()).expect("the daemon reads requests");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the daemon answers");
    assert!(answer.starts_with("HTTP/1.0 403") || answer.starts_with("HTTP/1.1 403"), "{answer}");
    let node = joining(&[donor.tcp_v4(), closed.tcp_v4()], &["batchsync.cluster.join_timeout_secs=3600"]);
    node.await_log_line("it answers 403");
    node.await_log_line("it answers 404");
    node.await_log_line("no node of batchsync.cluster.join gives its state: starting with 0 torrents");
    assert_eq!(donor.stats()["http"]["snapshot_begun"], 0);
}

/// An address where nobody listens.
fn unreachable() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("it is bound")
}

#[test]
fn the_next_node_is_asked_where_one_cannot_be_reached() {
    let directory = TemporaryDirectory::new();
    let donor = donor(directory.path());
    let node = joining(&[unreachable(), donor.tcp_v4()], &[]);
    node.await_log_line("cannot be reached");
    node.await_log_line("joined: 30000 torrents");
    assert_eq!(figures(&node), figures(&donor));
}

#[test]
fn a_node_that_gives_its_state_later_is_waited_for() {
    let directory = TemporaryDirectory::new();
    let donor = donor(directory.path());
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let join = format!("batchsync.cluster.join={address}");
    let arguments = ["-i", "127.0.0.1", "-p", "0", "-P", "0", "--set", &join];
    let node = Daemon::spawn(&mut Daemon::command(&arguments));
    node.await_log_line("it cannot be reached");
    // Refused, then busy with others, then about to end: several seconds together.
    let faults = [Fault::Busy; 4].into_iter().chain([Fault::CloseAfter(0); 4]).collect();
    let _proxy = Proxy::at(address, donor.tcp_v4(), faults);
    node.await_log_line("it answers 503: it gives its state to others at the moment");
    node.await_log_line("joined: 30000 torrents and 45000 peers");
    node.await_log_line("ready: ");
    assert!(!node.log().contains("admin_ip"), "{}", node.log());
    assert_eq!(node.log().matches("it answers 503").count(), 1, "{}", node.log());
}

#[test]
fn every_node_is_asked_and_one_that_knows_nothing_is_not_enough() {
    let directory = TemporaryDirectory::new();
    let donor = donor(directory.path());
    let [empty, other] = [(); 2].map(|()| start(&["batchsync.cluster.admin_ip=127.0.0.1".to_owned()]));
    let mut client = UdpClient::new(other.udp_v4().ip(), other.udp_v4());
    let connection_id = client.connect();
    client.announce(&AnnounceRequest::new(connection_id, 9));
    let donors = [&empty, &other, &donor].map(Daemon::tcp_v4);
    let node = joining(&donors, &[]);
    let [first, second, third] = donors;
    node.await_log_line(&format!(
        "joined: 30001 torrents and 45001 peers known with those of {first}, {second}, {third}"
    ));
    // It is alone, and has nothing yet.
    let node = joining(&[empty.tcp_v4()], &["batchsync.cluster.join_timeout_secs=3600"]);
    node.await_log_line("joined: 0 torrents and 0 peers");
}

#[test]
fn when_the_time_is_over_it_starts_with_what_has_come() {
    // Accepts connections, as the kernel does for whoever listens, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = silent.local_addr().expect("it is bound");
    let node = joining(&[address], &["batchsync.cluster.join_timeout_secs=1"]);
    node.await_log_line("batchsync.cluster.join_timeout_secs (1): starting with 0 torrents and 0 peers");

    let directory = TemporaryDirectory::new();
    let donor = donor(directory.path());
    let proxy = Proxy::start(donor.tcp_v4(), vec![Fault::StopAfter(HALF)]);
    let node = joining(&[proxy.address], &["batchsync.cluster.join_timeout_secs=2"]);
    node.await_log_line("batchsync.cluster.join_timeout_secs (2): starting with");
    let torrents = figures(&node)[0];
    assert!(torrents > 0 && torrents < u64::from(TORRENTS), "{torrents} torrents");
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    let directory = TemporaryDirectory::new();
    let donor = donor(directory.path());
    let proxy = Proxy::start(donor.tcp_v4(), vec![Fault::CloseAfter(HALF), Fault::CloseAfter(HALF)]);
    let node = joining(&[proxy.address], &[]);
    node.await_log_line("joined: 30000 torrents and 45000 peers");
    assert_eq!(figures(&node), figures(&donor));
    let asked: Vec<u32> = proxy.requests.try_iter().collect();
    assert!(asked.len() >= 2 && asked[0] == 0 && asked[1] > 0, "asked from parts {asked:?}");
    assert!(asked.is_sorted(), "asked from parts {asked:?}");
}

#[test]
fn bytes_that_changed_on_their_way_are_not_believed() {
    let directory = TemporaryDirectory::new();
    let donor = donor(directory.path());
    let proxy = Proxy::start(donor.tcp_v4(), vec![Fault::FlipAt(HALF)]);
    let node = joining(&[proxy.address], &[]);
    node.await_log_line("is damaged; it goes on behind part");
    node.await_log_line("joined: 30000 torrents and 45000 peers");
    assert_eq!(figures(&node), figures(&donor));
}

/// Bytes of an answer: somewhere in the middle of the snapshot, which has some 150,000.
const HALF: usize = 70_000;

/// What befalls the answer of one connection.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// There is none, for want of room.
    Busy,
    /// The connection is closed behind so many bytes.
    CloseAfter(usize),
    /// Nothing follows so many bytes, and the connection stays open.
    StopAfter(usize),
    /// The byte at this place is another one.
    FlipAt(usize),
}

/// A way to a daemon on which faults happen: one on each connection, and none on those after.
struct Proxy {
    address: SocketAddr,
    /// The parts from which on was asked.
    requests: Receiver<u32>,
}

impl Proxy {
    fn start(daemon: SocketAddr, faults: Vec<Fault>) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), daemon, faults)
    }

    /// One at this address.
    fn at(address: SocketAddr, daemon: SocketAddr, faults: Vec<Fault>) -> Self {
        let listener = TcpListener::bind(address).expect("the address is free");
        let address = listener.local_addr().expect("it is bound");
        let (sender, requests) = channel();
        // Ends with the process: tests of a file share one.
        std::thread::spawn(move || {
            let mut faults = faults.into_iter();
            for client in listener.incoming() {
                let (client, sender, fault) = (client.expect("it listens"), sender.clone(), faults.next());
                std::thread::spawn(move || pass(client, daemon, fault, &sender));
            }
        });
        Self { address, requests }
    }
}

/// Passes one request on, and its answer with a fault.
fn pass(mut client: TcpStream, daemon: SocketAddr, fault: Option<Fault>, requests: &Sender<u32>) {
    if let Some(Fault::Busy) = fault {
        return answer(client, "503 Service Unavailable");
    }
    let mut request = vec![0; 4096];
    let length = client.read(&mut request).expect("the node sends its request");
    let text = String::from_utf8_lossy(&request[..length]).into_owned();
    let from = text.split_once("from=").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    // The test may have ended.
    let _ = requests.send(from.expect("it asks from some part on"));
    let mut server = TcpStream::connect(daemon).expect("the daemon accepts connections");
    server.write_all(&request[..length]).expect("the daemon reads requests");
    let (mut passed, mut piece) = (0, vec![0; 16 << 10]);
    loop {
        let length = server.read(&mut piece).unwrap_or(0);
        let bytes = &mut piece[..length];
        match fault {
            Some(Fault::CloseAfter(most)) if passed + length > most => {
                // Either side may have closed before.
                drop(client.write_all(&bytes[..most - passed]));
                drop(client.shutdown(Shutdown::Both));
                return;
            }
            Some(Fault::StopAfter(most)) if passed + length > most => {
                drop(client.write_all(&bytes[..most - passed]));
                // Until the node has had enough of it.
                drop(client.read(&mut [0]));
                return;
            }
            Some(Fault::FlipAt(at)) if (passed..passed + length).contains(&at) => bytes[at - passed] ^= 1,
            _ => {}
        }
        passed += length;
        if length == 0 || client.write_all(bytes).is_err() {
            return;
        }
    }
}
