//! The statistics page: what the tracker holds and what became of requests, for people and monitors. It only reads.

use super::Service;
use super::client_ip::contains;
use super::full_scrape::{self, Format};
use super::query;
use crate::clock::Now;
use crate::counters::{HttpVerdict, QueueCounters, XskEvent};
use crate::peer_store::Totals;
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;
use tracker_common::abi::Counter;
use tracker_common::verdict::Verdict;

/// What a request wants to see. A full scrape is no page: it is not written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Peers and seeders in the four lines that MRTG reads.
    Peers,
    /// Everything, as one JSON object.
    Json,
    /// Every torrent.
    FullScrape(Format),
}

/// A view that does not exist, by the key that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnknownView {
    /// `mode=`.
    Mode,
    /// `format=`.
    Format,
}

impl UnknownView {
    /// What there is instead.
    pub(super) const fn explanation(self) -> &'static str {
        match self {
            Self::Mode => {
                "no such mode; there is: mode=peer (the default), mode=tpbs, mode=statedump, and \
                           format=json\n"
            }
            Self::Format => {
                "no such format; there is: format=json, and plain text without this key; with mode=tpbs: \
                 format=ben (the default), bin, txt, txtp or url\n"
            }
        }
    }
}

/// Whether this address may see statistics: everyone may where no network is named.
pub(super) fn allows(networks: &[IpNet], client: IpAddr) -> bool {
    networks.is_empty() || contains(networks, client)
}

/// Reads which view a query asks for.
pub(super) fn parse(query: &[u8]) -> Result<View, UnknownView> {
    let (mut mode, mut format) = (&b"peer"[..], None);
    for (key, value) in query::pairs(query) {
        match key.as_bytes() {
            b"mode" => mode = value,
            b"format" => format = Some(value),
            _ => {}
        }
    }
    let is_mode = |name| query::is(mode, name) == Ok(true);
    match format {
        None if is_mode(b"peer") => Ok(View::Peers),
        None if is_mode(b"statedump") => Ok(View::FullScrape(Format::StateDump)),
        None if is_mode(b"tpbs") => Ok(View::FullScrape(Format::Bencoded)),
        Some(format) if is_mode(b"peer") && query::is(format, b"json") == Ok(true) => Ok(View::Json),
        Some(format) if is_mode(b"tpbs") => {
            full_scrape::format_named(format).map(View::FullScrape).ok_or(UnknownView::Format)
        }
        Some(_) if is_mode(b"peer") => Err(UnknownView::Format),
        _ => Err(UnknownView::Mode),
    }
}

/// Writes a view and returns its content type.
pub(super) fn write(out: &mut Vec<u8>, view: View, service: &Service, now: Now) -> &'static str {
    let totals = service.tracker.store().totals();
    let uptime_secs = now.seconds().saturating_sub(service.started.seconds());
    // Writing to memory cannot fail, and no key of the JSON is anything but a string.
    match view {
        View::Peers => {
            let _ = write_peers(out, &totals, uptime_secs);
            "text/plain"
        }
        View::FullScrape(_) => "text/plain",
        View::Json => {
            let _ = serde_json::to_writer(out, &Everything::new(service, &totals, uptime_secs));
            "application/json"
        }
    }
}

fn write_peers(out: &mut Vec<u8>, totals: &Totals, uptime_secs: u32) -> std::io::Result<()> {
    let Totals { torrents, peers, seeders, .. } = totals;
    let hours = uptime_secs / 3600;
    writeln!(out, "{peers}\n{seeders}\n{uptime_secs} seconds ({hours} hours)")?;
    writeln!(out, "opentracker-xdp serves {torrents} torrents with {peers} peers, of them {seeders} seeders.")
}

#[derive(Serialize)]
struct Everything<'a> {
    version: &'static str,
    uptime_secs: u32,
    torrents: u64,
    peers: u64,
    seeders: u64,
    leechers: u64,
    completed: u64,
    #[serde(serialize_with = "udp_verdicts")]
    udp: &'a Service,
    /// Answers over UDP that the kernel refused to send.
    udp_unsent: u64,
    #[serde(serialize_with = "http_verdicts")]
    http: &'a Service,
    full_scrapes: FullScrapeFigures,
    /// What the XDP program has counted; absent where none runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    xdp: Option<BTreeMap<&'static str, KernelCounter>>,
    /// The receive queues that AF_XDP serves or has served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    xsk: Vec<Queue>,
}

