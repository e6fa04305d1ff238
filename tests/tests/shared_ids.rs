//! Nodes behind one address: with the same secrets they take each other's connection ids, through sockets and in the XDP
//! program, and nobody else's.

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::two_hosts::{TwoHosts, V4, V6};
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};

const ONE: &str = "0123456789abcdef0123456789abcdef\n";
const OTHER: &str = "ffffffffffffffffffffffffffffffff\n";
const PORT: u16 = 6969;
/// How often what cannot be waited for is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A file of secrets, for its owner alone.
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the directory is ours");
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).expect("the file is ours");
}

fn setting(path: &Path) -> String {
    format!("udp.connection_id_key_file={}", path.display())
}

/// A node on loopback with these secrets.
struct Node {
    daemon: Daemon,
    file: PathBuf,
}

impl Node {
    fn start(directory: &Path, name: &str, secrets: &str) -> Self {
        let file = directory.join(name);
        write(&file, secrets);
        let daemon = Daemon::start(&["-i", "127.0.0.1", "-p", "0", "-P", "0", "--set", &setting(&file)]);
        Self { daemon, file }
    }

    fn client(&self) -> UdpClient {
        UdpClient::new(self.daemon.udp_v4().ip(), self.daemon.udp_v4())
    }

    /// Replaces the secrets and has them read.
    fn change(&self, secrets: &str) {
        write(&self.file, secrets);
        let seen = self.daemon.log_lines();
        self.daemon.signal(Signal::SIGHUP);
        self.daemon.await_log_line_after(seen, "secrets of connection ids read again");
    }
}

fn takes_ids_of(node: &Node, other: &Node) {
    let id = other.client().connect();
    assert_ne!(node.client().announce(&AnnounceRequest::new(id, 6881).seeding()).seeders, 0);
}

fn refuses_ids_of(node: &Node, other: &Node) {
    let id = other.client().connect();
    node.client().expect_silence(&AnnounceRequest::new(id, 6881).payload());
}

#[test]
fn nodes_with_the_same_secrets_take_each_others_ids_and_no_others() {
    let directory = TemporaryDirectory::new();
    let node = |name, secrets: &str| Node::start(directory.path(), name, secrets);
    let (first, second, stranger) = (node("first", ONE), node("second", ONE), node("stranger", OTHER));
    let alone = Daemon::start(&["-i", "127.0.0.1", "-p", "0", "-P", "0"]);
    let alone = Node { daemon: alone, file: PathBuf::new() };
    for (one, other) in [(&first, &second), (&second, &first), (&first, &first)] {
        takes_ids_of(one, other);
    }
    for other in [&stranger, &alone] {
        refuses_ids_of(&first, other);
        refuses_ids_of(other, &first);
    }
}

#[test]
fn hosts_that_have_been_up_for_different_times_take_each_others_ids() {
    if !is_root_or_skipped("a host that has been up for longer: a time namespace") {
        return;
    }
    let directory = TemporaryDirectory::new();
    let first = Node::start(directory.path(), "first", ONE);
    let set = setting(&first.file);
    let daemon =
        Daemon::command(&["-i", "127.0.0.1", "-p", "0", "-P", "0", "--mode", "socket", "--set", &set]);
    let mut command = Command::new("unshare");
    // A day, in which the slots go round 39 times and some.
    command.args(["--time", "--monotonic", "86400", "--fork", "--kill-child", "--"]);
    command.arg(daemon.get_program()).args(daemon.get_args());
    let second = Node { daemon: Daemon::start_command(&mut command), file: first.file.clone() };
    takes_ids_of(&first, &second);
    takes_ids_of(&second, &first);
}

