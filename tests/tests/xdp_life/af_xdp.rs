//! AF_XDP sockets follow their interface, and what befalls them is counted and stops nothing.

use crate::hosts::{
    AF_XDP, Hosts, LISTEN, PORT, STATISTICS, TRACKER, TRACKER_V6, of_daemon, of_program, with_hosts,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::udp_client::{AnnounceRequest, INFO_HASH, UdpClient, scrape_request};

/// The daemon with AF_XDP and nothing less, its statistics always within reach.
pub(crate) fn start(hosts: &Hosts, more: &[&str]) -> Daemon {
    let daemon = hosts.start_anywhere(&[STATISTICS, LISTEN, AF_XDP, more].concat());
    hosts.await_stats(&daemon, "its sockets are counted", |stats| stats["xsk"].is_array());
    daemon
}

/// A counter of the first interface.
pub(crate) fn of_interface(stats: &Value, name: &str) -> u64 {
    stats["xsk_interfaces"][0][name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"))
}

/// A counter of a queue, the `position`-th in the list.
pub(crate) fn of_queue(stats: &Value, position: usize, name: &str) -> u64 {
    stats["xsk"][position][name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"))
}

/// Whether a queue has a socket.
pub(crate) fn is_open(stats: &Value, position: usize) -> bool {
    stats["xsk"][position]["open"].as_bool().unwrap_or_else(|| panic!("no queue {position} in {stats}"))
}

/// Announces until an answer has come through a queue; every announce must be answered, whichever way it comes in.
pub(crate) fn await_answer_by(hosts: &Hosts, daemon: &Daemon, client: &mut UdpClient, position: usize) {
    let end = Instant::now() + DEADLINE;
    let id = client.connect();
    let before = of_queue(&hosts.stats(daemon), position, "announce_answered");
    loop {
        client.announce(&AnnounceRequest::new(id, 6881));
        let stats = hosts.stats(daemon);
        if of_queue(&stats, position, "announce_answered") > before {
            return;
        }
        assert!(Instant::now() < end, "no answer through AF_XDP: {stats}");
    }
}

/// Asks until an answer comes: what is sent before the interface is ready is lost.
pub(crate) fn await_service(hosts: &Hosts, tracker: SocketAddr) -> UdpClient {
    let end = Instant::now() + DEADLINE;
    loop {
        let own = if tracker.is_ipv4() { crate::hosts::CLIENT_V4 } else { crate::hosts::CLIENT_V6 };
        let client = hosts.client_of(own, tracker.ip());
        client.send(&tracker_tests::udp_client::connect_request(1));
        if client.receive_within(crate::hosts::LOOK_AGAIN).is_some() {
            return client;
        }
        assert!(Instant::now() < end, "no answer from {tracker}");
    }
}

#[test]
fn an_interface_that_goes_down_and_up_again_keeps_its_socket() {
    with_hosts(|hosts| {
        let daemon = start(hosts, &[]);
        await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
        hosts.tracker.ip("link set tracker down");
        let stats = hosts.await_stats(&daemon, "the interface is seen down", |stats| {
            of_interface(stats, "went_down") == 1
        });
        assert!(is_open(&stats, 0), "{stats}");
        hosts.tracker.ip("link set tracker up");
        // Linux takes IPv6 addresses from an interface that goes down.
        hosts.tracker.add_address(TRACKER, TRACKER_V6, 64);
        for tracker in [daemon.udp_v4(), daemon.udp_v6()] {
            let mut client = await_service(hosts, SocketAddr::new(tracker.ip(), PORT));
            await_answer_by(hosts, &daemon, &mut client, 0);
        }
        let stats = hosts.stats(&daemon);
        assert_eq!((of_queue(&stats, 0, "opened"), of_queue(&stats, 0, "failed")), (1, 0), "{stats}");
        assert_eq!(of_interface(&stats, "went_away"), 0, "{stats}");
    });
}

#[test]
fn an_interface_that_vanishes_and_comes_back_gets_a_new_socket() {
    with_hosts(|hosts| {
        let daemon = start(hosts, &[]);
        for round in 1..=2 {
            await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
            hosts.tracker.ip("link delete tracker");
            let stats = hosts
                .await_stats(&daemon, "it is seen gone", |stats| of_interface(stats, "went_away") == round);
            assert!(!is_open(&stats, 0), "{stats}");
            hosts.lay_cable_again();
            let stats = hosts
                .await_stats(&daemon, "it has a socket", |stats| of_queue(stats, 0, "opened") == round + 1);
            assert_eq!(of_queue(&stats, 0, "failed"), 0, "{stats}");
        }
        for mut client in hosts.clients() {
            await_answer_by(hosts, &daemon, &mut client, 0);
        }
    });
}

#[test]
fn an_interface_that_is_renamed_keeps_its_socket() {
    with_hosts(|hosts| {
        let daemon = start(hosts, &[]);
        hosts.tracker.ip("link set tracker down");
        hosts.tracker.ip("link set tracker name renamed");
        hosts.tracker.ip("link set renamed up");
        let mut client = await_service(hosts, SocketAddr::new(crate::hosts::TRACKER_V4, PORT));
        await_answer_by(hosts, &daemon, &mut client, 0);
        let stats = hosts.stats(&daemon);
        assert_eq!((of_queue(&stats, 0, "opened"), of_queue(&stats, 0, "not_opened")), (1, 0), "{stats}");
    });
}

#[test]
fn an_interface_whose_packets_become_too_small_is_left_to_udp_sockets() {
    with_hosts(|hosts| {
        let daemon = start(hosts, &[]);
        await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
        hosts.tracker.ip("link set tracker mtu 1400");
        let stats = hosts.await_stats(&daemon, "its socket is closed", |stats| !is_open(stats, 0));
        assert_eq!(of_queue(&stats, 0, "failed"), 0, "{stats}");
        daemon.await_log_line("its MTU is below 1500");
        assert_announce_is_answered_by_udp_sockets(hosts, &daemon);
        hosts.tracker.ip("link set tracker mtu 1500");
        hosts.await_stats(&daemon, "it has a socket again", |stats| is_open(stats, 0));
        await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
    });
}

/// Asserts that an announce is answered, and not through the first queue's socket.
pub(crate) fn assert_announce_is_answered_by_udp_sockets(hosts: &Hosts, daemon: &Daemon) {
    let before = hosts.stats(daemon);
    let mut client = hosts.client();
    let id = client.connect();
    client.announce(&AnnounceRequest::new(id, 6881));
    let after = hosts.stats(daemon);
    let by_queue = |stats: &Value| of_queue(stats, 0, "announce_answered");
    assert_eq!(by_queue(&after), by_queue(&before), "{after}");
    let answered = |stats: &Value| of_daemon(stats, "announce_answered");
    assert_eq!(answered(&after), answered(&before) + 1, "{after}");
}

/// Sets how many files the daemon may have open: poll(2) refuses to wait for more than that.
fn limit_open_files(daemon: &Daemon, limit: &str) {
    let arguments = ["--pid", &daemon.pid().to_string(), &format!("--nofile={limit}:")];
    let done = Command::new("prlimit").args(arguments).status().expect("util-linux is installed");
    assert!(done.success());
}

#[test]
fn a_thread_that_ends_with_an_error_is_replaced_and_the_daemon_goes_on() {
    with_hosts(|hosts| {
        let daemon = start(hosts, &[]);
        await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
        limit_open_files(&daemon, "1");
        daemon.await_log_line("ended with an error");
        // Nor is anything else to be had that takes a file, a socket included.
        daemon.await_log_line("Too many open files");
        limit_open_files(&daemon, "1024");
        for mut client in hosts.clients() {
            let id = client.connect();
            client.announce(&AnnounceRequest::new(id, 6881));
        }
        let stats = hosts.await_stats(&daemon, "it has a socket again", |stats| is_open(stats, 0));
        assert_eq!((of_queue(&stats, 0, "failed"), of_queue(&stats, 0, "opened")), (1, 2), "{stats}");
        for mut client in hosts.clients() {
            await_answer_by(hosts, &daemon, &mut client, 0);
        }
    });
}

#[test]
fn an_interface_that_comes_later_has_room_for_its_frames_after_root_is_given_up() {
    with_hosts(|hosts| {
        // 16 MiB: more than Linux allows whoever is not root.
        let daemon = start(hosts, &["-u", "nobody", "--set", "xsk.ring_size=4096"]);
        hosts.replace_cable();
        hosts.await_stats(&daemon, "it has a socket", |stats| of_queue(stats, 0, "opened") == 2);
        for mut client in hosts.clients() {
            await_answer_by(hosts, &daemon, &mut client, 0);
        }
    });
}

#[test]
fn what_finds_no_frame_is_counted_and_service_goes_on_after() {
    const RING: u64 = 64;
    const SENT: u64 = 200;
    with_hosts(|hosts| {
        let daemon = start(hosts, &["--set", "xsk.ring_size=64"]);
        let mut client = hosts.client();
        let id = client.connect();
        daemon.pause();
        for _ in 0..SENT {
            client.send(&scrape_request(id, 7, &[INFO_HASH]));
        }
        daemon.signal(Signal::SIGCONT);
        let stats = hosts.await_stats(&daemon, "some have found no frame", |stats| {
            of_queue(stats, 0, "fill_ring_empty") > 0 && of_program(stats, "scrape_redirected") == SENT
        });
        // As many as its rings hold were waiting, and no more: that is how the setting shows.
        assert_eq!(of_queue(&stats, 0, "scrape_answered"), RING, "{stats}");
        assert_eq!(of_queue(&stats, 0, "fill_ring_empty"), SENT - RING, "{stats}");
        for _ in 0..RING {
            assert!(client.receive_within(DEADLINE).is_some());
        }
        for mut client in hosts.clients() {
            await_answer_by(hosts, &daemon, &mut client, 0);
        }
    });
}

/// What the kernel has counted of this kind in a namespace: `TcpExt` of /proc/net/netstat.
fn counted_by_kernel(hosts: &Hosts, name: &str) -> u64 {
    let counts = hosts.tracker.run(|| std::fs::read_to_string("/proc/thread-self/net/netstat"));
    let counts = counts.expect("/proc is mounted");
    let mut lines = counts.lines().filter(|line| line.starts_with("TcpExt:")).map(str::split_whitespace);
    let (names, values) = lines.next().zip(lines.next()).expect("names and values");
    let value = names.zip(values).find(|(of, _)| *of == name).expect("the kernel counts it").1;
    value.parse().expect("a count")
}

#[test]
fn a_queue_is_polled_or_the_log_says_that_it_is_not() {
    with_hosts(|hosts| {
        let daemon = start(hosts, &["--set", "xsk.busy_poll=20"]);
        await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
        let is_polled = || counted_by_kernel(hosts, "BusyPollRxPackets") > 0;
        let is_told = || daemon.log().contains("xsk.busy_poll does nothing for queue 0");
        let end = Instant::now() + DEADLINE;
        while !is_polled() && !is_told() {
            assert!(Instant::now() < end, "neither polled nor told: {}", daemon.log());
            await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
        }
        assert_ne!(is_polled(), is_told(), "{}", daemon.log());
        await_answer_by(hosts, &daemon, &mut hosts.client(), 0);
        assert!(daemon.log().matches("xsk.busy_poll does nothing").count() <= 1, "{}", daemon.log());
    });
}
