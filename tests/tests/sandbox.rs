//! The running daemon fences itself off from the host, every thread of it, and does within the fence what it has to do. The
//! tests of everything else run within it as well, where the kernel has Landlock and seccomp.

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Output;
use tracker_tests::daemon::Daemon;
use tracker_tests::http;
use tracker_tests::skip::{is_root_or_skipped, skipped};
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};

const LOOPBACK: &[&str] = &["-i", "127.0.0.1", "-p", "0", "-P", "0"];
const ON: &[&str] = &["--set", "tracker.sandbox=on"];
const IN_FORCE: &str = "sandbox: files by Landlock, system calls by seccomp";

/// Whether this kernel has all of it; if not, says that the test is skipped.
fn is_there_or_skipped() -> bool {
    let daemon = Daemon::start(LOOPBACK);
    let is_there = daemon.log().contains(IN_FORCE);
    if !is_there {
        skipped("the sandbox: this kernel lacks Landlock or seccomp");
    }
    is_there
}

/// A line of the status of each thread.
fn of_threads(daemon: &Daemon, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("the daemon runs");
    let of_thread = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("the kernel has this line").trim().to_owned()
    };
    // One that ends meanwhile is none any more.
    let statuses = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    statuses.map(of_thread).collect()
}

#[test]
fn every_thread_is_within() {
    if !is_there_or_skipped() {
        return;
    }
    let directory = TemporaryDirectory::new();
    let list = write(directory.path(), "list", "");
    let more = ["-b", &list, "--udp-workers", "3", "--http-workers", "2"];
    let daemon = Daemon::start(&[LOOPBACK, &more].concat());
    let filtered = of_threads(&daemon, "Seccomp");
    assert!(filtered.len() >= 7, "control, lists and five workers: {filtered:?}");
    assert!(filtered.iter().all(|mode| mode == "2"), "{filtered:?}");
    assert!(of_threads(&daemon, "NoNewPrivs").iter().all(|bit| bit == "1"));
    let off = Daemon::start(&[LOOPBACK, &["--set", "tracker.sandbox=off"]].concat());
    assert!(of_threads(&off, "Seccomp").iter().all(|mode| mode == "0"));
    assert!(of_threads(&off, "NoNewPrivs").iter().all(|bit| bit == "1"));
    assert!(off.log().contains("tracker.sandbox off"), "{}", off.log());
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("the directory is ours");
    path.into_os_string().into_string().expect("the path is text")
}

fn ctl(socket: &str, arguments: &[&str]) -> Output {
    let arguments = [&["ctl", "--socket", socket], arguments].concat();
    Daemon::command_as_given(&arguments).output().expect("the binary runs")
}

#[test]
fn what_no_setting_has_named_stays_closed() {
    if !is_there_or_skipped() {
        return;
    }
    for (mode, is_open) in [("on", false), ("off", true)] {
        let (here, elsewhere) = (TemporaryDirectory::new(), TemporaryDirectory::new());
        let first = write(here.path(), "list", "");
        let second = write(elsewhere.path(), "list", "");
        let socket = here.path().join("control.sock");
        let socket = socket.to_str().expect("the path is text");
        let text = format!("control.socket {socket}\ntracker.sandbox {mode}\naccess.blacklist ");
        let file = write(here.path(), "tracker.conf", &(text.clone() + &first + "\n"));
        let daemon = Daemon::start(&[LOOPBACK, &["-f", &file]].concat());
        write(here.path(), "tracker.conf", &(text + &second + "\n"));
        let reloaded = ctl(socket, &["reload"]);
        assert_eq!(reloaded.status.success(), is_open, "{mode}: {reloaded:?}\n{}", daemon.log());
        let said = String::from_utf8_lossy(&reloaded.stderr);
        assert_eq!(said.contains("Permission denied"), !is_open, "{said}");
    }
}

