//! opentracker itself and this tracker in one cluster: each hears what is announced to the other, and for the same announces
//! their datagrams are the same.

use crate::scene::{Host, LOOK_AGAIN, Node, PORT, Peer, Site, leecher, with_sites};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use tracker_common::wire::{EVENT_COMPLETED, EVENT_STARTED, EVENT_STOPPED};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::http;
use tracker_tests::opentracker::Opentracker;
use tracker_tests::skip::skipped;
use tracker_tests::udp_client::{AnnounceRequest, Row, UdpClient, receive_within};

/// The group that opentracker joins.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 23, 5);
/// Within this, either tracker tells what it has heard: after 15 seconds, which opentracker counts by a clock that is set every five.
const OWN_DELAY: Duration = Duration::from_secs(25);

/// A story of peers that both trackers are told, each of other torrents.
struct Story {
    first_torrent: u8,
    is_v6: bool,
}

/// What it makes of its torrents, one after the other: seeders, completed, leechers.
const OUTCOME: [(u32, u32, u32); 5] = [(0, 0, 1), (1, 1, 0), (0, 0, 0), (1, 0, 0), (0, 0, 0)];

impl Story {
    fn torrents(&self) -> Vec<[u8; 20]> {
        (0..5).map(|number| [self.first_torrent + number; 20]).collect()
    }

    /// One that starts, one that completes, one that starts and stops, one that seeds, one that seeds and stops.
    fn announces(&self) -> [Peer; 8] {
        let peer = |number: u8, event, seeding| {
            let peer = leecher(self.first_torrent + number, 6881 + u16::from(number));
            Peer { event, seeding, is_v6: self.is_v6, ..peer }
        };
        [
            peer(0, EVENT_STARTED, false),
            peer(1, EVENT_STARTED, false),
            peer(1, EVENT_COMPLETED, true),
            peer(2, EVENT_STARTED, false),
            peer(2, EVENT_STOPPED, false),
            peer(3, EVENT_STARTED, true),
            peer(4, EVENT_STARTED, true),
            peer(4, EVENT_STOPPED, true),
        ]
    }

    /// The flags of the records that tell of it. opentracker says of a seeder that stops that it seeded, which means nothing.
    const fn flags(stopped_seeder: u8) -> [u8; 8] {
        [0, 0, 0xc0, 0, 0x20, 0x80, 0x80, stopped_seeder]
    }

    /// Tells a tracker of it.
    fn tell(&self, clients: &Clients<'_>, tracker: Tracker) {
        let (mut client, id) = clients.of(tracker, self.is_v6);
        for peer in self.announces() {
            let mut request = AnnounceRequest::new(id, peer.port).event(peer.event);
            request.info_hash = [peer.torrent; 20];
            client.announce(&if peer.seeding { request.seeding() } else { request });
        }
    }

    /// The peers that are left of its first, second and fourth torrent are given, each as it is.
    fn assert_peers(&self, clients: &Clients<'_>, tracker: Tracker) {
        let (mut client, id) = clients.of(tracker, self.is_v6);
        for number in [0, 1, 3] {
            let mut request = AnnounceRequest::new(id, 7000);
            request.info_hash = [self.first_torrent + number; 20];
            let peers = client.announce(&request).peers;
            let told = SocketAddr::new(client.address().ip(), 6881 + u16::from(number));
            assert!(peers.contains(&told), "{peers:?} of {tracker:?} without {told}");
        }
    }
}

/// Where a tracker serves.
#[derive(Clone, Copy, Debug)]
struct Tracker {
    v4: SocketAddr,
    v6: SocketAddr,
}

/// The host of the clients, whose address is the same whichever tracker they ask.
struct Clients<'a>(&'a Host);

