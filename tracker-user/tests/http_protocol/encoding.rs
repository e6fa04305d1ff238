//! How bytes are written in a query.

use crate::server::Server;
use tracker_user::info_hash::InfoHash;

fn is_stored(server: &Server, info_hash: [u8; 20]) -> bool {
    server.tracker.store().scrape(&InfoHash(info_hash)).is_some()
}

#[test]
fn every_byte_is_read_percent_encoded_in_upper_and_lower_case() {
    let server = Server::start();
    for first in (0..=255_u8).step_by(20) {
        let info_hash: [u8; 20] = std::array::from_fn(|offset| first.wrapping_add(offset as u8));
        let upper: String = info_hash.iter().map(|byte| format!("%{byte:02X}")).collect();
        let lower: String = info_hash.iter().map(|byte| format!("%{byte:02x}")).collect();
        server.get(&format!("/announce?info_hash={upper}&port=1&left=1")).dictionary();
        assert!(is_stored(&server, info_hash), "{upper}");
        let answer = server.get(&format!("/announce?info_hash={lower}&port=1&left=1")).dictionary();
        assert_eq!(answer.integer("incomplete"), 1, "{lower}");
    }
}

#[test]
fn unreserved_and_sub_delimiter_characters_are_read_raw_and_a_plus_is_a_plus() {
    let server = Server::start();
    for (raw, info_hash) in [
        ("-._~!$'()*+,;:@/?09A", b"-._~!$'()*+,;:@/?09A"),
        ("zZ++++++++++++++++%2B", b"zZ+++++++++++++++++\0"),
    ] {
        let raw = format!("{raw}{}", if raw.len() > 20 { "%00" } else { "" });
        server.get(&format!("/announce?info_hash={raw}&port=1&left=1")).dictionary().bytes("peers");
        assert!(is_stored(&server, *info_hash), "{raw}");
    }
}

#[test]
fn a_bad_encoding_refuses_in_a_known_key_and_is_skipped_in_an_unknown_one() {
    let server = Server::start();
    let hash = "a".repeat(20);
    for query in [
        format!("info_hash={}%zz&port=1", &hash[1..]),
        format!("info_hash={}%4&port=1", &hash[1..]),
        format!("info_hash={hash}&port=1%"),
        format!("info_hash={hash}&port=1&left=%0g"),
    ] {
        assert_eq!(server.get(&format!("/announce?{query}")).failure_reason(), "malformed percent-encoding");
    }
    assert!(!is_stored(&server, [b'a'; 20]));
    for unknown in ["x=%zz", "%zz=1", "%", "key=%4", "=%", "&&&"] {
        let query = format!("{unknown}&info_hash={hash}&{unknown}&port=1&{unknown}");
        server.get(&format!("/announce?{query}")).dictionary().bytes("peers");
    }
}

#[test]
fn keys_come_in_any_order_between_unknown_ones() {
    let server = Server::start();
    let hash = "a".repeat(20);
    let query = format!(
        "supportcrypto=1&left=0&key=00ff&uploaded=0&port=1&downloaded=0&corrupt=0&redundant=0\
         &event=started&trackerid=x&info_hash={hash}&azudp=9&peer_id=-XX0001-%00%01%02345678901&numwant=5"
    );
    assert_eq!(server.get(&format!("/announce?{query}")).dictionary().integer("complete"), 1);
}
