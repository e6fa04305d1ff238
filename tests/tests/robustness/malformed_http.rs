//! Malformed HTTP requests: none of them is an announce that may be answered with peers.

use super::PORT;
use tracker_tests::http::percent_encoded;
use tracker_tests::udp_client::INFO_HASH;

/// More than a request line or headers may have.
const TOO_LONG: usize = 100_000;
const METHODS: &[&str] =
    &["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND", "G\u{e9}T"];

/// One request, or what is sent instead.
pub(crate) fn make(random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(..12) {
        0 => random_bytes(random, 2_000),
        1 => broken_request_line(random),
        2 => giant_header(random),
        3 => truncated(random),
        4 => bad_percent_encoding(random),
        5 => wrong_method(random),
        6 => null_bytes(random),
        7 => pipelined_rubbish(random),
        8 => mutated(random),
        9 => bad_framing(random),
        10 => bad_scrape(random),
        _ => unknown_path(random),
    }
}

/// An announce that would be answered.
fn sound_announce() -> String {
    let (info_hash, peer_id) = (percent_encoded(&INFO_HASH), percent_encoded(&[7; 20]));
    format!(
        "GET /announce?info_hash={info_hash}&peer_id={peer_id}&port={PORT}&uploaded=0&downloaded=0&left=1&compact=1 \
         HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n"
    )
}

fn get(path_and_query: &str) -> String {
    format!("GET {path_and_query} HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n")
}

fn random_bytes(random: &mut fastrand::Rng, at_most: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.usize(..at_most)];
    random.fill(&mut bytes);
    bytes
}

fn broken_request_line(random: &mut fastrand::Rng) -> Vec<u8> {
    let lines = [
        "GET",
        "GET ",
        "GET /announce",
        "GET /announce HTTP/9.9",
        "GET /announce HTTP/1.",
        "GET /announce HTTX/1.1",
        "GET\t/announce\tHTTP/1.1",
        " GET /announce HTTP/1.1",
        "GET  HTTP/1.1",
        "GET announce HTTP/1.1",
        "/announce GET HTTP/1.1",
        "\r\n\r\n\r\nGET",
        "HTTP/1.1 200 OK",
        "PRI * HTTP/2.0",
    ];
    let line = lines[random.usize(..lines.len())];
    format!("{line}\r\nHost: tracker\r\n\r\n").into_bytes()
}

fn giant_header(random: &mut fastrand::Rng) -> Vec<u8> {
    let filler = "a".repeat(random.usize(20_000..TOO_LONG));
    match random.u8(..4) {
        0 => format!("GET /announce?{filler} HTTP/1.1\r\n\r\n"),
        1 => format!("GET /announce HTTP/1.1\r\nHost: {filler}\r\n\r\n"),
        2 => format!("GET /announce HTTP/1.1\r\n{filler}: tracker\r\n\r\n"),
        _ => format!("GET /announce HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(filler.len() / 6)),
    }
    .into_bytes()
}

/// Everything but the last byte at most: the request never becomes whole.
fn truncated(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut request = sound_announce().into_bytes();
    request.truncate(random.usize(..request.len()));
    request
}

fn bad_percent_encoding(random: &mut fastrand::Rng) -> Vec<u8> {
    let bad = ["%", "%0", "%zz", "%%%%", "%-1", "%0x", "%u1234", "%\u{e9}"];
    let bad = bad[random.usize(..bad.len())];
    let mut info_hash = percent_encoded(&INFO_HASH);
    info_hash.insert_str(3 * random.usize(..=INFO_HASH.len()), bad);
    get(&format!("/announce?info_hash={info_hash}&peer_id={info_hash}&port={PORT}&left=1")).into_bytes()
}

fn wrong_method(random: &mut fastrand::Rng) -> Vec<u8> {
    let method = METHODS[random.usize(..METHODS.len())];
    sound_announce().replacen("GET", method, 1).into_bytes()
}

/// In the request line, where none may be.
fn null_bytes(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut request = sound_announce().into_bytes();
    let end_of_line = request.iter().position(|byte| *byte == b'\r').unwrap_or(0);
    for _ in 0..random.usize(1..10) {
        request[random.usize(..end_of_line)] = 0;
    }
    request
}

/// Something is asked for, and what follows is no request.
fn pipelined_rubbish(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut request = b"GET /nothing-here HTTP/1.1\r\nHost: tracker\r\n\r\n".to_vec();
    for _ in 0..random.usize(1..5) {
        request.extend(random_bytes(random, 500));
        request.extend_from_slice(b"\r\n\r\n");
    }
    request
}

/// One byte changed, in a place that an announce cannot do without.
fn mutated(random: &mut fastrand::Rng) -> Vec<u8> {
    let request = sound_announce();
    let key = ["info_hash=", "port=", "GET ", "announce?", "HTTP/1.1", "\r\n"];
    let key = key[random.usize(..key.len())];
    let mut request = request.into_bytes();
    if let Some(position) = request.windows(key.len()).position(|bytes| bytes == key.as_bytes()) {
        // No letter, digit or sign of an announce is a control byte, so this changes something for certain.
        request[position + random.usize(..key.len().min(4))] = random.u8(1..9);
    }
    request
}

fn bad_framing(random: &mut fastrand::Rng) -> Vec<u8> {
    let headers = [
        "Content-Length: 99999999999999999999",
        "Content-Length: -1",
        "Content-Length: 5\r\nContent-Length: 6",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: gzip",
        ": no name",
        "No Colon",
        "Folded: header\r\n  goes on",
        "Name : blank before the colon",
    ];
    let header = headers[random.usize(..headers.len())];
    let mut request = format!("GET /nothing-here HTTP/1.1\r\nHost: tracker\r\n{header}\r\n\r\n").into_bytes();
    request.extend(random_bytes(random, 100));
    request
}

fn bad_scrape(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = random.usize(..40);
    let length = if length == INFO_HASH.len() { 0 } else { length };
    get(&format!("/scrape?info_hash={}", percent_encoded(&vec![1; length]))).into_bytes()
}

fn unknown_path(random: &mut fastrand::Rng) -> Vec<u8> {
    let path: String = std::iter::repeat_with(|| random.alphanumeric()).take(30).collect();
    get(&format!("/{path}/../announce/%00")).into_bytes()
}
