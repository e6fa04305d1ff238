//! Servers that are killed, while others live or come back: what was announced meanwhile reaches everyone, within the memory that is set for it.

use crate::scene::{Node, Peer, leecher};
use crate::sites_scene::{World, await_peers, nats, with_world};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tracker_common::wire::{EVENT_COMPLETED, EVENT_STOPPED};
use tracker_tests::nats_server::NatsServer;
use tracker_tests::temporary_directory::TemporaryDirectory;

/// Peers that each node is told of, some before, some during, and some after the server is away.
const PEERS_PER_NODE: u16 = 3000;

/// Announces to each node, and goes on until all has been announced and `is_over`.
fn under_load(nodes: &[Node; 4], work: impl FnOnce()) -> u64 {
    let is_over = AtomicBool::new(false);
    let announced: u64 = thread::scope(|scope| {
        let loads: Vec<_> = nodes.iter().map(|node| scope.spawn(|| announce_until(node, &is_over))).collect();
        work();
        is_over.store(true, Ordering::Relaxed);
        loads.into_iter().map(|load| load.join().expect("the tracker answers")).sum()
    });
    announced
}

fn announce_until(node: &Node, is_over: &AtomicBool) -> u64 {
    let mut announced = 0;
    for first in (1..).step_by(100).take_while(|first| *first < 60_000) {
        if announced >= PEERS_PER_NODE.into() && is_over.load(Ordering::Relaxed) {
            break;
        }
        announced += node.announce_leechers(first..first + 100);
    }
    announced
}

#[test]
fn all_nodes_have_the_same_after_the_server_was_killed_and_came_back_under_load() {
    with_world(|world| {
        let mut server = world.server(None);
        let nodes = world.nodes(&[]);
        nodes.iter().for_each(|node| node.await_figure("nats", "connected", 1));
        let announced = under_load(&nodes, || {
            for times in 2..=3 {
                nodes[0].await_figure("nats", "sent_events", 300 * times);
                server.kill();
                nodes.iter().for_each(|node| node.await_no("nats", "connected"));
                server = world.server(None);
                nodes.iter().for_each(|node| node.await_figure("nats", "connections", times));
            }
        });
        assert_each_was_taken_once(&nodes, announced);
    });
}

/// All nodes have all that was announced, and took nothing as new that they had.
fn assert_each_was_taken_once(nodes: &[Node], announced: u64) {
    await_peers(nodes, announced);
    for node in nodes {
        let of_others = announced - nats(node, "sent_events") - node.figure("livesync", "received_events");
        assert_eq!(nats(node, "received_events"), of_others, "each event was taken once");
        assert_eq!(["lost_events", "unsent_events", "missed_messages"].map(|name| nats(node, name)), [0; 3]);
    }
}

/// Ports of two servers, and of their routes to each other.
const ROUTED: [(u16, u16); 2] = [(4222, 6222), (4223, 6223)];

/// A server that passes on what its nodes tell to those of the other one.
fn routed(world: &World, which: usize) -> NatsServer {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("server.conf");
    let ((port, own), (_, other)) = (ROUTED[which], ROUTED[1 - which]);
    let text = format!(
        "cluster {{ name: ours, listen: \"127.0.0.1:{own}\", routes: [\"nats://127.0.0.1:{other}\"] }}\n"
    );
    std::fs::write(&path, text).expect("the directory is ours");
    world.server_on(port, Some(&path))
}

/// A node that knows both servers, and tries this one first.
fn at_either(world: &World, site: usize, host: u8, first: usize) -> Node {
    let servers = [ROUTED[first], ROUTED[1 - first]]
        .map(|(port, _)| format!("sync.nats=nats://10.96.{}.254:{port}", site + 1));
    world.node(site, host, &[&servers[0], &servers[1]])
}

#[test]
fn nodes_whose_server_is_killed_under_load_go_on_with_another_that_lives() {
    with_world(|world| {
        let [mut one, mut other] = [0, 1].map(|which| routed(world, which));
        // One node of each site at either server.
        let nodes = [(0, 1, 0), (0, 2, 1), (1, 1, 0), (1, 2, 1)]
            .map(|(site, host, first)| at_either(world, site, host, first));
        nodes.iter().for_each(|node| node.await_figure("nats", "nodes", 2));
        let await_connections = |times: [u64; 4]| {
            nodes.iter().zip(times).for_each(|(node, times)| node.await_figure("nats", "connections", times));
        };
        let announced = under_load(&nodes, || {
            nodes[0].await_figure("nats", "sent_events", 600);
            one.kill();
            await_connections([2, 1, 2, 1]);
            one = routed(world, 0);
            nodes[0].await_figure("nats", "sent_events", 1200);
            other.kill();
            await_connections([3, 2, 3, 2]);
        });
        assert_each_was_taken_once(&nodes, announced);
    });
}

#[test]
fn without_a_server_memory_has_its_bound_and_what_is_given_up_is_counted() {
    with_world(|world| {
        let mut server = world.server(None);
        let small = ["sync.max_memory=256K", "sync.interval_ms=0"];
        let [here, there] = [world.node(0, 1, &small), world.node(1, 1, &[])];
        here.announce(&leecher(250, 1));
        there.await_counts(250, (0, 0, 1));
        server.kill();
        here.await_no("nats", "connected");
        // Each is a message of its own here, or nearly.
        here.announce_leechers(1..12_000);
        here.await_figure("nats", "lost_events", 1);
        assert!(nats(&here, "kept_bytes") <= 256 << 10);
        here.announce(&leecher(251, 1));
        let _server = world.server(None);
        there.await_counts(251, (0, 0, 1));
        there.await_figure("nats", "missed_messages", 1);
        let (announced, lost) = (12_001, nats(&here, "lost_events"));
        await_peers(&[there], announced - lost);
        assert_eq!(nats(&here, "sent_events"), announced - lost);
    });
}

#[test]
fn a_node_that_was_cut_off_from_the_server_hears_what_it_missed_and_tells_what_it_heard() {
    with_world(|world| {
        let _server = world.server(None);
        let [here, there] = [world.node(0, 1, &[]), world.node(1, 1, &[])];
        here.announce(&leecher(1, 6881));
        there.await_counts(1, (0, 0, 1));
        there.announce(&leecher(4, 6881));
        here.await_counts(4, (0, 0, 1));
        world.sites[0].cable(&here.host, false);
        here.await_no("nats", "connected");
        here.announce(&leecher(2, 6881));
        there.announce(&leecher(3, 6881));
        here.announce(&Peer { seeding: true, event: EVENT_COMPLETED, ..leecher(1, 6881) });
        there.announce(&Peer { event: EVENT_STOPPED, ..leecher(4, 6881) });
        there.await_figure("nats", "sent_events", 3);
        world.sites[0].cable(&here.host, true);
        there.await_counts(2, (0, 0, 1));
        here.await_counts(3, (0, 0, 1));
        there.await_counts(1, (1, 1, 0));
        here.await_counts(4, (0, 0, 0));
        assert_eq!(nats(&here, "missed_messages") + nats(&there, "missed_messages"), 0);
    });
}
