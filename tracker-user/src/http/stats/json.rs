//! Pages as JSON objects, for programs: the same numbers as in the text, with names. Everything is in the one without a mode.

use super::Mode;
use super::condition::{IntervalFigures, StoreFigures};
use super::figures::Figures;
use super::networks::NetworkTable;
use crate::counters::{AnnounceFigures, HttpVerdict, InterfaceCounters, QueueCounters, Which, XskEvent};
use crate::http::Service;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tracker_common::abi::Counter;
use tracker_common::verdict::Verdict;

/// Writes a page.
pub(super) fn write(out: &mut Vec<u8>, mode: Mode, figures: &Figures<'_>) {
    // Writing to memory cannot fail, and no key is anything but a string.
    let _ = match mode {
        Mode::Everything => serde_json::to_writer(out, &Everything::new(figures)),
        mode => serde_json::to_writer(out, &page(mode, figures)),
    };
}

fn page(mode: Mode, figures: &Figures<'_>) -> Value {
    let Figures { totals, tcp, udp, announces, uptime_secs, .. } = figures;
    let rates = |arrived, successes| {
        json!({
            "uptime_secs": uptime_secs,
            "connections": arrived,
            "successes": successes,
            "connections_per_sec": figures.per_second(arrived),
            "successes_per_sec": figures.per_second(successes),
        })
    };
    match mode {
        Mode::Peer => {
            json!({ "peers": totals.peers, "seeders": totals.seeders, "torrents": totals.torrents })
        }
        Mode::Torr => json!({ "torrents": totals.torrents }),
        Mode::Conn => rates(figures.arrived(), figures.successes()),
        Mode::Udp4 => rates(udp.arrived, figures.udp_successes()),
        Mode::Tcp4 => rates(tcp.arrived, tcp.announces),
        Mode::Scrp => json!({ "uptime_secs": uptime_secs, "tcp": tcp.scrapes, "udp": udp.scrapes }),
        Mode::Fscr => {
            let (count, bytes) = figures.full_scrapes;
            json!({ "uptime_secs": uptime_secs, "full_scrapes": count, "bytes": bytes })
        }
        Mode::Completed => json!({ "uptime_secs": uptime_secs, "completed": announces.completed }),
        Mode::Syncs => json!({ "uptime_secs": uptime_secs, "synced": figures.synced }),
        Mode::Herr => http_errors(figures),
        Mode::Renew => json!(Renewals::of(announces)),
        Mode::Numwants => json!(PeersWanted::of(announces)),
        Mode::Busy => json!({ "tables": figures.networks(Which::All) }),
        Mode::Woodpeckers => json!({ "tables": figures.networks(Which::TooEarly) }),
        Mode::Version | Mode::Everything => json!({ "program": "opentracker-xdp", "version": VERSION }),
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn http_errors(figures: &Figures<'_>) -> Value {
    let errors = figures.http_errors();
    json!({
        "redirected": errors.redirected,
        "malformed": errors.malformed,
        "bad_parameter": errors.bad_parameter,
        "not_modest": errors.not_modest,
        "forbidden": errors.forbidden,
        "not_found": errors.not_found,
    })
}

/// Announces of known peers, by minutes since the one before.
#[derive(Serialize)]
struct Renewals<'a> {
    by_minutes: &'a [u64],
    later: u64,
}

/// Announces, by the most peers that they were to get.
#[derive(Serialize)]
struct PeersWanted<'a> {
    by_number: &'a [u64],
    beyond: u64,
}

impl<'a> Renewals<'a> {
    const fn of(AnnounceFigures { renewed, renewed_later, .. }: &'a AnnounceFigures) -> Self {
        Self { by_minutes: renewed, later: *renewed_later }
    }
}

impl<'a> PeersWanted<'a> {
    const fn of(AnnounceFigures { peers_wanted, peers_wanted_beyond, .. }: &'a AnnounceFigures) -> Self {
        Self { by_number: peers_wanted, beyond: *peers_wanted_beyond }
    }
}

#[derive(Serialize)]
struct Everything<'a> {
    version: &'static str,
    uptime_secs: u64,
    torrents: u64,
    peers: u64,
    seeders: u64,
    leechers: u64,
    /// Of the torrents that are known.
    completed: u64,
    /// Since the start.
    completed_since_start: u64,
    renewed: Renewals<'a>,
    peers_wanted: PeersWanted<'a>,
    busy_networks: Vec<NetworkTable>,
    too_early_networks: Vec<NetworkTable>,
    http_connections: u64,
    #[serde(serialize_with = "udp_verdicts")]
    udp: &'a Service,
    /// Answers over UDP that the kernel refused to send.
    udp_unsent: u64,
    #[serde(serialize_with = "http_verdicts")]
    http: &'a Service,
    full_scrapes: FullScrapeFigures,
    store: StoreFigures,
    intervals: IntervalFigures,
    /// What the XDP program has counted; absent where none runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    xdp: Option<BTreeMap<&'static str, KernelCounter>>,
    /// The receive queues that AF_XDP serves, has served, or should.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    xsk: Vec<Queue>,
    /// Their interfaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    xsk_interfaces: Vec<Interface>,
    /// What was told to and heard from other nodes of the cluster; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    livesync: Option<BTreeMap<&'static str, u64>>,
    /// What was told to and heard from other sites; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    nats: Option<BTreeMap<&'static str, u64>>,
}

