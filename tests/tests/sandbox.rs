//! The running daemon fences itself off from the host, every thread of it, and does within the fence what it has to do. The
//! tests of everything else run within it as well, where the kernel has Landlock and seccomp.

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc::channel;
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::http;
use tracker_tests::skip::{is_root_or_skipped, skipped};
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};

const LOOPBACK: &[&str] = &["-i", "127.0.0.1", "-p", "0", "-P", "0"];
const ON: &[&str] = &["--set", "tracker.sandbox=on"];
const IN_FORCE: &str = "sandbox: files by Landlock, system calls by seccomp";

/// Whether this kernel has all of it; if not, says that the test is skipped. The daemon is not asked: it goes on without what
/// does not work.
fn is_there_or_skipped() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let has_landlock = rules.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create).is_ok();
    let is_there = has_landlock && Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
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
    assert!(daemon.log().contains(IN_FORCE), "{}", daemon.log());
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

/// Runs the rest of the command line with a private `/etc`, which is the directory behind `sh`, without touching the host's.
const WITH_ETC: &str = "mount --bind \"$1\" /etc && shift && exec \"$@\"";

#[test]
fn names_are_looked_up_in_files_that_have_been_replaced_since_the_start() {
    if !is_there_or_skipped() || !is_root_or_skipped("an /etc of the test's own") {
        return;
    }
    let directory = TemporaryDirectory::new();
    let etc = directory.path();
    write(etc, "passwd", "root:x:0:0::/:/bin/sh\n");
    write(etc, "nsswitch.conf", "hosts: files\n");
    write(etc, "hosts", "127.0.0.3 server.test\n");
    let server = TcpListener::bind("127.0.0.2:0").expect("loopback has free ports");
    let port = server.local_addr().expect("it is bound").port();
    let set = format!("sync.nats=nats://server.test:{port}");
    let daemon = Daemon::command(&[LOOPBACK, ON, &["--set", &set]].concat());
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", WITH_ETC, "sh"]).arg(etc);
    command.arg(daemon.get_program()).args(daemon.get_args());
    let daemon = Daemon::start_command(&mut command);
    let new = write(etc, "new", "127.0.0.2 server.test\n");
    std::fs::rename(new, etc.join("hosts")).expect("the directory is ours");
    let (sender, connected) = channel();
    // Ends with the process where nobody connects.
    std::thread::spawn(move || sender.send(server.accept().is_ok()));
    let is_connected = connected.recv_timeout(DEADLINE);
    assert_eq!(is_connected, Ok(true), "{}", daemon.log());
}

/// A daemon that has everything that goes on while it runs, as the user that it becomes.
struct Living {
    daemon: Daemon,
    arguments: Vec<String>,
    directory: TemporaryDirectory,
}

impl Living {
    fn start() -> Self {
        let directory = TemporaryDirectory::new();
        let place = directory.path();
        if Uid::effective().is_root() {
            let nobody = User::from_name("nobody").ok().flatten().expect("every Linux has nobody");
            let (user, group) = (Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()));
            std::os::unix::fs::chown(place, user, group).expect("root may");
        }
        let settings = "tracker.sandbox on\ncontrol.socket {}/control.sock\naccess.whitelist {}/list\n\
                        access.fifo_add {}/add\naccess.fifo_delete {}/delete\nstate.snapshot {}/snapshot\n\
                        state.snapshot_interval_secs 1\nstate.export {}/export\nstate.export_interval_secs 1\n\
                        udp.connection_id_lifetime_secs 1\nudp.connection_id_rotation_secs 1\n\
                        http.full_scrape_interval_secs 0\n";
        let settings = settings.replace("{}", place.to_str().expect("the path is text"));
        let file = write(place, "tracker.conf", &settings);
        write(place, "list", &"1".repeat(40));
        let mut arguments: Vec<String> = LOOPBACK.iter().map(|argument| (*argument).to_owned()).collect();
        arguments.extend(["-f".to_owned(), file]);
        let daemon = Self::run(&arguments);
        Self { daemon, arguments, directory }
    }

    fn run(arguments: &[String]) -> Daemon {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Daemon::start_command(&mut Daemon::command_as_given(&arguments))
    }

    /// Calls `ctl`, which must succeed.
    fn ctl(&self, arguments: &[&str]) {
        let socket = self.directory.path().join("control.sock");
        let called = ctl(socket.to_str().expect("the path is text"), arguments);
        assert!(called.status.success(), "{called:?}\n{}", self.daemon.log());
    }

    fn write_fifo(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        let mut fifo = OpenOptions::new().write(true).open(path).expect("the daemon has made it");
        fifo.write_all(text.as_bytes()).expect("the daemon reads it");
    }

    /// Replaces the list, as documented.
    fn replace_list(&self, text: &str) {
        let beside = write(self.directory.path(), "new", text);
        std::fs::rename(beside, self.directory.path().join("list")).expect("the directory is ours");
    }
}

#[test]
fn all_of_its_life_goes_on_within() {
    if !is_there_or_skipped() {
        return;
    }
    let mut living = Living::start();
    let hash = |digit: &str| digit.repeat(40);
    living.daemon.await_log_line("connection ids are made with a new key");

    living.write_fifo("add", &hash("2"));
    living.daemon.await_log_line("1 of 1 torrents put on the list");
    living.write_fifo("delete", &hash("1"));
    living.daemon.await_log_line("1 of 1 torrents taken off the list");
    living.ctl(&["allow", &hash("3")]);
    assert_eq!([0x11, 0x22, 0x33].map(|byte| is_permitted(&living.daemon, byte)), [false, true, true]);

    living.replace_list(&hash("4"));
    let seen = living.daemon.log_lines();
    living.daemon.signal(Signal::SIGHUP);
    living.daemon.await_log_line_after(seen, "in force: 1 torrents");
    assert!(is_permitted(&living.daemon, 0x44));
    living.replace_list(&hash("5"));
    living.ctl(&["reload"]);
    assert!(is_permitted(&living.daemon, 0x55));

    for arguments in
        [&["status"][..], &["stats"], &["top"], &["list"], &["torrent", &hash("5")], &["log", "debug"]]
    {
        living.ctl(arguments);
    }
    let scrape = http::get(living.daemon.tcp_v4(), "/scrape");
    assert!(scrape.body.starts_with(b"d5:files"), "{scrape:?}");
    assert!(living.directory.path().join("export").exists());
    living.ctl(&["drain", "--within", "0", "--wait"]);
    assert!(living.daemon.await_exit().success(), "{}", living.daemon.log());
    // Not even a file that could not be written.
    let log = living.daemon.log();
    assert!(!log.contains("denied") && !log.contains("not permitted"), "{log}");
    let again = Living::run(&living.arguments);
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
    for user in ["nobody", "root"] {
        let command = Daemon::command_as_given(&[LOOPBACK, ON, &["-u", user]].concat());
        // Root may have been given some to hand on, too.
        let mut given = std::process::Command::new("setpriv");
        given.arg("--inh-caps=+net_raw,+sys_admin").arg(command.get_program()).args(command.get_args());
        let daemon = Daemon::start_command(&mut given);
        for set in ["CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd"] {
            assert!(of_threads(&daemon, set).iter().all(|bits| bits == "0000000000000000"), "{user}: {set}");
        }
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
