//! The end of a daemon that shall leave nobody in the middle of something: no new clients, and then, once it is quiet, the
//! stop. What it looks at are counters; it waits for nothing that a client could withhold for longer than was asked for.

use crate::counters::{Counters, HttpVerdict};
use crate::http;
use std::time::Duration;
use tokio::time::{Instant, Interval, interval_at};
use tracker_common::verdict::Verdict;

/// How often it is looked whether anything has happened.
const LOOK: Duration = Duration::from_millis(250);
/// How long nothing must have happened: a client that has just connected over UDP announces within a round trip, and asks
/// again no sooner than after 15 seconds (BEP 15), by when it may ask another tracker.
const QUIET: Duration = Duration::from_secs(2);

/// A drain that goes on.
pub(super) struct Drain {
    looks: Interval,
    ends_at: Instant,
    quiet_since: Instant,
    served: u64,
}

impl Drain {
    /// One that begins now. Must be called within a runtime.
    pub(super) fn begin(within: Duration, counters: &Counters) -> Self {
        let now = Instant::now();
        // Not at once: whoever gave the order is to be answered first.
        let looks = interval_at(now + LOOK, LOOK);
        Self { looks, ends_at: now + within, quiet_since: now, served: served(counters) }
    }

    /// Waits until it is quiet, or the time is over. May be dropped and called again.
    pub(super) async fn is_over(drain: &mut Option<Self>, counters: &Counters, service: &http::Service) {
        let Some(drain) = drain else { return std::future::pending().await };
        loop {
            drain.looks.tick().await;
            let (now, served) = (Instant::now(), served(counters));
            if served != drain.served || service.streams_running() > 0 {
                (drain.served, drain.quiet_since) = (served, now);
            }
            if now >= drain.ends_at || now - drain.quiet_since >= QUIET {
                return;
            }
        }
    }
}

/// Requests of clients that were there before: those that are turned away are none.
fn served(counters: &Counters) -> u64 {
    let udp = [Verdict::AnnounceAnswered, Verdict::ScrapeAnswered, Verdict::TorrentForbidden];
    let http = [HttpVerdict::AnnounceAnswered, HttpVerdict::ScrapeAnswered];
    let udp = udp.map(|verdict| counters.udp(verdict));
    udp.into_iter().chain(http.map(|verdict| counters.http(verdict))).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::{Drain, LOOK, QUIET};
    use crate::clock::Now;
    use crate::config::types::{Config, TrackerConfig};
    use crate::counters::Counters;
    use crate::http::Service;
    use crate::tracker::Tracker;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::{Instant, timeout};
    use tracker_common::verdict::Verdict;

    /// Runs on a clock that goes on whenever there is nothing else to do.
    fn on_paused_clock(work: impl AsyncFnOnce(&Counters, &Service)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let counters = Arc::new(Counters::for_workers(1, 1));
        let tracker = Arc::new(Tracker::new(TrackerConfig::default(), [1, 2]));
        let service =
            Service::new(tracker, Arc::clone(&counters), &Config::default(), Now::from_seconds(1)).unwrap();
        runtime.unwrap().block_on(work(&counters, &service));
    }

    #[test]
    fn it_is_over_once_nothing_has_been_served_for_a_while() {
        on_paused_clock(async |counters, service| {
            let begun = Instant::now();
            let mut drain = Some(Drain::begin(Duration::from_secs(60), counters));
            // A client that was there before, every second for five seconds.
            for _ in 0..5 {
                counters.udp_workers()[0].verdicts.add(Verdict::AnnounceAnswered.index(), 1);
                let over = Drain::is_over(&mut drain, counters, service);
                assert!(timeout(Duration::from_secs(1), over).await.is_err());
            }
            // Those that get no connection id do not count.
            counters.udp_workers()[0].verdicts.add(Verdict::ConnectOverBudget.index(), 1);
            Drain::is_over(&mut drain, counters, service).await;
            let took = begun.elapsed();
            assert!(
                took >= Duration::from_secs(4) + QUIET && took <= Duration::from_secs(5) + QUIET + LOOK,
                "{took:?}"
            );
        });
    }

    #[test]
    fn it_is_over_in_time_though_clients_never_end() {
        on_paused_clock(async |counters, service| {
            let begun = Instant::now();
            let mut drain = Some(Drain::begin(Duration::from_secs(7), counters));
            while timeout(Duration::from_secs(1), Drain::is_over(&mut drain, counters, service))
                .await
                .is_err()
            {
                counters.udp_workers()[0].verdicts.add(Verdict::AnnounceAnswered.index(), 1);
            }
            let took = begun.elapsed();
            assert!(took >= Duration::from_secs(7) && took <= Duration::from_secs(8), "{took:?}");
        });
    }

    #[test]
    fn without_a_drain_nothing_is_ever_over() {
        on_paused_clock(async |counters, service| {
            let mut none = None;
            let over = Drain::is_over(&mut none, counters, service);
            assert!(timeout(Duration::from_secs(3600), over).await.is_err());
        });
    }
}
