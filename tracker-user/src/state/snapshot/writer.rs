//! A snapshot made out of the store, piece by piece: whoever takes the pieces decides where they go and when the next one is
//! made. Between two steps of the store nothing is locked, and what is held is one block.

use super::format::{BlockHeader, Contents, Header, Kind, encode_page, most_content};
use crate::peer_store::{Dump, Page, PeerStore};
use crate::state::moment::{Boot, Moment};
use std::io;
use zstd::bulk::Compressor;

/// Torrents and peers of a block, but for the last step of the store: some 100 KiB, and half a millisecond of packing.
const ENTRIES: usize = 8192;
/// Addresses and hashes do not pack; what can be gained around them the fastest level gains already.
const ZSTD_LEVEL: i32 = 1;

/// What snapshots of one store have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The number of the store.
    pub store_id: u64,
    /// The start of the host.
    pub boot: Boot,
}

/// A snapshot that is being made.
pub struct SnapshotWriter {
    header: Header,
    header_checksum: u32,
    stage: Stage,
    dump: Dump,
    page: Page,
    content: Vec<u8>,
    compressor: Compressor<'static>,
    number: u32,
    contents: Contents,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Torrents,
    End,
    Ended,
}

impl SnapshotWriter {
    /// A snapshot of the parts of a store from `first_part` on, as of `begun`.
    ///
    /// # Errors
    /// Where there is no memory for the compressor.
    pub fn new(origin: Origin, first_part: u32, begun: Moment) -> io::Result<Self> {
        Ok(Self {
            header: Header { begun, store_id: origin.store_id, first_part },
            header_checksum: 0,
            stage: Stage::Header,
            dump: Dump::from_part(first_part as usize),
            page: Page::default(),
            content: Vec::new(),
            compressor: Compressor::new(ZSTD_LEVEL)?,
            number: 0,
            contents: Contents::default(),
        })
    }

    /// What has been written so far.
    pub fn contents(&self) -> Contents {
        self.contents
    }

    /// The next bytes; `None` behind the last.
    ///
    /// # Errors
    /// Where the compressor fails, which it has no reason to.
    pub fn next_piece(&mut self, store: &PeerStore) -> io::Result<Option<Vec<u8>>> {
        match self.stage {
            Stage::Header => {
                let bytes = self.header.encode();
                self.header_checksum = super::format::checksum_of_header(&bytes);
                self.stage = Stage::Torrents;
                Ok(Some(bytes.to_vec()))
            }
            Stage::Torrents => {
                self.fill(store);
                if self.page.torrents.is_empty() {
                    return self.next_piece(store);
                }
                self.contents = self.contents.and(Contents::of(&self.page));
                self.content.clear();
                self.content.reserve(most_content(self.page.entries()));
                encode_page(&self.page, self.header.begun.secs, &mut self.content);
                self.block(Kind::Torrents).map(Some)
            }
            Stage::End => {
                self.content.clear();
                self.content.extend_from_slice(&self.contents.encode());
                self.stage = Stage::Ended;
                self.block(Kind::End).map(Some)
            }
            Stage::Ended => Ok(None),
        }
    }

    /// Fills the page with steps of the store.
    fn fill(&mut self, store: &PeerStore) {
        self.page.clear();
        while self.page.entries() < ENTRIES {
            if !self.dump.step(store, &mut self.page) {
                self.stage = Stage::End;
                break;
            }
        }
    }

    /// The content as a block.
    fn block(&mut self, kind: Kind) -> io::Result<Vec<u8>> {
        let packed = self.compressor.compress(&self.content)?;
        let header = BlockHeader {
            number: self.number,
            kind,
            parts_done: self.dump.part() as u32,
            content_len: self.content.len() as u32,
            packed_len: packed.len() as u32,
        };
        self.number += 1;
        Ok([&header.encode(self.header_checksum, &packed)[..], &packed].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES, Origin, SnapshotWriter};
    use crate::peer_store::Dump;
    use crate::state::moment::{Boot, Moment};
    use crate::state::snapshot::format::{MAX_CONTENT_LEN, most_content};
    use crate::state::snapshot::parser::{Item, Parser};
    use crate::state::snapshot::tests::{announced, page_of};

    /// Steps of the store are smaller than this.
    const STEP: usize = 1024;

    fn written(first_part: u32) -> Vec<Vec<u8>> {
        let tracker = announced(30_000, 1000);
        let begun = Moment { wall_secs: 1_000_000, secs: 1000, boot: Boot([1; 16]) };
        let origin = Origin { store_id: 7, boot: begun.boot };
        let mut writer = SnapshotWriter::new(origin, first_part, begun).unwrap();
        std::iter::from_fn(|| writer.next_piece(tracker.store()).unwrap()).collect()
    }

    #[test]
    fn no_block_takes_more_memory_than_a_reader_has() {
        assert!(most_content(ENTRIES + STEP) < MAX_CONTENT_LEN / 2);
        assert!(written(0).iter().all(|piece| piece.len() < most_content(ENTRIES + STEP)));
    }

    #[test]
    fn parts_are_done_one_after_the_other_and_a_later_one_is_where_to_go_on() {
        let items = |pieces: Vec<Vec<u8>>| {
            let mut parser = Parser::default();
            pieces.iter().for_each(|piece| parser.push(piece));
            std::iter::from_fn(|| parser.next_item().unwrap()).collect::<Vec<_>>()
        };
        let blocks = |items: Vec<Item>| {
            let blocks = items.into_iter().filter_map(|item| match item {
                Item::Torrents(block) => Some(block),
                _ => None,
            });
            blocks.collect::<Vec<_>>()
        };
        let whole = blocks(items(written(0)));
        assert!(whole.len() > 3 && whole.is_sorted_by_key(|block| block.parts_done));
        assert_eq!(whole.last().unwrap().parts_done as usize, Dump::PARTS);
        let at = whole[1].parts_done;
        assert!(at > 0);
        let torrents =
            |blocks: &[_]| -> usize { blocks.iter().map(|block| page_of(block, 0).torrents.len()).sum() };
        let rest = blocks(items(written(at)));
        // The part that block 1 ends within is shown again.
        assert!(torrents(&rest) >= torrents(&whole[2..]) && torrents(&rest) <= torrents(&whole[1..]));
    }
}
