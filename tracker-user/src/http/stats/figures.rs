//! The numbers of the statistics, gathered once for a page: sums over all workers, and over what the XDP program has ended.

use super::networks::{self, NetworkTable};
use crate::clock::Now;
use crate::counters::livesync::Received;
use crate::counters::nats::Counted;
use crate::counters::{AnnounceFigures, Counters, HttpVerdict, Which};
use crate::http::Service;
use crate::peer_store::Totals;
use tracker_common::abi::Counter;
use tracker_common::verdict::Verdict;

/// How the XDP program ends a packet by itself. All others it passes on, to the daemon or past it.
const ENDED_IN_THE_KERNEL: &[Verdict] = &[
    Verdict::ConnectAnswered,
    Verdict::TooShort,
    Verdict::WrongProtocolId,
    Verdict::ConnectionIdStale,
    Verdict::ConnectionIdForged,
    Verdict::AnnounceTooShort,
    Verdict::ScrapeTooShort,
    Verdict::UnknownAction,
    Verdict::UnanswerableSource,
    Verdict::ChecksumWrong,
    Verdict::SourceBlocked,
    Verdict::SourceOverBudget,
    Verdict::ConnectOverBudget,
];

/// The numbers of a page.
pub(super) struct Figures<'a> {
    pub(super) service: &'a Service,
    pub(super) now: Now,
    /// Seconds since the start.
    pub(super) uptime_secs: u64,
    pub(super) totals: Totals,
    pub(super) tcp: Requests,
    pub(super) udp: Requests,
    /// Over UDP: connects that were answered, in the kernel too.
    pub(super) connects: u64,
    /// Over UDP: requests with a connection id that did not hold.
    pub(super) wrong_ids: u64,
    /// Full scrapes that were begun, and the bytes of those that have ended.
    pub(super) full_scrapes: (u64, u64),
    pub(super) announces: AnnounceFigures,
    /// Peers learned from other trackers.
    pub(super) synced: u64,
}

/// What came in over one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Requests {
    /// Connections over TCP; packets over UDP.
    pub(super) arrived: u64,
    /// Announces that were answered; opentracker counts those of torrents on no list as well.
    pub(super) announces: u64,
    /// Scrapes that were answered.
    pub(super) scrapes: u64,
}

/// Why requests over HTTP were refused, in the order and the words of opentracker.
pub(super) struct HttpErrors {
    pub(super) redirected: u64,
    pub(super) malformed: u64,
    pub(super) bad_parameter: u64,
    /// `compact=0`: served here, so there is none.
    pub(super) not_compact: u64,
    pub(super) not_modest: u64,
    /// Nothing is for sale here.
    pub(super) unpaid: u64,
    pub(super) forbidden: u64,
    pub(super) not_found: u64,
    /// No request ends like this here.
    pub(super) internal: u64,
}

impl<'a> Figures<'a> {
    /// Adds everything up as of now.
    pub(super) fn gather(service: &'a Service, now: Now) -> Self {
        let counters = &*service.counters;
        let [_, _, _, full_scrape_bytes] = service.full_scrapes.figures();
        let announces = [HttpVerdict::AnnounceAnswered, HttpVerdict::TorrentForbidden];
        let tcp = Requests {
            arrived: counters.connections(),
            announces: announces.iter().map(|verdict| counters.http(*verdict)).sum(),
            scrapes: counters.http(HttpVerdict::ScrapeAnswered),
        };
        let kernel = counters.kernel().unwrap_or_default();
        let in_kernel =
            |verdict: Verdict| kernel.get(verdict.index()).map_or(0, |counter: &Counter| counter.packets);
        let udp = |verdicts: &[Verdict]| verdicts.iter().map(|verdict| counters.udp(*verdict)).sum::<u64>();
        let wrong_ids = [Verdict::ConnectionIdStale, Verdict::ConnectionIdForged];
        Self {
            service,
            now,
            uptime_secs: u64::from(now.seconds().saturating_sub(service.started.seconds())),
            totals: service.tracker.store().totals(),
            tcp,
            udp: Requests {
                arrived: udp(Verdict::ALL)
                    + ENDED_IN_THE_KERNEL.iter().map(|verdict| in_kernel(*verdict)).sum::<u64>(),
                announces: udp(&[Verdict::AnnounceAnswered, Verdict::TorrentForbidden]),
                scrapes: udp(&[Verdict::ScrapeAnswered]),
            },
            connects: udp(&[Verdict::ConnectAnswered]) + in_kernel(Verdict::ConnectAnswered),
            wrong_ids: udp(&wrong_ids)
                + udp(&[Verdict::ConnectionIdRefused])
                + wrong_ids.iter().map(|verdict| in_kernel(*verdict)).sum::<u64>(),
            full_scrapes: (counters.http(HttpVerdict::FullScrapeBegun), full_scrape_bytes),
            announces: counters.announces(),
            synced: counters.livesync().received.get(Received::Events as usize)
                + counters.nats().get(Counted::ReceivedEvents),
        }
    }

    /// Every worker's counters.
    pub(super) fn counters(&self) -> &'a Counters {
        &self.service.counters
    }

    /// What arrived over both protocols.
    pub(super) const fn arrived(&self) -> u64 {
        self.tcp.arrived + self.udp.arrived
    }

    /// Over UDP: connects and announces that were answered.
    pub(super) const fn udp_successes(&self) -> u64 {
        self.udp.announces + self.connects
    }

    /// Connects and announces that were answered, over both protocols.
    pub(super) const fn successes(&self) -> u64 {
        self.tcp.announces + self.udp_successes()
    }

    /// Events in a second of the uptime; in less than a second, all of them.
    pub(super) fn per_second(&self, events: u64) -> u64 {
        events / self.uptime_secs.max(1)
    }

    /// Events in an hour of the uptime; in less than an hour, all of them.
    pub(super) fn per_hour(&self, events: u64) -> u64 {
        events / (self.uptime_secs / 3600).max(1)
    }

    /// Requests over HTTP that were refused.
    pub(super) fn http_errors(&self) -> HttpErrors {
        let count =
            |verdicts: &[HttpVerdict]| verdicts.iter().map(|verdict| self.counters().http(*verdict)).sum();
        HttpErrors {
            redirected: count(&[HttpVerdict::Redirected]),
            malformed: count(&[HttpVerdict::Malformed, HttpVerdict::MethodRefused]),
            bad_parameter: count(&[
                HttpVerdict::AnnounceRefused,
                HttpVerdict::ScrapeRefused,
                HttpVerdict::StatsRefused,
            ]),
            not_compact: 0,
            not_modest: count(&[HttpVerdict::FullScrapeRefused]),
            unpaid: 0,
            forbidden: count(&[
                HttpVerdict::StatsForbidden,
                HttpVerdict::SourceDenied,
                HttpVerdict::ClientDenied,
                HttpVerdict::SnapshotRefused,
            ]),
            not_found: count(&[HttpVerdict::NotFound]),
            internal: 0,
        }
    }

    /// The networks of which announces came lately.
    pub(super) fn networks(&self, which: Which) -> Vec<NetworkTable> {
        networks::rank(self.counters().networks(which, self.now))
    }
}
