//! What is counted, one set per worker thread: a worker writes its own set, and readers add the sets up.

mod announces;
mod busy_networks;
pub mod livesync;
pub mod nats;
mod xsk;

pub use announces::{AnnounceCounters, AnnounceFigures, Noted, PEERS_WANTED, RENEWED_MINUTES, Which};
pub use busy_networks::{BusyNetworks, Network};
pub use xsk::{InterfaceCounters, QueueCounters, XskCounters, XskEvent, XskNews};

use crate::clock::Now;
use arc_swap::ArcSwapOption;
use livesync::LivesyncCounters;
use nats::NatsCounters;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracker_common::abi::Counter;
use tracker_common::verdict::Verdict;
use xsk::XskRegister;

/// How a request over HTTP ended: one per request, and each the index of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVerdict {
    /// An announce, answered with peers.
    AnnounceAnswered,
    /// An announce, answered with a failure reason.
    AnnounceRefused,
    /// A scrape, answered with its rows.
    ScrapeAnswered,
    /// A scrape, answered with a failure reason.
    ScrapeRefused,
    /// Statistics, shown.
    StatsShown,
    /// Statistics, kept from an address outside `access.stats`.
    StatsForbidden,
    /// The root, redirected.
    Redirected,
    /// Nothing lives at this path.
    NotFound,
    /// Neither GET nor HEAD.
    MethodRefused,
    /// Not HTTP, or larger than the limits.
    Malformed,
    /// No whole request within the time limit.
    TimedOut,
    /// Its address lies in a network that is not served.
    SourceDenied,
    /// An announce of a torrent that the operator's list forbids.
    TorrentForbidden,
    /// An announce of a client whose software the operator denies.
    ClientDenied,
    /// A full scrape, begun.
    FullScrapeBegun,
    /// A full scrape, refused: this address had one too lately, or too many are running.
    FullScrapeRefused,
    /// An announce or a scrape, answered with a failure reason because the daemon is about to end.
    TurnedAway,
    /// Statistics, refused: there is no such mode or format, or too many walk over all torrents already.
    StatsRefused,
    /// A snapshot for another node, begun.
    SnapshotBegun,
    /// A snapshot, refused: its address may not have one, or too many are being made.
    SnapshotRefused,
    /// An announce from an address that the operator has no peers of.
    AddressRefused,
}

impl HttpVerdict {
    /// Every verdict, in the order of the counters.
    pub const ALL: [HttpVerdict; 21] = [
        Self::AnnounceAnswered,
        Self::AnnounceRefused,
        Self::ScrapeAnswered,
        Self::ScrapeRefused,
        Self::StatsShown,
        Self::StatsForbidden,
        Self::Redirected,
        Self::NotFound,
        Self::MethodRefused,
        Self::Malformed,
        Self::TimedOut,
        Self::SourceDenied,
        Self::TorrentForbidden,
        Self::ClientDenied,
        Self::FullScrapeBegun,
        Self::FullScrapeRefused,
        Self::TurnedAway,
        Self::StatsRefused,
        Self::SnapshotBegun,
        Self::SnapshotRefused,
        Self::AddressRefused,
    ];

    /// The name under which the counter is published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnnounceAnswered => "announce_answered",
            Self::AnnounceRefused => "announce_refused",
            Self::ScrapeAnswered => "scrape_answered",
            Self::ScrapeRefused => "scrape_refused",
            Self::StatsShown => "stats_shown",
            Self::StatsForbidden => "stats_forbidden",
            Self::Redirected => "redirected",
            Self::NotFound => "not_found",
            Self::MethodRefused => "method_refused",
            Self::Malformed => "malformed",
            Self::TimedOut => "timed_out",
            Self::SourceDenied => "source_denied",
            Self::TorrentForbidden => "torrent_forbidden",
            Self::ClientDenied => "client_denied",
            Self::AddressRefused => "address_refused",
            Self::FullScrapeBegun => "full_scrape_begun",
            Self::FullScrapeRefused => "full_scrape_refused",
            Self::TurnedAway => "turned_away",
            Self::StatsRefused => "stats_refused",
            Self::SnapshotBegun => "snapshot_begun",
            Self::SnapshotRefused => "snapshot_refused",
        }
    }
}

