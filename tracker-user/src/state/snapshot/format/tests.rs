//! The bytes of a snapshot, literally, both ways.

use super::{
    BLOCK_HEADER_LEN, BlockHeader, Contents, Damage, Header, Kind, VERSION, decode_page, encode_page,
    is_intact, most_content,
};
use crate::info_hash::InfoHash;
use crate::peer_store::{DumpedPeer, DumpedTorrent, Page};
use crate::state::moment::{Boot, Moment};

const HEADER: Header = Header {
    begun: Moment {
        wall_secs: 0x6a00_0001,
        secs: 0x0200_1000,
        boot: Boot([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    },
    store_id: 0xa1a2_a3a4_a5a6_a7a8,
    first_part: 3,
};
const HEADER_BYTES: [u8; 56] = *b"\x93otxsnap\x00\x01\x00\x00\x00\x00\x00\x03\
    \x00\x00\x00\x00\x6a\x00\x00\x01\x02\x00\x10\x00\
    \x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
    \xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x00\x00\x00\x00";

/// The literal bytes with their checksum.
fn header_bytes() -> [u8; 56] {
    let mut bytes = HEADER_BYTES;
    let checksum = crc32fast::hash(&bytes[..52]);
    bytes[52..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

#[test]
fn a_header_has_its_literal_bytes() {
    assert_eq!(HEADER.encode(), header_bytes());
    assert_eq!(Header::decode(&header_bytes()), Ok(HEADER));
    // As the checksum of gzip, so that it can be told by other means.
    assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
}

#[test]
fn another_version_is_told_from_damage() {
    let mut bytes = header_bytes();
    bytes[9] = 2;
    assert_eq!(Header::decode(&bytes), Err(Damage::OtherVersion(2)));
    bytes[9] = VERSION as u8;
    bytes[11] = 1;
    assert_eq!(Header::decode(&bytes), Err(Damage::Header));
    bytes[0] = b'o';
    assert_eq!(Header::decode(&bytes), Err(Damage::NotASnapshot));
}

#[test]
fn a_block_has_its_literal_bytes() {
    let header =
        BlockHeader { number: 5, kind: Kind::Torrents, parts_done: 9, content_len: 300, packed_len: 4 };
    let packed = b"zstd";
    let bytes = header.encode(0x0102_0304, packed);
    let literal = b"\0\0\0\x05\x01\0\0\0\0\0\0\x09\0\0\x01\x2c\0\0\0\x04";
    assert_eq!(bytes[..20], *literal);
    let checksum = crc32fast::hash(&[b"\x01\x02\x03\x04", &literal[..], packed].concat());
    assert_eq!(bytes[20..], checksum.to_be_bytes());
    assert_eq!(BlockHeader::decode(&bytes, 5), Ok(header));
    assert!(is_intact(&bytes, 0x0102_0304, packed));
    assert!(!is_intact(&bytes, 0x0102_0305, packed), "a block of another snapshot");
    assert_eq!(BlockHeader::decode(&bytes, 6), Err(Damage::Block(6)));
}

#[test]
fn no_header_makes_a_reader_want_more_memory_than_it_has() {
    let literal = |content: &[u8; 4], packed: &[u8; 4], kind: u8| {
        let mut bytes = [0; BLOCK_HEADER_LEN];
        bytes[4] = kind;
        bytes[12..16].copy_from_slice(content);
        bytes[16..20].copy_from_slice(packed);
        BlockHeader::decode(&bytes, 0)
    };
    assert!(literal(b"\0\x10\0\0", b"\0\x10\0\0", 1).is_ok());
    for (content, packed, kind) in [
        (b"\0\x10\0\x01", b"\0\0\0\x01", 1),
        (b"\0\0\0\x01", b"\0\x10\0\x01", 1),
        (b"\xff\xff\xff\xff", b"\xff\xff\xff\xff", 1),
        (b"\0\0\0\x01", b"\0\0\0\x01", 0),
        (b"\0\0\0\x01", b"\0\0\0\x01", 3),
    ] {
        assert_eq!(literal(content, packed, kind), Err(Damage::Block(0)));
    }
}

fn page() -> Page {
    let peer = |port, seeder, completed, heard_secs| DumpedPeer {
        entry: [192, 0, 2, 1, 0x1a, port],
        seeder,
        completed,
        heard_secs,
    };
    let mut v6 = [0; 18];
    v6[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
    v6[17] = 80;
    let torrent = |byte, completed, last_announce_secs, v4, v6| DumpedTorrent {
        info_hash: InfoHash([byte; 20]),
        completed,
        last_announce_secs,
        v4,
        v6,
    };
    Page {
        torrents: vec![torrent(0xaa, 41, 5000, 2, 0), torrent(0xbb, 0, 4000, 0, 1)],
        v4: vec![peer(1, true, true, 4999), peer(2, false, false, 4744)],
        v6: vec![DumpedPeer { entry: v6, seeder: false, completed: true, heard_secs: 5000 }],
    }
}

const CONTENT: &[u8] = b"\0\0\0\x02\0\0\0\x02\0\0\0\x01\
    \xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\
    \xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\
    \0\0\0\x29\0\0\0\0\
    \0\0\0\0\0\0\x03\xe8\
    \0\0\0\x02\0\0\0\0\
    \0\0\0\0\0\0\0\x01\
    \xc0\0\x02\x01\x1a\x01\xc0\0\x02\x01\x1a\x02\
    \xc0\0\0\x01\0\0\x01\0\
    \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0\0\x50\
    \x40\0\0\0";

#[test]
fn a_page_has_its_literal_bytes() {
    let mut out = Vec::new();
    encode_page(&page(), 5000, &mut out);
    assert_eq!(out.escape_ascii().to_string(), CONTENT.escape_ascii().to_string());
    assert!(out.len() <= most_content(page().entries()));
    let mut decoded = Page::default();
    assert_eq!(decode_page(CONTENT, 5000, &mut decoded), Some(()));
    assert_eq!(decoded, page());
}

#[test]
fn ages_are_those_at_the_beginning_and_go_on_on_another_host() {
    let mut out = Vec::new();
    // Begun 900 s before the last word: that one counts as of the beginning.
    encode_page(&page(), 4100, &mut out);
    let mut decoded = Page::default();
    assert_eq!(decode_page(&out, 90_000, &mut decoded), Some(()));
    let heard: Vec<_> = decoded.v4.iter().map(|peer| peer.heard_secs).collect();
    assert_eq!(heard, [90_000, 90_000]);
    assert_eq!(decoded.torrents[1].last_announce_secs, 89_900);
    // Nothing can be heard of before seconds are counted.
    assert_eq!(decode_page(CONTENT, 100, &mut decoded), Some(()));
    assert_eq!(decoded.v4[1].heard_secs, 0);
}

#[test]
fn content_of_any_other_length_is_refused() {
    let mut page = Page::default();
    for length in 0..CONTENT.len() {
        assert_eq!(decode_page(&CONTENT[..length], 5000, &mut page), None, "{length} bytes");
    }
    assert_eq!(decode_page(&[CONTENT, b"\0"].concat(), 5000, &mut page), None);
    // Counts that the content does not have, and peers that belong to no torrent.
    for (at, byte) in [(3, 3), (0, 0xff), (4, 0xff), (8, 0xff), (12 + 40 + 16 + 3, 1), (12 + 40 + 24 + 3, 1)]
    {
        let mut content = CONTENT.to_vec();
        content[at] = byte;
        assert_eq!(decode_page(&content, 5000, &mut page), None, "byte {at}");
    }
}

#[test]
fn the_end_has_its_literal_bytes() {
    let contents = Contents::of(&page());
    let literal = b"\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01";
    assert_eq!(contents.encode(), *literal);
    assert_eq!(Contents::decode(literal), Some(contents));
    assert_eq!(Contents::decode(&literal[1..]), None);
    assert_eq!(contents.and(contents), Contents { rows: 4, v4: 4, v6: 2 });
}
