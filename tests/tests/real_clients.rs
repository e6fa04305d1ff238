//! Real clients meet through the tracker: a seeder and a leecher that know each other from nowhere else transfer a
//! file, and the tracker's counts say what has happened.
//!
//! Each client takes the part of the seeder and of the leecher, over every transport and family that it has. What
//! the clients cannot do, as found by running them:
//!
//! | client | UDP, IPv4 | UDP, IPv6 | HTTP, IPv4 | HTTP, IPv6 | to know |
//! |---|---|---|---|---|---|
//! | libtorrent 2.1 | yes | yes | yes | yes | at loopback addresses the announce URL must end in `/announce` |
//! | aria2 1.36 | yes | no | yes | yes | UDP trackers only with its DHT on, whose IPv4 socket they share: sending to an IPv6 tracker fails |
//! | transmission 3.00 | yes | yes, see below | yes | yes | never connects to a peer at a loopback address |
//!
//! Each transfer with a tracker on UDP takes place a second and a third time on a host of its own, with the tracker on
//! another that receives through AF_XDP, over a cable with one queue and with two.
//!
//! Transmission is tested in a network namespace with routable addresses, and speaks UDP over IPv6 only when
//! - it has a global IPv6 address (2000::/3) and a route from it, and
//! - the announce URL has a name: `udp://[2001:db8::1]:6969/announce` it gives to its resolver, brackets and all.
//!
//! At its end it does not wait for its last announce over HTTP, so it is told to stop the torrent and goes on.
//!
//! Over UDP and IPv6 it reads the peers of an answer as IPv4 peers of 6 bytes each, so as a leecher it finds nobody, and
//! waits to be found: there the seeder announces again, and connects to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;
use tracker_tests::clients::{Client, PeerSetup, RunningClient, libtorrent};
use tracker_tests::daemon::Daemon;
use tracker_tests::network::{self, enter_clients_host, enter_routable_network};
use tracker_tests::skip::{is_root_or_skipped, skipped};
use tracker_tests::swarm::{Torrent, TrackerAddress};
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::two_hosts::TWO_QUEUES;
use tracker_tests::udp_client::Row;

/// How long each step of a transfer may take: clients choke, retry and hold back in steps of ten seconds and more.
const STEP_DEADLINE: Duration = Duration::from_secs(90);
/// Some pieces of 64 KiB, and a last one that is shorter.
const CONTENT_LEN: usize = 3 * 1024 * 1024 + 4321;

/// Transport and family between the clients and the tracker, and the family of the transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    UdpV4,
    UdpV6,
    HttpV4,
    HttpV6,
}

const EVERY_WAY: &[Way] = &[Way::UdpV4, Way::UdpV6, Way::HttpV4, Way::HttpV6];
const EVERY_WAY_OF_ARIA2: &[Way] = &[Way::UdpV4, Way::HttpV4, Way::HttpV6];

/// Where tracker and peers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Loopback,
    Routable,
    /// The tracker behind AF_XDP on as many queues.
    AfXdp(u32),
}

/// How the two peers come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meeting {
    /// The leecher learns of the seeder with its first announce.
    LeecherFindsSeeder,
    /// The seeder learns of the leecher when it announces again.
    SeederFindsLeecher,
}

/// One transfer.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    seeder: Client,
    leecher: Client,
    network: Network,
    way: Way,
    meeting: Meeting,
}

#[test]
fn libtorrent_fetches_from_libtorrent() {
    fetch_by_each(Client::Libtorrent, Client::Libtorrent, Network::Loopback, EVERY_WAY);
}

#[test]
fn aria2_fetches_from_libtorrent() {
    fetch_by_each(Client::Aria2, Client::Libtorrent, Network::Loopback, EVERY_WAY_OF_ARIA2);
}

#[test]
fn libtorrent_fetches_from_aria2() {
    fetch_by_each(Client::Libtorrent, Client::Aria2, Network::Loopback, EVERY_WAY_OF_ARIA2);
}

#[test]
fn libtorrent_fetches_from_transmission() {
    fetch_by_each(Client::Libtorrent, Client::Transmission, Network::Routable, EVERY_WAY);
}

#[test]
fn transmission_fetches_from_libtorrent() {
    fetch_by_each(Client::Transmission, Client::Libtorrent, Network::Routable, EVERY_WAY);
}

mod through_af_xdp {
    use super::{Client, Network, Way, fetch_all};

    #[test]
    fn libtorrent_fetches_from_libtorrent() {
        fetch(Client::Libtorrent, Client::Libtorrent, &[Way::UdpV4, Way::UdpV6]);
    }