/// One receive queue, with what befell its socket.
#[derive(Serialize)]
struct Queue {
    interface: String,
    queue: u32,
    zero_copy: bool,
    /// Else UDP sockets serve it.
    open: bool,
    opened: u64,
    not_opened: u64,
    failed: u64,
    announce_answered: u64,
    scrape_answered: u64,
    unsent: u64,
    #[serde(flatten)]
    events: BTreeMap<&'static str, u64>,
}

/// One interface whose queues AF_XDP serves.
#[derive(Serialize)]
struct Interface {
    interface: String,
    queues: u32,
    queues_changed: u64,
    went_down: u64,
    went_away: u64,
}

/// Full scrapes that run and that have ended; the bytes are those of the latter.
#[derive(Serialize)]
struct FullScrapeFigures {
    running: u64,
    whole: u64,
    cut_off: u64,
    bytes: u64,
}

/// Packets that ended in one verdict within the kernel.
#[derive(Serialize)]
struct KernelCounter {
    packets: u64,
    bytes: u64,
}

impl<'a> Everything<'a> {
    fn new(figures: &'a Figures<'_>) -> Self {
        let Figures { service, totals, announces, .. } = figures;
        let [running, whole, cut_off, bytes] = service.full_scrapes.figures();
        Self {
            version: VERSION,
            uptime_secs: figures.uptime_secs,
            torrents: totals.torrents,
            peers: totals.peers,
            seeders: totals.seeders,
            leechers: totals.peers.saturating_sub(totals.seeders),
            completed: totals.completed,
            completed_since_start: announces.completed,
            renewed: Renewals::of(announces),
            peers_wanted: PeersWanted::of(announces),
            busy_networks: figures.networks(Which::All),
            too_early_networks: figures.networks(Which::TooEarly),
            http_connections: figures.tcp.arrived,
            udp_unsent: service.counters.udp_unsent(),
            xdp: service.counters.kernel().map(|counters| kernel_verdicts(&counters)),
            xsk: service.counters.queues().into_iter().map(Queue::of).collect(),
            xsk_interfaces: service.counters.xsk_interfaces().into_iter().map(Interface::of).collect(),
            livesync: service.tracker.others().filter(|_| service.has_livesync).map(|others| {
                let lost = ("lost_events", others.lost());
                service.counters.livesync().figures().chain([lost]).collect()
            }),
            nats: service.tracker.others().filter(|_| service.has_sites).map(|others| {
                let unqueued = ("unqueued_events", others.lost());
                service.counters.nats().figures().chain([unqueued]).collect()
            }),
            udp: service,
            http: service,
            store: StoreFigures::of(&service.tracker),
            intervals: IntervalFigures::of(service),
            full_scrapes: FullScrapeFigures { running, whole, cut_off, bytes },
        }
    }
}

impl Queue {
    fn of(counters: QueueCounters) -> Self {
        let QueueCounters { interface, queue, is_zero_copy, is_open, packets, events, .. } = counters;
        let answered = |verdict: Verdict| packets.verdicts.get(verdict.index());
        Self {
            interface,
            queue,
            zero_copy: is_zero_copy,
            open: is_open,
            opened: counters.opened,
            not_opened: counters.not_opened,
            failed: counters.failed,
            announce_answered: answered(Verdict::AnnounceAnswered),
            scrape_answered: answered(Verdict::ScrapeAnswered),
            unsent: packets.unsent.get(0),
            events: XskEvent::ALL.iter().map(|event| (event.name(), events.get(*event as usize))).collect(),
        }
    }
}

impl Interface {
    fn of((interface, counters): (String, InterfaceCounters)) -> Self {
        let InterfaceCounters { queues, queues_changed, went_down, went_away } = counters;
        Self { interface, queues, queues_changed, went_down, went_away }
    }
}

fn udp_verdicts<S: Serializer>(service: &Service, serializer: S) -> Result<S::Ok, S::Error> {
    serializer
        .collect_map(Verdict::ALL.iter().map(|verdict| (verdict.name(), service.counters.udp(*verdict))))
}

fn kernel_verdicts(counters: &[Counter]) -> BTreeMap<&'static str, KernelCounter> {
    let named = Verdict::ALL.iter().zip(counters);
    named
        .map(|(verdict, Counter { packets, bytes })| {
            (verdict.name(), KernelCounter { packets: *packets, bytes: *bytes })
        })
        .collect()
}

fn http_verdicts<S: Serializer>(service: &Service, serializer: S) -> Result<S::Ok, S::Error> {
    serializer
        .collect_map(HttpVerdict::ALL.iter().map(|verdict| (verdict.name(), service.counters.http(*verdict))))
}
