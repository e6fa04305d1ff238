//! Livesync as opentracker speaks it: what one node hears, the others hear, and nobody else can make them believe anything.

use crate::scene::{GROUP, Node, PORT, Peer, Site, leecher, with_sites};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tracker_common::wire::{EVENT_COMPLETED, EVENT_STOPPED};
use tracker_tests::udp_client::receive_from;

/// A second from announce to answer elsewhere is what this delay is good for.
const DELAY: &str = "livesync.cluster.delay_ms=200";
const SOON: Duration = Duration::from_secs(1);

/// A node that believes its network.
fn node(site: &Site, host: u8) -> Node {
    let listen = format!("livesync.cluster.listen=10.96.1.{host}:{PORT}");
    site.node(host, &[&listen, DELAY, "livesync.cluster.node_ip=10.96.1.0/24"])
}

/// The same in an IPv6 group.
fn node_v6(site: &Site, host: u8) -> Node {
    let listen = format!("livesync.cluster.listen=[fd96:1::{host:x}]:{PORT}");
    let group = "livesync.cluster.group=ff05::9696";
    site.node(host, &[&listen, DELAY, group, "livesync.cluster.node_ip=fd96:1::/64"])
}

/// The same in one that does not go beyond a link: a socket for it is bound to an interface.
fn node_on_link(site: &Site, host: u8) -> Node {
    let listen = format!("livesync.cluster.listen=[fd96:1::{host:x}]:{PORT}");
    let group = "livesync.cluster.group=ff02::9696";
    site.node(host, &[&listen, DELAY, group, "livesync.cluster.node_ip=fd96:1::/64"])
}

fn three_nodes_hear_of_all_that_a_peer_does(start: fn(&Site, u8) -> Node) {
    let site = Site::new(1);
    let [first, second, third] = [1, 2, 3].map(|host| start(&site, host));
    for is_v6 in [false, true] {
        let torrent = if is_v6 { 66 } else { 44 };
        let peer = Peer { is_v6, ..leecher(torrent, 6881) };
        first.announce(&peer);
        for other in [&second, &third] {
            let took = other.await_counts(torrent, (0, 0, 1));
            assert!(took < SOON, "it took {took:?}");
            let ip: IpAddr = if is_v6 { first.host.v6.into() } else { first.host.v4.into() };
            assert_eq!(other.announce(&Peer { event: EVENT_STOPPED, ..peer }), []);
            let asking = other.announce(&Peer { port: 7000, ..peer });
            assert!(asking.contains(&SocketAddr::new(ip, 6881)), "{asking:?}");
            other.announce(&Peer { port: 7000, event: EVENT_STOPPED, ..peer });
            first.await_counts(torrent, (0, 0, 1));
        }
        second.await_counts(torrent, (0, 0, 1));
        first.announce(&Peer { seeding: true, event: EVENT_COMPLETED, ..peer });
        for other in [&second, &third] {
            other.await_counts(torrent, (1, 1, 0));
        }
        first.announce(&Peer { seeding: true, event: EVENT_STOPPED, ..peer });
        for other in [&second, &third] {
            other.await_counts(torrent, (0, 1, 0));
        }
    }
    // Three events each of two families, and what the others announced and stopped: nothing of it went round twice.
    let told = [&first, &second, &third].map(|node| node.figure("livesync", "sent_events"));
    assert_eq!(told[0], 6);
    let heard = third.figure("livesync", "received_events");
    assert_eq!(heard, told[0] + told[1]);
    assert_eq!(third.figure("livesync", "lost_events"), 0);
}

#[test]
fn three_nodes_in_an_ipv4_group_hear_of_all_that_a_peer_does() {
    with_sites(|| three_nodes_hear_of_all_that_a_peer_does(node));
}

#[test]
fn three_nodes_in_an_ipv6_group_hear_of_all_that_a_peer_does() {
    with_sites(|| three_nodes_hear_of_all_that_a_peer_does(node_v6));
}

#[test]
fn a_node_that_was_cut_off_hears_again() {
    with_sites(|| {
        let site = Site::new(1);
        let [first, second] = [1, 2].map(|host| node(&site, host));
        first.announce(&leecher(1, 6881));
        second.await_counts(1, (0, 0, 1));
        site.cable(&second.host, false);
        first.announce(&leecher(2, 6881));
        first.await_figure("livesync", "sent_events", 2);
        site.cable(&second.host, true);
        // The bridge may take a moment to forward: what is announced then arrives, what was told meanwhile does not.
        let mut port = 7000;
        while second.counts(3) == (0, 0, 0) {
            first.announce(&leecher(3, port));
            port += 1;
            std::thread::sleep(Duration::from_millis(100));
            assert!(port < 7300, "the node hears nothing since it was cut off");
        }
        assert_eq!(second.counts(2), (0, 0, 0));
        second.announce(&leecher(4, 6881));
        first.await_counts(4, (0, 0, 1));
    });
}