/// One receive queue, with what befell its socket.
#[derive(Serialize)]
struct Queue {
    interface: String,
    queue: u32,
    zero_copy: bool,
    announce_answered: u64,
    scrape_answered: u64,
    unsent: u64,
    #[serde(flatten)]
    events: BTreeMap<&'static str, u64>,
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
    fn new(service: &'a Service, totals: &Totals, uptime_secs: u32) -> Self {
        let [running, whole, cut_off, bytes] = service.full_scrapes.figures();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_secs,
            torrents: totals.torrents,
            peers: totals.peers,
            seeders: totals.seeders,
            leechers: totals.peers.saturating_sub(totals.seeders),
            completed: totals.completed,
            udp_unsent: service.counters.udp_unsent(),
            xdp: service.counters.kernel().map(|counters| kernel_verdicts(&counters)),
            xsk: service.counters.queues().into_iter().map(Queue::of).collect(),
            udp: service,
            http: service,
            full_scrapes: FullScrapeFigures { running, whole, cut_off, bytes },
        }
    }
}

impl Queue {
    fn of(counters: QueueCounters) -> Self {
        let QueueCounters { interface, queue, is_zero_copy, packets, events } = counters;
        let answered = |verdict: Verdict| packets.verdicts.get(verdict.index());
        Self {
            interface,
            queue,
            zero_copy: is_zero_copy,
            announce_answered: answered(Verdict::AnnounceAnswered),
            scrape_answered: answered(Verdict::ScrapeAnswered),
            unsent: packets.unsent.get(0),
            events: XskEvent::ALL.iter().map(|event| (event.name(), events.get(*event as usize))).collect(),
        }
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

#[cfg(test)]
mod tests {
    use super::{UnknownView, View, allows, parse, write_peers};
    use crate::http::full_scrape::Format;
    use crate::peer_store::Totals;

    #[test]
    fn a_query_names_its_view() {
        assert_eq!(parse(b""), Ok(View::Peers));
        assert_eq!(parse(b"mode=peer"), Ok(View::Peers));
        assert_eq!(parse(b"format=json"), Ok(View::Json));
        assert_eq!(parse(b"mode=peer&format=json&x=1"), Ok(View::Json));
        assert_eq!(parse(b"mode=statedump"), Ok(View::FullScrape(Format::StateDump)));
        assert_eq!(parse(b"mode=tpbs"), Ok(View::FullScrape(Format::Bencoded)));
        assert_eq!(parse(b"format=txtp&mode=tpbs"), Ok(View::FullScrape(Format::TextWithDownloads)));
        assert_eq!(parse(b"mode=tpbs&format=json"), Err(UnknownView::Format));
        assert_eq!(parse(b"format=txt"), Err(UnknownView::Format));
        assert_eq!(parse(b"mode=top10"), Err(UnknownView::Mode));
        assert_eq!(parse(b"format=xml"), Err(UnknownView::Format));
    }

    #[test]
    fn everyone_sees_statistics_until_a_network_is_named() {
        let networks = ["192.0.2.0/24".parse().unwrap()];
        assert!(allows(&[], "198.51.100.1".parse().unwrap()));
        assert!(allows(&networks, "192.0.2.9".parse().unwrap()));
        assert!(!allows(&networks, "198.51.100.1".parse().unwrap()));
        assert!(!allows(&networks, "2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn the_text_is_two_figures_an_uptime_and_a_sentence() {
        let mut out = Vec::new();
        let totals = Totals { torrents: 3, peers: 20, seeders: 7, completed: 9 };
        write_peers(&mut out, &totals, 7322).unwrap();
        let expected = "20\n7\n7322 seconds (2 hours)\nopentracker-xdp serves 3 torrents with 20 peers, \
                        of them 7 seeders.\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
