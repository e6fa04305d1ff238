//! Where the program cannot be had: refused with the cause where it was asked for by name, else sockets serve, and one
//! line says why.

use crate::hosts::{Hosts, LISTEN, of_daemon, with_hosts};
use nix::unistd::User;
use std::os::unix::process::CommandExt;
use tracker_tests::daemon::Daemon;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::AnnounceRequest;

#[test]
fn an_object_that_is_not_there_is_named() {
    with_hosts(|hosts| assert_not_loaded(hosts, "/nonexistent/tracker-ebpf", "/nonexistent/tracker-ebpf"));
}

#[test]
fn an_object_of_garbage_is_refused() {
    with_hosts(|hosts| {
        let directory = TemporaryDirectory::new();
        let path = directory.path().join("tracker-ebpf");
        std::fs::write(&path, b"\x7fELF, or not").expect("the directory is ours");
        assert_not_loaded(hosts, path.to_str().expect("the path is text"), "no ELF file");
    });
}

#[test]
fn an_object_for_another_machine_is_refused() {
    with_hosts(|hosts| assert_not_loaded(hosts, "/bin/true", "not for BPF"));
}

/// Asserts that mode xdp refuses the object for this reason, and mode auto says it and serves.
fn assert_not_loaded(hosts: &Hosts, object: &str, reason: &str) {
    let log = hosts.start_refused(&["--mode", "xdp", "--xdp-object", object]);
    assert!(log.contains(reason), "{log}");
    let daemon = hosts.start(&["--mode", "auto", "--xdp-object", object]);
    assert_serves_by_sockets(hosts, &daemon, reason);
}

/// Asserts that one line of the log says why there is no program, and that sockets serve.
fn assert_serves_by_sockets(hosts: &Hosts, daemon: &Daemon, reason: &str) {
    let log = daemon.log();
    let about_mode: Vec<&str> = log.lines().filter(|line| line.contains("mode auto")).collect();
    assert_eq!(about_mode.len(), 1, "{log}");
    assert!(about_mode[0].contains(reason), "{log}");
    // Nothing but that, that it is ready and, where root is given up, who it is.
    assert!(log.lines().all(|line| line.starts_with('[')), "a message of several lines: {log}");
    for mut client in hosts.clients() {
        let id = client.connect();
        client.announce(&AnnounceRequest::new(id, 6881));
    }
    let stats = hosts.stats(daemon);
    assert_eq!(of_daemon(&stats, "connect_answered"), 2);
    assert!(stats["xdp"].is_null(), "{stats}");
    assert_eq!(hosts.program_id(), None);
}

#[test]
fn without_root_mode_xdp_is_refused_and_mode_auto_serves_by_sockets() {
    with_hosts(|hosts| {
        let nobody = User::from_name("nobody").ok().flatten().expect("every Linux has nobody");
        let start = |mode: &'static str| {
            let mut command = Daemon::command_as_given(&[LISTEN, &["--mode", mode]].concat());
            command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
            command
        };
        let refused = hosts.tracker.run(|| Daemon::start_command_refused(&mut start("xdp")));
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.log.contains("CAP_BPF"), "{}", refused.log);
        let daemon = hosts.tracker.run(|| Daemon::start_command(&mut start("auto")));
        assert_serves_by_sockets(hosts, &daemon, "CAP_BPF");
    });
}
