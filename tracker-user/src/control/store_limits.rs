//! Says when the store has reached one of its limits: once, and again only when it has kept within it for a while.

use crate::peer_store::{Limits, Pressure, Totals};

/// Seconds without anything given up or refused after which a limit counts as kept again.
const RELIEVED_AFTER_SECS: u32 = 600;

/// A limit, and the index of what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// `store.max_memory`.
    Memory,
    /// `store.max_peers`.
    Peers,
    /// `store.max_torrents`.
    Torrents,
    /// `store.torrents_per_source` and `store.ports_per_source`.
    Sources,
}

impl Limit {
    const ALL: [Self; 4] = [Self::Memory, Self::Peers, Self::Torrents, Self::Sources];

    /// What is logged when it is reached.
    pub(super) const fn reached(self) -> &'static str {
        match self {
            Self::Memory => "store.max_memory is reached: the stalest peers make room for new ones",
            Self::Peers => "store.max_peers is reached: the stalest peers make room for new ones",
            Self::Torrents => {
                "store.max_torrents is reached: torrents announced least lately make room for new ones"
            }
            Self::Sources => {
                "sources have had their share by store.torrents_per_source or store.ports_per_source: their further \
                 announces are answered and not stored"
            }
        }
    }

    /// Its settings.
    pub(super) const fn settings(self) -> &'static str {
        match self {
            Self::Memory => "store.max_memory",
            Self::Peers => "store.max_peers",
            Self::Torrents => "store.max_torrents",
            Self::Sources => "store.torrents_per_source and store.ports_per_source",
        }
    }
}

/// What is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was kept until now.
    Reached(Limit),
    /// It has been kept again for a while.
    Kept(Limit),
}

/// The limits of a store, and when each was last met.
#[derive(Debug)]
pub(super) struct StoreLimits {
    limits: Limits,
    before: Pressure,
    met_at_secs: [Option<u32>; Limit::ALL.len()],
}

impl StoreLimits {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, before: Pressure::default(), met_at_secs: [None; Limit::ALL.len()] }
    }

    /// Whether there is anything to look at.
    pub(super) fn exist(&self) -> bool {
        self.limits != Limits::default()
    }

    /// Takes note of how hard the store presses now; `totals` is asked for only where something was given up.
    pub(super) fn look(
        &mut self,
        pressure: Pressure,
        totals: impl FnOnce() -> Totals,
        now_secs: u32,
    ) -> Vec<News> {
        let before = std::mem::replace(&mut self.before, pressure);
        let given_up = |of: &Pressure| of.evicted_peers + of.evicted_torrents + of.refused_for_room;
        let mut news = Vec::new();
        if given_up(&pressure) != given_up(&before) {
            self.meet(self.fullest(pressure.reckoned_bytes, totals()), now_secs, &mut news);
        }
        if pressure.refused_by_source_limit != before.refused_by_source_limit {
            self.meet(Limit::Sources, now_secs, &mut news);
        }
        for limit in Limit::ALL {
            let met_at_secs = &mut self.met_at_secs[limit as usize];
            if met_at_secs.is_some_and(|met| now_secs.saturating_sub(met) >= RELIEVED_AFTER_SECS) {
                *met_at_secs = None;
                news.push(News::Kept(limit));
            }
        }
        news
    }

    fn meet(&mut self, limit: Limit, now_secs: u32, news: &mut Vec<News>) {
        if self.met_at_secs[limit as usize].replace(now_secs).is_none() {
            news.push(News::Reached(limit));
        }
    }

    /// Of several limits the one that the store is nearest to: only a few hundred peers are given up at a time.
    fn fullest(&self, reckoned_bytes: u64, totals: Totals) -> Limit {
        let Limits { max_memory_bytes, max_peers, max_torrents, .. } = self.limits;
        let part = |held: u64, most: u64| if most == 0 { 0.0 } else { held as f64 / most as f64 };
        let memory = (Limit::Memory, part(reckoned_bytes, max_memory_bytes));
        let peers = (Limit::Peers, part(totals.peers, max_peers));
        let torrents = (Limit::Torrents, part(totals.torrents, max_torrents));
        [peers, torrents]
            .into_iter()
            .fold(memory, |most, other| if other.1 > most.1 { other } else { most })
            .0
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, News, StoreLimits};
    use crate::peer_store::{Limits, Pressure, Totals};

    const LIMITS: Limits = Limits {
        max_memory_bytes: 1000,
        max_peers: 100,
        max_torrents: 50,
        torrents_per_source: 5,
        ports_per_source: 2,
    };

    fn totals(torrents: u64, peers: u64) -> impl FnOnce() -> Totals {
        move || Totals { torrents, peers, ..Totals::default() }
    }

    #[test]
    fn a_limit_is_told_of_once_and_again_after_it_was_kept_for_ten_minutes() {
        let mut limits = StoreLimits::new(LIMITS);
        let evicted = |evicted_peers| Pressure { evicted_peers, ..Pressure::default() };
        assert_eq!(limits.look(evicted(0), totals(0, 99), 1), []);
        assert_eq!(limits.look(evicted(3), totals(0, 99), 2), [News::Reached(Limit::Peers)]);
        for now in 3..2000 {
            assert_eq!(limits.look(evicted(now.into()), totals(0, 99), now), [], "at {now}");
        }
        for now in 2000..2599 {
            assert_eq!(limits.look(evicted(1999), totals(0, 60), now), [], "at {now}");
        }
        assert_eq!(limits.look(evicted(1999), totals(0, 60), 2599), [News::Kept(Limit::Peers)]);
        assert_eq!(limits.look(evicted(1999), totals(0, 60), 9999), []);
        assert_eq!(limits.look(evicted(2000), totals(0, 99), 9999), [News::Reached(Limit::Peers)]);
    }

    #[test]
    fn the_limit_that_is_told_of_is_the_one_that_the_store_is_nearest_to() {
        for (reckoned_bytes, torrents, peers, limit) in
            [(990, 10, 90, Limit::Memory), (900, 10, 99, Limit::Peers), (900, 50, 99, Limit::Torrents)]
        {
            let mut limits = StoreLimits::new(LIMITS);
            let pressure = Pressure { reckoned_bytes, evicted_torrents: 1, ..Pressure::default() };
            assert_eq!(limits.look(pressure, totals(torrents, peers), 1), [News::Reached(limit)]);
        }
    }

    #[test]
    fn sources_with_their_share_are_news_of_their_own() {
        let mut limits = StoreLimits::new(LIMITS);
        let refused = Pressure { refused_by_source_limit: 7, ..Pressure::default() };
        assert_eq!(limits.look(refused, totals(0, 0), 1), [News::Reached(Limit::Sources)]);
        assert_eq!(limits.look(refused, totals(0, 0), 600), []);
        assert_eq!(limits.look(refused, totals(0, 0), 601), [News::Kept(Limit::Sources)]);
    }

    #[test]
    fn a_store_without_limits_needs_no_look() {
        assert!(!StoreLimits::new(Limits::default()).exist());
        assert!(StoreLimits::new(LIMITS).exist());
    }
}
