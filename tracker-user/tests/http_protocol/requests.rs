//! How requests may arrive, and what an answer says of its connection.

use crate::server::Server;
use tracker_user::counters::HttpVerdict;

const TARGET: &str = "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&left=1";

fn request(version: &str, headers: &str) -> String {
    format!("GET {TARGET} HTTP/{version}\r\nHost: tracker\r\n{headers}\r\n")
}

#[test]
fn an_http_1_1_connection_is_kept_until_the_client_asks_to_close_it() {
    let server = Server::start();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(request("1.1", ""));
        assert_ne!(client.response().header("connection"), Some("close"));
    }
    client.send(request("1.1", "Connection: close\r\n"));
    let response = client.response();
    assert_eq!((response.status(), response.header("connection")), (200, Some("close")));
    assert!(client.is_closed());
    assert_eq!(server.stop_and_count(), [(HttpVerdict::AnnounceAnswered, 4)]);
}

#[test]
fn an_http_1_0_connection_is_closed_unless_the_client_asks_to_keep_it() {
    let server = Server::start();
    let mut client = server.connect();
    for _ in 0..2 {
        client.send(request("1.0", "Connection: keep-alive\r\n"));
        let response = client.response();
        assert_eq!(response.status_line, "HTTP/1.0 200 OK");
        assert_eq!(response.header("connection"), Some("keep-alive"));
        assert_eq!(response.header("transfer-encoding"), None);
    }
    client.send(request("1.0", ""));
    let response = client.response();
    assert_ne!(response.header("connection"), Some("keep-alive"));
    assert_eq!(response.dictionary().bytes("peers"), b"");
    assert!(client.is_closed());
}

#[test]
fn an_http_1_0_request_needs_no_header() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(format!("GET {TARGET} HTTP/1.0\r\n\r\n"));
    assert_eq!(client.response().status(), 200);
    assert!(client.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = Server::start();
    let mut client = server.connect();
    let mut batch = String::new();
    for port in 1..=100 {
        batch += &request("1.1", "").replace("port=1", &format!("port={port}"));
    }
    client.send(batch);
    for port in 1..=100 {
        assert_eq!(client.response().dictionary().integer("incomplete"), port);
    }
    assert_eq!(server.stop_and_count(), [(HttpVerdict::AnnounceAnswered, 100)]);
}

#[test]
fn an_answer_does_not_wait_for_the_rest_of_the_request_behind_it() {
    let server = Server::start();
    let mut client = server.connect();
    let second = request("1.1", "");
    let (begin, rest) = second.split_at(30);
    client.send(request("1.1", "") + begin);
    assert_eq!(client.response().status(), 200);
    client.send(rest.to_owned() + "\r\n");
    assert_eq!(client.response().status(), 200);
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let server = Server::start();
    let mut client = server.connect();
    for byte in request("1.1", "").bytes() {
        client.send([byte]);
    }
    assert_eq!(client.response().status(), 200);
    assert_eq!(server.stop_and_count(), [(HttpVerdict::AnnounceAnswered, 1)]);
}

#[test]
fn a_client_that_half_closes_is_still_answered() {
    let server = Server::start();
    for version in ["1.0", "1.1"] {
        let mut client = server.connect();
        client.send(request(version, ""));
        client.half_close();
        assert_eq!(client.response().dictionary().bytes("peers"), b"");
        assert!(client.is_closed());
    }
    assert_eq!(server.stop_and_count(), [(HttpVerdict::AnnounceAnswered, 2)]);
}

#[test]
fn a_client_that_half_closes_before_it_takes_its_answers_gets_them_all() {
    const REQUESTS: u64 = 10_000;
    let server = Server::start();
    let mut client = server.connect();
    client.send("GET /stats?format=json HTTP/1.1\r\n\r\n".repeat(REQUESTS as usize));
    client.half_close();
    for _ in 0..REQUESTS {
        assert_eq!(client.response().status(), 200);
    }
    assert!(client.is_closed());
    assert_eq!(server.stop_and_count(), [(HttpVerdict::StatsShown, REQUESTS)]);
}

#[test]
fn head_is_answered_with_the_length_of_the_body_but_without_it() {
    let server = Server::start();
    let target = "/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa";
    let mut client = server.connect();
    client.send(format!("HEAD {target} HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n"));
    let response = client.response_head();
    let length = server.get(target).body.len().to_string();
    assert_eq!((response.status(), response.header("content-length")), (200, Some(&*length)));
    assert!(client.is_closed());
}

#[test]
fn a_refusal_arrives_though_nobody_reads_the_body_of_the_request() {
    let server = Server::start();
    let mut client = server.connect();
    let body = "x".repeat(10_000);
    client.send(format!("POST {TARGET} HTTP/1.1\r\nHost: tracker\r\nContent-Length: 10000\r\n\r\n{body}"));
    assert_eq!(client.response().status(), 405);
    client.await_close();
}

#[test]
fn other_methods_are_refused_and_told_which_ones_there_are() {
    let server = Server::start();
    let methods = ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"];
    for method in methods {
        let mut client = server.connect();
        client.send(format!("{method} {TARGET} HTTP/1.1\r\nHost: tracker\r\nContent-Length: 3\r\n\r\nabc"));
        let response = client.response();
        assert_eq!((response.status(), response.header("allow")), (405, Some("GET, HEAD")), "{method}");
        assert_eq!(response.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
    assert_eq!(server.tracker.store().totals().torrents, 0);
    assert_eq!(server.stop_and_count(), [(HttpVerdict::MethodRefused, methods.len() as u64)]);
}

#[test]
fn an_answer_is_not_compressed_even_for_a_client_that_offers_it() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(request("1.1", "Accept-Encoding: gzip, deflate, zstd\r\n"));
    let response = client.response();
    assert_eq!(response.header("content-encoding"), None);
    response.dictionary();
}

#[test]
fn a_body_behind_a_get_is_not_taken_for_a_request() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(request("1.1", "Content-Length: 5\r\n") + "GET /");
    assert_eq!(client.response().status(), 200);
    client.half_close();
    client.await_close();
    assert_eq!(server.stop_and_count(), [(HttpVerdict::AnnounceAnswered, 1)]);
}