#[test]
fn secrets_with_a_time_to_come_change_on_one_node_after_the_other_and_no_id_is_refused() {
    let directory = TemporaryDirectory::new();
    let [first, second] = ["first", "second"].map(|name| Node::start(directory.path(), name, ONE));
    let kept = first.client().connect();
    // In the year 2100: between the two reloads one node knows of it, and both go on alike.
    let both = format!("{ONE}{} 4102444800\n", OTHER.trim_end());
    for node in [&first, &second] {
        node.change(&both);
        takes_ids_of(&first, &second);
        takes_ids_of(&second, &first);
        second.client().announce(&AnnounceRequest::new(kept, 6881));
    }
    assert!(!first.daemon.log().contains("are refused"), "{}", first.daemon.log());
    // One whose time has come counts at once, and the operator hears what that does.
    first.change(OTHER);
    first.daemon.await_log_line("connection ids given out with those of before are refused");
    refuses_ids_of(&first, &second);
    second.change(OTHER);
    takes_ids_of(&first, &second);
    // A file with a mistake leaves everything as it is.
    write(&first.file, "nonsense\n");
    let seen = first.daemon.log_lines();
    first.daemon.signal(Signal::SIGHUP);
    first.daemon.await_log_line_after(seen, "connection ids go on with the secrets of before");
    takes_ids_of(&first, &second);
}

#[test]
fn the_file_is_read_within_the_root_and_again_within_the_sandbox() {
    if !is_root_or_skipped("a root directory of the tracker") {
        return;
    }
    let directory = TemporaryDirectory::new();
    let nobody = User::from_name("nobody").ok().flatten().expect("every Linux has nobody");
    let file = directory.path().join("ids.keys");
    write(&file, ONE);
    chown(directory.path(), Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).expect("root may");
    chown(&file, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).expect("root may");
    let root = directory.path().to_str().expect("the path is text");
    for path in ["ids.keys", "/ids.keys"] {
        let set = format!("udp.connection_id_key_file={path}");
        let arguments = ["-i", "127.0.0.1", "-p", "0", "-P", "0", "-d", root, "-u", "nobody", "--set", &set];
        let node = Node { daemon: Daemon::start(&arguments), file: file.clone() };
        let elsewhere = Node::start(TemporaryDirectory::new().path(), "same", ONE);
        takes_ids_of(&node, &elsewhere);
        std::fs::write(&file, OTHER).expect("root may");
        let seen = node.daemon.log_lines();
        node.daemon.signal(Signal::SIGHUP);
        node.daemon.await_log_line_after(seen, "secrets of connection ids read again");
        refuses_ids_of(&node, &elsewhere);
        std::fs::write(&file, ONE).expect("root may");
    }
}

/// The capabilities that the unit leaves the service, as setpriv(1) takes them.
fn bounding_set_of_the_unit() -> String {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/systemd/opentracker-xdp.service");
    let text = std::fs::read_to_string(unit).expect("the unit is there");
    let lines = text.lines().filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let names = lines.flat_map(str::split_whitespace);
    names.fold("-all".to_owned(), |set, name| {
        format!("{set},+{}", name.trim_start_matches("CAP_").to_lowercase())
    })
}

#[test]
fn the_service_reads_a_file_that_is_for_its_user_alone() {
    if !is_root_or_skipped("the capabilities of the service") {
        return;
    }
    let directory = TemporaryDirectory::new();
    let nobody = User::from_name("nobody").ok().flatten().expect("every Linux has nobody");
    let file = directory.path().join("ids.keys");
    write(&file, ONE);
    for path in [directory.path(), &file] {
        chown(path, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).expect("root may");
    }
    let root = directory.path().to_str().expect("the path is text");
    let absolute = file.to_str().expect("the path is text");
    let bounding_set = bounding_set_of_the_unit();
    for (path, place) in [(absolute, &[][..]), ("/ids.keys", &["-d", root])] {
        let set = format!("udp.connection_id_key_file={path}");
        let arguments = ["-i", "127.0.0.1", "-p", "0", "-P", "0", "-u", "nobody", "--set", &set];
        let daemon = Daemon::command(&[&arguments[..], place].concat());
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", &bounding_set, "--no-new-privs"]);
        command.arg(daemon.get_program()).args(daemon.get_args());
        let node = Node { daemon: Daemon::start_command(&mut command), file: file.clone() };
        let elsewhere = Node::start(TemporaryDirectory::new().path(), "same", ONE);
        takes_ids_of(&node, &elsewhere);
        node.daemon.signal(Signal::SIGHUP);
        node.daemon.await_log_line("secrets of connection ids read again");
    }
}

