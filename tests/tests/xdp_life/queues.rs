//! Queues that come and go, queues without a socket, and more interfaces than one.

use crate::af_xdp::{
    assert_announce_is_answered_by_udp_sockets, await_answer_by, await_service, is_open, of_interface,
    of_queue, start,
};
use crate::hosts::{
    AF_XDP, CLIENT, Hosts, LISTEN, LOOK_AGAIN, PORT, STATISTICS, TRACKER, TRACKER_V4, TWO_QUEUES, with_cable,
    with_hosts,
};
use nix::net::if_::if_nametoindex;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::ethtool::set_queues;
use tracker_tests::netns::{End, Namespace};
use tracker_tests::passing_program::PassingProgram;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};
use tracker_user::ingress::xsk::{Options, QueueSocket};

/// Clients of different ports, until an answer has come through this queue: the kernel spreads them over the queues.
fn await_answer_by_queue(hosts: &Hosts, daemon: &Daemon, position: usize) {
    let end = Instant::now() + DEADLINE;
    loop {
        let mut client = hosts.client();
        let id = client.connect();
        client.announce(&AnnounceRequest::new(id, 6881));
        let stats = hosts.stats(daemon);
        if of_queue(&stats, position, "announce_answered") > 0 {
            return;
        }
        assert!(Instant::now() < end, "nothing comes by queue {position}: {stats}");
    }
}

#[test]
fn both_queues_of_an_interface_are_served() {
    with_cable(TWO_QUEUES, |hosts| {
        let daemon = start(hosts, &[]);
        await_answer_by_queue(hosts, &daemon, 0);
        await_answer_by_queue(hosts, &daemon, 1);
    });
}

#[test]
fn a_queue_that_comes_gets_a_socket_and_one_that_goes_leaves_the_others_alone() {
    with_cable(TWO_QUEUES, |hosts| {
        hosts.client.run(|| set_queues(CLIENT, 2, 1)).expect("one queue less to send on");
        hosts.tracker.run(|| set_queues(TRACKER, 1, 2)).expect("one queue less to receive on");
        let directory = TemporaryDirectory::new();
        let path = directory.path().join("opentracker.conf");
        std::fs::write(&path, "").expect("the directory is ours");
        let daemon = start(hosts, &["-f", path.to_str().expect("the path is text")]);
        await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
        assert!(hosts.stats(&daemon)["xsk"][1].is_null());

        hosts.tracker.run(|| set_queues(TRACKER, 2, 2)).expect("there is room for two");
        hosts.client.run(|| set_queues(CLIENT, 2, 2)).expect("there is room for two");
        let stats =
            hosts.await_stats(&daemon, "the second has a socket", |stats| stats["xsk"][1]["open"] == true);
        assert_eq!(
            (of_interface(&stats, "queues"), of_interface(&stats, "queues_changed")),
            (2, 1),
            "{stats}"
        );
        // The program is called for a new queue of a veth once it has been down and up: until then, UDP sockets serve it.
        for _ in 0..20 {
            let mut client = hosts.client();
            let id = client.connect();
            client.announce(&AnnounceRequest::new(id, 6881));
        }
        hosts.tracker.ip("link set tracker down");
        hosts.tracker.ip("link set tracker up");
        await_service(hosts, SocketAddr::new(TRACKER_V4, PORT));
        await_answer_by_queue(hosts, &daemon, 1);

        // Linux takes no queue away that has a socket.
        hosts.client.run(|| set_queues(CLIENT, 2, 1)).expect("one queue less to send on");
        assert!(hosts.tracker.run(|| set_queues(TRACKER, 1, 2)).is_err());
        std::fs::write(&path, "xsk.queues 1\n").expect("the directory is ours");
        daemon.signal(Signal::SIGHUP);
        hosts.await_stats(&daemon, "the second is closed", |stats| !is_open(stats, 1));
        await_fewer_queues(hosts);
        let stats = hosts.await_stats(&daemon, "that is seen", |stats| of_interface(stats, "queues") == 1);
        assert_eq!(of_interface(&stats, "queues_changed"), 2, "{stats}");
        assert_eq!((of_queue(&stats, 0, "opened"), of_queue(&stats, 1, "failed")), (1, 0), "{stats}");
        await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
    });
}

