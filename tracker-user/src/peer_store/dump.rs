//! Everything that the store holds, out of it and back in: for snapshots, and for a node that joins. Out in small steps, so
//! that no announce waits long for one; back in a torrent at a time, without drawing peers. What is shown here says
//! nothing of how the store keeps it.

use super::PeerStore;
use super::expiry::{Place, StepEnd};
use super::moment::Moment;
use super::peer;
use super::shard::{Shard, hash_of};
use super::stamp::{Ticks, Window};
use super::view::View;
use super::{Standing, Update, shard_of};
use crate::info_hash::InfoHash;
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// Peers and torrents shown under one lock: some ten microseconds. A swarm of no more peers is shown whole.
const STEP: usize = 512;

/// One peer of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DumpedPeer<const N: usize> {
    /// Address, then port, both big-endian, as BEP 7, 15 and 23 send it.
    pub entry: [u8; N],
    /// Whether it has nothing left to download.
    pub seeder: bool,
    /// Whether it has said once that it completed its download.
    pub completed: bool,
    /// When it was last heard of, in seconds of [`Now`](crate::clock::Now), rounded down to a hundredth of the peer timeout.
    pub heard_secs: u32,
}

/// One torrent, or a part of it: a large swarm comes in several, each with the figures of the torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpedTorrent {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Its completed downloads.
    pub completed: u32,
    /// When it was last announced, in seconds of [`Now`](crate::clock::Now).
    pub last_announce_secs: u32,
    /// How many of the IPv4 peers of the page are its own, behind those of the torrents before it.
    pub v4: u32,
    /// How many of the IPv6 peers of the page are its own.
    pub v6: u32,
}

/// Torrents with their peers, copied out of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The torrents.
    pub torrents: Vec<DumpedTorrent>,
    /// The IPv4 peers of all of them, in the order of the torrents.
    pub v4: Vec<DumpedPeer<PEER_V4_LEN>>,
    /// The IPv6 peers, likewise.
    pub v6: Vec<DumpedPeer<PEER_V6_LEN>>,
}

impl Page {
    /// Torrents and peers together.
    pub const fn entries(&self) -> usize {
        self.torrents.len() + self.v4.len() + self.v6.len()
    }

    /// Empties the page and keeps its memory.
    pub fn clear(&mut self) {
        self.torrents.clear();
        self.v4.clear();
        self.v6.clear();
    }
}

/// A walk over all torrents and peers. It shows every torrent that is there from its start to its end, and every peer of a
/// swarm that fits a step. Of a larger swarm that changes meanwhile, each change may make it show a peer twice or not.
#[derive(Debug)]
pub struct Dump {
    part: usize,
    place: Place,
}

impl Default for Dump {
    fn default() -> Self {
        Self::from_part(0)
    }
}

impl Dump {
    /// Parts of a store. Which part a torrent belongs to differs from one store to another.
    pub const PARTS: usize = PeerStore::SHARDS;

    /// A walk over the parts of the store from this one on.
    pub const fn from_part(part: usize) -> Self {
        Self { part, place: Place::START }
    }

    /// The part that the walk stands in; those before it have been shown whole.
    pub const fn part(&self) -> usize {
        self.part
    }

    /// Adds some torrents and peers to `page`; whether there are more to come.
    pub fn step(&mut self, store: &PeerStore, page: &mut Page) -> bool {
        let Some(shard) = store.shards.get(self.part) else { return false };
        match shard.step(|shard| shard.dump(self.place, STEP, store.rules.ticks, page)) {
            StepEnd::More(place) => self.place = place,
            StepEnd::Done => (self.part, self.place) = (self.part + 1, Place::START),
        }
        self.part < store.shards.len()
    }
}

impl PeerStore {
    /// Takes back a torrent, or a part of one, with these peers. Where something is known already, the later word counts,
    /// and the higher number of completed downloads; a torrent with neither peers nor downloads is not made known. Peers that
    /// have timed out by `now_secs` are left out, and so is what there is no room for.
    pub fn restore_swarm(
        &self,
        torrent: &DumpedTorrent,
        v4: &[DumpedPeer<PEER_V4_LEN>],
        v6: &[DumpedPeer<PEER_V6_LEN>],
        now_secs: u32,
    ) {
        let hash = hash_of(self.key, &torrent.info_hash);
        self.with_shard(shard_of(hash), now_secs, |shard, moment| {
            shard.restore_swarm(hash, torrent, (v4, v6), moment);
        });
    }

