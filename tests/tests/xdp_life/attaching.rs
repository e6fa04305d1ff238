//! The program comes with the daemon and goes with it, and leaves alone what is not ours.

use crate::hosts::{
    CLIENT, CLIENT_V4, CLIENT_V6, GENERIC, Hosts, LOOK_AGAIN, NATIVE, PORT, TRACKER, TRACKER_V4, TRACKER_V6,
    TWO_QUEUES, of_daemon, of_program, with_cable, with_hosts,
};
use nix::sys::signal::Signal;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;
use tracker_tests::clients::{Client, PeerSetup};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::passing_program::{self, PassingProgram};
use tracker_tests::skip::skipped;
use tracker_tests::swarm::{Torrent, TrackerAddress};
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{connect_request, header, receive_from};

#[test]
fn a_real_client_is_served_before_the_stack() {
    with_cable("", |hosts| assert_serves_libtorrent(hosts, GENERIC));
}

#[test]
fn a_real_client_is_served_in_the_driver() {
    with_cable("", |hosts| assert_serves_libtorrent(hosts, NATIVE));
}

#[test]
fn a_real_client_is_served_before_the_stack_on_two_queues() {
    with_cable(TWO_QUEUES, |hosts| assert_serves_libtorrent(hosts, GENERIC));
}

#[test]
fn a_real_client_is_served_in_the_driver_on_two_queues() {
    with_cable(TWO_QUEUES, |hosts| assert_serves_libtorrent(hosts, NATIVE));
}

fn assert_serves_libtorrent(hosts: &Hosts, mode: &[&str]) {
    if let Some(reason) = Client::Libtorrent.missing() {
        return skipped(&format!("a real client through the XDP program: {reason}"));
    }
    let daemon = hosts.start(mode);
    for (number, (own, tracker)) in [(CLIENT_V4, TRACKER_V4), (CLIENT_V6, TRACKER_V6)].into_iter().enumerate()
    {
        announce_by_libtorrent(hosts, &daemon, number as u64 + 1, own, tracker);
    }
}

/// Lets a client announce as a seeder, the `number`-th on this daemon, and leave again.
fn announce_by_libtorrent(hosts: &Hosts, daemon: &Daemon, number: u64, own: IpAddr, tracker: IpAddr) {
    let directory = TemporaryDirectory::new();
    let (content, state) = (directory.subdirectory("content"), directory.subdirectory("state"));
    let url = TrackerAddress::Udp(SocketAddr::new(tracker, PORT)).announce_url(None);
    let torrent = Torrent::make(&directory, &content, &url, &mut fastrand::Rng::new(), 1000);
    let setup = PeerSetup { torrent: &torrent.path, directory: &content, state: &state, address: own };
    let mut client = hosts.client.run(|| Client::Libtorrent.start(&setup));
    let is_seeding = |stats: &serde_json::Value| stats["seeders"] == 1;
    let stats = hosts.await_stats(daemon, "the client seeds by the tracker's count", is_seeding);
    assert_eq!(of_daemon(&stats, "connect_answered"), 0, "{stats}");
    hosts.await_stats(daemon, "the program has given it an id and taken it back", |stats| {
        of_program(stats, "connect_answered") >= number && of_program(stats, "announce_proven") >= number
    });
    client.leave();
    hosts.await_stats(daemon, "the client has left", |stats| stats["seeders"] == 0);
}

#[test]
fn an_interface_with_large_frames_is_served_before_the_stack() {
    with_hosts(|hosts| assert_serves_with_large_frames(hosts, GENERIC));
}

#[test]
fn an_interface_with_large_frames_is_served_in_the_driver() {
    with_hosts(|hosts| assert_serves_with_large_frames(hosts, NATIVE));
}

