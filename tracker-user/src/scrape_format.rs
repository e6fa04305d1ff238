//! The formats of a full scrape, byte for byte as opentracker writes them: programs that count torrents read them.

use crate::bencode::Writer;
use crate::info_hash::InfoHash;
use crate::peer_store::SwarmCounts;
use std::io::Write as _;

/// Characters besides letters and digits that stand for themselves in an encoded info hash.
const PLAIN_IN_URL: &[u8] = b"$-./=_~";

/// How the torrents of a full scrape are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The dictionary of an ordinary scrape (BEP 48), except that its keys are in no order.
    #[default]
    Bencoded,
    /// 20 bytes info hash, then seeders and leechers in 4 bytes each, big-endian.
    Binary,
    /// `HEX:seeders:leechers`.
    Text,
    /// `HEX:seeders:leechers:downloaded`.
    TextWithDownloads,
    /// The info hash percent-encoded, then `:seeders:leechers`.
    Url,
    /// `HEX:minutes:downloaded`, what [`crate::state_dump`] reads.
    StateDump,
}

/// One torrent of a full scrape.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Its figures.
    pub counts: SwarmCounts,
    /// Of its last announce, since 1970; for [`Format::StateDump`] alone.
    pub minute: u64,
}

impl Format {
    /// The formats of scrapes, without that of the dump.
    pub const SCRAPES: [Self; 5] =
        [Self::Bencoded, Self::Binary, Self::Text, Self::TextWithDownloads, Self::Url];

    /// The name by which operators and monitors ask for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bencoded => "ben",
            Self::Binary => "bin",
            Self::Text => "txt",
            Self::TextWithDownloads => "txtp",
            Self::Url => "url",
            Self::StateDump => "statedump",
        }
    }

    /// Writes what stands before the first torrent.
    pub fn begin(self, out: &mut Vec<u8>) {
        if self == Self::Bencoded {
            out.extend_from_slice(b"d5:filesd");
        }
    }

    /// Writes one torrent.
    pub fn torrent(self, out: &mut Vec<u8>, row: &Row) {
        let Row { info_hash: InfoHash(hash), counts, minute } = row;
        let SwarmCounts { seeders, leechers, completed } = *counts;
        // Writing to memory cannot fail.
        let _ = match self {
            Self::Bencoded => {
                bencoded(&mut Writer::new(out), hash, *counts);
                Ok(())
            }
            Self::Binary => {
                out.extend_from_slice(hash);
                out.extend_from_slice([seeders, leechers].map(u32::to_be_bytes).as_flattened());
                Ok(())
            }
            Self::Text => {
                hexadecimal(out, hash);
                writeln!(out, ":{seeders}:{leechers}")
            }
            Self::TextWithDownloads => {
                hexadecimal(out, hash);
                writeln!(out, ":{seeders}:{leechers}:{completed}")
            }
            Self::Url => {
                percent_encoded(out, hash);
                writeln!(out, ":{seeders}:{leechers}")
            }
            Self::StateDump => {
                hexadecimal(out, hash);
                writeln!(out, ":{minute}:{completed}")
            }
        };
    }

    /// Writes what stands behind the last torrent.
    pub fn end(self, out: &mut Vec<u8>) {
        if self == Self::Bencoded {
            out.extend_from_slice(b"ee");
        }
    }
}

fn bencoded(writer: &mut Writer<'_>, hash: &[u8], counts: SwarmCounts) {
    writer.bytes(hash);
    writer.dictionary();
    writer.entry_integer("complete", u64::from(counts.seeders));
    writer.entry_integer("downloaded", u64::from(counts.completed));
    writer.entry_integer("incomplete", u64::from(counts.leechers));
    writer.end();
}

fn hexadecimal(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().flat_map(|byte| digits(*byte, b"0123456789ABCDEF")));
}

fn percent_encoded(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || PLAIN_IN_URL.contains(byte) {
            out.push(*byte);
        } else {
            out.push(b'%');
            out.extend(digits(*byte, b"0123456789abcdef"));
        }
    }
}

fn digits(byte: u8, alphabet: &[u8; 16]) -> [u8; 2] {
    [alphabet[usize::from(byte >> 4)], alphabet[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::{Format, Row};
    use crate::info_hash::InfoHash;
    use crate::peer_store::SwarmCounts;

    fn written(format: Format, hash: [u8; 20]) -> Vec<u8> {
        let mut out = Vec::new();
        format.begin(&mut out);
        let counts = SwarmCounts { seeders: 258, leechers: 3, completed: 41 };
        format.torrent(&mut out, &Row { info_hash: InfoHash(hash), counts, minute: 29_924_798 });
        format.end(&mut out);
        out
    }

    /// Most of the expected bytes are what opentracker 1.0+git20250425 was seen to send.
    #[test]
    fn every_format_has_its_literal_bytes() {
        let hash = *b" !\"#$%&'()*+,-./0123";
        for (format, expected) in [
            (
                Format::Bencoded,
                &b"d5:filesd20: !\"#$%&'()*+,-./0123d8:completei258e10:downloadedi41e10:incompletei3eeee"[..],
            ),
            (Format::Binary, b" !\"#$%&'()*+,-./0123\0\0\x01\x02\0\0\0\x03"),
            (Format::Text, b"202122232425262728292A2B2C2D2E2F30313233:258:3\n"),
            (Format::TextWithDownloads, b"202122232425262728292A2B2C2D2E2F30313233:258:3:41\n"),
            (Format::StateDump, b"202122232425262728292A2B2C2D2E2F30313233:29924798:41\n"),
            (Format::Url, b"%20%21%22%23$%25%26%27%28%29%2a%2b%2c-./0123:258:3\n"),
        ] {
            assert_eq!(
                written(format, hash).escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "{format:?}"
            );
        }
    }

    #[test]
    fn an_encoded_hash_has_the_characters_that_opentracker_leaves_as_they_are() {
        let url = |hash| String::from_utf8(written(Format::Url, hash)).unwrap().replace(":258:3\n", "");
        assert_eq!(url(*b"456789:;<=>?@ABCDEFG"), "456789%3a%3b%3c=%3e%3f%40ABCDEFG");
        assert_eq!(url(*b"HIJKLMNOPQRSTUVWXYZ["), "HIJKLMNOPQRSTUVWXYZ%5b");
        assert_eq!(url(*b"\\]^_`abcdefghijklmno"), "%5c%5d%5e_%60abcdefghijklmno");
        assert_eq!(url(*b"pqrstuvwxyz{|}~\x7f\x80\x81\x82\x83"), "pqrstuvwxyz%7b%7c%7d~%7f%80%81%82%83");
        assert_eq!(url([0xab; 20]), "%ab".repeat(20));
    }
}
