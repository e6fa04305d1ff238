//! What the daemon tells the program while it runs: keys, denied networks, budgets.

use crate::hosts::{GENERIC, Hosts, of_daemon, of_program, with_hosts};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, INFO_HASH, connect_request, parse_connect, scrape_request};

/// What the daemon logs with every new key.
const NEW_KEY: &str = "connection ids are made with a new key";
/// Half of the life of an id in the test that changes keys.
const HALF_LIFE: Duration = Duration::from_secs(1);

#[test]
fn no_valid_id_is_refused_while_keys_change() {
    with_hosts(|hosts| {
        let rotation =
            ["--set", "udp.connection_id_rotation_secs=2", "--set", "udp.connection_id_lifetime_secs=2"];
        // The clients ask as fast as they can.
        let no_budget = ["--set", "xdp.source_packets_per_sec=0"];
        let daemon = hosts.start(&[GENERIC, &rotation, &no_budget].concat());
        let mut clients = hosts.clients().map(|mut client| {
            let id = client.connect();
            (client, id, Instant::now())
        });
        let end = Instant::now() + DEADLINE;
        while daemon.log().matches(NEW_KEY).count() < 3 {
            assert!(Instant::now() < end, "{}", daemon.log());
            for (client, kept_id, since) in &mut clients {
                let fresh_id = client.connect();
                client.announce(&AnnounceRequest::new(fresh_id, 6881));
                if since.elapsed() > HALF_LIFE {
                    (*kept_id, *since) = (fresh_id, Instant::now());
                }
                client.announce(&AnnounceRequest::new(*kept_id, 6881));
            }
        }
        assert_nothing_was_refused(hosts, &daemon);
    });
}

fn assert_nothing_was_refused(hosts: &Hosts, daemon: &Daemon) {
    let announced = of_daemon(&hosts.stats(daemon), "announce_answered");
    let stats = hosts.await_stats(daemon, "the program has counted all announces", |stats| {
        of_program(stats, "announce_proven") >= announced
    });
    for refused in ["connection_id_forged", "connection_id_stale"] {
        assert_eq!((of_program(&stats, refused), of_daemon(&stats, refused)), (0, 0), "{stats}");
    }
    assert_eq!(of_daemon(&stats, "connect_answered"), 0, "{stats}");
}

/// A configuration file, and the daemon that is told to read it again.
struct Configured {
    path: PathBuf,
    daemon: Daemon,
    _directory: TemporaryDirectory,
}

impl Configured {
    fn start(hosts: &Hosts, configuration: &str) -> Self {
        let directory = TemporaryDirectory::new();
        let path = directory.path().join("opentracker.conf");
        std::fs::write(&path, configuration).expect("the directory is ours");
        let file = path.to_str().expect("the path is text");
        let daemon = hosts.start(&[GENERIC, &["-f", file]].concat());
        Self { path, daemon, _directory: directory }
    }

    fn reload(&self, configuration: &str) {
        std::fs::write(&self.path, configuration).expect("the directory is ours");
        let seen_lines = self.daemon.log_lines();
        self.daemon.signal(Signal::SIGHUP);
        self.daemon.await_log_line_after(seen_lines, "reloaded access.deny");
    }
}

#[test]
fn a_denied_network_ends_in_the_kernel_and_can_be_changed_while_the_daemon_runs() {
    with_hosts(|hosts| {
        let denied = "access.deny 10.77.0.8/31\naccess.deny fd77::9/128\n";
        let configured = Configured::start(hosts, denied);
        let daemon = &configured.daemon;
        let mut clients = hosts.clients();
        for round in 1..=2 {
            clients.iter().for_each(|client| client.send(&connect_request(1)));
            let stats = hosts.await_stats(daemon, "both are blocked", |stats| {
                of_program(stats, "source_blocked") >= 2 * round
            });
            assert_eq!(of_daemon(&stats, "source_blocked"), 0, "{stats}");
            configured.reload("access.deny 10.77.0.10/31\n");
            // The first answer: there was none before.
            for client in &clients {
                parse_connect(&client.ask(&connect_request(2)), 2);
            }
            configured.reload(denied);
        }
        clients.iter_mut().for_each(|client| client.send(&connect_request(3)));
        let stats =
            hosts.await_stats(daemon, "blocked again", |stats| of_program(stats, "source_blocked") >= 6);
        assert_eq!(of_program(&stats, "connect_answered"), 4, "{stats}");
    });
}

#[test]
fn the_budget_of_a_source_can_be_changed_while_the_daemon_runs() {
    with_hosts(|hosts| {
        let unbounded = "xdp.source_packets_per_sec 0\n";
        let configured = Configured::start(hosts, unbounded);
        let daemon = &configured.daemon;
        let scrape_often = || {
            for mut client in hosts.clients() {
                let id = client.connect();
                (0..30).for_each(|_| client.send(&scrape_request(id, 1, &[INFO_HASH])));
            }
        };
        scrape_often();
        let stats =
            hosts.await_stats(daemon, "all are passed", |stats| of_program(stats, "scrape_proven") == 60);
        assert_eq!(of_program(&stats, "source_over_budget"), 0, "{stats}");
        configured.reload("xdp.source_packets_per_sec 1\nxdp.source_burst_packets 5\n");
        scrape_often();
        // On a slow machine, some of the budget is earned again meanwhile.
        let stats = hosts
            .await_stats(daemon, "most are dropped", |stats| of_program(stats, "source_over_budget") >= 30);
        assert!(of_program(&stats, "scrape_proven") >= 70, "{stats}");
        configured.reload(unbounded);
        for mut client in hosts.clients() {
            let id = client.connect();
            client.scrape(id, &[INFO_HASH]);
        }
    });
}

#[test]
fn the_budget_of_all_connects_can_be_changed_while_the_daemon_runs() {
    with_hosts(|hosts| {
        let configured = Configured::start(hosts, "xdp.connects_per_sec 1\nxdp.connect_burst 5\n");
        let daemon = &configured.daemon;
        let client = hosts.client();
        (0..30).for_each(|_| client.send(&connect_request(1)));
        let stats = hosts
            .await_stats(daemon, "most are dropped", |stats| of_program(stats, "connect_over_budget") >= 15);
        assert!(of_program(&stats, "connect_answered") >= 5, "{stats}");
        configured.reload("xdp.connects_per_sec 0\n");
        let mut client = hosts.client();
        for _ in 0..100 {
            client.connect();
        }
    });
}
