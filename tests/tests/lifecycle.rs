//! The daemon's life as a service manager and an administrator see it: it says when it is ready, gives up root and
//! goes on serving, stops when told to, and refuses to start by halves.

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::http;
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, INFO_HASH, UdpClient};

const LOOPBACK: &[&str] = &["-i", "127.0.0.1", "-p", "0", "-P", "0"];
/// Five times the second in which it must have stopped: on a busy machine a late stop is no failure.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [LOOPBACK, more].concat()
}

#[test]
fn sigterm_ends_it_in_order() {
    assert_ends_in_order_on(Signal::SIGTERM);
}

#[test]
fn sigint_ends_it_in_order() {
    assert_ends_in_order_on(Signal::SIGINT);
}

/// With clients in the middle of something: a keep-alive connection, half a request, a UDP client.
fn assert_ends_in_order_on(signal: Signal) {
    let mut daemon = Daemon::start(LOOPBACK);
    let connect = || TcpStream::connect(daemon.tcp_v4()).expect("the daemon accepts connections");
    let (idle, mut halfway) = (connect(), connect());
    halfway.write_all(b"GET /announce?info_").expect("the daemon reads requests");
    assert_serves(&daemon);
    daemon.signal(signal);
    let status = daemon.await_exit_within(STOP_DEADLINE);
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    drop((idle, halfway));
}

#[test]
fn sighup_does_not_end_it() {
    let mut daemon = Daemon::start(LOOPBACK);
    daemon.signal(Signal::SIGHUP);
    assert_serves(&daemon);
    // A signal that was pending is delivered by now: it came before the requests.
    assert!(daemon.is_running(), "{}", daemon.log());
    assert!(daemon.terminate().success());
}

#[test]
fn port_0_is_replaced_by_free_ports_of_both_families() {
    let daemon = Daemon::start(&with(&["-i", "::1", "-p", "0", "-P", "0"]));
    for address in [daemon.udp_v4(), daemon.udp_v6(), daemon.tcp_v4(), daemon.tcp_v6()] {
        assert_ne!(address.port(), 0);
    }
    assert_announces_over_udp(daemon.udp_v6());
    assert_serves_http(daemon.tcp_v6());
    assert_serves(&daemon);
}

#[test]
fn the_service_manager_is_told_of_readiness() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut daemon = Daemon::start_command(Daemon::command(LOOPBACK).env("NOTIFY_SOCKET", &path));
    await_notification(&socket, "READY=1");
    // What the service manager believes must be true.
    assert_serves(&daemon);
    daemon.signal(Signal::SIGTERM);
    await_notification(&socket, "STOPPING=1");
    assert!(daemon.await_exit().success());
}

/// Waits for a message with this line; there may be others before it.
fn await_notification(socket: &UnixDatagram, line: &str) {
    loop {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).expect("the daemon notifies in time");
        if String::from_utf8_lossy(&message[..length]).lines().any(|said| said == line) {
            return;
        }
    }
}

#[test]
fn an_occupied_tcp_port_is_an_error_that_names_it() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_refused_naming(occupied.local_addr().unwrap(), "-p");
}

#[test]
fn an_occupied_udp_port_is_an_error_that_names_it() {
    let occupied = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_refused_naming(occupied.local_addr().unwrap(), "-P");
}

fn assert_refused_naming(occupied: SocketAddr, port_option: &str) {
    let ended = Daemon::start_refused(&["-i", "127.0.0.1", port_option, &occupied.port().to_string()]);
    assert!(!ended.status.success(), "{ended:?}");
    assert!(ended.log.contains(&occupied.to_string()), "{}", ended.log);
}

