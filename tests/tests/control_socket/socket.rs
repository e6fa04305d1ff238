//! Whose the socket is, and what it withstands.

use crate::scene::{Controlled, LOOPBACK};
use nix::sys::signal::Signal;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use tracker_tests::daemon::{DEADLINE, Daemon};

#[test]
fn it_is_for_its_owner_and_goes_with_the_daemon() {
    let mut controlled = Controlled::start(&[]);
    let mode = controlled.socket.metadata().expect("the daemon has made it").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(controlled.daemon.terminate().success());
    assert!(!controlled.socket.exists());
}

#[test]
fn a_living_daemons_socket_is_not_stolen_and_a_dead_ones_is_replaced() {
    let mut controlled = Controlled::start(&[]);
    let set = format!("control.socket={}", controlled.socket.display());
    let arguments = [LOOPBACK, &["--set", &set]].concat();
    let refused = Daemon::start_refused(&arguments);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.log.contains("another process that lives"), "{}", refused.log);
    assert_eq!(controlled.ctl_json(&["status"])["pid"], controlled.daemon.pid());
    controlled.daemon.signal(Signal::SIGKILL);
    controlled.daemon.await_exit();
    assert!(controlled.socket.exists());
    assert_eq!(controlled.ctl(&["status"]).code, Some(3));
    controlled.daemon = Daemon::start(&arguments);
    assert_eq!(controlled.ctl_json(&["status"])["pid"], controlled.daemon.pid());
}

/// What the daemon says to bytes before it ends the connection.
fn answer(controlled: &Controlled, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(&controlled.socket).expect("the daemon listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("the time is not zero");
    // It may have heard enough before the end.
    let written = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    assert!(written.is_ok() || written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn whatever_comes_is_answered_or_ended_and_the_daemon_goes_on() {
    let controlled = Controlled::start(&[]);
    for (bytes, expected) in [
        (&b""[..], ""),
        (b"\n", "no request"),
        (b"status\n", "no request"),
        (b"GET / HTTP/1.1\r\n\r\n", "no request"),
        (b"{\"command\":\"shutdown\"}\n", "unknown variant"),
        (b"{\"command\":\"status\",\"command\":\"stats\"}\n", "no request"),
        (b"{\"command\":\"top\",\"count\":60000}\n", "at most 1000"),
        (b"{\"command\":\"drain\",\"within_secs\":-1,\"wait\":true}\n", "no request"),
        (b"{\"command\":\"torrent\",\"torrent\":\"00\"}\n", "40 hexadecimal digits"),
        (b"\xff\xfe\x00\n", "no request"),
        (b"{\"command\":\"status\"}", "does not end"),
        (&[b'['; 60_000], "does not end"),
        (&[vec![b'['; 60_000], b"\n".to_vec()].concat(), "no request"),
    ] {
        let answer = answer(&controlled, bytes);
        assert!(
            answer.contains(expected) && answer.is_empty() == expected.is_empty(),
            "{answer:?} to {bytes:?}"
        );
    }
    // Of what is far too long the end is not read, and the answer may be lost with it.
    answer(&controlled, &vec![b'x'; 4 << 20]);
    let two = answer(&controlled, b"{\"command\":\"status\"}\n{\"command\":\"log\",\"level\":\"warn\"}\n");
    assert_eq!(two.lines().filter(|line| line.starts_with("{\"ok\"")).count(), 2, "{two}");
    assert_eq!(controlled.ctl_json(&["status"])["state"], "serving");
}

#[test]
fn silent_connections_do_not_keep_others_out_for_ever() {
    let controlled = Controlled::start(&[]);
    let connect = || UnixStream::connect(&controlled.socket).expect("there is room to wait");
    let mut silent: Vec<_> = (0..20).map(|_| connect()).collect();
    for stream in &mut silent {
        stream.write_all(b"{\"command\":").expect("the daemon has not ended it yet");
    }
    // It waits for one of them to be ended.
    assert_eq!(controlled.ctl_json(&["status"])["state"], "serving");
    let mut first = silent.remove(0);
    first.set_read_timeout(Some(DEADLINE)).expect("the time is not zero");
    assert_eq!(first.read(&mut [0; 64]).expect("it is ended in order"), 0);
}
