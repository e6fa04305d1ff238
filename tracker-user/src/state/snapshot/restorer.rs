//! Blocks of a snapshot back into the store, by a thread for each core: unpacking and storing are most of the work, and no
//! block depends on another. To be done before anything is served.

use super::format::{Contents, Damage, decode_page};
use super::parser::Block;
use crate::access_list::AccessList;
use crate::peer_store::{DumpedPeer, DumpedTorrent, Page, Timeouts};
use crate::tracker::Tracker;
use parking_lot::Mutex;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use zstd::bulk::Decompressor;

/// More threads would only wait for memory.
const MOST_THREADS: usize = 4;

/// What decides what is taken back, and how old it is.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The moment of the snapshot in seconds of [`Now`](crate::clock::Now) on this host.
    pub begun_secs: u32,
    /// Now.
    pub now_secs: u32,
    /// When peers and torrents are forgotten.
    pub timeouts: Timeouts,
}

/// What came of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// What it had in it.
    pub contents: Contents,
    /// Peers that were taken back.
    pub peers: u64,
    /// Peers that have timed out by now, or whose torrents or addresses are not served.
    pub peers_left_out: u64,
    /// Rows of torrents of which nothing was taken back.
    pub rows_left_out: u64,
}

impl Restored {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            contents: self.contents.and(other.contents),
            peers: self.peers + other.peers,
            peers_left_out: self.peers_left_out + other.peers_left_out,
            rows_left_out: self.rows_left_out + other.rows_left_out,
        }
    }
}

/// The threads that take a snapshot back. Dropping it waits for what they have been given.
#[derive(Debug)]
pub struct Restorer {
    /// There until the last block has been given.
    blocks: Option<SyncSender<Block>>,
    threads: Vec<JoinHandle<Result<Restored, Damage>>>,
    begun_secs: u32,
}

impl Restorer {
    /// Starts the threads.
    ///
    /// # Errors
    /// Where the kernel has no thread to give.
    pub fn start(tracker: &Arc<Tracker>, terms: Terms) -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
        // As many blocks wait as are being worked on: memory for both, whatever the size of the snapshot.
        let (blocks, received) = sync_channel(count);
        let received = Arc::new(Mutex::new(received));
        let threads = (0..count).map(|number| {
            let (received, tracker) = (Arc::clone(&received), Arc::clone(tracker));
            let thread = thread::Builder::new().name(format!("restore-{number}"));
            thread.spawn(move || restore_blocks(&received, &tracker, &terms))
        });
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { blocks: Some(blocks), threads, begun_secs: terms.begun_secs })
    }

    /// The moment of the snapshot in seconds of [`Now`](crate::clock::Now) on this host.
    pub const fn begun_secs(&self) -> u32 {
        self.begun_secs
    }

    /// Hands a block to the threads; waits where they have enough.
    pub fn put(&self, block: Block) {
        // Where all threads have ended for damage, `finish` tells of it.
        let _ = self.blocks.as_ref().map(|blocks| blocks.send(block));
    }

    /// Waits until everything is stored.
    ///
    /// # Errors
    /// Where some block was not what it should be. What was stored of the others stays.
    pub fn finish(mut self) -> Result<Restored, Damage> {
        self.wait()
    }

    fn wait(&mut self) -> Result<Restored, Damage> {
        self.blocks = None;
        let mut outcome = Ok(Restored::default());
        for thread in self.threads.drain(..) {
            // A thread that panicked has not stored what it was given.
            let restored = thread.join().unwrap_or(Err(Damage::Missing));
            outcome = match (outcome, restored) {
                (Ok(sum), Ok(restored)) => Ok(sum.and(restored)),
                (Err(damage), _) | (_, Err(damage)) => Err(damage),
            };
        }
        outcome
    }
}

impl Drop for Restorer {
    fn drop(&mut self) {
        // Nobody asks for the outcome: the snapshot is known to be no good.
        let _ = self.wait();
    }
}

/// One thread: takes blocks until there are no more.
fn restore_blocks(
    received: &Mutex<Receiver<Block>>,
    tracker: &Tracker,
    terms: &Terms,
) -> Result<Restored, Damage> {
    let mut decompressor = Decompressor::new().map_err(|_| Damage::Missing)?;
    let (mut content, mut page, mut restored) = (Vec::new(), Page::default(), Restored::default());
    let (mut young_v4, mut young_v6) = (Vec::new(), Vec::new());
    loop {
        let block = received.lock().recv();
        let Ok(block) = block else { return Ok(restored) };
        block.unpack(&mut decompressor, &mut content)?;
        decode_page(&content, terms.begun_secs, &mut page).ok_or(Damage::Block(block.number))?;
        restored.contents = restored.contents.and(Contents::of(&page));
        let (torrents, access) = (tracker.torrents(), tracker.access());
        let (mut v4, mut v6) = (&page.v4[..], &page.v6[..]);
        for torrent in &page.torrents {
            let (own_v4, own_v6);
            (own_v4, v4) = v4.split_at(torrent.v4 as usize);
            (own_v6, v6) = v6.split_at(torrent.v6 as usize);
            let is_served = torrents.permits(&torrent.info_hash);
            let own_v4 = if is_served { terms.wanted(own_v4, &access, &mut young_v4) } else { &[] };
            let own_v6 = if is_served { terms.wanted(own_v6, &access, &mut young_v6) } else { &[] };
            let taken = (own_v4.len() + own_v6.len()) as u64;
            restored.peers_left_out += u64::from(torrent.v4) + u64::from(torrent.v6) - taken;
            restored.peers += taken;
            if taken > 0 || is_served && terms.is_remembered(torrent) {
                tracker.store().restore_swarm(torrent, own_v4, own_v6, terms.now_secs);
            } else {
                restored.rows_left_out += 1;
            }
        }
    }
}

impl Terms {
    /// Those peers that have not timed out, and whose addresses are neither denied nor refused.
    fn wanted<'a, const N: usize>(
        &self,
        peers: &'a [DumpedPeer<N>],
        access: &AccessList,
        room: &'a mut Vec<DumpedPeer<N>>,
    ) -> &'a [DumpedPeer<N>] {
        let is_wanted = |peer: &&DumpedPeer<N>| {
            let is_young = self.now_secs.saturating_sub(peer.heard_secs) < self.timeouts.peer_secs;
            is_young && address_of(&peer.entry).is_none_or(|address| access.takes_word_of(address))
        };
        if peers.iter().all(|peer| is_wanted(&peer)) {
            return peers;
        }
        room.clear();
        room.extend(peers.iter().filter(is_wanted));
        room
    }

    /// Whether a torrent without peers is worth knowing.
    fn is_remembered(&self, torrent: &DumpedTorrent) -> bool {
        let age_secs = self.now_secs.saturating_sub(torrent.last_announce_secs);
        torrent.completed > 0 && age_secs < self.timeouts.torrent_secs
    }
}

/// The address of a peer of 6 or 18 bytes.
fn address_of(entry: &[u8]) -> Option<IpAddr> {
    match entry {
        [a, b, c, d, _, _] => Some(IpAddr::from([*a, *b, *c, *d])),
        _ => entry.first_chunk::<16>().map(|address| IpAddr::from(*address)),
    }
}