#[test]
fn started_by_root_it_becomes_nobody_and_serves() {
    if !is_root_or_skipped("becoming nobody") {
        return;
    }
    let daemon = Daemon::start_command(&mut Daemon::command_as_given(LOOPBACK));
    let nobody = nobody();
    assert_eq!(ids(&daemon, "Uid:"), [nobody.uid.as_raw(); 4], "{}", daemon.proc_status());
    assert_eq!(ids(&daemon, "Gid:"), [nobody.gid.as_raw(); 4], "{}", daemon.proc_status());
    assert_eq!(ids(&daemon, "Groups:"), [nobody.gid.as_raw()], "{}", daemon.proc_status());
    assert_serves(&daemon);
}

#[test]
fn with_user_root_it_stays_root_and_serves() {
    if !is_root_or_skipped("staying root") {
        return;
    }
    let daemon = Daemon::start(&with(&["-u", "root"]));
    assert_eq!(ids(&daemon, "Uid:"), [0; 4]);
    assert_serves(&daemon);
}

#[test]
fn an_unknown_user_is_an_error_that_names_it() {
    let ended = Daemon::start_refused(&with(&["-u", "no-such-user"]));
    assert!(!ended.status.success(), "{ended:?}");
    assert!(ended.log.contains("no-such-user"), "{}", ended.log);
}

#[test]
fn a_root_directory_is_entered_as_nobody_and_served_from() {
    if !is_root_or_skipped("chroot") {
        return;
    }
    let directory = TemporaryDirectory::new();
    let path = directory.path().to_str().unwrap();
    let arguments = [LOOPBACK, &["-d", path]].concat();
    let daemon = Daemon::start_command(&mut Daemon::command_as_given(&arguments));
    assert_eq!(link(&daemon, "root"), directory.path());
    assert_eq!(link(&daemon, "cwd"), directory.path());
    assert_ne!(ids(&daemon, "Uid:"), [0; 4]);
    assert_serves(&daemon);
}

#[test]
fn without_root_a_root_directory_is_where_it_works() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().to_str().unwrap();
    let arguments = [LOOPBACK, &["-d", path]].concat();
    let mut command = Daemon::command_as_given(&arguments);
    if Uid::effective().is_root() {
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        become_nobody(&mut command);
    }
    let daemon = Daemon::start_command(&mut command);
    assert_eq!(link(&daemon, "cwd"), directory.path());
    assert_eq!(link(&daemon, "root"), Path::new("/"));
    assert_serves(&daemon);
}

fn become_nobody(command: &mut Command) {
    let nobody = nobody();
    command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
}

fn nobody() -> User {
    User::from_name("nobody").ok().flatten().expect("every Linux has nobody")
}

/// The numbers of a line of `/proc/PID/status`.
fn ids(daemon: &Daemon, name: &str) -> Vec<u32> {
    let status = daemon.proc_status();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel has this line");
    line.split_whitespace().map(|id| id.parse().expect("the line has numbers")).collect()
}

/// Where a link of `/proc/PID` leads.
fn link(daemon: &Daemon, name: &str) -> PathBuf {
    let path = Path::new("/proc").join(daemon.pid().to_string()).join(name);
    std::fs::read_link(path).expect("the daemon runs")
}

fn assert_serves(daemon: &Daemon) {
    assert_announces_over_udp(daemon.udp_v4());
    assert_serves_http(daemon.tcp_v4());
}

fn assert_announces_over_udp(tracker: SocketAddr) {
    let mut client = UdpClient::new(tracker.ip(), tracker);
    let connection_id = client.connect();
    let announced = client.announce(&AnnounceRequest::new(connection_id, 51413).seeding());
    assert_ne!(announced.seeders, 0, "the announcer itself is counted");
}

fn assert_serves_http(tracker: SocketAddr) {
    let info_hash = http::percent_encoded(&INFO_HASH);
    let peer_id = http::percent_encoded(&[b'x'; 20]);
    let path = format!("/announce?info_hash={info_hash}&peer_id={peer_id}&port=51413&left=0");
    let answer = http::get(tracker, &path);
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with(b"d8:completei"), "{}", String::from_utf8_lossy(&answer.body));
}