    #[test]
    fn aria2_fetches_from_libtorrent() {
        fetch(Client::Aria2, Client::Libtorrent, &[Way::UdpV4]);
    }

    #[test]
    fn libtorrent_fetches_from_aria2() {
        fetch(Client::Libtorrent, Client::Aria2, &[Way::UdpV4]);
    }

    #[test]
    fn libtorrent_fetches_from_transmission() {
        fetch(Client::Libtorrent, Client::Transmission, &[Way::UdpV4, Way::UdpV6]);
    }

    #[test]
    fn transmission_fetches_from_libtorrent() {
        fetch(Client::Transmission, Client::Libtorrent, &[Way::UdpV4, Way::UdpV6]);
    }

    fn fetch(leecher: Client, seeder: Client, ways: &[Way]) {
        let over = |queues| ways.iter().map(move |way| (Network::AfXdp(queues), *way));
        fetch_all(leecher, seeder, &over(1).chain(over(2)).collect::<Vec<_>>());
    }
}

/// Lets the leecher fetch a file from the seeder by each of these ways at the same time.
fn fetch_by_each(leecher: Client, seeder: Client, network: Network, ways: &[Way]) {
    fetch_all(leecher, seeder, &ways.iter().map(|way| (network, *way)).collect::<Vec<_>>());
}

/// The same in several networks, each over a tracker of its own.
fn fetch_all(leecher: Client, seeder: Client, ways: &[(Network, Way)]) {
    let name = format!("{leecher:?} fetches from {seeder:?}");
    if let Some(reason) = seeder.missing().or_else(|| leecher.missing()) {
        return skipped(&format!("{name}: {reason}"));
    }
    let takes_root = ways.iter().any(|(network, _)| *network != Network::Loopback);
    if takes_root && !is_root_or_skipped(&name) {
        return;
    }
    Daemon::build();
    std::thread::scope(|scope| {
        for &(network, way) in ways {
            let meeting = match (leecher, way) {
                (Client::Transmission, Way::UdpV6) => Meeting::SeederFindsLeecher,
                _ => Meeting::LeecherFindsSeeder,
            };
            let transfer = Transfer { seeder, leecher, network, way, meeting };
            let thread = std::thread::Builder::new().name(format!("{name} by {way:?}, {network:?}"));
            thread.spawn_scoped(scope, move || transfer.run()).expect("the process may have threads");
        }
    });
}

impl Way {
    fn is_v4(self) -> bool {
        matches!(self, Self::UdpV4 | Self::HttpV4)
    }
}

impl Transfer {
    fn run(self) {
        let directory = TemporaryDirectory::new();
        let listen = self.listen_address().to_string();
        let arguments = ["-i", &listen, "-p", "0", "-P", "0"];
        let (mut daemon, hosts) = match self.network {
            Network::Loopback => (Daemon::start(&arguments), None),
            Network::Routable => {
                enter_routable_network(&directory);
                (Daemon::start(&arguments), None)
            }
            Network::AfXdp(queues) => {
                let hosts = enter_clients_host(&directory, if queues == 2 { TWO_QUEUES } else { "" });
                let mode = ["--mode", "xsk", "--set", "xdp.attach=native"];
                (hosts.tracker.run(|| Daemon::start(&[&arguments[..], &mode].concat())), Some(hosts))
            }
        };
        let mut swarm = Swarm::make(self, &directory, self.tracker(&daemon));
        swarm.transfer();
        swarm.leave();
        if hosts.is_some() {
            assert_came_by_af_xdp(&daemon);
        }
        assert!(daemon.terminate().success(), "the daemon ends in order");
    }

    /// Where the tracker listens.
    fn listen_address(self) -> IpAddr {
        match (self.network, self.way.is_v4()) {
            (Network::Loopback, true) => Ipv4Addr::LOCALHOST.into(),
            (Network::Loopback, false) => Ipv6Addr::LOCALHOST.into(),
            (Network::Routable | Network::AfXdp(_), true) => network::ADDRESS_V4,
            (Network::Routable | Network::AfXdp(_), false) => network::ADDRESS_V6,
        }
    }

    /// Where the peers are.
    fn peer_address(self) -> IpAddr {
        match (self.network, self.way.is_v4()) {
            (Network::AfXdp(_), true) => network::CLIENT_V4,
            (Network::AfXdp(_), false) => network::CLIENT_V6,
            _ => self.listen_address(),
        }
    }

