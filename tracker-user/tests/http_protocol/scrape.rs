//! What a scrape names and what it is answered (BEP 48).

use crate::server::Server;
use tracker_user::counters::HttpVerdict;

fn hash(letter: u8) -> String {
    char::from(letter).to_string().repeat(20)
}

#[test]
fn files_are_sorted_and_each_there_once_and_an_unknown_torrent_is_a_row_of_zeros() {
    let server = Server::start();
    let (a, b) = (hash(b'a'), hash(b'b'));
    server.get(&format!("/announce?info_hash={b}&port=1&left=1")).dictionary();
    server.get(&format!("/announce?info_hash={b}&port=1&left=0&event=completed")).dictionary();
    server.get(&format!("/announce?info_hash={b}&port=2&left=1")).dictionary();
    let response = server.get(&format!("/scrape?info_hash={b}&info_hash={a}&info_hash={b}"));
    assert_eq!(response.header("content-type"), Some("text/plain"));
    // The strict reader refuses keys that are not sorted or there twice.
    let answer = response.dictionary();
    let files = answer.dictionary(b"files");
    assert_eq!((answer.len(), files.len()), (1, 2));
    for (hash, figures) in [(a, [0, 0, 0]), (b, [1, 1, 1])] {
        let row = files.dictionary(hash.as_bytes());
        assert_eq!(["complete", "downloaded", "incomplete"].map(|key| row.integer(key)), figures);
    }
    let counted = server.stop_and_count();
    assert_eq!(counted, [(HttpVerdict::AnnounceAnswered, 3), (HttpVerdict::ScrapeAnswered, 1)]);
}

#[test]
fn seventy_four_hashes_and_more_are_answered_in_one_request() {
    let server = Server::start();
    for most in [74, 200] {
        let hashes: Vec<[u8; 20]> = (0..most).map(|number| [200 - number; 20]).collect();
        let query: String = hashes
            .iter()
            .map(|hash| {
                let encoded: String = hash.iter().map(|byte| format!("%{byte:02x}")).collect();
                format!("&info_hash={encoded}")
            })
            .collect();
        let answer = server.get(&format!("/scrape?{query}")).dictionary();
        assert_eq!(answer.dictionary(b"files").len(), usize::from(most));
    }
}

#[test]
fn a_scrape_changes_nothing() {
    let server = Server::start();
    server.get(&format!("/scrape?info_hash={}", hash(b'a'))).dictionary();
    assert_eq!(server.tracker.store().totals().torrents, 0);
}

#[test]
fn a_scrape_without_a_whole_info_hash_fails() {
    let server = Server::start();
    for (query, reason) in [
        ("?x=1", "info_hash is missing"),
        ("?", "info_hash is missing"),
        ("?info_hash=short", "info_hash must be 20 bytes"),
        ("?info_hash=%zz", "malformed percent-encoding"),
    ] {
        assert_eq!(server.get(&format!("/scrape{query}")).failure_reason(), reason, "{query}");
    }
    assert_eq!(server.stop_and_count(), [(HttpVerdict::ScrapeRefused, 4)]);
}
