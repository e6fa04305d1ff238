//! One torrent: its peers of both families, and what is remembered when they are gone.

use super::dump::{DumpedPeer, DumpedTorrent, Page};
use super::peer::{AnyEntry, Entry, Stamp};
use super::peer_table::{Audience, PeerTable};
use super::peers_out::{Available, PeersOut};
use super::{Standing, SwarmCounts, Timeouts, Update};
use crate::info_hash::InfoHash;
use std::net::SocketAddr;
use std::ops::Range;
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// One torrent.
#[derive(Debug)]
pub(super) struct Swarm {
    pub(super) info_hash: InfoHash,
    v4: PeerTable<PEER_V4_LEN>,
    v6: PeerTable<PEER_V6_LEN>,
    completed: u32,
    last_announce_secs: u32,
}

impl Swarm {
    pub(super) fn new(info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            v4: PeerTable::default(),
            v6: PeerTable::default(),
            completed: 0,
            last_announce_secs: 0,
        }
    }

    pub(super) fn counts(&self) -> SwarmCounts {
        SwarmCounts {
            seeders: (self.v4.seeders() + self.v6.seeders()) as u32,
            leechers: (self.v4.leechers() + self.v6.leechers()) as u32,
            completed: self.completed,
        }
    }

    pub(super) const fn last_announce_secs(&self) -> u32 {
        self.last_announce_secs
    }

    /// Takes over what was counted earlier, where that is more.
    pub(super) fn restore(&mut self, (completed, last_announce_secs): (u32, u32)) {
        self.completed = self.completed.max(completed);
        self.last_announce_secs = self.last_announce_secs.max(last_announce_secs);
    }

    /// Adds the torrent and the peers in a range of places to `page`. Places count the peers of both families.
    pub(super) fn dump(&self, places: Range<usize>, page: &mut Page) {
        let (v4, v6) = (page.v4.len(), page.v6.len());
        let in_v4 = self.v4.len();
        self.v4.dump(places.start.min(in_v4)..places.end.min(in_v4), &mut page.v4);
        self.v6.dump(places.start.saturating_sub(in_v4)..places.end.saturating_sub(in_v4), &mut page.v6);
        page.torrents.push(DumpedTorrent {
            info_hash: self.info_hash,
            completed: self.completed,
            last_announce_secs: self.last_announce_secs,
            v4: (page.v4.len() - v4) as u32,
            v6: (page.v6.len() - v6) as u32,
        });
    }

    /// Takes peers back; of one that is known already, the later word counts.
    pub(super) fn restore_peers(&mut self, v4: &[DumpedPeer<PEER_V4_LEN>], v6: &[DumpedPeer<PEER_V6_LEN>]) {
        restore_in_table(&mut self.v4, v4);
        restore_in_table(&mut self.v6, v6);
    }

    pub(super) fn peers(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Begins to load the peers.
    pub(super) fn prefetch_peers(&self) {
        self.v4.prefetch();
        self.v6.prefetch();
    }

    /// Where the one who announces stands, if the swarm knows it.
    pub(super) fn locate(&self, peer: SocketAddr) -> Announcer {
        match AnyEntry::from(peer) {
            AnyEntry::V4(entry) => Announcer::V4(entry, self.v4.position(&entry)),
            AnyEntry::V6(entry) => Announcer::V6(entry, self.v6.position(&entry)),
        }
    }

    /// Seconds since the one who announces was heard of, if the swarm knows it.
    pub(super) fn age_secs(&self, announcer: &Announcer, now_secs: u32) -> Option<u32> {
        let stamp = match *announcer {
            Announcer::V4(_, position) => self.v4.stamp(position?),
            Announcer::V6(_, position) => self.v6.stamp(position?),
        };
        Some(stamp.age_secs(now_secs))
    }

    /// Draws peers for the one who announces. Done before the update, so that nobody has to be filtered out.
    pub(super) fn draw(
        &self,
        announcer: &Announcer,
        update: &Update,
        random: &mut fastrand::Rng,
        peers: &mut PeersOut<'_>,
    ) {
        let audience = match update.standing {
            Standing::Stopped => return,
            Standing::Seeder => Audience::Seeder,
            Standing::Leecher => Audience::Leecher,
        };
        let (own_v4, own_v6) = match *announcer {
            Announcer::V4(_, position) => (position, None),
            Announcer::V6(_, position) => (None, position),
        };
        let available =
            Available { v4: self.v4.available(audience, own_v4), v6: self.v6.available(audience, own_v6) };
        let (v4, v6) = peers.share(update.peers_wanted, available);
        self.v4.draw(audience, own_v4, v4, random);
        self.v6.draw(audience, own_v6, v6, random);
    }

    /// Takes an update in, and returns whether it is the peer's first completion. Port 0 cannot be reached, so it is never
    /// stored (and cannot be stopped either).
    pub(super) fn update(&mut self, announcer: &Announcer, update: &Update) -> bool {
        if update.peer.port() == 0 {
            return false;
        }
        self.last_announce_secs = self.last_announce_secs.max(update.now_secs);
        let first_completion = match *announcer {
            Announcer::V4(entry, position) => update_table(&mut self.v4, entry, position, update),
            Announcer::V6(entry, position) => update_table(&mut self.v6, entry, position, update),
        };
        self.completed = self.completed.saturating_add(u32::from(first_completion));
        first_completion
    }

    /// Removes the peer at `place` if it has not been heard of for too long.
    ///
    /// Places count the peers of both families; only peers behind `place` change theirs.
    pub(super) fn expire(&mut self, place: usize, timeouts: &Timeouts, now_secs: u32) {
        match place.checked_sub(self.v4.len()) {
            None => expire_in_table(&mut self.v4, place, timeouts, now_secs),
            Some(place) => expire_in_table(&mut self.v6, place, timeouts, now_secs),
        }
    }

    /// Whether nothing would be lost with this torrent: no peers, and no completed count that is still young.
    pub(super) fn is_forgettable(&self, timeouts: &Timeouts, now_secs: u32) -> bool {
        let idle_secs = now_secs.saturating_sub(self.last_announce_secs);
        self.peers() == 0 && (self.completed == 0 || idle_secs >= timeouts.torrent_secs)
    }
}

