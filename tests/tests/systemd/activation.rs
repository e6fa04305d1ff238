//! Sockets that are passed to the daemon, and a restart in which nothing is lost.

use crate::manager::Manager;
use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::http;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, Announced, INFO_HASH, UdpClient};

/// A socket as a unit with `BindIPv6Only=ipv6-only` and `ReusePort=yes` makes it, with its address.
fn bound(kind: Type, address: &str) -> (OwnedFd, SocketAddr) {
    let address: SocketAddr = address.parse().expect("an address");
    let socket = Socket::new(Domain::for_address(address), kind, None).expect("the kernel has sockets");
    if address.is_ipv6() {
        socket.set_only_v6(true).expect("it is not bound yet");
    }
    socket.set_reuse_port(true).expect("it is not bound yet");
    socket.bind(&address.into()).expect("the address is free");
    if kind == Type::STREAM {
        socket.listen(64).expect("it is bound");
    }
    let address = socket.local_addr().expect("it is bound").as_socket().expect("it is of IP");
    (socket.into(), address)
}

fn announce(address: SocketAddr) -> Announced {
    let mut client = UdpClient::new(address.ip(), address);
    let id = client.connect();
    client.announce(&AnnounceRequest::new(id, 6881).seeding())
}

fn announce_path() -> String {
    format!("/announce?info_hash={}&port=6882&left=0", http::percent_encoded(&INFO_HASH))
}

#[test]
fn what_is_passed_is_served_by_every_worker_and_nothing_else_is() {
    let directory = TemporaryDirectory::new();
    let control = directory.path().join("control.sock");
    let listener = OwnedFd::from(UnixListener::bind(&control).expect("the directory is ours"));
    let ((udp, udp_address), (tcp, tcp_address)) =
        (bound(Type::DGRAM, "127.0.0.1:0"), bound(Type::STREAM, "[::1]:0"));
    let (twin, _) = bound(Type::DGRAM, &udp_address.to_string());
    let manager = Manager::new();
    let passed = [("udp", &udp), ("tcp", &tcp), ("udp", &twin), ("control", &listener)];
    let daemon =
        Daemon::start_command(&mut manager.command(&["--udp-workers", "3", "--http-workers", "2"], &passed));
    manager.await_line("READY=1");
    let ready = daemon.await_log_line("ready: ");
    assert!(ready.ends_with(&format!("ready: udp {udp_address}, tcp {tcp_address}")), "{ready}");
    assert!(daemon.log().contains("3 workers share 2 sockets"), "{}", daemon.log());
    for _ in 0..20 {
        // From one address and many ports: they come to both sockets, as nobody else has them.
        assert_ne!(announce(udp_address).seeders, 0);
        assert_eq!(http::get(tcp_address, &announce_path()).status, 200);
    }
    let arguments = ["ctl", "--socket", control.to_str().expect("the path is text"), "status"];
    let called = Daemon::command_as_given(&arguments).output().expect("the binary runs");
    assert!(called.status.success(), "{called:?}");
}

#[test]
fn listen_lines_are_served_beside_what_is_passed() {
    let (udp, udp_address) = bound(Type::DGRAM, "127.0.0.1:0");
    let port = udp_address.port().to_string();
    let manager = Manager::new();
    let arguments = ["-i", "127.0.0.1", "-p", "0", "-P", &port];
    let daemon = Daemon::start_command(&mut manager.command(&arguments, &[("udp", &udp)]));
    assert_eq!(daemon.udp_v4(), udp_address);
    assert_eq!(announce(udp_address).seeders, 1);
    assert_eq!(http::get(daemon.tcp_v4(), &announce_path()).status, 200);
}

#[test]
fn a_wildcard_that_is_passed_answers_from_the_address_that_was_asked() {
    let (udp, address) = bound(Type::DGRAM, "0.0.0.0:0");
    let manager = Manager::new();
    let _daemon = Daemon::start_command(&mut manager.command(&[], &[("udp", &udp)]));
    // The client is connected to this address and hears no other.
    announce(SocketAddr::from(([127, 0, 0, 9], address.port())));
}

#[test]
fn a_restart_loses_neither_announces_nor_connection_ids() {
    let ((udp, udp_address), (tcp, tcp_address)) =
        (bound(Type::DGRAM, "127.0.0.1:0"), bound(Type::STREAM, "127.0.0.1:0"));
    let manager = Manager::new();
    let arguments = ["--udp-workers", "2"];
    let mut first = Daemon::start_command(&mut manager.command(&arguments, &[("udp", &udp), ("tcp", &tcp)]));
    let kept = manager.await_line("FDSTORE=1");
    assert!(kept.text.contains("FDNAME=connection-id-keys"), "{}", kept.text);
    let [keys] = &kept.descriptors[..] else { panic!("{kept:?}") };
    let mut client = UdpClient::new(udp_address.ip(), udp_address);
    let id = client.connect();

    first.signal(Signal::SIGKILL);
    first.await_exit();
    let request = AnnounceRequest::new(id, 6881).seeding();
    client.send(&request.payload());
    let mut connection = TcpStream::connect(tcp_address).expect("the kernel takes it in");
    let get = format!("GET {} HTTP/1.0\r\n\r\n", announce_path());
    connection.write_all(get.as_bytes()).expect("there is room to wait");

    let passed = [("udp", &udp), ("tcp", &tcp), ("connection-id-keys", keys)];
    let second = Daemon::start_command(&mut manager.command(&arguments, &passed));
    let announced = Announced::parse(&client.receive(), request.transaction_id, udp_address.ip());
    assert_ne!(announced.seeders, 0);
    connection.set_read_timeout(Some(DEADLINE)).expect("the time is not zero");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("it ends in order");
    assert!(answer.contains("d8:completei"), "{answer}");
    // And a third start is told by the same memory, in which the second has left its keys.
    drop(second);
    let _third = Daemon::start_command(&mut manager.command(&arguments, &passed));
    client.announce(&request);
}

#[test]
fn keys_that_are_none_are_not_believed() {
    let (udp, address) = bound(Type::DGRAM, "127.0.0.1:0");
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("keys");
    std::fs::write(&path, [0; 64]).expect("the directory is ours");
    let keys = OwnedFd::from(File::options().read(true).write(true).open(&path).expect("it is there"));
    let manager = Manager::new();
    let passed = [("udp", &udp), ("connection-id-keys", &keys)];
    let daemon = Daemon::start_command(&mut manager.command(&[], &passed));
    assert!(daemon.log().contains("the keys that systemd has kept are not read"), "{}", daemon.log());
    announce(address);
}

#[test]
fn what_cannot_be_served_is_refused_with_the_remedy() {
    let manager = Manager::new();
    let both = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("the kernel has sockets");
    both.set_only_v6(false).expect("it is not bound yet");
    both.bind(&"[::]:0".parse::<SocketAddr>().expect("an address").into()).expect("a port is free");
    let both = OwnedFd::from(both);
    let file = OwnedFd::from(File::open("/dev/null").expect("it is everywhere"));
    for (passed, remedy) in [(&both, "BindIPv6Only=ipv6-only"), (&file, "ListenDatagram=")] {
        let refused = Daemon::start_command_refused(&mut manager.command(&[], &[("x", passed)]));
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.log.contains(remedy), "{}", refused.log);
    }
}

#[test]
fn what_is_passed_to_another_process_is_left_alone() {
    let mut command = Daemon::command(&["-i", "127.0.0.1", "-P", "0"]);
    // There is no such descriptor: taking it would be an error.
    let daemon = Daemon::start_command(command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1"));
    announce(daemon.udp_v4());
}
