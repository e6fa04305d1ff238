//! The daemon's host changes while it runs: the program follows.

use crate::hosts::{CLIENT_V4, CLIENT_V6, GENERIC, Hosts, TRACKER, of_daemon, of_program, with_hosts};
use std::net::IpAddr;
use tracker_tests::daemon::Daemon;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::AnnounceRequest;

/// Before the stack, and fenced off but for what XDP needs.
const CONFINED: &[&str] = &["-u", "nobody", "--set", "tracker.sandbox=on"];
/// A new key every two seconds.
const NEW_KEYS: &[&str] =
    &["--set", "udp.connection_id_rotation_secs=2", "--set", "udp.connection_id_lifetime_secs=2"];

#[test]
fn an_interface_that_comes_back_is_served_again() {
    assert_serves_after_new_cable(&["-u", "root"]);
}

#[test]
fn an_interface_that_comes_back_is_served_again_when_root_is_given_up() {
    assert_serves_after_new_cable(&["-u", "nobody"]);
}

#[test]
fn an_interface_that_comes_back_is_served_again_by_a_pinned_program_when_root_is_given_up() {
    assert_serves_after_new_cable(&["-u", "nobody", "--xdp-pin"]);
}

fn assert_serves_after_new_cable(more: &[&str]) {
    with_hosts(|hosts| {
        let daemon = hosts.start(&[GENERIC, more].concat());
        hosts.assert_program_serves(&daemon);
        assert_follows_a_new_cable(hosts, &daemon);
        hosts.assert_program_serves(&daemon);
    });
}

/// The same program answers on the new interface.
fn assert_follows_a_new_cable(hosts: &mut Hosts, daemon: &Daemon) {
    let (seen_lines, first_id) = (daemon.log_lines(), hosts.program_id());
    hosts.replace_cable();
    daemon.await_log_line_after(seen_lines, "XDP program on tracker");
    assert_eq!(hosts.program_id(), first_id);
    for mut client in hosts.clients() {
        hosts.await_answer_of_program(daemon, &mut client);
    }
}

#[test]
fn within_a_root_directory_a_program_is_counted_and_gets_new_keys_and_new_interfaces() {
    assert_lives_in_a_root_directory(&[]);
}

#[test]
fn within_a_root_directory_a_pinned_program_is_counted_and_gets_new_keys_and_new_interfaces() {
    assert_lives_in_a_root_directory(&["--xdp-pin"]);
}

/// Neither `/sys` nor `/proc` is there any more.
fn assert_lives_in_a_root_directory(more: &[&str]) {
    with_hosts(|hosts| {
        let directory = TemporaryDirectory::new();
        let root = ["-d", directory.path().to_str().expect("the path is text")];
        let daemon = hosts.start(&[GENERIC, CONFINED, NEW_KEYS, &root, more].concat());
        assert_serves_with_a_new_key(hosts, &daemon);
        assert_follows_a_new_cable(hosts, &daemon);
        assert_serves_with_a_new_key(hosts, &daemon);
    });
}

/// The program answers connects, with ids of a key that did not exist before, and its counters grow by them.
fn assert_serves_with_a_new_key(hosts: &Hosts, daemon: &Daemon) {
    daemon.await_log_line_after(daemon.log_lines(), "connection ids are made with a new key");
    let before = hosts.stats(daemon);
    for mut client in hosts.clients() {
        let id = client.connect();
        assert_ne!(client.announce(&AnnounceRequest::new(id, 6881).seeding()).seeders, 0);
    }
    let after = hosts.await_stats(daemon, "the program has counted both", |stats| {
        ["connect_answered", "announce_proven"]
            .iter()
            .all(|verdict| of_program(stats, verdict) >= of_program(&before, verdict) + 2)
    });
    for (verdict, more) in [("connect_answered", 0), ("announce_answered", 2), ("connection_id_forged", 0)] {
        assert_eq!(of_daemon(&after, verdict), of_daemon(&before, verdict) + more, "{after}");
    }
}

#[test]
fn an_address_that_is_added_is_served_where_the_daemon_listens_on_all() {
    with_hosts(|hosts| {
        let daemon = hosts.start_anywhere(&[&["-p", "0", "-P", "6969", "-u", "nobody"], GENERIC].concat());
        hosts.assert_program_serves(&daemon);
        for (address, prefix_len, own) in [("10.77.0.50", 24, CLIENT_V4), ("fd77::50", 64, CLIENT_V6)] {
            let address: IpAddr = address.parse().expect("an address");
            hosts.tracker.add_address(TRACKER, address, prefix_len);
            hosts
                .client
                .ip(&format!("neighbour add {address} lladdr 02:00:00:00:00:01 nud permanent dev client"));
            hosts.await_answer_of_program(&daemon, &mut hosts.client_of(own, address));
        }
    });
}

#[test]
fn a_new_link_address_is_followed() {
    with_hosts(|hosts| {
        let daemon = hosts.start(GENERIC);
        hosts.assert_program_serves(&daemon);
        hosts.tracker.ip("link set tracker address 02:00:00:00:00:77");
        for tracker in ["10.77.0.1", "fd77::1"] {
            let arguments =
                format!("neighbour replace {tracker} lladdr 02:00:00:00:00:77 nud permanent dev client");
            hosts.client.ip(&arguments);
        }
        for mut client in hosts.clients() {
            hosts.await_answer_of_program(&daemon, &mut client);
        }
    });
}
