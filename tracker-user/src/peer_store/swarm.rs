//! What an announce does to one torrent of a shard: whom it is given, and what is stored.

use super::budget::{Admission, Scarce};
use super::large::Spot;
use super::moment::Moment;
use super::peer::{AnyEntry, Entry};
use super::peers_out::{Available, PeersOut};
use super::run::{Audience, RunMut};
use super::shard::{HasTables, Shard};
use super::slot::{INLINE, Inline, Peers};
use super::stamp::Stamp;
use super::tables::Handle;
use super::view::View;
use super::{Standing, SwarmCounts, Taken, Update};
use crate::info_hash::InfoHash;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// An outgrown torrent goes back into its slot with so many peers: fewer than fit, so that it does not come and go.
const INLINE_AGAIN: usize = INLINE - 2;

/// Whether the one who announced is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storing {
    /// As it should be, or there was nothing to store.
    Done,
    /// Its source has its share.
    SourceHasItsShare,
    /// The store is full.
    Full(Scarce),
}

/// The one who announces: its entry, and where it stands among its family's peers.
#[derive(Clone, Copy, Debug)]
enum Announcer {
    V4(Entry<PEER_V4_LEN>, Option<Spot>),
    V6(Entry<PEER_V6_LEN>, Option<Spot>),
}

impl Announcer {
    const fn is_new(&self) -> bool {
        matches!(self, Self::V4(_, None) | Self::V6(_, None))
    }
}

/// What a peer says, for the run in which it stands.
#[derive(Clone, Copy, Debug)]
struct Word {
    standing: Standing,
    completed: bool,
}

/// What was known of the one who announced, and what is new.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    before: Option<Stamp>,
    first_completion: bool,
}