impl Clients<'_> {
    fn of(&self, tracker: Tracker, is_v6: bool) -> (UdpClient, u64) {
        let (own, tracker): (IpAddr, _) =
            if is_v6 { (self.0.v6.into(), tracker.v6) } else { (self.0.v4.into(), tracker.v4) };
        let mut client = self.0.namespace.run(|| UdpClient::new(own, tracker));
        let id = client.connect();
        (client, id)
    }

    fn rows(&self, tracker: Tracker, torrents: &[[u8; 20]]) -> Vec<(u32, u32, u32)> {
        let (mut client, id) = self.of(tracker, false);
        let rows = client.scrape(id, torrents);
        rows.into_iter().map(|Row { seeders, completed, leechers }| (seeders, completed, leechers)).collect()
    }

    /// Waits until a tracker knows how a story ends.
    fn await_outcome(&self, tracker: Tracker, story: &Story) {
        let begun = Instant::now();
        let torrents = story.torrents();
        while self.rows(tracker, &torrents) != OUTCOME {
            let rows = self.rows(tracker, &torrents);
            assert!(begun.elapsed() < OWN_DELAY, "{tracker:?} has {rows:?}, not {OUTCOME:?}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Records that opentracker has taken in.
    fn taken_in(&self, opentracker: SocketAddr) -> u64 {
        let response = self.0.namespace.run(|| http::get(opentracker, "/stats?mode=syncs"));
        let text = String::from_utf8(response.body).expect("the statistics are text");
        text.lines().next().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("no count in {text}"))
    }

    fn await_taken_in(&self, opentracker: SocketAddr, count: u64) {
        let begun = Instant::now();
        while self.taken_in(opentracker) < count {
            assert!(begun.elapsed() < DEADLINE, "opentracker does not take in {count} records");
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// A datagram, field by field.
#[derive(Debug, PartialEq, Eq)]
struct Datagram {
    len: usize,
    kind: u32,
    records: Vec<Record>,
}

/// A record of it.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    info_hash: Vec<u8>,
    address: Vec<u8>,
    port: u16,
    flags: u8,
    age: u8,
}

impl Datagram {
    /// Reads one by the offsets of opentracker's own description. Records are ordered by torrent: those of one torrent stay in
    /// their order, while it may tell of two torrents in either order.
    fn parse(bytes: &[u8]) -> Self {
        let kind = u32::from_be_bytes(bytes[4..8].try_into().expect("four bytes"));
        let address_len = if kind == 0 { 4 } else { 16 };
        let records = bytes[8..].chunks(24 + address_len).map(|record| {
            let (info_hash, rest) = record.split_at(20);
            let (address, rest) = rest.split_at(address_len);
            let port = u16::from_be_bytes([rest[0], rest[1]]);
            Record {
                info_hash: info_hash.into(),
                address: address.into(),
                port,
                flags: rest[2],
                age: rest[3],
            }
        });
        let mut records: Vec<Record> = records.collect();
        records.sort_by(|one, other| one.info_hash.cmp(&other.info_hash));
        Self { len: bytes.len(), kind, records }
    }

    /// The one that tells of a story.
    fn of(story: &Story, clients: &Host, flags: [u8; 8]) -> Self {
        let address = if story.is_v6 { clients.v6.octets().to_vec() } else { clients.v4.octets().to_vec() };
        let record = |(peer, flags): (Peer, u8)| Record {
            info_hash: vec![peer.torrent; 20],
            address: address.clone(),
            port: peer.port,
            flags,
            age: 0,
        };
        let records: Vec<_> = story.announces().into_iter().zip(flags).map(record).collect();
        let len = 8 + records.len() * if story.is_v6 { 40 } else { 28 };
        Self { len, kind: story.is_v6.into(), records }
    }
}

/// The datagrams that each of two nodes sends in its own delay, one for each family. opentracker sends none but with a request
/// that it is asked, so `ask` asks it one now and then.
fn both_datagrams(group: &UdpSocket, nodes: [IpAddr; 2], ask: impl Fn()) -> [Vec<Vec<u8>>; 2] {
    let begun = Instant::now();
    let mut datagrams = [Vec::new(), Vec::new()];
    while datagrams.iter().any(|told| told.len() < 2) {
        assert!(begun.elapsed() < OWN_DELAY, "too few datagrams: {datagrams:02x?}");
        ask();
        let Some((datagram, source)) = receive_within(group, LOOK_AGAIN) else { continue };
        assert_eq!(source.port(), PORT);
        let node = nodes.iter().position(|node| *node == source.ip()).expect("nobody else is in the group");
        datagrams[node].push(datagram);
    }
    for told in &mut datagrams {
        told.sort_by_key(|datagram| datagram[4..8].to_vec());
    }
    datagrams
}

/// A tracker on a host that is told by `-s` where its cluster is.
fn node(host: Host) -> Node {
    let (v4, v6) = (host.v4.to_string(), host.v6.to_string());
    let place = ["--mode", "socket", "-i", &v6, "-P", "0", "-i", &v4, "-p", "0", "-P", "0", "-s", "9696"];
    let group = format!("livesync.cluster.group={GROUP}");
    let cluster = ["--set", &group, "--set", "livesync.cluster.node_ip=10.96.4.0/25"];
    let daemon = host.namespace.run(|| Daemon::start(&[&place[..], &cluster[..]].concat()));
    Node { host, daemon }
}

fn opentracker(host: &Host) -> Opentracker {
    let cluster =
        format!("livesync.cluster.listen {}:{PORT}\nlivesync.cluster.node_ip 10.96.4.0/25\n", host.v4);
    let addresses = [host.v4.into(), host.v6.into()];
    host.namespace.run(|| Opentracker::start_with_livesync(addresses, &cluster))
}

/// Both trackers, a host of their network for the clients, and one that is none of the cluster's.
struct Cluster {
    _site: Site,
    client_host: Host,
    stranger: Host,
    their_host: Host,
    opentracker: Opentracker,
    node: Node,
}

impl Cluster {
    fn new() -> Self {
        let site = Site::new(4);
        let [client_host, their_host, stranger] = [9, 1, 200].map(|host| site.host(host));
        let opentracker = opentracker(&their_host);
        let node = node(site.host(2));
        Self { _site: site, client_host, stranger, their_host, opentracker, node }
    }

    fn theirs(&self) -> Tracker {
        let v4 = self.opentracker.address();
        Tracker { v4, v6: SocketAddr::new(self.their_host.v6.into(), v4.port()) }
    }

    fn ours(&self) -> Tracker {
        Tracker { v4: self.node.daemon.udp_v4(), v6: self.node.daemon.udp_v6() }
    }

    /// Neither takes in what it has sent itself, nor what comes from beyond the networks of the cluster.
    fn assert_neither_believes_itself_or_strangers(&self, group: &UdpSocket, told: [&[u8]; 2]) {
        let [from_them, from_us] = told;
        let records = Datagram::parse(from_us).records.len() as u64;
        let send = |socket: &UdpSocket, datagram: &[u8]| {
            socket.send_to(datagram, (GROUP, PORT)).expect("the interface is up");
        };
        let of_nobody = [b"else", &from_us[4..]].concat();
        send(&self.stranger.in_group_of(GROUP), &of_nobody);
        self.node.await_figure("livesync", "not_of_cluster", 1);
        send(group, from_them);
        send(group, from_us);
        // Of these three, each takes in what the other has sent.
        self.node.await_figure("livesync", "own", 1);
        assert_eq!(self.node.figure("livesync", "received_events"), 3 * records);
        let clients = Clients(&self.client_host);
        clients.await_taken_in(self.theirs().v4, 3 * records);
        assert_eq!(clients.taken_in(self.theirs().v4), 3 * records);
        assert_eq!(self.node.figure("livesync", "malformed"), 0);
    }
}

fn each_hears_what_is_announced_to_the_other() {
    let cluster = Cluster::new();
    let (clients, theirs, ours) = (Clients(&cluster.client_host), cluster.theirs(), cluster.ours());
    let group = cluster.client_host.in_group_of(GROUP);
    let told_to_them = [10, 20].map(|first_torrent| Story { first_torrent, is_v6: first_torrent == 20 });
    let told_to_us = [30, 40].map(|first_torrent| Story { first_torrent, is_v6: first_torrent == 40 });
    for (stories, tracker) in [(&told_to_them, theirs), (&told_to_us, ours)] {
        stories.iter().for_each(|story| story.tell(&clients, tracker));
    }
    let nodes = [cluster.their_host.v4.into(), cluster.node.host.v4.into()];
    let ask = || drop(clients.of(theirs, false));
    let [from_them, from_us] = both_datagrams(&group, nodes, ask);

    for (told, stories, stopped_seeder) in [(&from_them, &told_to_them, 0xa0), (&from_us, &told_to_us, 0x20)]
    {
        for (datagram, story) in told.iter().zip(stories) {
            let expected = Datagram::of(story, &cluster.client_host, Story::flags(stopped_seeder));
            assert_eq!(Datagram::parse(datagram), expected);
        }
    }
    for story in &told_to_them {
        clients.await_outcome(ours, story);
        story.assert_peers(&clients, ours);
    }
    // opentracker 1.0 takes in the records of both families, and stores the IPv6 peers of them rightly: `docs/cluster.md`.
    clients.await_taken_in(theirs.v4, 16);
    let [_, v6] = &told_to_us;
    clients.await_outcome(theirs, v6);
    v6.assert_peers(&clients, theirs);
    cluster.assert_neither_believes_itself_or_strangers(&group, [&from_them[1], &from_us[1]]);
}

#[test]
fn opentracker_and_this_tracker_hear_what_is_announced_to_the_other() {
    if let Some(reason) = Opentracker::missing_with_livesync() {
        return skipped(&format!("livesync with opentracker: {reason}"));
    }
    with_sites(each_hears_what_is_announced_to_the_other);
}