    fn tracker(self, daemon: &Daemon) -> TrackerAddress {
        match self.way {
            Way::UdpV4 => TrackerAddress::Udp(daemon.udp_v4()),
            Way::UdpV6 => TrackerAddress::Udp(daemon.udp_v6()),
            Way::HttpV4 => TrackerAddress::Http(daemon.tcp_v4()),
            Way::HttpV6 => TrackerAddress::Http(daemon.tcp_v6()),
        }
    }

    fn announce_url(self, tracker: TrackerAddress) -> String {
        let by_name = self.network != Network::Loopback && self.way == Way::UdpV6;
        tracker.announce_url(by_name.then_some(network::NAME_V6))
    }
}

/// Asserts that nothing but AF_XDP has brought the daemon announces.
fn assert_came_by_af_xdp(daemon: &Daemon) {
    let stats = daemon.stats();
    let queues = stats["xsk"].as_array().expect("AF_XDP serves queues");
    let by_queues: u64 = queues.iter().filter_map(|queue| queue["announce_answered"].as_u64()).sum();
    assert!(by_queues >= 4, "two peers come and go: {stats}");
    assert_eq!(stats["udp"]["announce_answered"].as_u64(), Some(by_queues), "{stats}");
}

/// A tracker, a torrent, and the two peers as far as they are started.
struct Swarm<'a> {
    transfer: Transfer,
    directory: &'a TemporaryDirectory,
    tracker: TrackerAddress,
    torrent: Torrent,
    seeder_directory: PathBuf,
    leecher_directory: PathBuf,
    peers: Vec<(&'static str, RunningClient)>,
}

impl<'a> Swarm<'a> {
    fn make(transfer: Transfer, directory: &'a TemporaryDirectory, tracker: TrackerAddress) -> Self {
        let seeder_directory = directory.subdirectory("seeder");
        let leecher_directory = directory.subdirectory("leecher");
        let url = transfer.announce_url(tracker);
        let mut random = fastrand::Rng::new();
        let torrent = Torrent::make(directory, &seeder_directory, &url, &mut random, CONTENT_LEN);
        Self { transfer, directory, tracker, torrent, seeder_directory, leecher_directory, peers: Vec::new() }
    }

    /// Starts the seeder and, when the tracker knows it, the leecher, and waits until the leecher has it all.
    fn transfer(&mut self) {
        self.await_counts("nothing has happened", Row::default());
        self.start("seeder", self.transfer.seeder, self.seeder_directory.clone());
        self.await_counts("the seeder is known", Row { seeders: 1, completed: 0, leechers: 0 });
        self.start("leecher", self.transfer.leecher, self.leecher_directory.clone());
        if self.transfer.meeting == Meeting::SeederFindsLeecher {
            self.await_counts("the leecher is known", Row { seeders: 1, completed: 0, leechers: 1 });
            libtorrent::announce_again(self.peer("seeder"));
        }
        self.await_counts("the leecher has finished", Row { seeders: 2, completed: 1, leechers: 0 });
    }

    /// Lets the leecher leave, compares what it has got, and lets the seeder leave.
    fn leave(&mut self) {
        self.peer("leecher").leave();
        self.await_counts("the leecher has left", Row { seeders: 1, completed: 1, leechers: 0 });
        let fetched =
            std::fs::read(self.leecher_directory.join(self.torrent.name)).expect("the leecher's file");
        assert!(fetched == self.torrent.content, "{:?}: other bytes than the seeder's", self.transfer);
        self.peer("seeder").leave();
        self.await_counts("the seeder has left", Row { seeders: 0, completed: 1, leechers: 0 });
    }

    fn start(&mut self, role: &'static str, client: Client, directory: PathBuf) {
        let state = self.directory.subdirectory(&format!("{role}-state"));
        let setup = PeerSetup {
            torrent: &self.torrent.path,
            directory: &directory,
            state: &state,
            address: self.transfer.peer_address(),
        };
        self.peers.push((role, client.start(&setup)));
    }

    fn peer(&mut self, role: &str) -> &mut RunningClient {
        let peer = self.peers.iter_mut().find(|(own_role, _)| *own_role == role);
        &mut peer.expect("both roles are started before they are asked for").1
    }

    fn await_counts(&self, what: &str, expected: Row) {
        let outcome = self.tracker.await_counts(self.torrent.info_hash, expected, STEP_DEADLINE);
        let Err(counts) = outcome else { return };
        let logs: Vec<_> =
            self.peers.iter().map(|(role, peer)| format!("--- {role}:\n{}", peer.log())).collect();
        panic!("{:?}: not so: {what}: {counts:?} is not {expected:?}\n{}", self.transfer, logs.join("\n"));
    }
}
