//! Livesync within sites and NATS between them: what one node hears, all others hear, once, and nothing goes round.

use crate::scene::{Node, Peer, leecher};
use crate::sites_scene::{World, nats, with_world, with_world_of};
use std::net::{IpAddr, SocketAddr};
use tracker_common::wire::{EVENT_COMPLETED, EVENT_STOPPED};
use tracker_tests::nats_server::publish;

#[test]
fn two_sites_of_two_nodes_hear_of_all_that_a_peer_does_and_of_each_thing_once() {
    with_world(|world| {
        let _server = world.server(None);
        let nodes = world.nodes(&[]);
        nodes.iter().for_each(|node| node.await_figure("nats", "connected", 1));
        for (torrent, is_v6) in [(0x14, false), (0xf5, true)] {
            for (turn, node) in nodes.iter().enumerate() {
                tell_everything(&nodes, turn, &Peer { is_v6, ..leecher(torrent + turn as u8, 6881) }, node);
            }
        }
        // A start, a completion and a stop, in two families, at each node.
        for node in &nodes {
            node.await_figure("nats", "received_events", 2 * 6);
            node.await_figure("livesync", "received_events", 6);
            let figures = ["sent_events", "received_events", "duplicates", "lost_events", "missed_messages"];
            assert_eq!(figures.map(|name| nats(node, name)), [6, 12, 0, 0, 0]);
            assert_eq!(node.figure("livesync", "received_events"), 6);
            assert_eq!(node.figure("livesync", "sent_events"), 6);
            assert!(nats(node, "own_site") > 0, "the other node of the site is heard by livesync alone");
        }
    });
}

#[test]
fn of_three_sites_each_node_hears_of_each_thing_once_and_passes_nothing_on() {
    with_world_of(3, |world| {
        let _server = world.server(None);
        let nodes = [(0, 1), (0, 2), (1, 1), (2, 1)].map(|(site, host)| world.node(site, host, &[]));
        nodes.iter().for_each(|node| node.await_figure("nats", "connected", 1));
        for (turn, node) in nodes.iter().enumerate() {
            tell_everything(&nodes, turn, &leecher(0x14 + turn as u8, 6881), node);
        }
        // A start, a completion and a stop at each node, of which two are of one site.
        for (node, [of_others, of_own]) in nodes.iter().zip([[6, 3], [6, 3], [9, 0], [9, 0]]) {
            node.await_figure("nats", "received_events", of_others);
            node.await_figure("livesync", "received_events", of_own);
            let figures = ["sent_events", "received_events", "duplicates", "lost_events", "missed_messages"];
            assert_eq!(figures.map(|name| nats(node, name)), [3, of_others, 0, 0, 0]);
            assert_eq!(node.figure("livesync", "received_events"), of_own);
        }
    });
}

/// A peer starts, completes and stops at one node, and is seen so at all others.
fn tell_everything(nodes: &[Node], turn: usize, peer: &Peer, at: &Node) {
    let others = || nodes.iter().enumerate().filter(|(index, _)| *index != turn).map(|(_, node)| node);
    let says = |peer: &Peer, counts| {
        at.announce(peer);
        for node in others() {
            node.await_counts(peer.torrent, counts);
        }
    };
    says(peer, (0, 0, 1));
    says(&Peer { seeding: true, event: EVENT_COMPLETED, ..*peer }, (1, 1, 0));
    says(&Peer { seeding: true, event: EVENT_STOPPED, ..*peer }, (0, 1, 0));
}

#[test]
fn a_client_of_one_site_is_given_the_peers_of_the_other() {
    with_world(|world| {
        let _server = world.server(None);
        let [here, there] = [world.node(0, 1, &[]), world.node(1, 1, &[])];
        for is_v6 in [false, true] {
            let peer = Peer { is_v6, ..leecher(7, 6881) };
            here.announce(&peer);
            there.await_counts(7, (0, 0, if is_v6 { 3 } else { 1 }));
            let ip: IpAddr = if is_v6 { here.host.v6.into() } else { here.host.v4.into() };
            let given = there.announce(&Peer { port: 7000, ..peer });
            assert_eq!(given, [SocketAddr::new(ip, 6881)]);
            here.await_counts(7, (0, 0, if is_v6 { 4 } else { 2 }));
        }
    });
}

#[test]
fn a_node_alone_in_its_site_needs_no_name_and_no_livesync() {
    with_world(|world| {
        let _server = world.server(None);
        let [here, there] = [0, 1].map(|site: usize| {
            let nats = format!("sync.nats=nats://10.96.{}.254:4222", site + 1);
            world.sites[site].node(1, &[&nats, "sync.interval_ms=0"])
        });
        here.announce(&leecher(1, 6881));
        there.await_counts(1, (0, 0, 1));
        there.announce(&leecher(2, 6881));
        here.await_counts(2, (0, 0, 1));
    });
}

