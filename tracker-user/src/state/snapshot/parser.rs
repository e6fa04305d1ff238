//! A snapshot taken apart as its bytes come, from a file or from the network, in pieces of any size. What comes out of here
//! is what was written: a block is held until all of it is there and its checksum is right.

use super::format::{
    BLOCK_HEADER_LEN, BlockHeader, Contents, Damage, HEADER_LEN, Header, Kind, checksum_of_header, is_intact,
};
use bytes::{Bytes, BytesMut};

/// The next of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The header: comes first, and once.
    Header(Header),
    /// Torrents with their peers.
    Torrents(Block),
    /// The end: comes last.
    End(Contents),
}

/// A block of torrents as it was written, still packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Blocks before it.
    pub number: u32,
    /// Parts of the store that are there whole, once this block is.
    pub parts_done: u32,
    content_len: usize,
    packed: Bytes,
}

impl Block {
    /// Unpacks the content into `content`, whose memory is used again.
    ///
    /// # Errors
    /// Where it is not what its header says.
    pub fn unpack(
        &self,
        decompressor: &mut zstd::bulk::Decompressor<'_>,
        content: &mut Vec<u8>,
    ) -> Result<(), Damage> {
        content.clear();
        content.reserve(self.content_len);
        let length = decompressor.decompress_to_buffer(&self.packed, content);
        let is_whole = length.is_ok_and(|length| length == self.content_len);
        is_whole.then_some(()).ok_or(Damage::Block(self.number))
    }
}

/// Takes a snapshot apart.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: BytesMut,
    header_checksum: Option<u32>,
    blocks: u32,
    parts_done: u32,
    has_ended: bool,
}

impl Parser {
    /// Takes the next bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item; `None` where more bytes are needed for it.
    ///
    /// # Errors
    /// Where they are not those of a snapshot. Nothing after that is to be believed.
    pub fn next_item(&mut self) -> Result<Option<Item>, Damage> {
        if self.has_ended {
            return if self.buffer.is_empty() { Ok(None) } else { Err(Damage::BehindEnd) };
        }
        let Some(header_checksum) = self.header_checksum else { return self.header() };
        let Some(bytes) = self.buffer.first_chunk::<BLOCK_HEADER_LEN>().copied() else { return Ok(None) };
        let header = BlockHeader::decode(&bytes, self.blocks)?;
        let whole = BLOCK_HEADER_LEN + header.packed_len as usize;
        let Some(packed) = self.buffer.get(BLOCK_HEADER_LEN..whole) else { return Ok(None) };
        if !is_intact(&bytes, header_checksum, packed) || header.parts_done < self.parts_done {
            return Err(Damage::Block(self.blocks));
        }
        let packed = self.buffer.split_to(whole).freeze().slice(BLOCK_HEADER_LEN..);
        (self.blocks, self.parts_done) = (self.blocks + 1, header.parts_done);
        let content_len = header.content_len as usize;
        match header.kind {
            Kind::Torrents => {
                let BlockHeader { number, parts_done, .. } = header;
                Ok(Some(Item::Torrents(Block { number, parts_done, content_len, packed })))
            }
            Kind::End => {
                self.has_ended = true;
                let content = zstd::bulk::decompress(&packed, content_len).unwrap_or_default();
                let contents = Contents::decode(&content).ok_or(Damage::Block(header.number))?;
                Ok(Some(Item::End(contents)))
            }
        }
    }

    /// To be called when no more bytes will come.
    ///
    /// # Errors
    /// Where some are missing.
    pub fn finish(&self) -> Result<(), Damage> {
        if self.has_ended { Ok(()) } else { Err(Damage::CutOff) }
    }

    fn header(&mut self) -> Result<Option<Item>, Damage> {
        let Some(bytes) = self.buffer.first_chunk::<HEADER_LEN>().copied() else { return Ok(None) };
        let header = Header::decode(&bytes)?;
        self.header_checksum = Some(checksum_of_header(&bytes));
        self.parts_done = header.first_part;
        // Not advanced: blocks that are handed on share the buffer's memory.
        drop(self.buffer.split_to(HEADER_LEN));
        Ok(Some(Item::Header(header)))
    }
}
