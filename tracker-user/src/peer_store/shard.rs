//! One part of the torrents, behind one lock: their slots, an index into them, and the peers that have outgrown a slot.

use super::budget::{Admission, Budget};
use super::expiry::{Place, Walk};
use super::index::Index;
use super::moment::Moment;
use super::prefetch;
use super::rules::Rules;
use super::slot::{Peers, Slot, Slots};
use super::stamp::Window;
use super::tables::{Moved, Tables};
use super::{SwarmCounts, Totals};
use crate::info_hash::InfoHash;
use tracker_common::siphash::{Key, siphash24};
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// The keyed hash of an info hash: info hashes are an attacker's to choose, collisions must not be.
pub(super) fn hash_of(key: Key, info_hash: &InfoHash) -> u64 {
    let mut words = [[0_u8; 8]; 3];
    words.as_flattened_mut()[..info_hash.0.len()].copy_from_slice(&info_hash.0);
    siphash24(key, words.map(u64::from_le_bytes))
}

/// One part of the torrents. What every announce touches comes first, side by side with the lock.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Shard {
    /// Dense, so that a walk can go by position and stop anywhere.
    pub(super) slots: Slots,
    index: Index,
    peers: u64,
    seeders: u64,
    /// The ticks in which all stamps lie.
    window: Window,
    /// The latest tick that anyone has come with.
    latest_tick: u32,
    completed: u64,
    /// Bytes of memory that the budget knows of.
    reported_memory: u64,
    key: Key,
    pub(super) v4: Tables<PEER_V4_LEN>,
    pub(super) v6: Tables<PEER_V6_LEN>,
}

/// The tables of one family.
pub(super) trait HasTables<const N: usize> {
    fn tables(&mut self) -> &mut Tables<N>;
}

impl HasTables<PEER_V4_LEN> for Shard {
    fn tables(&mut self) -> &mut Tables<PEER_V4_LEN> {
        &mut self.v4
    }
}

impl HasTables<PEER_V6_LEN> for Shard {
    fn tables(&mut self) -> &mut Tables<PEER_V6_LEN> {
        &mut self.v6
    }
}