/// The kernel lets go of a queue some time after its socket is closed.
fn await_fewer_queues(hosts: &Hosts) {
    let end = Instant::now() + DEADLINE;
    while let Err(error) = hosts.tracker.run(|| set_queues(TRACKER, 1, 2)) {
        assert!(Instant::now() < end, "the second queue cannot go: {error}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Somebody else's socket on a queue of the daemon's interface.
fn occupy(hosts: &Hosts, queue: u32) -> QueueSocket {
    hosts.tracker.run(|| {
        let index = if_nametoindex(TRACKER).expect("the interface exists");
        QueueSocket::open(index, queue, &Options::default()).expect("the queue is free")
    })
}

#[test]
fn a_queue_that_somebody_else_has_is_left_to_udp_sockets_until_it_is_free() {
    with_cable(TWO_QUEUES, |hosts| {
        let others = occupy(hosts, 0);
        let daemon = start(hosts, &[]);
        let stats =
            hosts.await_stats(&daemon, "the second has a socket", |stats| stats["xsk"][1]["open"] == true);
        assert!(!is_open(&stats, 0), "{stats}");
        assert!(of_queue(&stats, 0, "not_opened") >= 1, "{stats}");
        assert!(daemon.log().contains("queue 0 is taken by another AF_XDP socket"), "{}", daemon.log());
        // By the second queue through AF_XDP, by the first through UDP sockets: all are answered.
        for _ in 0..20 {
            let mut client = hosts.client();
            let id = client.connect();
            client.announce(&AnnounceRequest::new(id, 6881));
        }
        let stats = hosts.stats(&daemon);
        assert_eq!(of_queue(&stats, 0, "announce_answered"), 0, "{stats}");
        drop(others);
        hosts.await_stats(&daemon, "the first has a socket", |stats| is_open(stats, 0));
        await_answer_by_queue(hosts, &daemon, 0);
    });
}

#[test]
fn where_no_queue_is_to_be_had_mode_xsk_does_not_start() {
    with_hosts(|hosts| {
        let _others = occupy(hosts, 0);
        let log = hosts.start_refused(AF_XDP);
        assert!(log.contains("queue 0 is taken by another AF_XDP socket"), "{log}");
        let log = hosts.start_refused(&[AF_XDP, &["--set", "xsk.zero_copy=on"]].concat());
        assert!(log.contains("xsk.zero_copy") || log.contains("taken by another"), "{log}");
    });
}

#[test]
fn a_virtual_cable_cannot_do_without_copying() {
    with_hosts(|hosts| {
        let log = hosts.start_refused(&[AF_XDP, &["--set", "xsk.zero_copy=on"]].concat());
        assert!(log.contains("queue 0 cannot do without copying") && log.contains("xsk.zero_copy"), "{log}");
        for setting in ["auto", "off"] {
            let mut daemon = start(hosts, &["--set", &format!("xsk.zero_copy={setting}")]);
            let has_socket = |stats: &Value| stats["xsk"][0]["open"] == true;
            let stats = hosts.await_stats(&daemon, "it has a socket", has_socket);
            assert_eq!(stats["xsk"][0]["zero_copy"], false, "{stats}");
            assert!(daemon.terminate().success());
        }
    });
}

#[test]
fn queues_that_are_left_out_are_served_by_udp_sockets() {
    with_cable(TWO_QUEUES, |hosts| {
        let daemon = start(hosts, &["--set", "xsk.queues=1"]);
        await_answer_by_queue(hosts, &daemon, 0);
        let end = Instant::now() + DEADLINE;
        // The others come through UDP sockets, sooner or later one of them.
        loop {
            let mut client = hosts.client();
            let id = client.connect();
            client.announce(&AnnounceRequest::new(id, 6881));
            let stats = hosts.stats(&daemon);
            assert!(stats["xsk"][1].is_null(), "{stats}");
            if crate::hosts::of_daemon(&stats, "announce_answered") > of_queue(&stats, 0, "announce_answered")
            {
                return;
            }
            assert!(Instant::now() < end, "nothing comes by the second queue: {stats}");
        }
    });
}

const SECOND_TRACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 78, 0, 1));
const SECOND_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 78, 0, 9));