#[test]
fn with_opentrackers_own_delay_a_peer_is_known_elsewhere_within_sixteen_seconds() {
    with_sites(|| {
        let site = Site::new(1);
        let [first, second] = [1, 2].map(|host| {
            let listen = format!("livesync.cluster.listen=10.96.1.{host}:{PORT}");
            site.node(host, &[&listen, "livesync.cluster.node_ip=10.96.1.0/24"])
        });
        first.announce(&leecher(1, 6881));
        let took = second.await_counts(1, (0, 0, 1));
        assert!(took < Duration::from_secs(16), "it took {took:?}");
    });
}

fn a_node_hears_again_whose_interface_went_and_came_back(start: fn(&Site, u8) -> Node) {
    let site = Site::new(1);
    let [first, mut second] = [1, 2].map(|host| start(&site, host));
    first.announce(&leecher(1, 6881));
    second.await_counts(1, (0, 0, 1));
    site.replace_cable(&mut second.host);
    // It joins the group again within five seconds, and tells of what it hears at once.
    let mut port = 7000;
    while second.counts(3) == (0, 0, 0) {
        first.announce(&leecher(3, port));
        port += 1;
        std::thread::sleep(Duration::from_millis(100));
        assert!(port < 7300, "the node hears nothing since its interface came back");
    }
    second.announce(&leecher(4, 6881));
    first.await_counts(4, (0, 0, 1));
}

#[test]
fn a_node_hears_an_ipv4_group_again_when_its_interface_went_and_came_back() {
    with_sites(|| a_node_hears_again_whose_interface_went_and_came_back(node));
}

#[test]
fn a_node_hears_an_ipv6_group_again_when_its_interface_went_and_came_back() {
    with_sites(|| a_node_hears_again_whose_interface_went_and_came_back(node_v6));
}

#[test]
fn a_node_hears_a_group_of_its_link_again_when_its_interface_went_and_came_back() {
    with_sites(|| a_node_hears_again_whose_interface_went_and_came_back(node_on_link));
}

#[test]
fn what_goes_over_the_wire_is_opentrackers_datagram() {
    with_sites(|| {
        let site = Site::new(1);
        let watcher = site.host(9);
        let group = watcher.in_group();
        let node = node(&site, 1);
        node.announce(&leecher(7, 6881));
        let (datagram, source) = receive_from(&group);
        assert_eq!(source, SocketAddr::new(node.host.v4.into(), PORT));
        assert_eq!(datagram[4..], [&[0; 4][..], &[7; 20], &[10, 96, 1, 1, 0x1a, 0xe1, 0, 0]].concat());
        node.announce(&Peer { is_v6: true, seeding: true, ..leecher(8, 6882) });
        let (datagram, _) = receive_from(&group);
        let address = node.host.v6.octets();
        assert_eq!(datagram[4..], [&[0, 0, 0, 1][..], &[8; 20], &address, &[0x1a, 0xe2, 0x80, 0]].concat());
    });
}

#[test]
fn a_datagram_is_believed_from_a_node_and_from_nobody_else() {
    with_sites(|| {
        let site = Site::new(1);
        let (inside, outside) = (site.host(9), site.host(200));
        let listen = format!("livesync.cluster.listen=10.96.1.1:{PORT}");
        let node = site.node(1, &[&listen, DELAY, "livesync.cluster.node_ip=10.96.1.0/25"]);
        let datagram = [&b"node\0\0\0\0"[..], &[5; 20], &[192, 0, 2, 1, 0x1a, 0xe1, 0x80, 0]].concat();
        outside.in_group().send_to(&datagram, (GROUP, PORT)).unwrap();
        node.await_figure("livesync", "not_of_cluster", 1);
        let group = inside.in_group();
        group.send_to(&datagram[..35], (GROUP, PORT)).unwrap();
        node.await_figure("livesync", "malformed", 1);
        assert_eq!(node.counts(5), (0, 0, 0));
        group.send_to(&datagram, (GROUP, PORT)).unwrap();
        node.await_counts(5, (1, 0, 0));
        // What it hears itself goes out, and nothing of what it has learned before.
        node.announce(&leecher(6, 6881));
        node.await_figure("livesync", "sent_events", 1);
        assert_eq!(node.figure("livesync", "sent_events"), 1, "what was learned is told");
        let (told, _) = receive_from(&group);
        assert_eq!(told[8..28], [6; 20]);
    });
}

#[test]
fn what_a_node_has_not_told_yet_it_tells_when_it_ends() {
    with_sites(|| {
        let site = Site::new(1);
        let listen = format!("livesync.cluster.listen=10.96.1.1:{PORT}");
        let mut first = site.node(1, &[&listen, "livesync.cluster.node_ip=10.96.1.0/24"]);
        let second = node(&site, 2);
        first.announce(&leecher(1, 6881));
        assert!(first.host.namespace.run(|| first.daemon.terminate()).success());
        second.await_counts(1, (0, 0, 1));
    });
}
