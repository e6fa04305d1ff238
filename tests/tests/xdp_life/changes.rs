//! The daemon's host changes while it runs: the program follows.

use crate::hosts::{CLIENT_V4, CLIENT_V6, GENERIC, TRACKER, with_hosts};
use std::net::IpAddr;

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
        let (seen_lines, first_id) = (daemon.log_lines(), hosts.program_id());
        hosts.replace_cable();
        daemon.await_log_line_after(seen_lines, "XDP program on tracker");
        // The same program on a new interface.
        assert_eq!(hosts.program_id(), first_id);
        for mut client in hosts.clients() {
            hosts.await_answer_of_program(&daemon, &mut client);
        }
        hosts.assert_program_serves(&daemon);
    });
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
