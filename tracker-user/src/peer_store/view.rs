//! The peers of one torrent and one family to be looked at, however they are kept: one run of them, or the buckets of a
//! large swarm. Whom an answer is given is drawn here.

use super::large::{Large, Spot};
use super::peer::Entry;
use super::run::{Audience, Bounds, Run};
use std::ops::Range;

/// The peers of one torrent and one family.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a, const N: usize> {
    /// Side by side.
    One(Run<'a, N>),
    /// In buckets.
    Many(&'a Large<N>),
}

impl<'a, const N: usize> View<'a, N> {
    /// Nobody.
    pub(super) const EMPTY: Self = Self::One(Run::EMPTY);

    /// How many there are.
    pub(super) fn bounds(&self) -> Bounds {
        match self {
            Self::One(run) => Bounds { len: run.entries.len(), leechers: run.leechers },
            Self::Many(large) => large.bounds(),
        }
    }

    /// In how many runs they are: one at least.
    pub(super) fn segments(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(large) => large.segments(),
        }
    }

    /// One of the runs.
    pub(super) fn run(&self, segment: usize) -> Run<'a, N> {
        match *self {
            Self::One(run) => run,
            Self::Many(large) => large.run(segment),
        }
    }

    /// The run in which a peer is or would be.
    pub(super) fn run_of(&self, entry: &Entry<N>) -> Run<'a, N> {
        match *self {
            Self::One(run) => run,
            Self::Many(large) => large.run(large.bucket_of(entry)),
        }
    }

    /// Where a peer stands.
    pub(super) fn find(&self, entry: &Entry<N>) -> Option<Spot> {
        match self {
            Self::One(run) => run.position(entry).map(|position| Spot { segment: 0, position }),
            Self::Many(large) => large.find(entry),
        }
    }

    /// How many peers an audience could get; `own` is where the one who asks stands.
    pub(super) fn available(&self, audience: Audience, own: Option<Spot>) -> usize {
        self.universe(audience) - usize::from(own.is_some_and(|own| self.is_for(audience, own)))
    }

    /// Fills `out` with peers, each of those available at most once and all with the same probability. There must be as
    /// many available as there is room.
    pub(super) fn draw(
        &self,
        audience: Audience,
        own: Option<Spot>,
        out: &mut [Entry<N>],
        random: &mut fastrand::Rng,
    ) {
        if out.is_empty() {
            return;
        }
        let own = own.filter(|own| self.is_for(audience, *own));
        let available = self.universe(audience) - usize::from(own.is_some());
        let drawn = if out.len() == available { 0 } else { random.usize(0..available) };
        // A rank among all without the one who asks becomes one among all.
        let behind_own = own.is_some_and(|own| self.rank(audience, own) <= drawn);
        let rank = drawn + usize::from(behind_own);
        let mut filling = Filling { out, filled: 0 };
        match *self {
            Self::One(run) => {
                let entries = run.for_audience(audience);
                let own = own.map(|own| own.position);
                filling.add(entries, rank..entries.len(), own);
                filling.add(entries, 0..rank, own);
            }
            Self::Many(large) => fill_from_buckets(large, (audience, own, rank), &mut filling),
        }
    }

    /// How many peers an audience may be given, the one who asks among them.
    fn universe(&self, audience: Audience) -> usize {
        let Bounds { len, leechers } = self.bounds();
        match audience {
            Audience::Leecher => len,
            Audience::Seeder => leechers,
        }
    }

    /// Whether the peer at `spot` is one that an audience may be given.
    fn is_for(&self, audience: Audience, spot: Spot) -> bool {
        spot.position < self.run(spot.segment).for_audience(audience).len()
    }

    /// How many peers that an audience may be given stand before `spot`.
    fn rank(&self, audience: Audience, spot: Spot) -> usize {
        match self {
            Self::One(_) => spot.position,
            Self::Many(large) => large.before(spot.segment, audience) + spot.position,
        }
    }
}

/// Goes round the buckets once, from a rank on, until there are enough.
fn fill_from_buckets<const N: usize>(
    large: &Large<N>,
    (audience, own, rank): (Audience, Option<Spot>, usize),
    filling: &mut Filling<'_, N>,
) {
    let start = large.at(rank, audience);
    let own_in = |segment: usize| own.filter(|own| own.segment == segment).map(|own| own.position);
    let (mut segment, mut from) = (start.segment, start.position);
    for _ in 0..large.segments() {
        let entries = large.run(segment).for_audience(audience);
        filling.add(entries, from.min(entries.len())..entries.len(), own_in(segment));
        if filling.is_full() {
            return;
        }
        (segment, from) = ((segment + 1) % large.segments(), 0);
    }
    // Round once: what stands before the start in its own bucket.
    let entries = large.run(start.segment).for_audience(audience);
    filling.add(entries, 0..start.position.min(entries.len()), own_in(start.segment));
}

/// Room for peers, filled from the front.
struct Filling<'a, const N: usize> {
    out: &'a mut [Entry<N>],
    filled: usize,
}

impl<const N: usize> Filling<'_, N> {
    const fn is_full(&self) -> bool {
        self.filled == self.out.len()
    }

    /// Adds the entries of a range without the one at `own`, as far as there is room.
    fn add(&mut self, entries: &[Entry<N>], range: Range<usize>, own: Option<usize>) {
        match own.filter(|own| range.contains(own)) {
            None => self.add_all(&entries[range]),
            Some(own) => {
                self.add_all(&entries[range.start..own]);
                self.add_all(&entries[own + 1..range.end]);
            }
        }
    }

    fn add_all(&mut self, entries: &[Entry<N>]) {
        let count = entries.len().min(self.out.len() - self.filled);
        self.out[self.filled..self.filled + count].copy_from_slice(&entries[..count]);
        self.filled += count;
    }
}