/// The one who announces: its entry, and where it stands in its family's table.
pub(super) enum Announcer {
    V4(Entry<PEER_V4_LEN>, Option<usize>),
    V6(Entry<PEER_V6_LEN>, Option<usize>),
}

/// Returns whether this update is the peer's first completion.
fn update_table<const N: usize>(
    table: &mut PeerTable<N>,
    entry: Entry<N>,
    position: Option<usize>,
    update: &Update,
) -> bool {
    if update.standing == Standing::Stopped {
        if let Some(position) = position {
            table.remove(position);
        }
        return false;
    }
    let seeder = update.standing == Standing::Seeder;
    let had_completed = position.is_some_and(|position| table.stamp(position).completed());
    let stamp = Stamp::new(update.now_secs, had_completed || update.completed);
    match position {
        Some(position) => table.renew(position, seeder, stamp),
        None => table.insert(entry, seeder, stamp),
    }
    update.completed && !had_completed
}

fn restore_in_table<const N: usize>(table: &mut PeerTable<N>, peers: &[DumpedPeer<N>]) {
    table.reserve_first(peers.len());
    for DumpedPeer { entry, seeder, completed, heard_secs } in peers {
        match table.position(entry) {
            None => table.insert(*entry, *seeder, Stamp::new(*heard_secs, *completed)),
            Some(position) => {
                let known = table.stamp(position);
                if known.heard_secs() < *heard_secs {
                    table.renew(position, *seeder, Stamp::new(*heard_secs, *completed || known.completed()));
                }
            }
        }
    }
}

fn expire_in_table<const N: usize>(
    table: &mut PeerTable<N>,
    position: usize,
    timeouts: &Timeouts,
    now_secs: u32,
) {
    if position < table.len() && table.stamp(position).age_secs(now_secs) >= timeouts.peer_secs {
        table.remove(position);
    }
}
