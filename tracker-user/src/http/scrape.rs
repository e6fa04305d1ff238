//! `/scrape` (BEP 48): counts of the torrents that are named, as many as fit in a request. It changes nothing.

use super::query;
use super::refusal::Refusal;
use crate::bencode::Writer;
use crate::info_hash::InfoHash;
use crate::peer_store::SwarmCounts;

/// The torrents that a query names: sorted, each once.
pub(super) fn parse(query: &[u8]) -> Result<Vec<InfoHash>, Refusal> {
    let mut info_hashes = Vec::new();
    for (key, value) in query::pairs(query) {
        if key.as_bytes() == b"info_hash" {
            info_hashes.push(query::info_hash(value)?);
        }
    }
    if info_hashes.is_empty() {
        return Err(Refusal::InfoHashMissing);
    }
    info_hashes.sort_unstable();
    info_hashes.dedup();
    Ok(info_hashes)
}

/// Writes one row for each torrent, zeros where it is unknown: clients take a missing row for an error.
pub(super) fn write_answer(
    out: &mut Vec<u8>,
    info_hashes: &[InfoHash],
    counts_of: impl Fn(&InfoHash) -> SwarmCounts,
) {
    let mut writer = Writer::new(out);
    writer.dictionary();
    writer.bytes(b"files");
    writer.dictionary();
    for info_hash in info_hashes {
        let counts = counts_of(info_hash);
        writer.bytes(&info_hash.0);
        writer.dictionary();
        writer.entry_integer("complete", u64::from(counts.seeders));
        writer.entry_integer("downloaded", u64::from(counts.completed));
        writer.entry_integer("incomplete", u64::from(counts.leechers));
        writer.end();
    }
    writer.end();
    writer.end();
}

#[cfg(test)]
mod tests {
    use super::{parse, write_answer};
    use crate::http::refusal::Refusal;
    use crate::info_hash::InfoHash;
    use crate::peer_store::SwarmCounts;

    const A: InfoHash = InfoHash([b'a'; 20]);
    const B: InfoHash = InfoHash([b'b'; 20]);

    #[test]
    fn the_torrents_of_a_query_are_sorted_and_each_there_once() {
        let (a, b) = ("a".repeat(20), "b".repeat(20));
        let query = format!("info_hash={b}&x=1&info_hash={a}&info_hash={b}");
        assert_eq!(parse(query.as_bytes()), Ok(vec![A, B]));
    }

    #[test]
    fn a_query_without_a_whole_info_hash_is_refused() {
        assert_eq!(parse(b""), Err(Refusal::InfoHashMissing));
        assert_eq!(parse(b"info_hash"), Err(Refusal::InfoHashLength));
        let half = format!("info_hash={}&info_hash=b", "a".repeat(20));
        assert_eq!(parse(half.as_bytes()), Err(Refusal::InfoHashLength));
        assert_eq!(parse(b"info_hash=%"), Err(Refusal::BadEncoding));
    }

    #[test]
    fn an_answer_has_its_literal_bytes() {
        let mut out = Vec::new();
        write_answer(&mut out, &[A, B], |info_hash| {
            if *info_hash == A {
                SwarmCounts { seeders: 1, leechers: 2, completed: 3 }
            } else {
                SwarmCounts::default()
            }
        });
        let expected = b"d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi3e10:incompletei2ee\
                         20:bbbbbbbbbbbbbbbbbbbbd8:completei0e10:downloadedi0e10:incompletei0eeee";
        assert_eq!(out, expected);
    }
}
