//! The bytes of a snapshot. Every offset stands here, in docs/snapshot-format.md, and nowhere else; numbers are big-endian.
//! Neither files nor sockets nor the store are known here, and nothing that was read is believed before its checksum.
//!
//! ```text
//! header   0 magic (8) · 8 version (2) · 10 zeros (2) · 12 first part (4) · 16 seconds since 1970 (8)
//!          24 seconds of the host (4) · 28 boot id (16) · 44 store id (8) · 52 checksum (4)
//! block    0 number (4) · 4 kind (1) · 5 zeros (3) · 8 parts done (4) · 12 length of its content (4)
//!          16 length as packed (4) · 20 checksum (4) · 24 content, packed by zstd
//! torrents 0 torrents t (4) · 4 IPv4 peers a (4) · 8 IPv6 peers b (4)
//!          then columns: info hashes (20 t) · completed (4 t) · age in seconds (4 t) · its IPv4 peers (4 t)
//!          its IPv6 peers (4 t) · IPv4 peers (6 a) · their marks (4 a) · IPv6 peers (18 b) · their marks (4 b)
//! end      0 rows of torrents (8) · 8 IPv4 peers (8) · 16 IPv6 peers (8)
//! ```
//!
//! A mark is a seeder's bit (31), a bit for who has completed (30), and the age in seconds.

use crate::info_hash::InfoHash;
use crate::peer_store::{DumpedPeer, DumpedTorrent, Page};
use crate::state::moment::{Boot, Moment};
use std::ops::Range;
use thiserror::Error;
use tracker_common::wire::{INFO_HASH_LEN, PEER_V4_LEN, PEER_V6_LEN};

/// What a snapshot begins with: no text, and no start of any other format.
pub const MAGIC: [u8; 8] = *b"\x93otxsnap";
/// The version that is written and read.
pub const VERSION: u16 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 56;
/// Bytes of a block before its content.
pub const BLOCK_HEADER_LEN: usize = 24;
/// The most bytes of a block's content, packed or not: what a reader needs memory for.
pub const MAX_CONTENT_LEN: usize = 1 << 20;

const VERSION_AT: usize = 8;
const FIRST_PART_AT: usize = 12;
const WALL_SECS_AT: usize = 16;
const SECS_AT: usize = 24;
const BOOT: Range<usize> = 28..44;
const STORE_ID_AT: usize = 44;
const HEADER_CHECKSUM_AT: usize = 52;

const NUMBER_AT: usize = 0;
const KIND_AT: usize = 4;
const PARTS_DONE_AT: usize = 8;
const CONTENT_LEN_AT: usize = 12;
const PACKED_LEN_AT: usize = 16;
const BLOCK_CHECKSUM_AT: usize = 20;

const COUNTS_LEN: usize = 12;
const END_LEN: usize = 24;

const SEEDER: u32 = 1 << 31;
const COMPLETED: u32 = 1 << 30;
/// The bits of an age in a mark: 34 years.
const AGE: u32 = COMPLETED - 1;

/// What is wrong with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// It begins with something else.
    #[error("it is no snapshot")]
    NotASnapshot,
    /// An older or newer version of the format.
    #[error("its format is of version {0}, this tracker reads version {VERSION}")]
    OtherVersion(u16),
    /// The header is not what was written.
    #[error("its header is damaged")]
    Header,
    /// It ends before its end.
    #[error("it is cut off")]
    CutOff,
    /// A block is not what was written.
    #[error("its block {0} is damaged")]
    Block(u32),
    /// Something follows its end.
    #[error("something follows its end")]
    BehindEnd,
    /// Its end counts other torrents and peers than there are.
    #[error("torrents or peers are missing from it")]
    Missing,
}

/// The header of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// When it was begun: ages are of this moment.
    pub begun: Moment,
    /// The store that it was made from, by a number that no other has. Parts of two stores are not the same.
    pub store_id: u64,
    /// The first part of the store that is in it.
    pub first_part: u32,
}

impl Header {
    /// The bytes of the header.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, VERSION_AT, VERSION.to_be_bytes());
        put(&mut bytes, FIRST_PART_AT, self.first_part.to_be_bytes());
        put(&mut bytes, WALL_SECS_AT, self.begun.wall_secs.to_be_bytes());
        put(&mut bytes, SECS_AT, self.begun.secs.to_be_bytes());
        put(&mut bytes, BOOT.start, self.begun.boot.0);
        put(&mut bytes, STORE_ID_AT, self.store_id.to_be_bytes());
        let checksum = crc32fast::hash(&bytes[..HEADER_CHECKSUM_AT]);
        put(&mut bytes, HEADER_CHECKSUM_AT, checksum.to_be_bytes());
        bytes
    }

    /// # Errors
    /// Where they are not the header of a snapshot in this version.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, Damage> {
        if bytes[..MAGIC.len()] != MAGIC {
            return Err(Damage::NotASnapshot);
        }
        let version = u16::from_be_bytes(array(bytes, VERSION_AT));
        if version != VERSION {
            return Err(Damage::OtherVersion(version));
        }
        if checksum_of_header(bytes) != crc32fast::hash(&bytes[..HEADER_CHECKSUM_AT]) {
            return Err(Damage::Header);
        }
        let begun = Moment {
            wall_secs: u64::from_be_bytes(array(bytes, WALL_SECS_AT)),
            secs: number(bytes, SECS_AT),
            boot: Boot(array(bytes, BOOT.start)),
        };
        let store_id = u64::from_be_bytes(array(bytes, STORE_ID_AT));
        Ok(Self { begun, store_id, first_part: number(bytes, FIRST_PART_AT) })
    }
}

