//! What an operation on a shard has to know beside its own data: what time it is there, and the rules of the store.

use super::budget::Budget;
use super::large::BucketedBy;
use super::peer::{Entry, source_number};
use super::run::{Run, RunMut};
use super::source_counts::SourceCounts;
use super::stamp::{Stamp, Ticks, Window};
use super::view::View;
use tracker_common::siphash::Key;

/// The time in a shard, and the rules of the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    /// How seconds become ticks.
    pub(super) ticks: Ticks,
    /// The ticks in which the shard's stamps lie.
    pub(super) window: Window,
    /// The tick of this moment.
    pub(super) now_tick: u32,
    /// The tick of what is said at this moment: an earlier one where word comes late, from other nodes or a snapshot.
    pub(super) heard_tick: u32,
    /// How the buckets of large swarms are chosen.
    pub(super) hashing: (Key, BucketedBy),
    /// Torrents of each source, where they are bounded.
    pub(super) sources: Option<&'a SourceCounts>,
    /// Peers of one source in one torrent at most; 0: no bound.
    pub(super) ports_per_source: usize,
    /// What the whole store may hold.
    pub(super) budget: &'a Budget,
}

impl Moment<'_> {
    /// The stamp of what is said at this moment.
    pub(super) fn stamp(&self, completed: bool) -> Stamp {
        self.window.stamp(self.heard_tick, completed)
    }

    /// Seconds since the tick of a stamp began, as far as that is known.
    pub(super) fn age_secs(&self, stamp: Stamp) -> u32 {
        self.ticks.secs(self.window.age(stamp, self.now_tick))
    }

    /// Removes from a run who has not been heard of for too long.
    pub(super) fn expire<const N: usize>(&self, run: &mut RunMut<'_, N>) {
        self.remove_aged(run, self.ticks.life());
    }

    /// Removes from a run who has not been heard of for so many ticks.
    pub(super) fn remove_aged<const N: usize>(&self, run: &mut RunMut<'_, N>, age: u32) {
        let is_over = |stamp| self.window.age(stamp, self.now_tick) >= age;
        if self.sources.is_none() {
            return run.remove_where(is_over, |_| {});
        }
        let mut gone = Vec::new();
        run.remove_where(is_over, |entry| gone.push(*entry));
        one_of_each_source(&mut gone);
        for entry in gone {
            self.left(&entry, run.as_run());
        }
    }

    /// Notes that a peer has left a run in which `left` are left.
    pub(super) fn left<const N: usize>(&self, entry: &Entry<N>, left: Run<'_, N>) {
        if let Some(sources) = self.sources
            && left.of_source(entry) == 0
        {
            sources.leave(entry);
        }
    }

    /// Notes that all peers leave a torrent.
    pub(super) fn all_left<const N: usize>(&self, view: View<'_, N>) {
        let Some(sources) = self.sources else { return };
        for segment in 0..view.segments() {
            let mut gone = view.run(segment).entries.to_vec();
            one_of_each_source(&mut gone);
            for entry in gone {
                sources.leave(&entry);
            }
        }
    }

    /// Whether the source of a peer that is new to a torrent has had its share, there or in all torrents.
    pub(super) fn has_its_share<const N: usize>(&self, entry: &Entry<N>, view: View<'_, N>) -> bool {
        if self.sources.is_none() && self.ports_per_source == 0 {
            return false;
        }
        match view.run_of(entry).of_source(entry) {
            0 => self.sources.is_some_and(|sources| !sources.may_enter(entry)),
            ports => self.ports_per_source > 0 && ports >= self.ports_per_source,
        }
    }

    /// Notes that a peer is about to be added to a run.
    pub(super) fn joins<const N: usize>(&self, entry: &Entry<N>, run: Run<'_, N>) {
        if let Some(sources) = self.sources
            && run.of_source(entry) == 0
        {
            sources.enter(entry);
        }
    }
}

/// Leaves one peer of each source. Somebody may have a thousand in a run: each must not be looked for among all others.
fn one_of_each_source<const N: usize>(entries: &mut Vec<Entry<N>>) {
    entries.sort_unstable_by_key(source_number);
    entries.dedup_by_key(|entry| source_number(entry));
}
