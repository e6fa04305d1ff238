//! Requests to either tracker, and their answers as fields.

use crate::bencode;
use crate::fields::Fields;
use flate2::read::GzDecoder;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tracker_tests::daemon::DEADLINE;
use tracker_tests::http::percent_encoded;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient, scrape_request};

/// For how long an answer is waited for that may not come.
const SILENCE: Duration = Duration::from_millis(300);

/// A torrent that both trackers serve, by its number below 16.
pub(crate) const fn torrent(number: u8) -> [u8; 20] {
    [0xa0 | number; 20]
}

/// A torrent that neither serves.
pub(crate) const FORBIDDEN: [u8; 20] = [0x0f; 20];

/// A response over HTTP.
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as it was before it was compressed.
    pub(crate) fn decoded(&self) -> Vec<u8> {
        match self.header("content-encoding") {
            None => self.body.clone(),
            Some("gzip") => {
                let mut decoded = Vec::new();
                GzDecoder::new(&*self.body).read_to_end(&mut decoded).expect("the body is gzip");
                decoded
            }
            Some(coding) => panic!("nobody has asked for {coding}"),
        }
    }
}

/// The response to a GET over HTTP/1.0, from 127.0.0.1.
pub(crate) fn get(tracker: SocketAddr, target: &str) -> Response {
    get_from(Ipv4Addr::LOCALHOST, tracker, target)
}

/// The same from another address of loopback.
pub(crate) fn get_from(source: Ipv4Addr, tracker: SocketAddr, target: &str) -> Response {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
    socket.bind(&SocketAddr::from((source, 0)).into()).expect("all of 127.0.0.0/8 is this host's");
    socket.connect(&tracker.into()).expect("the tracker listens");
    socket.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    let mut stream: std::net::TcpStream = socket.into();
    stream
        .write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes())
        .expect("the tracker reads requests");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("the tracker closes the connection in order");
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a response has a head") + 4;
    let head = String::from_utf8_lossy(&response[..end]).into_owned();
    let status = head[9..12].parse().expect("a response has a status");
    Response { status, head, body: response[end..].to_vec() }
}

/// The query of an announce of a torrent, with more keys behind it.
pub(crate) fn announce_query(info_hash: [u8; 20], more: &str) -> String {
    format!("/announce?info_hash={}&peer_id=-XX0001-abcdefghijkl&{more}", percent_encoded(&info_hash))
}

/// An answer to an announce or a scrape over HTTP as fields below `name`.
pub(crate) fn add_http_answer(fields: &mut Fields, name: &str, response: &Response) {
    fields.insert(format!("{name}/status"), response.status.to_string());
    if let Some(location) = response.header("location") {
        fields.insert(format!("{name}/location"), location.to_owned());
    }
    if response.status != 200 {
        return;
    }
    fields.insert(format!("{name}/type"), response.header("content-type").unwrap_or_default().to_owned());
    bencode::flatten(fields, name, &response.decoded());
    for (key, range) in [("interval", 1620..=1980), ("min interval", 810..=990)] {
        if let Some(value) = fields.get_mut(&format!("{name}/{key}")) {
            let secs = value.parse().expect("an interval is a number");
            assert!(range.contains(&secs), "{name}: {key} {secs}");
            "at random".clone_into(value);
        }
    }
    // Whoever asks is given peers at random, in no order that means anything.
    if let Some(peers) = fields.get_mut(&format!("{name}/peers")) {
        let mut sorted: Vec<String> =
            peers.as_bytes().chunks(12).map(|peer| String::from_utf8_lossy(peer).into_owned()).collect();
        sorted.sort();
        *peers = sorted.join(" ");
    }
}

/// A client over UDP, with the id that the tracker has given to its address.
pub(crate) struct UdpSession {
    client: UdpClient,
    connection_id: u64,
}

impl UdpSession {
    /// Connects from an address of loopback.
    pub(crate) fn new(source: Ipv4Addr, tracker: SocketAddr) -> Self {
        let mut client = UdpClient::new(IpAddr::V4(source), tracker);
        let connection_id = client.connect();
        Self { client, connection_id }
    }

    /// An announce of a leecher that may be changed; `id` of 0 is the right one.
    pub(crate) fn announce(&self, fields: &mut Fields, name: &str, request: AnnounceRequest) {
        let connection_id = request.connection_id.wrapping_add(self.connection_id);
        self.client.send(&AnnounceRequest { connection_id, ..request }.payload());
        self.add_answer(fields, name);
    }

    /// A scrape.
    pub(crate) fn scrape(&self, fields: &mut Fields, name: &str, torrents: &[[u8; 20]]) {
        self.client.send(&scrape_request(self.connection_id, 7, torrents));
        self.add_answer(fields, name);
    }

    /// Anything.
    pub(crate) fn send(&self, fields: &mut Fields, name: &str, payload: &[u8]) {
        self.client.send(payload);
        self.add_answer(fields, name);
    }

    fn add_answer(&self, fields: &mut Fields, name: &str) {
        let mut add = |key: &str, value: String| fields.insert(format!("{name}/{key}"), value);
        let Some(answer) = self.client.receive_within(SILENCE) else {
            add("action", "silence".to_owned());
            return;
        };
        let word = |at: usize| {
            answer.get(at..at + 4).map(|word| u32::from_be_bytes(word.try_into().expect("four bytes")))
        };
        let action = word(0).expect("an answer has an action");
        add("action", action.to_string());
        match action {
            1 if answer.len() >= 20 => {
                assert!(word(8).is_some_and(|secs| (1620..=1980).contains(&secs)), "{name}: {answer:02x?}");
                for (key, at) in [("leechers", 12), ("seeders", 16)] {
                    add(key, word(at).expect("the answer is long enough").to_string());
                }
                let peers = answer[20..].chunks(6);
                let shown = |peer: &[u8]| peer.iter().map(|byte| format!("{byte:02x}")).collect();
                let mut peers: Vec<String> = peers.map(shown).collect();
                peers.sort();
                add("peers", peers.join(" "));
            }
            3 => drop(add("error", String::from_utf8_lossy(&answer[8..]).into_owned())),
            _ => drop(add("rest", format!("{:02x?}", answer.get(8..).unwrap_or_default()))),
        }
    }
}