/// A second client's host, on a cable of its own; it reaches both addresses of the daemon's host.
struct SecondHost {
    client: Namespace,
    _far_end: PassingProgram,
}

impl SecondHost {
    fn beside(hosts: &Hosts) -> Self {
        let client = Namespace::new();
        let near = End { name: "second", mac: "02:00:00:00:00:03" };
        let far = End { name: "client", mac: "02:00:00:00:00:04" };
        hosts.tracker.join(&near, &client, &far);
        hosts.tracker.add_address(near.name, SECOND_TRACKER, 24);
        client.add_address(far.name, SECOND_CLIENT, 24);
        client.ip("route add 10.77.0.0/24 via 10.78.0.1");
        let far_end = client.run(|| PassingProgram::attach_native(far.name));
        Self { client, _far_end: far_end }
    }

    fn client(&self, tracker: IpAddr) -> UdpClient {
        self.client.run(|| UdpClient::new(SECOND_CLIENT, SocketAddr::new(tracker, PORT)))
    }
}

const SECOND_LISTENER: &[&str] = &["-i", "10.78.0.1", "-P", "6969"];

#[test]
fn every_interface_has_its_sockets_and_answers_for_every_address() {
    with_hosts(|hosts| {
        let second = SecondHost::beside(hosts);
        let daemon = hosts.start_anywhere(&[STATISTICS, LISTEN, SECOND_LISTENER, AF_XDP].concat());
        let has_both = |stats: &Value| stats["xsk"].as_array().is_some_and(|queues| queues.len() == 2);
        let stats = hosts.await_stats(&daemon, "both have sockets", has_both);
        let position = |name: &str| {
            let queues = stats["xsk"].as_array().expect("AF_XDP serves queues");
            queues.iter().position(|queue| queue["interface"] == name).expect("the interface is served")
        };
        await_answer_by(hosts, &daemon, &mut hosts.client(), position(TRACKER));
        await_answer_by(hosts, &daemon, &mut second.client(SECOND_TRACKER), position("second"));
        // To the address of one interface by way of the other: the answer goes where the request came from.
        await_answer_by(hosts, &daemon, &mut second.client(TRACKER_V4), position("second"));
        // One goes, the other stays.
        hosts.tracker.ip("link delete second");
        hosts.await_stats(&daemon, "the second is gone", |stats| !is_open(stats, position("second")));
        await_answer_by(hosts, &daemon, &mut hosts.client(), position(TRACKER));
    });
}

#[test]
fn an_interface_that_is_not_named_is_served_by_udp_sockets() {
    with_hosts(|hosts| {
        let second = SecondHost::beside(hosts);
        let named = ["--interface", TRACKER];
        let daemon = hosts.start_anywhere(&[STATISTICS, LISTEN, SECOND_LISTENER, AF_XDP, &named].concat());
        for tracker in [SECOND_TRACKER, TRACKER_V4] {
            let mut client = second.client(tracker);
            let id = client.connect();
            client.announce(&AnnounceRequest::new(id, 6881));
        }
        let stats = hosts.stats(&daemon);
        assert_eq!(stats["xsk"].as_array().expect("one is served").len(), 1, "{stats}");
        assert_eq!(of_queue(&stats, 0, "announce_answered"), 0, "{stats}");
        await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
        hosts.tracker.ip("link set tracker mtu 1400");
        hosts.await_stats(&daemon, "its socket is closed", |stats| !is_open(stats, 0));
        assert_announce_is_answered_by_udp_sockets(hosts, &daemon);
    });
}