impl Shard {
    /// Draws peers into `peers`, then takes the update in as far as there is room.
    ///
    /// The draw comes first, so that nobody has to be filtered out of what the announcer has just joined.
    pub(super) fn announce(
        &mut self,
        hash: u64,
        update: &Update,
        moment: &Moment<'_>,
        (random, peers): (&mut fastrand::Rng, &mut PeersOut<'_>),
    ) -> (Taken, Storing) {
        let known = self.position(hash, &update.info_hash);
        let announcer = self.locate(known, update.peer);
        let is_reachable = update.peer.port() != 0;
        let adds = is_reachable && update.standing != Standing::Stopped && announcer.is_new();
        let storing = if adds { self.admit(known, &announcer, moment) } else { Storing::Done };
        if let Some(position) = known {
            self.draw(position, &announcer, update, (random, peers));
        }
        let is_added = adds && storing == Storing::Done;
        let added = || is_added.then(|| self.insert(hash, update.info_hash, moment.budget))?;
        let Some(position) = known.or_else(added) else {
            // A stop or an unreachable peer makes no torrent known, and a shard has positions for so many torrents.
            if is_added {
                moment.budget.peers_gone(1);
                moment.budget.refused_for_room.fetch_add(1, Ordering::Relaxed);
            }
            return (Taken::default(), storing);
        };
        let before = self.counts_at(position);
        if !is_reachable || storing != Storing::Done {
            return (Taken { counts: before, ..Taken::default() }, storing);
        }
        let heard = self.hear(position, &announcer, update, moment);
        let slot = self.slots.get_mut(position);
        slot.last_announce_secs = slot.last_announce_secs.max(update.now_secs);
        slot.completed = slot.completed.saturating_add(u32::from(heard.first_completion));
        let counts = self.recount(position, before, (moment.budget, u64::from(is_added)));
        if counts == SwarmCounts::default() {
            self.remove(position, moment);
        }
        let renewed_after_secs = heard.before.map(|stamp| moment.age_secs(stamp));
        let first_completion = heard.first_completion;
        (Taken { counts, renewed_after_secs, first_completion, is_stored: true }, storing)
    }

    /// Seconds since a peer was heard of, if it is known.
    pub(super) fn age_secs(
        &self,
        hash: u64,
        info_hash: &InfoHash,
        (peer, moment): (SocketAddr, &Moment<'_>),
    ) -> Option<u32> {
        let position = self.position(hash, info_hash)?;
        let stamp = self.stamp_of(position, &self.locate(Some(position), peer))?;
        Some(moment.age_secs(stamp))
    }

    /// Takes back what a peer said earlier, at the time of `update`, unless it has timed out, a later word of it is known, or
    /// there is no room. Completed downloads are not counted again.
    pub(super) fn restore_peer(&mut self, hash: u64, update: &Update, moment: &Moment<'_>) {
        let then = Moment { heard_tick: moment.ticks.at(update.now_secs), ..*moment };
        if moment.now_tick.saturating_sub(then.heard_tick) >= moment.ticks.life() || update.peer.port() == 0 {
            return;
        }
        let known = self.position(hash, &update.info_hash);
        let announcer = self.locate(known, update.peer);
        let is_new = announcer.is_new();
        if is_new && self.admit(known, &announcer, moment) != Storing::Done {
            return;
        }
        let Some(position) = known.or_else(|| self.insert(hash, update.info_hash, moment.budget)) else {
            moment.budget.peers_gone(1);
            return;
        };
        if self
            .stamp_of(position, &announcer)
            .is_some_and(|stamp| moment.window.tick(stamp) >= then.heard_tick)
        {
            return;
        }
        let before = self.counts_at(position);
        self.hear(position, &announcer, update, &then);
        let slot = self.slots.get_mut(position);
        slot.last_announce_secs = slot.last_announce_secs.max(update.now_secs);
        self.recount(position, before, (moment.budget, u64::from(is_new)));
    }

    /// The stamp of the one who announces, if it is known.
    fn stamp_of(&self, position: usize, announcer: &Announcer) -> Option<Stamp> {
        let slot = self.slots.get(position);
        let byte = match *announcer {
            Announcer::V4(_, spot) => {
                spot.map(|spot| slot.v4(&self.v4).run(spot.segment).stamps[spot.position])
            }
            Announcer::V6(_, spot) => {
                spot.map(|spot| slot.v6(&self.v6).run(spot.segment).stamps[spot.position])
            }
        };
        byte.map(Stamp::from_byte)
    }

    /// Where the one who announces stands, if it is known.
    fn locate(&self, known: Option<usize>, peer: SocketAddr) -> Announcer {
        let slot = known.map(|position| self.slots.get(position));
        match AnyEntry::from(peer) {
            AnyEntry::V4(entry) => Announcer::V4(entry, slot.and_then(|slot| slot.v4(&self.v4).find(&entry))),
            AnyEntry::V6(entry) => Announcer::V6(entry, slot.and_then(|slot| slot.v6(&self.v6).find(&entry))),
        }
    }

    /// Whether a new peer may be added, and with it its torrent where that is new. Its room is taken then.
    fn admit(&self, known: Option<usize>, announcer: &Announcer, moment: &Moment<'_>) -> Storing {
        let slot = known.map(|position| self.slots.get(position));
        let has_its_share = match announcer {
            Announcer::V4(entry, _) => {
                moment.has_its_share(entry, slot.map_or(View::EMPTY, |slot| slot.v4(&self.v4)))
            }
            Announcer::V6(entry, _) => {
                moment.has_its_share(entry, slot.map_or(View::EMPTY, |slot| slot.v6(&self.v6)))
            }
        };
        if has_its_share {
            return Storing::SourceHasItsShare;
        }
        match moment.budget.admit(u64::from(known.is_none()), 1) {
            Admission::Granted => Storing::Done,
            Admission::Full(scarce) => Storing::Full(scarce),
        }
    }

    fn draw(
        &self,
        position: usize,
        announcer: &Announcer,
        update: &Update,
        (random, peers): (&mut fastrand::Rng, &mut PeersOut<'_>),
    ) {
        let audience = match update.standing {
            Standing::Stopped => return,
            Standing::Seeder => Audience::Seeder,
            Standing::Leecher => Audience::Leecher,
        };
        let (own_v4, own_v6) = match *announcer {
            Announcer::V4(_, spot) => (spot, None),
            Announcer::V6(_, spot) => (None, spot),
        };
        let slot = self.slots.get(position);
        let (v4, v6) = (slot.v4(&self.v4), slot.v6(&self.v6));
        let available = Available { v4: v4.available(audience, own_v4), v6: v6.available(audience, own_v6) };
        let (room_v4, room_v6) = peers.share(update.peers_wanted, available);
        v4.draw(audience, own_v4, room_v4, random);
        v6.draw(audience, own_v6, room_v6, random);
    }

    /// Takes in what a reachable peer says of itself.
    fn hear(
        &mut self,
        position: usize,
        announcer: &Announcer,
        update: &Update,
        moment: &Moment<'_>,
    ) -> Heard {
        let word = Word { standing: update.standing, completed: update.completed };
        match *announcer {
            Announcer::V4(entry, spot) => {
                if let Peers::Inline(inline) = &mut self.slots.get_mut(position).peers
                    && (spot.is_some() || inline.run().entries.len() < INLINE)
                {
                    let place = spot.map(|spot| spot.position);
                    return inline.with_run(|run| hear_in_run(run, (entry, place), word, moment));
                }
                self.hear_in_tables(position, (entry, spot), word, moment)
            }
            Announcer::V6(entry, spot) => self.hear_in_tables(position, (entry, spot), word, moment),
        }
    }

    /// Takes in what a peer says that is not in its torrent's slot, or will not be.
    fn hear_in_tables<const N: usize>(
        &mut self,
        position: usize,
        (entry, spot): (Entry<N>, Option<Spot>),
        word: Word,
        moment: &Moment<'_>,
    ) -> Heard
    where
        Self: HasTables<N>,
    {
        let handle = self.slots.get(position).handle::<N>();
        match spot {
            Some(Spot { segment, position: place }) => {
                let heard = self
                    .tables()
                    .with_run(handle, segment, |run| hear_in_run(run, (entry, Some(place)), word, moment));
                if word.standing == Standing::Stopped {
                    self.settle::<N>(position, segment);
                }
                heard
            }
            None if word.standing == Standing::Stopped => Heard::default(),
            None => {
                self.outgrow(position);
                let handle = self.slots.get(position).handle::<N>();
                let is_seeder = word.standing == Standing::Seeder;
                let peer = (entry, is_seeder, moment.stamp(word.completed));
                let (handle, moved) = self.tables().insert((handle, position as u32), peer, moment);
                self.slots.get_mut(position).set_handle::<N>(handle);
                self.relocate::<N>(moved);
                Heard { before: None, first_completion: word.completed }
            }
        }
    }

    /// Moves the peers out of a torrent's slot, if they are there.
    pub(super) fn outgrow(&mut self, position: usize) {
        let slot = self.slots.get_mut(position);
        if let Peers::Inline(inline) = slot.peers {
            let run = inline.run();
            let v4 = if run.entries.is_empty() { Handle::NONE } else { self.v4.place(position as u32, run) };
            slot.peers = Peers::Outgrown { v4, v6: Handle::NONE };
        }
    }

    /// Gives memory back after peers of one run in the tables are gone, and moves a few into the slot again.
    pub(super) fn settle<const N: usize>(&mut self, position: usize, segment: usize)
    where
        Self: HasTables<N>,
    {
        let handle = self.slots.get(position).handle::<N>();
        let (handle, moved) = self.tables().fit(handle, position as u32, segment);
        self.slots.get_mut(position).set_handle::<N>(handle);
        self.relocate::<N>(moved);
        let slot = self.slots.get(position);
        // Few may still be in buckets, where room was made for an announce: until they are in one block again, they stay there.
        if let Peers::Outgrown { v4, v6: Handle::NONE } = slot.peers
            && let View::One(run) = self.v4.view(v4)
            && run.entries.len() <= INLINE_AGAIN
        {
            let inline = Inline::of(run);
            self.slots.get_mut(position).peers = Peers::Inline(inline);
            let moved = self.v4.remove(v4);
            self.relocate::<PEER_V4_LEN>(moved);
        }
    }
}

/// Takes in what a peer says, in the run in which it is or will be.
fn hear_in_run<const N: usize>(
    run: &mut RunMut<'_, N>,
    (entry, place): (Entry<N>, Option<usize>),
    word: Word,
    moment: &Moment<'_>,
) -> Heard {
    let before = place.map(|place| run.stamp(place));
    if word.standing == Standing::Stopped {
        if let Some(place) = place {
            run.remove(place);
            moment.left(&entry, run.as_run());
        }
        return Heard { before, first_completion: false };
    }
    let had_completed = before.is_some_and(Stamp::completed);
    // Word from other nodes may be late: it does not make a peer older than it is known to be.
    let tick = before.map_or(0, |stamp| moment.window.tick(stamp)).max(moment.heard_tick);
    let stamp = moment.window.stamp(tick, had_completed || word.completed);
    let is_seeder = word.standing == Standing::Seeder;
    match place {
        Some(place) => run.renew(place, is_seeder, stamp),
        None => {
            moment.joins(&entry, run.as_run());
            run.insert(entry, is_seeder, stamp);
        }
    }
    Heard { before, first_completion: word.completed && !had_completed }
}
