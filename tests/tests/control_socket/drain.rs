//! A drain turns new clients away, serves those that were there, and ends the daemon.

use crate::scene::{Controlled, LISTED, hex};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tracker_tests::daemon::DEADLINE;
use tracker_tests::http;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, connect_request, receive_within};

#[test]
fn who_was_there_is_served_and_who_is_new_is_not() {
    let mut controlled = Controlled::start(&["--udp-workers", "1"]);
    let (client, id) = controlled.client();
    let answer = controlled.ctl_json(&["drain", "--within", "60"]);
    assert_eq!(answer["state"], "draining", "{answer}");
    assert_eq!(controlled.ctl_json(&["status"])["state"], "draining");
    // The answer to what comes after it shows that none to the connect comes any more.
    client.send(&connect_request(7));
    let announce = AnnounceRequest::new(id, 6881);
    assert_eq!(client.ask(&announce.payload())[..4], [0, 0, 0, 1]);

    let tracker = controlled.daemon.tcp_v4();
    let hash = http::percent_encoded(&LISTED);
    for path in [
        &format!("/announce?info_hash={hash}&port=1&left=0"),
        &format!("/scrape?info_hash={hash}"),
        "/scrape",
    ] {
        let response = http::get(tracker, path);
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(text, "d14:failure reason29:this tracker is about to stop8:retry in1:5e", "{path}");
    }
    let stats = controlled.daemon.stats();
    assert_eq!((&stats["http"]["turned_away"], &stats["udp"]["connect_answered"]), (&3.into(), &1.into()));
    assert!(controlled.daemon.await_exit().success(), "{}", controlled.daemon.log());
    assert!(controlled.daemon.log().contains("drained: stopping"));
}

#[test]
fn a_connection_is_closed_behind_its_answer() {
    let controlled = Controlled::start(&[]);
    let mut stream = TcpStream::connect(controlled.daemon.tcp_v4()).expect("the daemon accepts connections");
    stream.set_read_timeout(Some(DEADLINE)).expect("the time is not zero");
    controlled.ctl_json(&["drain", "--within", "60"]);
    let request = format!("GET /announce?info_hash={} HTTP/1.1\r\nHost: x\r\n\r\n", hex(&LISTED));
    stream.write_all(request.as_bytes()).expect("the daemon reads requests");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it ends in order");
    assert!(response.to_lowercase().contains("connection: close"), "{response}");
}

#[test]
fn it_ends_in_time_though_a_client_goes_on() {
    let mut controlled = Controlled::start(&[]);
    let (_, id) = controlled.client();
    let socket = controlled.socket.clone();
    let mut waiting = UnixStream::connect(&socket).expect("the daemon listens");
    waiting
        .write_all(b"{\"command\":\"drain\",\"within_secs\":3,\"wait\":true}\n")
        .expect("the daemon reads");
    let mut first = [0; 5];
    waiting.read_exact(&mut first).expect("it is answered at once");
    assert_eq!(&first, b"{\"ok\"");
    let announce = AnnounceRequest::new(id, 6881).payload();
    // Not connected: that nobody listens any more is no error.
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
    while controlled.daemon.is_running() {
        client.send_to(&announce, controlled.daemon.udp_v4()).expect("loopback takes packets");
        receive_within(&client, Duration::from_millis(100));
    }
    assert!(controlled.daemon.await_exit().success(), "{}", controlled.daemon.log());
    waiting.set_read_timeout(Some(DEADLINE)).expect("the time is not zero");
    waiting.read_to_end(&mut Vec::new()).expect("the connection ends with the daemon");
    assert!(!socket.exists());
}

#[test]
fn waiting_for_it_is_waiting_for_the_end() {
    let mut controlled = Controlled::start(&[]);
    let called = controlled.ctl(&["drain", "--within", "0", "--wait"]);
    assert_eq!(called.code, Some(0), "{called:?}");
    assert!(controlled.daemon.await_exit().success());
    assert_eq!(controlled.ctl(&["status"]).code, Some(3));
}

#[test]
fn whoever_waits_for_an_end_that_fails_is_told_so() {
    let directory = TemporaryDirectory::new();
    let state = directory.subdirectory("state");
    let mut controlled = Controlled::start_in(directory, &["--set", "state.snapshot={}/state/snapshot"]);
    std::fs::remove_dir_all(&state).expect("the directory is ours");
    let called = controlled.ctl(&["drain", "--within", "0", "--wait"]);
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.stderr.contains("the last snapshot is not written"), "{called:?}");
    assert_eq!(controlled.daemon.await_exit().code(), Some(1));
}