#[test]
fn a_node_that_starts_later_is_told_what_it_has_missed() {
    with_world(|world| {
        let _server = world.server(None);
        let here = world.node(0, 1, &[]);
        here.announce(&leecher(0x11, 6881));
        here.announce(&leecher(0xf1, 6881));
        here.await_figure("nats", "sent_events", 2);
        let there = world.node(1, 1, &[]);
        there.await_counts(0x11, (0, 0, 1));
        there.await_counts(0xf1, (0, 0, 1));
        assert_eq!(nats(&there, "requests"), 1);
        assert_eq!(nats(&here, "requests_received"), 1);
        assert_eq!(nats(&here, "repeated_messages"), nats(&there, "received_messages"));
    });
}

#[test]
fn a_download_that_a_node_knows_from_its_join_is_not_counted_once_more_when_it_is_told_of_it() {
    with_world(|world| {
        let _server = world.server(None);
        let here = world.node(0, 1, &[]);
        let there = world.node(1, 1, &["batchsync.cluster.admin_ip=10.96.2.0/24"]);
        let peer = Peer { seeding: true, ..leecher(1, 6881) };
        for event in [EVENT_COMPLETED, EVENT_STOPPED] {
            here.announce(&Peer { event, ..peer });
        }
        there.await_counts(1, (0, 1, 0));
        let join = format!("batchsync.cluster.join={}", there.daemon.tcp_v4());
        let joined = world.node(1, 2, &[&join]);
        joined.await_figure("nats", "received_events", 2);
        assert_eq!(joined.counts(1), (0, 1, 0));
    });
}

#[test]
fn what_a_node_has_not_told_yet_it_tells_when_it_ends() {
    with_world(|world| {
        let _server = world.server(None);
        let mut here = world.node(0, 1, &["sync.interval_ms=10000"]);
        let there = world.node(1, 1, &[]);
        here.await_figure("nats", "nodes", 1);
        here.announce(&leecher(1, 6881));
        assert!(here.host.namespace.run(|| here.daemon.terminate()).success());
        there.await_counts(1, (0, 0, 1));
    });
}

#[test]
fn messages_that_are_none_are_counted_and_change_nothing() {
    with_world(|world| {
        let _server = world.server(None);
        let node = world.node(0, 1, &["store.refuse_networks=192.0.2.0/24"]);
        node.await_figure("nats", "connected", 1);
        let events = |number: u8, peer: [u8; 4]| {
            let front = [&b"OTX1\x01nodenode\0\0\0\0\0\0\0"[..], &[number], &[0; 4]].concat();
            [&front[..], &[0x80], &[5; 20], &peer, &[0x1a, 0xe1]].concat()
        };
        let whole = events(1, [198, 51, 100, 1]);
        let publish = |subject: &str, payload: &[u8]| world.between.run(|| publish(subject, payload));
        for (count, payload) in
            [&b"hello"[..], b"", &whole[..whole.len() - 1], &[0; 40_000]].iter().enumerate()
        {
            publish("opentracker.site9.5", payload);
            node.await_figure("nats", "malformed", count as u64 + 1);
        }
        publish("opentracker.site1.5", &whole);
        node.await_figure("nats", "own_site", 1);
        assert_eq!(node.counts(5), (0, 0, 0));
        publish("opentracker.site9.5", &events(2, [198, 51, 100, 2]));
        node.await_figure("nats", "early", 1);
        publish("opentracker.site9.5", &whole);
        node.await_counts(5, (1, 0, 0));
        publish("opentracker.site9.5", &whole);
        node.await_figure("nats", "duplicates", 1);
        publish("opentracker.site9.5", &events(2, [192, 0, 2, 1]));
        node.await_figure("nats", "received_events_not_served", 1);
        assert_eq!(node.counts(5), (1, 0, 0));
        assert_eq!(nats(&node, "sent_events"), 0, "what was learned is not told");
    });
}

#[test]
fn other_clusters_on_the_same_server_are_not_heard() {
    with_world(|world: &World| {
        let _server = world.server(None);
        let [ours, theirs, also_ours] =
            [(0, 1, "sync.subject=a"), (1, 1, "sync.subject=b"), (1, 2, "sync.subject=a")]
                .map(|(site, host, subject)| world.node(site, host, &[subject]));
        ours.announce(&leecher(1, 6881));
        also_ours.await_counts(1, (0, 0, 1));
        assert_eq!(nats(&theirs, "received_messages"), 0);
    });
}
