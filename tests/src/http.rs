//! The least that speaks HTTP to the daemon, over a plain connection: what is sent and what came back is exactly
//! what the test says, with no library's habits in between.

use crate::daemon::DEADLINE;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::mpsc;

/// A response: its status and the body as it came.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// The whole response to a GET over HTTP/1.0.
///
/// # Panics
/// When there is no connection, or no whole response by [`DEADLINE`].
pub fn get(address: SocketAddr, path_and_query: &str) -> Response {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("the daemon accepts connections");
    ask(stream, &format!("GET {path_and_query} HTTP/1.0\r\nHost: {address}\r\n\r\n"))
}

/// The same from an address of this host, with more headers, each with the end of its line.
///
/// # Panics
/// When there is no connection, or no whole response by [`DEADLINE`].
pub fn get_as(source: IpAddr, headers: &str, address: SocketAddr, path_and_query: &str) -> Response {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("there are sockets");
    socket.bind(&SocketAddr::from((source, 0)).into()).expect("this host has the address");
    socket.connect_timeout(&address.into(), DEADLINE).expect("the daemon accepts connections");
    ask(socket.into(), &format!("GET {path_and_query} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n"))
}

fn ask(mut stream: TcpStream, request: &str) -> Response {
    stream.write_all(request.as_bytes()).expect("the daemon reads requests");
    let (sender, receiver) = mpsc::channel();
    // A read timeout is for one read; the deadline here is for all of them.
    std::thread::spawn(move || {
        let mut response = Vec::new();
        let outcome = stream.read_to_end(&mut response).map(|_| response);
        drop(sender.send(outcome));
    });
    let response = receiver.recv_timeout(DEADLINE).expect("the daemon answers in time");
    parse(&response.expect("the daemon closes the connection in order"))
}

fn parse(response: &[u8]) -> Response {
    let end_of_head = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = response.split_at(end_of_head.expect("a response has a head") + 4);
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {}", String::from_utf8_lossy(head)));
    Response { status, body: body.to_vec() }
}

/// Bytes as a value in a query, every one of them escaped.
pub fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}
