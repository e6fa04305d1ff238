//! A network with a bridge in its middle, a tracker on each of its hosts, and hosts that only watch or forge.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::netns::{End, Namespace};
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::udp_client::{AnnounceRequest, Row, UdpClient};

/// How often what cannot be waited for is looked at again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The port of livesync.
pub(crate) const PORT: u16 = 9696;
/// The documented group.
pub(crate) const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 42, 23);

/// The network: a bridge without hosts.
pub(crate) struct Site {
    hub: Namespace,
    number: u8,
    ports: AtomicU16,
}

impl Site {
    /// A network of which the addresses are `10.96.NUMBER.0/24` and `fd96:NUMBER::/64`.
    pub(crate) fn new(number: u8) -> Self {
        let hub = Namespace::new();
        // Without anybody who asks for members, snooping would only make a test wait.
        hub.ip("link add bridge type bridge mcast_snooping 0");
        hub.ip("link set bridge up");
        Self { hub, number, ports: AtomicU16::new(1) }
    }

    /// A host on it, of which the last byte of both addresses is `host`.
    pub(crate) fn host(&self, host: u8) -> Host {
        let namespace = Namespace::new();
        namespace.ip("link set lo up");
        let mut host = Host { port: String::new(), v4: self.v4(host), v6: self.v6(host), namespace };
        self.lay_cable(&mut host);
        host
    }

    fn v4(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 96, self.number, host)
    }

    fn v6(&self, host: u8) -> Ipv6Addr {
        Ipv6Addr::new(0xfd96, u16::from(self.number), 0, 0, 0, 0, 0, u16::from(host))
    }

    /// Lays a cable from a host to a new port of the bridge.
    fn lay_cable(&self, host: &mut Host) {
        let [.., last] = host.v4.octets();
        host.port = self.attach(&host.namespace, "net", last);
    }

    /// Puts a namespace on it by an interface of this name, with the addresses of a host; the new port of the bridge.
    pub(crate) fn attach(&self, namespace: &Namespace, name: &str, host: u8) -> String {
        let number = self.ports.fetch_add(1, Ordering::Relaxed);
        let port = format!("port{number}");
        let (near, far) = (
            format!("02:00:00:{:02x}:00:{number:02x}", self.number),
            format!("02:00:00:{:02x}:01:{number:02x}", self.number),
        );
        self.hub.join(&End { name: &port, mac: &near }, namespace, &End { name, mac: &far });
        self.hub.ip(&format!("link set {port} master bridge"));
        namespace.add_address(name, self.v4(host).into(), 24);
        namespace.add_address(name, self.v6(host).into(), 64);
        port
    }

    /// Takes the interface of a host away, and gives it another one with the same addresses.
    pub(crate) fn replace_cable(&self, host: &mut Host) {
        self.hub.ip(&format!("link delete {}", host.port));
        self.lay_cable(host);
    }

    /// Pulls the cable of a host, or puts it back.
    pub(crate) fn cable(&self, host: &Host, is_in: bool) {
        self.hub.ip(&format!("link set {} {}", host.port, if is_in { "up" } else { "down" }));
    }

    /// A tracker on a host, with these settings beside those of the place.
    pub(crate) fn node(&self, host: u8, settings: &[&str]) -> Node {
        Node::start(self.host(host), settings)
    }
}

/// A host.
pub(crate) struct Host {
    pub(crate) namespace: Namespace,
    /// The interface of the bridge that it is at.
    port: String,
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
}

impl Host {
    /// A socket that hears the documented group, and can send to it.
    pub(crate) fn in_group(&self) -> UdpSocket {
        self.in_group_of(GROUP)
    }

    /// A socket that hears a group, and can send to it.
    pub(crate) fn in_group_of(&self, group: Ipv4Addr) -> UdpSocket {
        self.namespace.run(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("nobody has the port here");
            socket.join_multicast_v4(&group, &self.v4).expect("the interface is up");
            socket2::SockRef::from(&socket).set_multicast_if_v4(&self.v4).expect("the address is ours");
            socket.set_multicast_loop_v4(false).expect("the option is known");
            socket
        })
    }
}

/// A tracker on a host of its own.
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) daemon: Daemon,
}