#[test]
fn a_file_that_no_reload_could_read_is_refused_at_the_start_and_one_that_all_may_read_is_named() {
    let directory = TemporaryDirectory::new();
    let file = directory.path().join("keys");
    let arguments = ["-i", "127.0.0.1", "-p", "0", "-P", "0", "--set", &setting(&file)];
    let refused = Daemon::start_refused(&arguments);
    assert!(refused.log.contains("cannot be read"), "{}", refused.log);
    std::fs::write(&file, ONE).expect("the directory is ours");
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("the file is ours");
    let open = Daemon::start(&arguments);
    assert!(open.log().contains("every user of this host may read or write it"), "{}", open.log());
    if Uid::effective().is_root() {
        // Root can read it, and the user that the tracker becomes cannot.
        write(&file, ONE);
        let refused = Daemon::start_refused(&[&arguments[..], &["-u", "nobody"]].concat());
        assert!(refused.log.contains("cannot be read"), "{}", refused.log);
    }
}

#[test]
fn an_id_made_by_the_program_of_one_node_is_taken_by_that_of_another() {
    if !is_root_or_skipped("nodes with the XDP program") {
        return;
    }
    Daemon::build();
    let directory = TemporaryDirectory::new();
    let [ours, theirs] = [("ours", ONE), ("theirs", OTHER)].map(|(name, secrets)| {
        let file = directory.path().join(name);
        write(&file, secrets);
        setting(&file)
    });
    // Every node has the same addresses, as behind a router that spreads packets, and a cable to a host with the client's.
    let nodes = [&ours, &ours, &theirs].map(|file| Anycast::start(file));
    for network in [V4, V6] {
        let [made, taken, refused] =
            [0, 1, 2].map(|node: usize| nodes[node].client(network.client, network.tracker));
        let [mut made, mut taken, mut refused] = [made, taken, refused];
        let id = nodes[0].connect_to_program(&mut made);
        assert_ne!(taken.announce(&AnnounceRequest::new(id, 6881).seeding()).seeders, 0);
        refused.expect_silence(&AnnounceRequest::new(id, 6881).payload());
    }
    nodes[1].await_verdict("announce_proven", 2);
    nodes[2].await_verdict("connection_id_forged", 2);
    for (node, refusal) in [(1, "connection_id_forged"), (1, "connection_id_stale"), (2, "announce_proven")] {
        assert_eq!(nodes[node].of_program(refusal), 0, "node {node}, {refusal}");
    }
}

/// A node on a host of its own, with the XDP program.
struct Anycast {
    hosts: TwoHosts,
    daemon: Daemon,
}

impl Anycast {
    fn start(key_file: &str) -> Self {
        let hosts = TwoHosts::new("", &[V4, V6]);
        let (v4, v6) = (V4.tracker.to_string(), V6.tracker.to_string());
        let place = ["-i", &v4, "-p", "0", "-P", "6969", "-i", &v6, "-P", "6969"];
        let mode = ["--mode", "xdp", "--set", "xdp.attach=generic", "--set", key_file];
        let daemon = hosts.tracker.run(|| Daemon::start(&[&place[..], &mode].concat()));
        Self { hosts, daemon }
    }

    fn client(&self, own: std::net::IpAddr, tracker: std::net::IpAddr) -> UdpClient {
        self.hosts.client.run(|| UdpClient::of_kernel(own, SocketAddr::new(tracker, PORT)))
    }

    /// An id that the program has made, not the daemon.
    fn connect_to_program(&self, client: &mut UdpClient) -> u64 {
        let answered = || self.stats()["udp"]["connect_answered"].as_u64();
        let end = Instant::now() + DEADLINE;
        loop {
            let before = answered();
            let id = client.connect();
            if answered() == before {
                return id;
            }
            assert!(Instant::now() < end, "the daemon answers, not the program");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn stats(&self) -> serde_json::Value {
        self.hosts.tracker.run(|| self.daemon.stats())
    }

    /// Packets of one verdict that the program has seen.
    fn of_program(&self, verdict: &str) -> u64 {
        self.stats()["xdp"][verdict]["packets"].as_u64().unwrap_or(0)
    }

    /// Waits until the program has counted as many: its counters are read once a second.
    fn await_verdict(&self, verdict: &str, least: u64) {
        let end = Instant::now() + DEADLINE;
        while self.of_program(verdict) < least {
            assert!(Instant::now() < end, "{verdict} is {}: {}", self.of_program(verdict), self.stats());
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}