/// The checksum that stands in a header: the checksums of its blocks begin with it, so that a block of another snapshot is
/// as wrong as a damaged one.
pub fn checksum_of_header(bytes: &[u8; HEADER_LEN]) -> u32 {
    number(bytes, HEADER_CHECKSUM_AT)
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Torrents with their peers.
    Torrents = 1,
    /// How many there have been: the last block.
    End = 2,
}

/// The first bytes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Blocks before it.
    pub number: u32,
    /// What it holds.
    pub kind: Kind,
    /// The parts of the store that are in the snapshot whole once this block has been read; those before the first part
    /// count, too.
    pub parts_done: u32,
    /// Bytes of its content.
    pub content_len: u32,
    /// Bytes of its content as packed, which follow.
    pub packed_len: u32,
}

impl BlockHeader {
    /// The bytes of the header, with the checksum over them and the packed content.
    pub fn encode(&self, header_checksum: u32, packed: &[u8]) -> [u8; BLOCK_HEADER_LEN] {
        let mut bytes = [0; BLOCK_HEADER_LEN];
        put(&mut bytes, NUMBER_AT, self.number.to_be_bytes());
        bytes[KIND_AT] = self.kind as u8;
        put(&mut bytes, PARTS_DONE_AT, self.parts_done.to_be_bytes());
        put(&mut bytes, CONTENT_LEN_AT, self.content_len.to_be_bytes());
        put(&mut bytes, PACKED_LEN_AT, self.packed_len.to_be_bytes());
        let checksum = block_checksum(header_checksum, &bytes, packed);
        put(&mut bytes, BLOCK_CHECKSUM_AT, checksum.to_be_bytes());
        bytes
    }

    /// Reads the header of block `number`; its checksum is yet to be looked at.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub fn decode(bytes: &[u8; BLOCK_HEADER_LEN], number_expected: u32) -> Result<Self, Damage> {
        let damage = Damage::Block(number_expected);
        let kind = match bytes[KIND_AT] {
            1 => Kind::Torrents,
            2 => Kind::End,
            _ => return Err(damage),
        };
        let header = Self {
            number: number(bytes, NUMBER_AT),
            kind,
            parts_done: number(bytes, PARTS_DONE_AT),
            content_len: number(bytes, CONTENT_LEN_AT),
            packed_len: number(bytes, PACKED_LEN_AT),
        };
        let is_short = |len: u32| len as usize <= MAX_CONTENT_LEN;
        let fits =
            header.number == number_expected && is_short(header.content_len) && is_short(header.packed_len);
        fits.then_some(header).ok_or(damage)
    }
}

/// Whether a block is what was written.
pub fn is_intact(bytes: &[u8; BLOCK_HEADER_LEN], header_checksum: u32, packed: &[u8]) -> bool {
    number(bytes, BLOCK_CHECKSUM_AT) == block_checksum(header_checksum, bytes, packed)
}

fn block_checksum(header_checksum: u32, bytes: &[u8; BLOCK_HEADER_LEN], packed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header_checksum.to_be_bytes());
    hasher.update(&bytes[..BLOCK_CHECKSUM_AT]);
    hasher.update(packed);
    hasher.finalize()
}

/// How many torrents and peers a snapshot has. A torrent counts once for every row that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Rows of torrents.
    pub rows: u64,
    /// IPv4 peers.
    pub v4: u64,
    /// IPv6 peers.
    pub v6: u64,
}

impl Contents {
    /// What is on a page.
    pub fn of(page: &Page) -> Self {
        Self { rows: page.torrents.len() as u64, v4: page.v4.len() as u64, v6: page.v6.len() as u64 }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, v4: self.v4 + other.v4, v6: self.v6 + other.v6 }
    }

    /// The content of the last block.
    pub fn encode(&self) -> [u8; END_LEN] {
        let mut bytes = [0; END_LEN];
        let numbers = [self.rows, self.v4, self.v6].map(u64::to_be_bytes);
        bytes.copy_from_slice(numbers.as_flattened());
        bytes
    }

    /// What the content of the last block says; `None` where it has another length.
    pub fn decode(content: &[u8]) -> Option<Self> {
        let numbers = <&[u8; END_LEN]>::try_from(content).ok()?.as_chunks::<8>().0;
        let [rows, v4, v6] = [numbers[0], numbers[1], numbers[2]].map(u64::from_be_bytes);
        Some(Self { rows, v4, v6 })
    }
}

