//! From one run to the next: what is known again, what is not believed, and what keeps the tracker from starting.

use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use tracker_tests::daemon::Daemon;
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, Row, UdpClient};

const LOOPBACK: &[&str] = &["-i", "127.0.0.1", "-p", "0", "-P", "0", "-i", "::1", "-P", "0"];

pub(crate) type Hash = [u8; 20];

pub(crate) fn hash(number: u32) -> Hash {
    let mut hash = [0xc4; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    hash
}

fn with_snapshot(path: &Path) -> Vec<String> {
    let setting = format!("state.snapshot={}", path.display());
    LOOPBACK.iter().map(|argument| (*argument).to_owned()).chain(["--set".to_owned(), setting]).collect()
}

fn start(arguments: &[String]) -> Daemon {
    Daemon::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Torrent `n` of three has `n` seeders, of which the first has completed it, and a leecher, all over IPv4; and another
/// leecher over IPv6.
fn announce(daemon: &Daemon) {
    for tracker in [daemon.udp_v4(), daemon.udp_v6()] {
        let mut client = UdpClient::new(tracker.ip(), tracker);
        let connection_id = client.connect();
        for number in 0..3 {
            let leecher =
                AnnounceRequest { info_hash: hash(number), ..AnnounceRequest::new(connection_id, 1) };
            client.announce(&leecher);
            for port in 0..if tracker.is_ipv4() { number as u16 } else { 0 } {
                let seeder = AnnounceRequest { port: 2 + port, ..leecher.clone() }.seeding();
                client.announce(&seeder.event(u32::from(port == 0)));
            }
        }
    }
}

fn rows(daemon: &Daemon) -> Vec<Row> {
    let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
    let connection_id = client.connect();
    client.scrape(connection_id, &[hash(0), hash(1), hash(2)])
}

#[test]
fn everything_is_known_again_after_a_restart() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("snapshot");
    let arguments = with_snapshot(&path);
    let mut daemon = start(&arguments);
    daemon.await_log_line("no snapshot yet");
    announce(&daemon);
    let before = rows(&daemon);
    assert!(daemon.terminate().success());
    daemon.await_log_line("9 peers written");
    assert_eq!(fs::metadata(&path).expect("it was written").permissions().mode() & 0o777, 0o600);

    let mut daemon = start(&arguments);
    daemon.await_log_line("3 torrents and 9 peers known again, 0 peers left out");
    assert_eq!(rows(&daemon), before);
    // They are not only counted: they are given out, and known as who they are.
    let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
    let connection_id = client.connect();
    let newcomer = AnnounceRequest { info_hash: hash(2), ..AnnounceRequest::new(connection_id, 9) };
    let mut ports: Vec<_> = client.announce(&newcomer).peers.iter().map(|peer| peer.port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [1, 2, 3]);
    client.announce(&newcomer.event(3));
    // The completion of this one was counted before.
    let seeder = AnnounceRequest { info_hash: hash(2), ..AnnounceRequest::new(connection_id, 2) }.seeding();
    client.announce(&seeder.event(1));
    assert_eq!(rows(&daemon), before);
    assert!(daemon.terminate().success());
    assert_eq!(rows(&start(&arguments)), before);
}

#[test]
fn what_a_snapshot_of_the_interval_has_is_known_again_after_a_crash() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("snapshot");
    let mut arguments = with_snapshot(&path);
    arguments.extend(["--set", "state.snapshot_interval_secs=1"].map(str::to_owned));
    let mut daemon = start(&arguments);
    announce(&daemon);
    let before = rows(&daemon);
    // All of them; every later one has them too.
    daemon.await_log_line("9 peers written");
    daemon.signal(Signal::SIGKILL);
    assert!(!daemon.await_exit().success());

    let daemon = start(&arguments);
    daemon.await_log_line("3 torrents and 9 peers known again, 0 peers left out");
    assert_eq!(rows(&daemon), before);
    assert_eq!(before.iter().map(|row| row.completed).collect::<Vec<_>>(), [0, 1, 1]);
    // Statistics begin anew.
    let stats = daemon.stats();
    assert_eq!((&stats["udp"]["announce_answered"], &stats["peers"]), (&0.into(), &9.into()));
}

