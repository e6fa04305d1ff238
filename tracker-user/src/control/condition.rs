//! How the tracker fares, looked at once a second beside the packets: whether it has more to do than it can, and whether its
//! store is full. Both are logged when they begin and when they end.

use super::overload::Signs;
use super::store_limits::{News, StoreLimits};
use super::stretch::{Stretch, Turn};
use crate::clock::Now;
use crate::config::types::Config;
use crate::counters::Counters;
use crate::tracker::Tracker;

/// What is remembered from one look to the next.
pub(super) struct Condition {
    signs: Signs,
    stretch: Stretch,
    store_limits: StoreLimits,
}

impl Condition {
    /// As it is at the start.
    pub(super) fn new(config: &Config, counters: &Counters, now: Now) -> Self {
        Self {
            signs: Signs::read(counters),
            stretch: Stretch::new(config.stretch_most_percent(), now.seconds()),
            store_limits: StoreLimits::new(config.store.limits),
        }
    }

    /// Looks, stretches intervals as it finds, and tells what is new.
    pub(super) fn look(&mut self, tracker: &Tracker, counters: &Counters, now: Now) {
        let signs = Signs::read(counters);
        let is_overloaded = signs.show_overload_since(&self.signs);
        self.signs = signs;
        let turn = self.stretch.look(is_overloaded, now.seconds());
        tracker.stretch_intervals(self.stretch.percent());
        match turn {
            Some(Turn::Begun) => {
                log::warn!("overloaded: announce intervals become longer; more workers or cores would help");
            }
            Some(Turn::Ended) => {
                log::info!("no longer overloaded: announce intervals are as configured again");
            }
            None => {}
        }
        if self.store_limits.exist() {
            let store = tracker.store();
            let news = self.store_limits.look(store.pressure(), || store.totals(), now.seconds());
            news.into_iter().for_each(tell);
        }
    }
}

fn tell(news: News) {
    match news {
        News::Reached(limit) => log::warn!("{}", limit.reached()),
        News::Kept(limit) => {
            log::info!("for ten minutes nothing was given up or refused by {}", limit.settings());
        }
    }
}