impl Shard {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            slots: Slots::default(),
            index: Index::default(),
            v4: Tables::default(),
            v6: Tables::default(),
            window: Window::default(),
            latest_tick: 0,
            peers: 0,
            seeders: 0,
            completed: 0,
            reported_memory: 0,
        }
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            torrents: self.slots.len() as u64,
            peers: self.peers,
            seeders: self.seeders,
            completed: self.completed,
        }
    }

    /// Bytes of memory for torrents and peers.
    pub(super) fn memory(&self) -> u64 {
        (self.slots.memory() + self.index.memory() + self.v4.memory() + self.v6.memory()) as u64
    }

    /// Bytes that are reckoned for torrents and peers: at least their memory. What is held in reserve counts as if there were as
    /// much of it as there may be, so that whatever is removed makes room at once.
    pub(super) fn reckoned(&self) -> u64 {
        (self.slots.reckoned() + self.index.memory() + self.v4.reckoned() + self.v6.reckoned()) as u64
    }

    /// Tells the budget what memory is reckoned now.
    pub(super) fn report_memory(&mut self, budget: &Budget) {
        let memory = self.reckoned();
        budget.memory_changed(self.reported_memory, memory);
        self.reported_memory = memory;
    }

    /// This moment in this shard, for somebody who comes with a time, and be it one that has passed. Before a moment that its
    /// window does not hold, whoever has timed out is forgotten, and the window moved: so it is only when nobody has walked the
    /// shard for a quarter of the peer timeout.
    pub(super) fn moment<'a>(&mut self, now_secs: u32, rules: &'a Rules) -> Moment<'a> {
        let heard_tick = rules.ticks.at(now_secs);
        self.latest_tick = self.latest_tick.max(heard_tick);
        let now_tick = self.latest_tick;
        if self.peers == 0 {
            self.window = Window::around(now_tick, rules.ticks);
        }
        let mut moment = rules.moment(self.window, now_tick, heard_tick);
        if self.window.is_left_behind_at(now_tick) {
            let walk = Walk::TimedOut(&rules.timeouts);
            self.walk(Place::START, usize::MAX, walk, (&moment, now_secs));
            moment.window = self.window;
        }
        moment
    }

    /// The ticks in which all stamps lie.
    pub(super) const fn window(&self) -> Window {
        self.window
    }

    /// Bytes of memory that the budget knows of.
    pub(super) const fn reported_memory(&self) -> u64 {
        self.reported_memory
    }

    /// Moves the window so that it begins a life before a tick.
    pub(super) fn move_window(&mut self, tick: u32, moment: &Moment<'_>) {
        self.window = Window::around(tick, moment.ticks);
    }

    /// Begins to load where the index holds a hash.
    pub(super) fn prefetch_index(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Begins to load the slot of a hash. Another with the same part of the hash does no harm.
    pub(super) fn prefetch_slot(&self, hash: u64) {
        if let Some(slot) = self.first_of(hash) {
            prefetch::read(slot);
        }
    }

    /// Begins to load the peers of the torrent of a hash.
    pub(super) fn prefetch_peers(&self, hash: u64) {
        if let Some(Slot { peers: Peers::Outgrown { v4, v6 }, .. }) = self.first_of(hash) {
            self.v4.prefetch(*v4);
            self.v6.prefetch(*v6);
        }
    }

    pub(super) fn counts(&self, hash: u64, info_hash: &InfoHash) -> Option<SwarmCounts> {
        self.position(hash, info_hash).map(|position| self.counts_at(position))
    }

    /// The figures of the torrent at a position.
    pub(super) fn counts_at(&self, position: usize) -> SwarmCounts {
        let slot = self.slots.get(position);
        let (v4, v6) = (slot.v4(&self.v4).bounds(), slot.v6(&self.v6).bounds());
        let leechers = v4.leechers + v6.leechers;
        SwarmCounts {
            seeders: (v4.len + v6.len - leechers) as u32,
            leechers: leechers as u32,
            completed: slot.completed,
        }
    }

    pub(super) fn last_announce_secs(&self, hash: u64, info_hash: &InfoHash) -> Option<u32> {
        self.position(hash, info_hash).map(|position| self.slots.get(position).last_announce_secs)
    }

    /// Makes a torrent known with its completed downloads and the time of its last announce, where more is known than that
    /// nothing changes.
    pub(super) fn restore(
        &mut self,
        hash: u64,
        info_hash: &InfoHash,
        (completed, last_announce_secs): (u32, u32),
        moment: &Moment<'_>,
    ) {
        let Some(position) = self.position(hash, info_hash).or_else(|| {
            let is_admitted = completed > 0 && moment.budget.admit(1, 0) == Admission::Granted;
            is_admitted.then(|| self.insert(hash, *info_hash, moment.budget))?
        }) else {
            return;
        };
        let before = self.counts_at(position);
        let slot = self.slots.get_mut(position);
        slot.completed = slot.completed.max(completed);
        slot.last_announce_secs = slot.last_announce_secs.max(last_announce_secs);
        self.recount(position, before, (moment.budget, 0));
    }

    pub(super) fn position(&self, hash: u64, info_hash: &InfoHash) -> Option<usize> {
        self.index.find(hash, |position| self.slots.get(position).info_hash == *info_hash)
    }

    fn first_of(&self, hash: u64) -> Option<&Slot> {
        self.index.find(hash, |_| true).map(|position| self.slots.get(position))
    }

    /// Adds a torrent that is not known yet; `None` where the shard has as many as can be told apart.
    /// Room for it was admitted.
    pub(super) fn insert(&mut self, hash: u64, info_hash: InfoHash, budget: &Budget) -> Option<usize> {
        let position = self.slots.len();
        let (key, slots) = (self.key, &self.slots);
        let hashes = || slots.iter().map(|slot| hash_of(key, &slot.info_hash));
        if !self.index.insert(hash, position, hashes) {
            budget.torrent_gone();
            return None;
        }
        self.slots.push(Slot::new(info_hash));
        Some(position)
    }

    /// Forgets a torrent with all its peers.
    pub(super) fn remove(&mut self, position: usize, moment: &Moment<'_>) {
        self.forget_peers(position, moment);
        self.completed -= u64::from(self.slots.get(position).completed);
        let (key, slots, last) = (self.key, &self.slots, self.slots.len() - 1);
        let hash_at = |other: usize| hash_of(key, &slots.get(other).info_hash);
        self.index.remove(hash_at(position), position, hash_at);
        if position != last {
            self.index.relocate(hash_at(last), last, position);
            let (v4, v6) = {
                let slot = self.slots.get(last);
                (slot.handle::<PEER_V4_LEN>(), slot.handle::<PEER_V6_LEN>())
            };
            self.v4.set_owner(v4, position as u32);
            self.v6.set_owner(v6, position as u32);
        }
        self.slots.swap_remove(position);
        moment.budget.torrent_gone();
    }

    /// Forgets all peers of a torrent.
    fn forget_peers(&mut self, position: usize, moment: &Moment<'_>) {
        let before = self.counts_at(position);
        if before.peers() == 0 && !matches!(self.slots.get(position).peers, Peers::Outgrown { .. }) {
            return;
        }
        if moment.sources.is_some() {
            let slot = self.slots.get(position);
            moment.all_left(slot.v4(&self.v4));
            moment.all_left(slot.v6(&self.v6));
        }
        let slot = self.slots.get_mut(position);
        let (v4, v6) = (slot.handle::<PEER_V4_LEN>(), slot.handle::<PEER_V6_LEN>());
        slot.peers = Peers::Inline(super::slot::Inline::EMPTY);
        let (moved_v4, moved_v6) = (self.v4.remove(v4), self.v6.remove(v6));
        self.relocate::<PEER_V4_LEN>(moved_v4);
        self.relocate::<PEER_V6_LEN>(moved_v6);
        self.recount(position, before, (moment.budget, 0));
    }

    /// Tells the slot of peers that have moved.
    pub(super) fn relocate<const N: usize>(&mut self, moved: Option<Moved>) {
        if let Some(Moved { owner, handle }) = moved {
            self.slots.get_mut(owner as usize).set_handle::<N>(handle);
        }
    }

    /// Brings the shard's figures up to date after one torrent changed, and returns that torrent's. For so many peers room
    /// was `reserved`.
    pub(super) fn recount(
        &mut self,
        position: usize,
        before: SwarmCounts,
        (budget, reserved): (&Budget, u64),
    ) -> SwarmCounts {
        let after = self.counts_at(position);
        budget.peers_gone(before.peers() + reserved - after.peers());
        self.peers = self.peers + after.peers() - before.peers();
        self.seeders = self.seeders + u64::from(after.seeders) - u64::from(before.seeders);
        self.completed = self.completed + u64::from(after.completed) - u64::from(before.completed);
        after
    }

    /// Gives memory back after a walk.
    pub(super) fn give_back(&mut self) {
        if self.slots.len() == 0 {
            // Nothing is held in reserve for nobody.
            (self.slots, self.index) = (Slots::default(), Index::default());
            (self.v4, self.v6) = (Tables::default(), Tables::default());
            return;
        }
        let (key, slots) = (self.key, &self.slots);
        self.index.give_back(|| slots.iter().map(|slot| hash_of(key, &slot.info_hash)));
    }
}