fn assert_serves_with_large_frames(hosts: &Hosts, mode: &[&str]) {
    hosts.client.ip(&format!("link set {CLIENT} mtu 9000"));
    hosts.tracker.ip(&format!("link set {TRACKER} mtu 9000"));
    let daemon = hosts.start(mode);
    hosts.assert_program_serves(&daemon);
    // A datagram that lies in several buffers is the stack's to put together, and the daemon's to answer.
    for client in hosts.clients() {
        let answer = client.ask(&[connect_request(5), vec![0; 8000]].concat());
        assert_eq!(answer[..8], header(0, 0, 5)[8..]);
    }
    assert_eq!(of_daemon(&hosts.stats(&daemon), "connect_answered"), 2);
}

#[test]
fn a_killed_daemon_leaves_nothing_attached() {
    with_hosts(|hosts| {
        for mode in [GENERIC, NATIVE] {
            let mut daemon = hosts.start(mode);
            hosts.assert_program_serves(&daemon);
            assert!(hosts.program_id().is_some());
            daemon.signal(Signal::SIGKILL);
            daemon.await_exit();
            await_nothing_attached(hosts);
            assert_requests_reach_others(hosts);
        }
    });
}

#[test]
fn a_stopped_daemon_leaves_nothing_attached() {
    with_hosts(|hosts| {
        let mut daemon = hosts.start(GENERIC);
        assert!(hosts.program_id().is_some());
        assert!(daemon.terminate().success());
        await_nothing_attached(hosts);
        assert_requests_reach_others(hosts);
    });
}

/// The kernel frees what a process held after its end has been reported.
fn await_nothing_attached(hosts: &Hosts) {
    let end = Instant::now() + DEADLINE;
    while let Some(id) = hosts.program_id() {
        assert!(Instant::now() < end, "program {id} is still attached");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Asserts that whoever has the daemon's port now gets what is sent there.
fn assert_requests_reach_others(hosts: &Hosts) {
    let successor = hosts.tracker.run(|| UdpSocket::bind((TRACKER_V4, PORT)).expect("the port is free"));
    hosts.client().send(&connect_request(1));
    assert_eq!(receive_from(&successor).0, connect_request(1));
}

#[test]
fn a_foreign_program_is_named_and_never_replaced() {
    with_hosts(|hosts| {
        for attach in [PassingProgram::attach_generic, PassingProgram::attach_native] {
            let foreign = hosts.tracker.run(|| attach(TRACKER));
            let id = hosts.program_id().expect("it has just been attached");
            for mode in [GENERIC, NATIVE] {
                let log = hosts.start_refused(mode);
                assert_names(&log, id);
                assert_eq!(hosts.program_id(), Some(id));
            }
            drop(foreign);
            await_nothing_attached(hosts);
        }
    });
}

#[test]
fn beside_a_foreign_program_mode_auto_serves_by_sockets_and_warns() {
    with_hosts(|hosts| {
        let _foreign = hosts.tracker.run(|| PassingProgram::attach_generic(TRACKER));
        let id = hosts.program_id().expect("it has just been attached");
        for named in [&[][..], &["--interface", TRACKER]] {
            let mut daemon = hosts.start(&[&["--mode", "auto"], named].concat());
            assert_names(&daemon.log(), id);
            assert!(daemon.log().contains("WARN"), "{}", daemon.log());
            // There is such an interface, and it is up.
            for untrue in ["none that is up", "there is no"] {
                assert!(!daemon.log().contains(untrue), "{}", daemon.log());
            }
            for mut client in hosts.clients() {
                client.connect();
            }
            assert_eq!(of_daemon(&hosts.stats(&daemon), "connect_answered"), 2);
            assert_eq!(hosts.program_id(), Some(id));
            assert!(daemon.terminate().success());
        }
        assert_eq!(hosts.program_id(), Some(id));
    });
}

/// Asserts that the log names the program that is in the way, and how to get rid of it.
fn assert_names(log: &str, id: u64) {
    for expected in [&format!("(id {id})"), passing_program::NAME, TRACKER, "xdp off"] {
        assert!(log.contains(expected), "no {expected} in {log}");
    }
}
