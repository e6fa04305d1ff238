//! What each command says and does.

use crate::scene::{Controlled, Hash, LISTED, LOOPBACK, OTHER, ctl, hex};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt;
use tracker_tests::daemon::Daemon;
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::AnnounceRequest;

#[test]
fn status_tells_how_the_tracker_is() {
    let controlled = Controlled::start(&[]);
    let status = controlled.ctl_json(&["status"]);
    assert_eq!(status["state"], "serving", "{status}");
    assert_eq!(status["pid"], controlled.daemon.pid());
    assert_eq!(status["list"], json!(null));
    assert_eq!(status["peers"], 0);
    let listening = status["listening"].to_string();
    assert!(listening.contains(&format!("udp {}", controlled.daemon.udp_v4())), "{listening}");
    let called = controlled.ctl(&["status"]);
    assert_eq!((called.code, called.stderr.as_str()), (Some(0), ""), "{called:?}");
    assert!(called.stdout.lines().any(|line| line.starts_with("state ") && line.ends_with(" serving")));
}

#[test]
fn stats_are_those_of_the_statistics_page() {
    let controlled = Controlled::start(&[]);
    let (mut client, id) = controlled.client();
    client.announce(&AnnounceRequest::new(id, 6881));
    let (stats, page) = (controlled.ctl_json(&["stats"]), controlled.daemon.stats());
    let keys = |statistics: &Value| -> Vec<String> {
        statistics.as_object().expect("it is an object").keys().cloned().collect()
    };
    assert_eq!(keys(&stats), keys(&page));
    // Others have changed meanwhile, by the request for the page itself.
    for unchanged in ["peers", "leechers", "torrents", "udp"] {
        assert_eq!(stats[unchanged], page[unchanged], "{unchanged}");
    }
    assert_eq!(stats["udp"]["announce_answered"], 1);
    let called = controlled.ctl(&["stats"]);
    let has_line = |line: &str| line.split_whitespace().eq(["udp.announce_answered", "1"]);
    assert!(called.stdout.lines().any(has_line), "{}", called.stdout);
}

#[test]
fn torrents_are_allowed_and_denied_whatever_the_list() {
    for (option, at_first) in [("-w", [true, false]), ("-b", [false, true])] {
        let controlled = Controlled::start_with_list(option, &hex(&LISTED));
        assert_eq!(controlled.permitted(), at_first);
        let both = [hex(&LISTED), hex(&OTHER)];
        let answer = controlled.ctl_json(&["allow", &both[0], &both[1]]);
        assert_eq!((&answer["torrents"], &answer["changed"]), (&json!(2), &json!(1)), "{answer}");
        assert_eq!(controlled.permitted(), [true, true]);
        let called = controlled.ctl(&["deny", &both[0].to_lowercase(), &both[1]]);
        assert_eq!(called.code, Some(0), "{called:?}");
        assert!(called.stdout.contains("changed   2"), "{called:?}");
        assert_eq!(controlled.permitted(), [false, false]);
        // A reload reads the file as it is.
        let reloaded = controlled.ctl_json(&["reload"]);
        assert!(reloaded["list"].as_str().expect("there is a list").contains("1 torrents"), "{reloaded}");
        assert_eq!(controlled.permitted(), at_first);
    }
}

