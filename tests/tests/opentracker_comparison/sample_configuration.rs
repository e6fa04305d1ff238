//! A configuration of opentracker with every keyword that it has is taken as it is.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tracker_tests::daemon::Daemon;
use tracker_tests::temporary_directory::TemporaryDirectory;

/// The keywords of opentracker's sample configuration, but for the addresses to listen on and the list.
const REST: &str = "
# Whoever may see the statistics, and where they are.
access.stats 192.0.2.23
access.stats_path stats
access.proxy 192.0.2.24/32
access.fifo_add adder.fifo
access.fifo_delete deleter.fifo
# Other nodes of a cluster.
livesync.cluster.node_ip 192.0.2.1
livesync.cluster.node_ip 192.0.2.2
batchsync.cluster.admin_ip 192.0.2.1
tracker.user nobody
tracker.redirect_url https://tracker.example/
";

fn configuration(directory: &TemporaryDirectory, listen: &str, list: &str) -> String {
    set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("the directory is ours");
    std::fs::write(directory.path().join("list"), "0123456789abcdef0123456789abcdef01234567\n")
        .expect("the directory is ours");
    let rootdir = directory.path().display();
    let path = directory.path().join("opentracker.conf");
    let text = format!("{listen}access.{list} list\ntracker.rootdir {rootdir}{REST}");
    std::fs::write(&path, text).expect("the directory is ours");
    path.to_str().expect("the path is text").to_owned()
}

#[test]
fn every_keyword_of_opentracker_is_accepted() {
    let directory = TemporaryDirectory::new();
    let listen = "livesync.cluster.listen 192.0.2.1:9696\nlisten.udp.workers 4\nlisten.tcp_udp 0.0.0.0\nlisten.tcp_udp 192.0.2.1:80\nlisten.tcp 10.0.0.5\n\
                  listen.udp 192.0.2.1:6970\nlisten.tcp_udp [2001:db8::1]:80\n";
    for list in ["whitelist", "blacklist"] {
        let path = configuration(&directory, listen, list);
        let output =
            Daemon::command_as_given(&["-f", &path, "--check-config"]).output().expect("the daemon starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(said, "", "nothing of it is without effect");
    }
}

#[test]
fn a_tracker_starts_with_every_keyword_of_opentracker() {
    if !tracker_tests::skip::is_root_or_skipped(
        "a configuration that changes the root directory and the user",
    ) {
        return;
    }
    let directory = TemporaryDirectory::new();
    // The port of livesync is none that the kernel gives to whoever asks for any, and nodes of one host share it.
    let listen =
        "listen.udp.workers 1\nlisten.tcp_udp 127.0.0.1:0\nlivesync.cluster.listen 127.96.0.1:9696\n";
    let path = configuration(&directory, listen, "whitelist");
    for name in ["adder.fifo", "deleter.fifo"] {
        let fifo = directory.path().join(name);
        let made =
            Command::new("mkfifo").args(["-m", "666"]).arg(fifo).status().expect("mkfifo is everywhere");
        assert!(made.success());
    }
    let mut command = Daemon::command_as_given(&["-f", &path, "--mode", "socket"]);
    let mut daemon = Daemon::start_command(&mut command);
    assert!(daemon.log().contains("believing datagrams from 192.0.2.1/32, 192.0.2.2/32"), "{}", daemon.log());
    assert!(daemon.terminate().success());
}