/// Everything that goes on while the daemon runs, as the user that it becomes.
#[test]
fn all_of_its_life_goes_on_within() {
    if !is_there_or_skipped() {
        return;
    }
    let directory = TemporaryDirectory::new();
    let place = directory.path();
    if Uid::effective().is_root() {
        let nobody = User::from_name("nobody").ok().flatten().expect("every Linux has nobody");
        std::os::unix::fs::chown(place, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()))
            .expect("as root");
    }
    let hash = |digit: &str| digit.repeat(40);
    let file = format!(
        "tracker.sandbox on\ncontrol.socket {0}/control.sock\naccess.whitelist {0}/list\naccess.fifo_add {0}/add\n\
         access.fifo_delete {0}/delete\nstate.snapshot {0}/snapshot\nstate.snapshot_interval_secs 1\n\
         state.export {0}/export\nstate.export_interval_secs 1\nudp.connection_id_lifetime_secs 1\n\
         udp.connection_id_rotation_secs 1\nhttp.full_scrape_interval_secs 0\n",
        place.display()
    );
    let file = write(place, "tracker.conf", &file);
    write(place, "list", &hash("1"));
    let arguments = [LOOPBACK, &["-f", &file]].concat();
    let mut daemon = Daemon::start_command(&mut Daemon::command_as_given(&arguments));
    let socket = place.join("control.sock");
    let socket = socket.to_str().expect("the path is text");
    daemon.await_log_line("connection ids are made with a new key");

    let fifo = |name: &str, text: String| {
        let mut fifo = OpenOptions::new().write(true).open(place.join(name)).expect("the daemon has made it");
        fifo.write_all(text.as_bytes()).expect("the daemon reads it");
    };
    fifo("add", hash("2"));
    daemon.await_log_line("1 of 1 torrents put on the list");
    fifo("delete", hash("1"));
    daemon.await_log_line("1 of 1 torrents taken off the list");
    assert!(ctl(socket, &["allow", &hash("3")]).status.success());
    assert_eq!([0x11, 0x22, 0x33].map(|byte| is_permitted(&daemon, byte)), [false, true, true]);

    // Replaced, as documented, and read again by a signal and through the socket.
    for (digit, byte) in [("4", 0x44), ("5", 0x55)] {
        let beside = write(place, "new", &hash(digit));
        std::fs::rename(beside, place.join("list")).expect("the directory is ours");
        if digit == "4" {
            let seen = daemon.log_lines();
            daemon.signal(Signal::SIGHUP);
            daemon.await_log_line_after(seen, "in force: 1 torrents");
        } else {
            let reloaded = ctl(socket, &["reload"]);
            assert!(reloaded.status.success(), "{reloaded:?}");
        }
        assert!(is_permitted(&daemon, byte));
    }
    for arguments in
        [&["status"][..], &["stats"], &["top"], &["list"], &["torrent", &hash("5")], &["log", "debug"]]
    {
        let called = ctl(socket, arguments);
        assert!(called.status.success(), "{called:?}");
    }
    let scrape = http::get(daemon.tcp_v4(), "/scrape");
    assert!(scrape.body.starts_with(b"d5:files"), "{scrape:?}");
    assert!(place.join("export").exists());
    assert!(ctl(socket, &["drain", "--within", "0", "--wait"]).status.success());
    assert!(daemon.await_exit().success(), "{}", daemon.log());
    // Not even a file that could not be written.
    assert!(!daemon.log().contains("denied") && !daemon.log().contains("not permitted"), "{}", daemon.log());
    let again = Daemon::start_command(&mut Daemon::command_as_given(&arguments));
    assert_ne!(again.stats()["torrents"], 0, "{}", again.log());
}

fn is_permitted(daemon: &Daemon, byte: u8) -> bool {
    let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
    // Ids hold for little longer than a rotation.
    let id = client.connect();
    let request = AnnounceRequest { info_hash: [byte; 20], ..AnnounceRequest::new(id, 6881).seeding() };
    client.ask(&request.payload())[3] == 1
}

/// What root was started with, and what other users may have been given, is not kept.
#[test]
fn no_capability_is_left_that_is_not_needed() {
    if !is_root_or_skipped("giving up capabilities") {
        return;
    }
    let daemon = Daemon::start_command(&mut Daemon::command_as_given(&[LOOPBACK, ON].concat()));
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert!(of_threads(&daemon, set).iter().all(|bits| bits == "0000000000000000"), "{set}");
    }
    let mut given = std::process::Command::new("setpriv");
    let as_nobody = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"];
    let with = ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"];
    let command = Daemon::command_as_given(&[LOOPBACK, ON].concat());
    given.args(as_nobody).args(with).arg(command.get_program()).args(command.get_args());
    let daemon = Daemon::start_command(&mut given);
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert!(of_threads(&daemon, set).iter().all(|bits| bits == "0000000000000000"), "{set}");
    }
}