#[test]
fn a_damaged_snapshot_is_put_aside_and_all_starts_empty() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("snapshot");
    let arguments = with_snapshot(&path);
    let mut daemon = start(&arguments);
    announce(&daemon);
    assert!(daemon.terminate().success());
    let mut content = fs::read(&path).expect("it was written");
    let middle = content.len() / 2;
    content[middle] ^= 0x10;
    fs::write(&path, &content).expect("the directory is ours");

    let mut daemon = start(&arguments);
    let line = daemon.await_log_line("is damaged");
    assert!(line.contains("ERROR"), "{line}");
    assert_eq!(daemon.stats()["torrents"], 0);
    let kept: Vec<PathBuf> = beside(&path);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(line.contains(&kept[0].display().to_string()), "{line}");
    assert_eq!(fs::read(&kept[0]).expect("it is kept"), content);
    // The next one takes its place, and that one stays where it is.
    announce(&daemon);
    assert!(daemon.terminate().success());
    assert_eq!(start(&arguments).stats()["torrents"], 3);
    assert_eq!(beside(&path), kept);
}

/// The files beside a snapshot.
fn beside(path: &Path) -> Vec<PathBuf> {
    let directory =
        fs::read_dir(path.parent().expect("it is in a directory")).expect("the directory is ours");
    let files = directory.map(|entry| entry.expect("the directory is ours").path());
    files.filter(|file| file != path).collect()
}

#[test]
fn a_snapshot_that_could_not_be_written_is_an_error_at_the_start() {
    let directory = TemporaryDirectory::new();
    for (key, path) in [
        ("state.snapshot", "/nowhere/snapshot".to_owned()),
        ("state.snapshot", directory.path().display().to_string()),
        ("state.export", "/nowhere/export".to_owned()),
    ] {
        let setting = format!("{key}={path}");
        let ended = Daemon::start_refused(&[LOOPBACK, &["--set", &setting]].concat());
        assert!(!ended.status.success());
        assert!(ended.log.contains(key) && ended.log.contains(&path), "{}", ended.log);
    }
}

#[test]
fn a_last_snapshot_that_cannot_be_written_is_no_success() {
    let directory = TemporaryDirectory::new();
    let state = directory.subdirectory("state");
    let mut daemon = start(&with_snapshot(&state.join("snapshot")));
    announce(&daemon);
    fs::remove_dir_all(&state).expect("the directory is ours");
    assert!(!daemon.terminate().success());
    assert!(daemon.log().contains("the last snapshot is not written"), "{}", daemon.log());
}

#[test]
fn within_a_root_directory_nobody_keeps_the_snapshot() {
    if !is_root_or_skipped("chroot") {
        return;
    }
    let directory = TemporaryDirectory::new();
    let open = PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), open).expect("the directory is ours");
    let state = directory.subdirectory("state");
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten().expect("every Linux has nobody");
    chown(&state, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).expect("the test is root");
    let root = directory.path().to_str().expect("the path is text");
    let settings = ["state.snapshot=/state/snapshot", "state.export=/state/export", "log.level=debug"];
    let mut arguments = [LOOPBACK, &["-d", root]].concat();
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let mut daemon = Daemon::start_command(&mut Daemon::command_as_given(&arguments));
    daemon.await_log_line(": 0 torrents written");
    announce(&daemon);
    assert!(daemon.terminate().success(), "{}", daemon.log());
    assert!(state.join("snapshot").exists() && state.join("export").exists());
    let daemon = Daemon::start_command(&mut Daemon::command_as_given(&arguments));
    daemon.await_log_line("9 peers known again");
}