#[test]
fn without_a_list_nothing_can_be_allowed() {
    let controlled = Controlled::start(&[]);
    for arguments in [&["allow", &hex(&LISTED)][..], &["list"]] {
        let called = controlled.ctl(arguments);
        assert_eq!((called.code, called.stdout.as_str()), (Some(1), ""), "{called:?}");
        assert!(called.stderr.contains("no list is in force"), "{called:?}");
    }
    let called = controlled.ctl(&["--json", "deny", &hex(&LISTED)]);
    assert_eq!(called.code, Some(1));
    assert!(called.stdout.starts_with(r#"{"error":"no list is in force"#), "{called:?}");
}

#[test]
fn the_list_is_printed_as_a_file_that_has_the_changes() {
    let mut hashes: Vec<Hash> = (0..3000_u32)
        .map(|number| {
            let mut hash = [0x5a; 20];
            hash[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
            hash
        })
        .collect();
    let text: String = hashes.iter().map(|hash| hex(hash) + " a note\n").collect();
    let controlled = Controlled::start_with_list("-w", &text);
    controlled.ctl_json(&["allow", &hex(&OTHER)]);
    controlled.ctl_json(&["deny", &hex(&hashes[7])]);
    hashes.remove(7);
    hashes.push(OTHER);
    hashes.sort_unstable();
    let called = controlled.ctl(&["list"]);
    let expected: Vec<String> = hashes.iter().map(hex).collect();
    let (heading, rows) = called.stdout.split_once('\n').expect("there is more than one line");
    assert_eq!(heading, "# whitelist of 3000 torrents");
    assert_eq!(rows.lines().collect::<Vec<_>>(), expected);
    let as_json = controlled.ctl_json(&["list"]);
    assert_eq!(as_json, json!({ "kind": "whitelist", "total": 3000, "torrents": expected }));
}

#[test]
fn what_cannot_be_written_out_is_no_success() {
    let text: String = (0..3000_u16).map(|number| format!("{number:040X}\n")).collect();
    let controlled = Controlled::start_with_list("-w", &text);
    let socket = controlled.socket.to_str().expect("the path is text");
    for arguments in [&["list"][..], &["--json", "list"], &["status"], &["--help"]] {
        let mut command = Daemon::command_as_given(&[&["ctl", "--socket", socket], arguments].concat());
        let full = OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
        let output = command.stdout(full).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(arguments == ["--help"] || stderr.contains("cannot be written"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_reload_that_fails_says_why() {
    let directory = TemporaryDirectory::new();
    let (file, list) = (directory.path().join("tracker.conf"), directory.path().join("list"));
    let write = |more: &str| {
        let text = format!("access.whitelist {}\n{more}\n", list.display());
        std::fs::write(&file, text).expect("the directory is ours");
    };
    write("");
    std::fs::write(&list, hex(&LISTED)).expect("the directory is ours");
    let controlled = Controlled::start_in(directory, &["-f", "{}/tracker.conf"]);
    assert_eq!(controlled.ctl(&["reload"]).code, Some(0));
    write("access.denny 192.0.2.0/24");
    let called = controlled.ctl(&["reload"]);
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.stderr.contains("did you mean access.deny"), "{called:?}");
    write("");
    std::fs::remove_file(&list).expect("the directory is ours");
    let called = controlled.ctl(&["reload"]);
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.stderr.contains("stays in force"), "{called:?}");
    assert_eq!(controlled.permitted(), [true, false]);
}

#[test]
fn why_a_torrent_is_denied_can_be_asked_for_though_nobody_may_announce_it() {
    let controlled = Controlled::start_with_list("-b", &format!("{} 2026-11-24 a court\n", hex(&LISTED)));
    let answer = controlled.ctl_json(&["torrent", &hex(&LISTED)]);
    assert_eq!(
        (&answer["served"], &answer["note"]),
        (&json!(false), &json!("2026-11-24 a court")),
        "{answer}"
    );
    assert_eq!(answer["completed"], 0);
}

#[test]
fn a_reload_that_fails_in_part_is_no_success() {
    let directory = TemporaryDirectory::new();
    let (secrets, fifo) = (directory.path().join("secrets"), directory.path().join("add"));
    std::fs::write(&secrets, "ab".repeat(16)).expect("the directory is ours");
    std::fs::set_permissions(&secrets, PermissionsExt::from_mode(0o600)).expect("the directory is ours");
    std::fs::write(directory.path().join("list"), hex(&LISTED)).expect("the directory is ours");
    let set = ["udp.connection_id_key_file={}/secrets", "access.fifo_add={}/add"];
    let arguments = ["-w", "{}/list", "--set", set[0], "--set", set[1]];
    let controlled = Controlled::start_in(directory, &arguments);
    assert_eq!(controlled.ctl(&["reload"]).code, Some(0));
    std::fs::write(&secrets, "no secret").expect("the directory is ours");
    let called = controlled.ctl(&["reload"]);
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.stderr.contains("connection ids go on with the secrets of before"), "{called:?}");
    std::fs::write(&secrets, "ab".repeat(16)).expect("the directory is ours");
    std::fs::remove_file(&fifo).expect("the daemon has made it");
    std::fs::write(&fifo, "").expect("the directory is ours");
    let called = controlled.ctl(&["reload"]);
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.stderr.contains("it is no FIFO"), "{called:?}");
}

#[test]
fn status_names_the_list_that_is_in_force() {
    let directory = TemporaryDirectory::new();
    let path = |name: &str| directory.path().join(name).to_str().expect("the path is text").to_owned();
    let (file, one, other) = (path("tracker.conf"), path("one"), path("other"));
    let write = |path: &str, text: &str| std::fs::write(path, text).expect("the directory is ours");
    write(&one, &hex(&LISTED));
    write(&other, "");
    write(&file, &format!("access.whitelist {one}\n"));
    let controlled = Controlled::start_in(directory, &["-f", "{}/tracker.conf"]);
    let list = || controlled.ctl_json(&["status"])["list"].take();
    assert_eq!(list(), json!({ "kind": "whitelist", "torrents": 1, "file": one }));
    write(&file, &format!("access.blacklist {other}\n"));
    assert_eq!(controlled.ctl(&["reload"]).code, Some(0));
    controlled.ctl_json(&["deny", &hex(&OTHER)]);
    assert_eq!(list(), json!({ "kind": "blacklist", "torrents": 1, "file": other }));
}

#[test]
fn the_largest_swarms_come_first() {
    let controlled = Controlled::start(&[]);
    let (mut client, id) = controlled.client();
    for torrent in 1..=20_u8 {
        for port in 1..=u16::from(torrent) {
            let request = AnnounceRequest { info_hash: [torrent; 20], ..AnnounceRequest::new(id, port) };
            client.announce(&if port == 1 { request.seeding() } else { request });
        }
    }
    let top = controlled.ctl_json(&["top", "3"]);
    let row = |torrent: u8| {
        json!({
            "torrent": hex(&[torrent; 20]), "peers": torrent, "seeders": 1, "leechers": torrent - 1, "completed": 0,
        })
    };
    assert_eq!(top["torrents"], json!([row(20), row(19), row(18)]));
    assert_eq!(controlled.ctl(&["top"]).stdout.lines().count(), 11);
}

#[test]
fn a_torrent_is_told_with_the_note_of_its_list() {
    let controlled = Controlled::start_with_list("-w", &format!("{} asked for\n", hex(&LISTED)));
    let called = controlled.ctl(&["torrent", &hex(&OTHER)]);
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.stderr.contains("nor listed; announces of it are not served"), "{called:?}");
    let unheard_of = controlled.ctl_json(&["torrent", &hex(&LISTED)]);
    assert_eq!((&unheard_of["peers"], &unheard_of["note"]), (&json!(0), &json!("asked for")), "{unheard_of}");
    assert_eq!(unheard_of["seconds_since_announce"], json!(null));
    let (mut client, id) = controlled.client();
    client.announce(&AnnounceRequest { info_hash: LISTED, ..AnnounceRequest::new(id, 1) });
    let answer = controlled.ctl_json(&["torrent", &hex(&LISTED)]);
    assert_eq!((&answer["leechers"], &answer["served"]), (&json!(1), &json!(true)), "{answer}");
    assert_eq!(answer["note"], "asked for");
    assert!(answer["seconds_since_announce"].as_u64().is_some_and(|seconds| seconds < 60), "{answer}");
}

#[test]
fn the_level_of_the_log_changes_while_it_runs() {
    let controlled = Controlled::start(&[]);
    let level = controlled.ctl_json(&["log", "error"]);
    assert_eq!(level, json!({ "level": "error", "before": "info" }));
    controlled.ctl_json(&["reload"]);
    assert!(!controlled.daemon.log().contains("reloaded"), "{}", controlled.daemon.log());
    controlled.ctl_json(&["log", "debug"]);
    assert_eq!(controlled.ctl_json(&["status"])["log_level"], "debug");
    controlled.ctl_json(&["reload"]);
    controlled.daemon.await_log_line("reloaded");
}

#[test]
fn below_a_root_directory_everything_works_as_the_user_that_the_daemon_becomes() {
    if !is_root_or_skipped("chroot") {
        return;
    }
    let directory = TemporaryDirectory::new();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("ours");
    let root = directory.subdirectory("root");
    std::fs::write(root.join("list"), hex(&LISTED)).expect("the directory is ours");
    let controlled = Controlled::start_in(directory, &["-u", "nobody", "-d", "{}/root", "-w", "/list"]);
    assert_eq!(controlled.ctl_json(&["status"])["state"], "serving");
    controlled.ctl_json(&["allow", &hex(&OTHER)]);
    assert_eq!(controlled.permitted(), [true, true]);
    controlled.ctl_json(&["reload"]);
    assert_eq!(controlled.permitted(), [true, false]);
    // It is still the socket of root alone.
    let metadata = controlled.socket.metadata().expect("the daemon has made it");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn every_failure_has_its_exit_code() {
    let controlled = Controlled::start(&[]);
    assert_eq!(controlled.ctl(&["stop"]).code, Some(2));
    assert_eq!(controlled.ctl(&["torrent", "xyz"]).code, Some(2));
    let wrong = controlled.ctl(&["--json", "torrent", "xyz"]);
    assert_eq!((wrong.code, wrong.stderr.as_str()), (Some(2), ""), "{wrong:?}");
    assert!(wrong.stdout.starts_with(r#"{"error":""#), "{wrong:?}");
    assert_eq!(ctl(&["--help"]).code, Some(0));
    let nowhere = ctl(&["--socket", "/nonexistent/control.sock", "status"]);
    assert_eq!(nowhere.code, Some(3), "{nowhere:?}");
    assert!(nowhere.stderr.contains("control.socket"), "{nowhere:?}");
    // Stopped, it takes the connection and does not answer.
    controlled.daemon.signal(Signal::SIGSTOP);
    let silent = controlled.ctl(&["--timeout", "1", "status"]);
    controlled.daemon.signal(Signal::SIGCONT);
    assert_eq!(silent.code, Some(4), "{silent:?}");
}

#[test]
fn the_socket_is_found_through_the_file_that_names_it() {
    let directory = TemporaryDirectory::new();
    let (file, socket) = (directory.path().join("tracker.conf"), directory.path().join("sock"));
    std::fs::write(&file, format!("control.socket {}\n", socket.display())).expect("the directory is ours");
    let file = file.to_str().expect("the path is text");
    let daemon = Daemon::start(&[LOOPBACK, &["-f", file]].concat());
    let called = ctl(&["-f", file, "--json", "status"]);
    assert_eq!(called.code, Some(0), "{called:?}");
    assert!(called.stdout.contains(&format!("\"pid\":{}", daemon.pid())), "{called:?}");
}