/// The most bytes that a page of so many entries takes.
pub const fn most_content(entries: usize) -> usize {
    // An entry is longest as a torrent: its hash and four numbers.
    COUNTS_LEN + entries * (INFO_HASH_LEN + 16)
}

/// Adds the content of a block to `out`: everything on a page. Ages are those at `begun_secs`, in seconds of the host; what
/// was heard of later is of that moment.
pub fn encode_page(page: &Page, begun_secs: u32, out: &mut Vec<u8>) {
    let Page { torrents, v4, v6 } = page;
    let age = |secs: u32| begun_secs.saturating_sub(secs);
    for count in [torrents.len(), v4.len(), v6.len()] {
        out.extend_from_slice(&(count as u32).to_be_bytes());
    }
    torrents.iter().for_each(|torrent| out.extend_from_slice(&torrent.info_hash.0));
    let numbers: [fn(&DumpedTorrent) -> u32; 4] = [
        |torrent| torrent.completed,
        |torrent| torrent.last_announce_secs,
        |torrent| torrent.v4,
        |torrent| torrent.v6,
    ];
    for (column, number) in numbers.iter().enumerate() {
        let is_age = column == 1;
        out.extend(torrents.iter().map(number).flat_map(|n| if is_age { age(n) } else { n }.to_be_bytes()));
    }
    encode_peers(v4, age, out);
    encode_peers(v6, age, out);
}

fn encode_peers<const N: usize>(peers: &[DumpedPeer<N>], age: impl Fn(u32) -> u32, out: &mut Vec<u8>) {
    peers.iter().for_each(|peer| out.extend_from_slice(&peer.entry));
    out.extend(peers.iter().flat_map(|peer| {
        let flags = if peer.seeder { SEEDER } else { 0 } | if peer.completed { COMPLETED } else { 0 };
        (age(peer.heard_secs).min(AGE) | flags).to_be_bytes()
    }));
}

/// Fills a page with the content of a block; `begun_secs` is what the moment of the snapshot is in seconds of this host.
/// `None` where the content is none.
pub fn decode_page(content: &[u8], begun_secs: u32, page: &mut Page) -> Option<()> {
    page.clear();
    let mut rest = content;
    let [t, a, b] = [take::<4>(&mut rest, 1)?, take(&mut rest, 1)?, take(&mut rest, 1)?]
        .map(|count| u32::from_be_bytes(count[0]) as usize);
    let hashes = take::<INFO_HASH_LEN>(&mut rest, t)?;
    let columns = [take(&mut rest, t)?, take(&mut rest, t)?, take(&mut rest, t)?, take(&mut rest, t)?];
    let number = |column: usize, row: usize| u32::from_be_bytes(columns[column][row]);
    page.torrents.extend(hashes.iter().enumerate().map(|(row, hash)| DumpedTorrent {
        info_hash: InfoHash(*hash),
        completed: number(0, row),
        last_announce_secs: begun_secs.saturating_sub(number(1, row)),
        v4: number(2, row),
        v6: number(3, row),
    }));
    decode_peers::<PEER_V4_LEN>(&mut rest, a, begun_secs, &mut page.v4)?;
    decode_peers::<PEER_V6_LEN>(&mut rest, b, begun_secs, &mut page.v6)?;
    let sum = |of: fn(&DumpedTorrent) -> u32| page.torrents.iter().map(|row| u64::from(of(row))).sum::<u64>();
    let is_all = rest.is_empty() && sum(|row| row.v4) == a as u64 && sum(|row| row.v6) == b as u64;
    is_all.then_some(())
}

fn decode_peers<const N: usize>(
    rest: &mut &[u8],
    count: usize,
    begun_secs: u32,
    out: &mut Vec<DumpedPeer<N>>,
) -> Option<()> {
    let (entries, marks) = (take::<N>(rest, count)?, take::<4>(rest, count)?);
    out.extend(entries.iter().zip(marks).map(|(entry, mark)| {
        let mark = u32::from_be_bytes(*mark);
        DumpedPeer {
            entry: *entry,
            seeder: mark & SEEDER != 0,
            completed: mark & COMPLETED != 0,
            heard_secs: begun_secs.saturating_sub(mark & AGE),
        }
    }));
    Some(())
}

/// The next `count` times `N` bytes.
fn take<'a, const N: usize>(rest: &mut &'a [u8], count: usize) -> Option<&'a [[u8; N]]> {
    let (taken, left) = rest.split_at_checked(count.checked_mul(N)?)?;
    *rest = left;
    Some(taken.as_chunks().0)
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// The bytes at a place that lies within a header.
fn array<const N: usize, const LEN: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}

fn number<const LEN: usize>(bytes: &[u8; LEN], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

#[cfg(test)]
mod tests;
