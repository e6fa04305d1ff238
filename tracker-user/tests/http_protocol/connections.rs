//! Limits of size, time and number: no connection stands in the way of another one.

use crate::server::Server;
use std::net::TcpStream;
use tracker_user::counters::HttpVerdict;

const REQUEST: &str = "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.1\r\nHost: tracker\r\n\r\n";

fn impatient() -> Server {
    Server::start_with(|config| config.http.request_timeout_secs = 1)
}

#[test]
fn what_is_not_http_is_refused_and_counted_once() {
    let server = Server::start();
    let garbage: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /announce\r\n\r\n",
        b"GET /announce ?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.1\r\n\r\n",
        b"GET /announce HTTP/1.1\r\nno colon\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for bytes in garbage {
        let mut client = server.connect();
        client.send(bytes);
        client.await_close();
    }
    assert_eq!(server.stop_and_count(), [(HttpVerdict::Malformed, garbage.len() as u64)]);
}

#[test]
fn a_request_cut_off_is_malformed_and_a_connection_without_one_is_no_request() {
    let server = Server::start();
    let mut cut_off = server.connect();
    cut_off.send(&REQUEST[..40]);
    cut_off.half_close();
    cut_off.await_close();
    let mut silent = server.connect();
    silent.half_close();
    silent.await_close();
    let mut line_ends = server.connect();
    line_ends.send("\r\n\r\n");
    line_ends.half_close();
    line_ends.await_close();
    assert_eq!(server.stop_and_count(), [(HttpVerdict::Malformed, 1)]);
}

#[test]
fn a_request_line_over_the_limit_is_refused() {
    let server = Server::start();
    let mut client = server.connect();
    client.try_send(format!("GET /announce?x={} HTTP/1.1\r\n\r\n", "x".repeat(17_000)));
    client.await_close();
    let mut endless = server.connect();
    endless.send("GET /announce?x=");
    while endless.try_send("x".repeat(65_536)) {}
    endless.await_close();
    assert_eq!(server.stop_and_count(), [(HttpVerdict::Malformed, 2)]);
}

#[test]
fn a_request_just_below_the_limit_is_served() {
    let server = Server::start();
    let padding = "x".repeat(15_800);
    let response = server.get(&format!("/announce?x={padding}&info_hash=aaaaaaaaaaaaaaaaaaaa&port=1"));
    response.dictionary().bytes("peers");
}

#[test]
fn a_smaller_limit_than_the_buffer_holds_too() {
    let server = Server::start_with(|config| config.http.max_request_bytes = 500);
    let mut client = server.connect();
    client.send(format!("GET /announce?x={} HTTP/1.1\r\n\r\n", "x".repeat(600)));
    assert_eq!(client.response_head().status(), 431);
    client.await_close();
    assert_eq!(server.stop_and_count(), [(HttpVerdict::Malformed, 1)]);
}

#[test]
fn headers_over_the_limit_are_refused() {
    let server = Server::start();
    let mut many = server.connect();
    many.send(format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101)));
    assert_eq!(many.response_head().status(), 431);
    many.await_close();
    let mut large = server.connect();
    large.try_send(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(17_000)));
    assert_eq!(large.response_head().status(), 431);
    large.await_close();
    assert_eq!(server.stop_and_count(), [(HttpVerdict::Malformed, 2)]);
}

#[test]
fn silent_connections_are_closed_and_are_no_requests() {
    let server = impatient();
    let mut silent = server.connect();
    let mut kept = server.connect();
    kept.send(REQUEST);
    assert_eq!(kept.response().status(), 200);
    assert!(silent.is_closed());
    assert!(kept.is_closed());
    assert_eq!(server.stop_and_count(), [(HttpVerdict::AnnounceAnswered, 1)]);
}

#[test]
fn slow_requests_are_cut_off_even_when_they_come_behind_another() {
    let server = impatient();
    let mut first = server.connect();
    first.send(&REQUEST[..20]);
    let mut second = server.connect();
    second.send(REQUEST.to_owned() + &REQUEST[..20]);
    assert_eq!(second.response().status(), 200);
    assert!(first.is_closed());
    assert!(second.is_closed());
    let counted = server.stop_and_count();
    assert_eq!(counted, [(HttpVerdict::AnnounceAnswered, 1), (HttpVerdict::TimedOut, 2)]);
}

#[test]
fn a_client_that_takes_no_answers_is_closed() {
    let server = Server::start_with(|config| config.http.response_timeout_secs = 1);
    let mut client = server.connect();
    // Sends until its own requests are no longer taken, because the answers are not, and then until it is closed.
    let batch = REQUEST.repeat(1000);
    while client.try_send(&batch) {}
    assert_eq!(server.get("/stats").status(), 200);
}

#[test]
fn slow_and_silent_connections_are_not_in_the_way_of_others() {
    let server = Server::start();
    let _silent: Vec<_> = (0..100).map(|_| server.connect()).collect();
    let mut slow: Vec<_> = (0..100).map(|_| server.connect()).collect();
    slow.iter_mut().for_each(|client| client.send(&REQUEST[..30]));
    assert_eq!(server.get("/stats").status(), 200);
    for client in &mut slow {
        client.send(&REQUEST[30..]);
        assert_eq!(client.response().status(), 200);
    }
}

#[test]
fn when_all_places_are_taken_the_oldest_connection_makes_room() {
    let server = Server::start_with(|config| config.http.max_connections = 3);
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(REQUEST);
        assert_eq!(client.response().status(), 200);
    }
    let mut newest = server.connect();
    newest.send(REQUEST);
    assert_eq!(newest.response().status(), 200);
    assert!(clients[0].is_closed());
    for client in &mut clients[1..] {
        client.send(REQUEST);
        assert_eq!(client.response().status(), 200);
    }
}

#[test]
fn a_worker_that_stops_takes_no_connection_and_finishes_the_request_that_has_begun() {
    let server = Server::start();
    let mut idle = server.connect();
    idle.send(REQUEST);
    assert_eq!(idle.response().status(), 200);
    let mut begun = server.connect();
    begun.send(&REQUEST[..30]);
    // An answer on a later connection says that the bytes sent before have been read.
    assert_eq!(server.get("/stats").status(), 200);
    server.request_stop();
    assert!(idle.is_closed());
    begun.send(&REQUEST[30..]);
    let response = begun.response();
    assert_eq!((response.status(), response.header("connection")), (200, Some("close")));
    assert!(begun.is_closed());
    let address = server.address;
    let counted = server.stop_and_count();
    assert_eq!(counted, [(HttpVerdict::AnnounceAnswered, 2), (HttpVerdict::StatsShown, 1)]);
    assert!(TcpStream::connect(address).is_err());
}