    /// Forgets everything, part after part. What is announced meanwhile may not be counted of its source.
    pub fn clear(&self) {
        for shard in &self.shards {
            let forgotten = std::mem::replace(&mut *shard.lock(), Shard::new(self.key));
            // Freed outside of the lock.
            self.rules.budget.forgotten(forgotten.totals(), forgotten.reported_memory());
            drop(forgotten);
        }
        self.rules.forget_sources();
    }
}

impl Shard {
    /// Walks backwards from `place` and adds torrents and peers to `page`, `budget` of them together at most, but for the
    /// last run of peers, which comes whole.
    fn dump(&self, place: Place, budget: usize, ticks: Ticks, page: &mut Page) -> StepEnd {
        let mut place = place.within(self.slots.len());
        let mut left = budget;
        while let Some(position) = place.torrents.checked_sub(1) {
            let slot = self.slots.get(position);
            let (v4, v6) = (slot.v4(&self.v4), slot.v6(&self.v6));
            let peers = v4.bounds().len + v6.bounds().len;
            let is_begun = place.v4 < usize::MAX || place.v6 < usize::MAX;
            if peers > left && left < budget && !is_begun {
                // It would be cut: the next step may have room for all of it.
                return StepEnd::More(place);
            }
            let (from_v4, from_v6) = (page.v4.len(), page.v6.len());
            let clock = (self.window(), ticks);
            place.v6 = dump_runs(v6, place.v6, (&mut left, &mut page.v6), clock);
            place.v4 = dump_runs(v4, place.v4, (&mut left, &mut page.v4), clock);
            page.torrents.push(DumpedTorrent {
                info_hash: slot.info_hash,
                completed: slot.completed,
                last_announce_secs: slot.last_announce_secs,
                v4: (page.v4.len() - from_v4) as u32,
                v6: (page.v6.len() - from_v6) as u32,
            });
            if place.v6 > 0 || place.v4 > 0 {
                return StepEnd::More(place);
            }
            place = place.before(position);
            left = left.saturating_sub(1);
            if left == 0 {
                return StepEnd::More(place);
            }
        }
        StepEnd::Done
    }

    /// Takes back a torrent, or a part of one, with these peers.
    fn restore_swarm(
        &mut self,
        hash: u64,
        torrent: &DumpedTorrent,
        (v4, v6): (&[DumpedPeer<PEER_V4_LEN>], &[DumpedPeer<PEER_V6_LEN>]),
        moment: &Moment<'_>,
    ) {
        for peer in v4 {
            self.restore_peer(hash, &peer.as_update(torrent), moment);
        }
        for peer in v6 {
            self.restore_peer(hash, &peer.as_update(torrent), moment);
        }
        self.restore(hash, &torrent.info_hash, (torrent.completed, torrent.last_announce_secs), moment);
    }
}

impl<const N: usize> DumpedPeer<N> {
    /// What the peer said when it was heard of.
    fn as_update(&self, torrent: &DumpedTorrent) -> Update {
        Update {
            info_hash: torrent.info_hash,
            peer: peer::address(&self.entry),
            standing: if self.seeder { Standing::Seeder } else { Standing::Leecher },
            completed: self.completed,
            peers_wanted: 0,
            now_secs: self.heard_secs,
        }
    }
}

/// Adds the last of the runs that are ahead to `out`, as many as there is room `left`, and returns how many are still ahead.
fn dump_runs<const N: usize>(
    view: View<'_, N>,
    ahead: usize,
    (left, out): (&mut usize, &mut Vec<DumpedPeer<N>>),
    (window, ticks): (Window, Ticks),
) -> usize {
    let mut ahead = ahead.min(view.segments());
    while ahead > 0 && *left > 0 {
        ahead -= 1;
        let run = view.run(ahead);
        *left = left.saturating_sub(run.entries.len());
        out.extend(run.peers().map(|(entry, seeder, stamp)| DumpedPeer {
            entry: *entry,
            seeder,
            completed: stamp.completed(),
            heard_secs: ticks.start_secs(window.tick(stamp)),
        }));
    }
    ahead
}

#[cfg(test)]
mod tests;