/// Counters that one thread moves and any thread reads; aligned so that two workers share no cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct CounterSet<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for CounterSet<N> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> CounterSet<N> {
    /// Adds to one counter. Only the thread that owns the set may call this: it costs no locked instruction.
    pub fn add(&self, index: usize, count: u64) {
        if let Some(counter) = self.0.get(index) {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
        }
    }

    /// Sets one counter to what another has counted. Only the thread that owns the set may call this.
    pub fn set(&self, index: usize, count: u64) {
        if let Some(counter) = self.0.get(index) {
            counter.store(count, Ordering::Relaxed);
        }
    }

    /// One counter.
    pub fn get(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

/// The UDP packets of one worker.
#[derive(Debug, Default)]
pub struct UdpCounters {
    /// Packets received, by [`Verdict`]: each counts once.
    pub verdicts: CounterSet<{ Verdict::COUNT }>,
    /// Answers that the kernel refused to send.
    pub unsent: CounterSet<1>,
    /// Times that nothing was left to be done.
    pub waits: CounterSet<1>,
    /// What is noted of announces.
    pub announces: AnnounceCounters,
}

/// The HTTP requests of one worker.
#[derive(Debug, Default)]
pub struct HttpCounters {
    /// Requests, by [`HttpVerdict`]: each counts once.
    pub verdicts: CounterSet<{ HttpVerdict::ALL.len() }>,
    /// Connections that were accepted.
    pub connections: CounterSet<1>,
    /// Connections that were closed, as the oldest, for another one.
    pub closed_for_room: CounterSet<1>,
    /// What is noted of announces.
    pub announces: AnnounceCounters,
}

/// Every worker's counters.
#[derive(Debug, Default)]
pub struct Counters {
    udp: Vec<Arc<UdpCounters>>,
    http: Vec<Arc<HttpCounters>>,
    kernel: ArcSwapOption<Vec<Counter>>,
    livesync: Arc<LivesyncCounters>,
    nats: Arc<NatsCounters>,
    /// Only locked where a queue comes or goes or somebody looks: their threads have counters of their own.
    xsk: Mutex<XskRegister>,
}

impl Counters {
    /// Counters for as many workers of each kind, at zero.
    pub fn for_workers(udp_workers: usize, http_workers: usize) -> Self {
        Self {
            udp: (0..udp_workers).map(|_| Arc::default()).collect(),
            http: (0..http_workers).map(|_| Arc::default()).collect(),
            kernel: ArcSwapOption::empty(),
            livesync: Arc::default(),
            nats: Arc::default(),
            xsk: Mutex::default(),
        }
    }

    /// Counts what became of an interface that AF_XDP serves, or of a queue of it.
    pub fn count_xsk(&self, interface: &str, news: XskNews) {
        self.xsk.lock().count(interface, news);
    }

    /// The counters of a receive queue that AF_XDP serves; those that it had, if it was served before.
    pub fn of_queue(&self, interface: &str, queue: u32) -> QueueCounters {
        self.xsk.lock().queue(interface, queue).clone()
    }

    /// The receive queues that AF_XDP serves, has served, or should, by interface and number.
    pub fn queues(&self) -> Vec<QueueCounters> {
        self.xsk.lock().queues().cloned().collect()
    }

    /// The interfaces that AF_XDP serves or has served, by their names.
    pub fn xsk_interfaces(&self) -> BTreeMap<String, InterfaceCounters> {
        self.xsk.lock().interfaces().clone()
    }

    /// The sets of the UDP workers, in the order of their numbers.
    pub fn udp_workers(&self) -> &[Arc<UdpCounters>] {
        &self.udp
    }

    /// The sets of the HTTP workers, in the order of their numbers.
    pub fn http_workers(&self) -> &[Arc<HttpCounters>] {
        &self.http
    }

    /// UDP packets of all workers that ended in this verdict.
    pub fn udp(&self, verdict: Verdict) -> u64 {
        self.sum_of_udp(|set| set.verdicts.get(verdict.index()))
    }

    /// Answers over UDP that the kernel refused to send, of all workers.
    pub fn udp_unsent(&self) -> u64 {
        self.sum_of_udp(|set| set.unsent.get(0))
    }

    fn sum_of_udp(&self, count: impl Fn(&UdpCounters) -> u64) -> u64 {
        let of_queues: u64 = self.xsk.lock().queues().map(|queue| count(&queue.packets)).sum();
        self.udp.iter().map(|set| count(set)).sum::<u64>() + of_queues
    }

    /// What livesync counts; zeros where it is off.
    pub const fn livesync(&self) -> &Arc<LivesyncCounters> {
        &self.livesync
    }

    /// What is counted of the messages between sites; zeros where there are none.
    pub const fn nats(&self) -> &Arc<NatsCounters> {
        &self.nats
    }

    /// What the XDP program has counted, by [`Verdict`], as of the last second; `None` where there is no program.
    pub fn kernel(&self) -> Option<Arc<Vec<Counter>>> {
        self.kernel.load_full()
    }

    /// Publishes what the XDP program has counted.
    pub fn publish_kernel(&self, counters: Vec<Counter>) {
        self.kernel.store(Some(Arc::new(counters)));
    }

    /// HTTP requests of all workers that ended in this verdict.
    pub fn http(&self, verdict: HttpVerdict) -> u64 {
        self.http.iter().map(|set| set.verdicts.get(verdict as usize)).sum()
    }

    /// Connections over TCP that all workers have accepted.
    pub fn connections(&self) -> u64 {
        self.http.iter().map(|set| set.connections.get(0)).sum()
    }

    /// Connections that all workers have closed for another one.
    pub fn closed_for_room(&self) -> u64 {
        self.http.iter().map(|set| set.closed_for_room.get(0)).sum()
    }

    /// What all workers have noted of announces.
    pub fn announces(&self) -> AnnounceFigures {
        let queues = self.queues();
        announces::sum(self.sets_of_announces(&queues))
    }

    /// The networks of which announces came lately, with how many; see [`BusyNetworks`] for what is known of them.
    pub fn networks(&self, which: Which, now: Now) -> HashMap<Network, u64> {
        let queues = self.queues();
        announces::networks(self.sets_of_announces(&queues), which, now)
    }

    fn sets_of_announces<'a>(
        &'a self,
        queues: &'a [QueueCounters],
    ) -> impl Iterator<Item = &'a AnnounceCounters> {
        let of_queues = queues.iter().map(|queue| &queue.packets.announces);
        let of_udp = self.udp.iter().map(|set| &set.announces);
        of_udp.chain(of_queues).chain(self.http.iter().map(|set| &set.announces))
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, HttpVerdict};
    use tracker_common::verdict::Verdict;

    #[test]
    fn every_http_verdict_is_the_index_of_its_own_counter() {
        for (position, verdict) in HttpVerdict::ALL.iter().enumerate() {
            assert_eq!(*verdict as usize, position);
        }
    }

    #[test]
    fn the_sets_of_all_workers_add_up() {
        let counters = Counters::for_workers(2, 1);
        counters.udp_workers()[0].verdicts.add(Verdict::TooShort.index(), 3);
        counters.udp_workers()[1].verdicts.add(Verdict::TooShort.index(), 4);
        counters.http_workers()[0].verdicts.add(HttpVerdict::NotFound as usize, 5);
        assert_eq!(counters.udp(Verdict::TooShort), 7);
        assert_eq!(counters.udp(Verdict::ConnectAnswered), 0);
        assert_eq!(counters.http(HttpVerdict::NotFound), 5);
    }
}