impl Node {
    /// Starts a tracker on a host.
    pub(crate) fn start(host: Host, settings: &[&str]) -> Self {
        let (v4, v6) = (host.v4.to_string(), host.v6.to_string());
        let place = ["--mode", "socket", "-i", &v4, "-p", "0", "-P", "0", "-i", &v6, "-P", "0"];
        let set = settings.iter().flat_map(|setting| ["--set", *setting]);
        let arguments: Vec<&str> = place.into_iter().chain(set).collect();
        let daemon = host.namespace.run(|| Daemon::start(&arguments));
        Self { host, daemon }
    }

    /// A client of it on the same host, and a connection id for it.
    fn client(&self, is_v6: bool) -> (UdpClient, u64) {
        let (address, tracker): (IpAddr, SocketAddr) = if is_v6 {
            (self.host.v6.into(), self.daemon.udp_v6())
        } else {
            (self.host.v4.into(), self.daemon.udp_v4())
        };
        let mut client = self.host.namespace.run(|| UdpClient::new(address, tracker));
        let id = client.connect();
        (client, id)
    }

    /// Announces to it, and returns whom it gives.
    pub(crate) fn announce(&self, peer: &Peer) -> Vec<SocketAddr> {
        let (mut client, id) = self.client(peer.is_v6);
        let mut request = AnnounceRequest::new(id, peer.port).event(peer.event);
        request.info_hash = [peer.torrent; 20];
        if peer.seeding {
            request = request.seeding();
        }
        client.announce(&request).peers
    }

    /// Announces leechers to it, one on each of these ports, over 200 torrents of all shards; returns how many.
    pub(crate) fn announce_leechers(&self, ports: std::ops::Range<u16>) -> u64 {
        let (mut client, id) = self.client(false);
        let count = u64::try_from(ports.len()).expect("there are few");
        for port in ports {
            let mut request = AnnounceRequest::new(id, port).wanting(0);
            request.info_hash = [(port % 200) as u8; 20];
            client.announce(&request);
        }
        count
    }

    /// Peers that it holds.
    pub(crate) fn peers(&self) -> u64 {
        let stats = self.host.namespace.run(|| self.daemon.stats());
        stats["peers"].as_u64().unwrap_or_else(|| panic!("no peers in {stats}"))
    }

    /// The counts of a torrent: seeders, completed, leechers.
    pub(crate) fn counts(&self, torrent: u8) -> (u32, u32, u32) {
        let (mut client, id) = self.client(false);
        let Row { seeders, completed, leechers } = client.scrape(id, &[[torrent; 20]])[0];
        (seeders, completed, leechers)
    }

    /// Waits until a torrent has these counts, and returns how long that took.
    pub(crate) fn await_counts(&self, torrent: u8, expected: (u32, u32, u32)) -> Duration {
        let begun = Instant::now();
        while self.counts(torrent) != expected {
            let counts = self.counts(torrent);
            assert!(begun.elapsed() < DEADLINE, "torrent {torrent} has {counts:?}, not {expected:?}");
            std::thread::sleep(LOOK_AGAIN);
        }
        begun.elapsed()
    }

    /// One of the figures under `group` of its statistics.
    pub(crate) fn figure(&self, group: &str, name: &str) -> u64 {
        let stats = self.host.namespace.run(|| self.daemon.stats());
        stats[group][name].as_u64().unwrap_or_else(|| panic!("no {group}.{name} in {stats}"))
    }

    /// Waits until a figure is 0.
    pub(crate) fn await_no(&self, group: &str, name: &str) {
        let begun = Instant::now();
        while self.figure(group, name) != 0 {
            assert!(begun.elapsed() < DEADLINE, "{group}.{name} is {}, not 0", self.figure(group, name));
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits until a figure is at least this.
    pub(crate) fn await_figure(&self, group: &str, name: &str, least: u64) {
        let begun = Instant::now();
        while self.figure(group, name) < least {
            let figure = self.figure(group, name);
            assert!(begun.elapsed() < DEADLINE, "{group}.{name} is {figure}, less than {least}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// What a peer announces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) torrent: u8,
    pub(crate) port: u16,
    pub(crate) is_v6: bool,
    pub(crate) seeding: bool,
    pub(crate) event: u32,
}

/// A leecher of a torrent.
pub(crate) const fn leecher(torrent: u8, port: u16) -> Peer {
    Peer { torrent, port, is_v6: false, seeding: false, event: 0 }
}

/// Runs a test as root, on its own thread's mounts and networks, or says that it is skipped.
pub(crate) fn with_sites(test: impl FnOnce() + Send) {
    if is_root_or_skipped("trackers in a cluster") {
        Daemon::build();
        test();
    }
}
