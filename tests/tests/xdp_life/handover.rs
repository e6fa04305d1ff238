//! A pinned program between two daemons, and one whose daemon is silent.

use crate::hosts::{GENERIC, Hosts, LOOK_AGAIN, NATIVE, PORT, TRACKER_V4, of_daemon, of_program, with_hosts};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::udp_client::{AnnounceRequest, UdpClient, connect_request, parse_connect};

/// How long an answer may take that will perhaps not come.
const PATIENCE: Duration = Duration::from_millis(500);

fn pinned(mode: &[&'static str]) -> Vec<&'static str> {
    [mode, &["--xdp-pin"]].concat()
}

#[test]
fn a_pinned_program_answers_for_a_while_after_its_daemon_and_then_passes() {
    with_hosts(|hosts| {
        let mut daemon = hosts.start(&pinned(GENERIC));
        hosts.assert_program_serves(&daemon);
        let id = hosts.program_id();
        assert!(daemon.terminate().success());
        assert_eq!(hosts.program_id(), id);
        let successor = hosts.tracker.run(|| UdpSocket::bind((TRACKER_V4, PORT)).expect("the port is free"));
        let mut client = hosts.client();
        client.connect();
        let unanswered = send_until_unanswered(&client);
        successor.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
        let mut request = [0; 64];
        let length = successor.recv(&mut request).expect("what is not answered has come through");
        assert_eq!(request[..length], connect_request(unanswered));
        assert_eq!(hosts.program_id(), id);
    });
}

/// Connects until an answer does not come any more, and gives the transaction id of that request.
fn send_until_unanswered(client: &UdpClient) -> u32 {
    let end = Instant::now() + DEADLINE;
    for transaction_id in 1.. {
        client.send(&connect_request(transaction_id));
        let Some(answer) = client.receive_within(PATIENCE) else { return transaction_id };
        parse_connect(&answer, transaction_id);
        assert!(Instant::now() < end, "the program goes on answering");
        std::thread::sleep(LOOK_AGAIN);
    }
    unreachable!("transaction ids do not run out by {DEADLINE:?}")
}

#[test]
fn a_new_daemon_takes_a_pinned_program_over_with_its_keys() {
    with_hosts(|hosts| {
        for mode in [GENERIC, NATIVE] {
            let mut first = hosts.start(&pinned(mode));
            let ids = hosts.clients().map(|mut client| client.connect());
            let first_id = hosts.program_id();
            assert!(first.terminate().success());
            // It leaves no pin itself.
            let mut second = hosts.start(mode);
            assert!(second.log().contains("taken over"), "{}", second.log());
            assert_ne!(hosts.program_id(), first_id);
            for (mut client, id) in hosts.clients().into_iter().zip(ids) {
                assert_ne!(client.announce(&AnnounceRequest::new(id, 6881).seeding()).seeders, 0);
            }
            hosts.assert_program_serves(&second);
            assert!(second.terminate().success());
            assert_eq!(hosts.program_id(), None);
        }
    });
}

#[test]
fn a_second_daemon_takes_nothing_from_one_that_lives() {
    with_hosts(|hosts| {
        let mut first = hosts.start(&pinned(GENERIC));
        let ids = hosts.clients().map(|mut client| client.connect());
        let (id, pins) = (hosts.program_id(), pinned_files());
        let second = hosts.start_anywhere(&["-i", "10.77.0.1", "-p", "0", "-P", "0"]);
        assert!(second.log().contains("is served by another opentracker-xdp"), "{}", second.log());
        assert_eq!((hosts.program_id(), pinned_files()), (id, pins));
        drop(second);
        hosts.assert_program_serves(&first);
        assert!(first.terminate().success());
        // Its keys are still there for its own successor.
        let _successor = hosts.start(&pinned(GENERIC));
        for (mut client, id) in hosts.clients().into_iter().zip(ids) {
            client.announce(&AnnounceRequest::new(id, 6881).seeding());
        }
    });
}

/// The names of what is pinned, in order.
fn pinned_files() -> Vec<OsString> {
    let files = std::fs::read_dir("/sys/fs/bpf/opentracker-xdp").expect("something is pinned");
    let mut names: Vec<OsString> = files.map(|file| file.expect("it can be listed").file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 2, "a link and the keys: {names:?}");
    names
}

#[test]
fn no_connect_is_lost_in_a_handover_before_the_stack() {
    with_hosts(|hosts| assert_no_connect_is_lost(hosts, &pinned(GENERIC)));
}

#[test]
fn no_connect_is_lost_in_a_handover_in_the_driver() {
    with_hosts(|hosts| assert_no_connect_is_lost(hosts, &pinned(NATIVE)));
}

fn assert_no_connect_is_lost(hosts: &Hosts, arguments: &[&str]) {
    let mut first = hosts.start(arguments);
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let second = std::thread::scope(|scope| {
        // Each connect is followed by the next as soon as it is answered; one that is lost is a panic.
        let load = scope.spawn(|| {
            let mut clients = hosts.clients();
            while !is_over.load(Ordering::Relaxed) {
                for client in &mut clients {
                    client.connect();
                }
                answered.fetch_add(2, Ordering::Relaxed);
            }
        });
        let await_more = || {
            let enough = answered.load(Ordering::Relaxed) + 1000;
            while answered.load(Ordering::Relaxed) < enough && !load.is_finished() {
                std::thread::yield_now();
            }
        };
        await_more();
        assert!(first.terminate().success());
        await_more();
        let second = hosts.start(arguments);
        await_more();
        is_over.store(true, Ordering::Relaxed);
        second
    });
    let stats = hosts.await_stats(&second, "the program of the second daemon has answered", |stats| {
        of_program(stats, "connect_answered") >= 1000
    });
    assert_eq!(of_daemon(&stats, "connect_answered"), 0, "{stats}");
}

#[test]
fn the_packets_of_a_hung_daemon_reach_its_sockets_and_it_takes_up_again() {
    with_hosts(|hosts| {
        let daemon = hosts.start(GENERIC);
        let mut client = hosts.client();
        client.connect();
        daemon.signal(Signal::SIGSTOP);
        client.connect();
        let unanswered = send_until_unanswered(&client);
        daemon.signal(Signal::SIGCONT);
        // It has waited in the daemon's socket.
        parse_connect(&client.receive(), unanswered);
        assert_takes_up_again(hosts, &daemon, &mut client);
    });
}

fn assert_takes_up_again(hosts: &Hosts, daemon: &Daemon, client: &mut UdpClient) {
    let stats =
        hosts.await_stats(daemon, "the silence is counted", |stats| of_program(stats, "daemon_silent") >= 1);
    assert_eq!(of_daemon(&stats, "connect_answered"), 1, "{stats}");
    hosts.await_answer_of_program(daemon, client);
}
