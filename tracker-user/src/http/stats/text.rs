//! Pages as opentracker writes them: MRTG reads four lines (two figures, the uptime, a name), scripts read the tables. So
//! every label, every line and even the missing end of the last line is opentracker's.

use super::figures::{Figures, HttpErrors};
use super::{Mode, networks};
use crate::counters::Which;
use std::fmt::Arguments;
use std::io::{Result, Write as _};

/// Writes a page.
pub(super) fn write(out: &mut Vec<u8>, mode: Mode, figures: &Figures<'_>) {
    // Writing to memory cannot fail.
    let _ = match mode {
        Mode::Renew => write_renewals(out, figures),
        Mode::Numwants => write_peers_wanted(out, figures),
        Mode::Herr => write_http_errors(out, &figures.http_errors()),
        Mode::Busy => write_networks(out, figures, Which::All),
        Mode::Woodpeckers => write_networks(out, figures, Which::TooEarly),
        Mode::Version => write_version(out),
        Mode::Everything => Ok(()),
        _ => write_mrtg(out, mode, figures),
    };
}

fn write_mrtg(out: &mut Vec<u8>, mode: Mode, figures: &Figures<'_>) -> Result<()> {
    let Figures { tcp, udp, totals, .. } = figures;
    let per_second = |events| figures.per_second(events);
    let mut with_uptime = |pair, last| write_with_uptime(out, pair, figures.uptime_secs, last);
    match mode {
        Mode::Conn | Mode::Syncs => {
            let (arrived, successes) = (figures.arrived(), figures.successes());
            let pair = if mode == Mode::Conn { (arrived, successes) } else { (figures.synced, 0) };
            let (conns, success) = (per_second(arrived), per_second(successes));
            with_uptime(
                pair,
                format_args!("opentracker connections, {conns} conns/s :: {success} success/s."),
            )
        }
        Mode::Udp4 => {
            let pair = (udp.arrived, figures.udp_successes());
            let (conns, success) = (per_second(pair.0), per_second(pair.1));
            with_uptime(pair, format_args!("opentracker udp4 stats, {conns} conns/s :: {success} success/s."))
        }
        Mode::Tcp4 => {
            let pair = (tcp.arrived, tcp.announces);
            let (conns, success) = (per_second(pair.0), per_second(pair.1));
            with_uptime(pair, format_args!("opentracker tcp4 stats, {conns} conns/s :: {success} success/s."))
        }
        Mode::Scrp => {
            let rate = per_second(tcp.scrapes + udp.scrapes);
            with_uptime(
                (tcp.scrapes, udp.scrapes),
                format_args!("opentracker scrape stats, {rate} scrape/s (tcp and udp)"),
            )
        }
        Mode::Fscr => {
            let (count, bytes) = figures.full_scrapes;
            let (conns, rate) = (per_second(count), per_second(bytes));
            // In thousandths, as opentracker has it.
            with_uptime(
                (count * 1000, bytes),
                format_args!("opentracker full scrape stats, {conns} conns/s :: {rate} bytes/s."),
            )
        }
        Mode::Completed => {
            let completed = figures.announces.completed;
            let rate = figures.per_hour(completed);
            with_uptime((completed, 0), format_args!("opentracker, {rate} completed/h."))
        }
        Mode::Torr => write_serving(out, (totals.torrents, 0), totals.torrents),
        _ => write_serving(out, (totals.peers, totals.seeders), totals.torrents),
    }
}

fn write_with_uptime(
    out: &mut Vec<u8>,
    (first, second): (u64, u64),
    uptime_secs: u64,
    last: Arguments<'_>,
) -> Result<()> {
    write!(out, "{first}\n{second}\n{uptime_secs} seconds ({} hours)\n{last}", uptime_secs / 3600)
}

fn write_serving(out: &mut Vec<u8>, (first, second): (u64, u64), torrents: u64) -> Result<()> {
    write!(out, "{first}\n{second}\nopentracker serving {torrents} torrents\nopentracker")
}

fn write_renewals(out: &mut Vec<u8>, figures: &Figures<'_>) -> Result<()> {
    let counts = figures.announces.renewed.iter().enumerate();
    counts.into_iter().try_for_each(|(minutes, count)| writeln!(out, "{minutes:02} {count}"))
}

fn write_peers_wanted(out: &mut Vec<u8>, figures: &Figures<'_>) -> Result<()> {
    let counts = figures.announces.peers_wanted.iter().enumerate();
    counts.into_iter().try_for_each(|(wanted, count)| writeln!(out, "{wanted:03} => {count}"))
}

fn write_http_errors(out: &mut Vec<u8>, errors: &HttpErrors) -> Result<()> {
    let lines = [
        ("302 RED", errors.redirected),
        ("400 ...", errors.malformed),
        ("400 PAR", errors.bad_parameter),
        ("400 COM", errors.not_compact),
        ("403 IP ", errors.forbidden),
        ("404 INV", errors.not_found),
        ("500 SRV", errors.internal),
    ];
    lines.into_iter().try_for_each(|(name, count)| writeln!(out, "{name} {count}"))
}

/// All announces have a table for each size of network; those that come too early have none for the larger IPv4 networks.
fn write_networks(out: &mut Vec<u8>, figures: &Figures<'_>, which: Which) -> Result<()> {
    let tables = figures.networks(which);
    let shown = tables.iter().enumerate().filter(|(number, _)| which == Which::All || *number != 1);
    shown.for_each(|(_, table)| networks::write(out, table));
    Ok(())
}

/// Writes which program this is, in the form in which opentracker names its files.
pub(super) fn write_version(out: &mut Vec<u8>) -> Result<()> {
    writeln!(out, "$Source: opentracker-xdp$: $Revision: {}$", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::clock::Now;
    use crate::config::types::Config;
    use crate::counters::{Counters, HttpVerdict, Noted};
    use crate::http::Service;
    use crate::http::stats::figures::Figures;
    use crate::http::stats::{Mode, xml};
    use crate::tracker::Tracker;
    use std::sync::Arc;
    use tracker_common::abi::Counter;
    use tracker_common::verdict::Verdict;

    /// A service that has counted something different everywhere, asked two hours and two seconds after its start.
    fn written(mode: Mode) -> String {
        let config = Config::default();
        let tracker = Arc::new(Tracker::new(config.tracker.clone(), [1, 2]));
        let counters = Arc::new(Counters::for_workers(1, 1));
        let (udp, http) = (&counters.udp_workers()[0], &counters.http_workers()[0]);
        for (index, verdict) in HttpVerdict::ALL.iter().enumerate() {
            http.verdicts.add(*verdict as usize, 1 << index);
        }
        http.connections.add(0, 100_000);
        for (verdict, count) in [
            (Verdict::ConnectAnswered, 20_000),
            (Verdict::AnnounceAnswered, 30_000),
            (Verdict::ScrapeAnswered, 4000),
            (Verdict::ConnectionIdForged, 500),
        ] {
            udp.verdicts.add(verdict.index(), count);
        }
        let mut kernel = vec![Counter::default(); Verdict::COUNT];
        kernel[Verdict::ConnectAnswered.index()].packets = 1_000_000;
        kernel[Verdict::ConnectionIdStale.index()].packets = 7;
        // Not the tracker's, or counted by the daemon: neither counts here.
        kernel[Verdict::NotUdp.index()].packets = 1 << 40;
        kernel[Verdict::AnnounceProven.index()].packets = 1 << 41;
        counters.publish_kernel(kernel);
        let now = Now::from_seconds(1000);
        let client = "192.0.2.17".parse().unwrap();
        let noted = Noted {
            client,
            peers_wanted: 7,
            renewed_after_secs: None,
            too_early: false,
            first_completion: true,
        };
        udp.announces.note(&noted, now);
        http.announces.note(&Noted { renewed_after_secs: Some(125), too_early: true, ..noted }, now);
        http.announces.note(&Noted { first_completion: false, ..noted }, now);
        let service = Service::new(tracker, counters, &config, now).unwrap();
        let figures = Figures { now, ..Figures::gather(&service, Now::from_seconds(1000 + 7202)) };
        let mut out = Vec::new();
        match mode {
            Mode::Everything => xml::write(&mut out, &figures),
            mode => write(&mut out, mode, &figures),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pages_for_mrtg_have_two_figures_an_uptime_and_a_name_and_no_end_of_the_last_line() {
        let uptime = "7202 seconds (2 hours)\nopentracker";
        // 1 + 4096: announces answered and forbidden over HTTP.
        let successes = 4097 + 30_000 + 1_020_000;
        for (mode, expected) in [
            (Mode::Peer, "0\n0\nopentracker serving 0 torrents\nopentracker".to_owned()),
            (Mode::Torr, "0\n0\nopentracker serving 0 torrents\nopentracker".to_owned()),
            (
                Mode::Conn,
                format!("1154507\n{successes}\n{uptime} connections, 160 conns/s :: 146 success/s."),
            ),
            (Mode::Syncs, format!("0\n0\n{uptime} connections, 160 conns/s :: 146 success/s.")),
            (Mode::Udp4, format!("1054507\n1050000\n{uptime} udp4 stats, 146 conns/s :: 145 success/s.")),
            (Mode::Tcp4, format!("100000\n4097\n{uptime} tcp4 stats, 13 conns/s :: 0 success/s.")),
            (Mode::Scrp, format!("4\n4000\n{uptime} scrape stats, 0 scrape/s (tcp and udp)")),
            (Mode::Fscr, format!("16384000\n0\n{uptime} full scrape stats, 2 conns/s :: 0 bytes/s.")),
            (Mode::Completed, format!("2\n0\n{uptime}, 1 completed/h.")),
        ] {
            assert_eq!(written(mode), expected, "{mode:?}");
        }
    }

    #[test]
    fn tables_have_a_line_for_everything_they_count() {
        let herr =
            "302 RED 64\n400 ... 768\n400 PAR 131082\n400 COM 0\n403 IP  534560\n404 INV 128\n500 SRV 0\n";
        assert_eq!(written(Mode::Herr), herr);
        let renew = written(Mode::Renew);
        assert_eq!(
            (renew.lines().count(), renew.lines().nth(2), renew.lines().last()),
            (45, Some("02 1"), Some("44 0"))
        );
        let wanted = written(Mode::Numwants);
        let line = |number| wanted.lines().nth(number);
        assert_eq!(
            (line(0), line(7), line(200), line(201)),
            (Some("000 => 0"), Some("007 => 3"), Some("200 => 0"), None)
        );
        let busy =
            "Networks, limit /28:\n00000003: 192.0.2.16\n\nNetworks, limit /24:\n00000003: 192.0.2.0\n\n";
        assert_eq!(written(Mode::Busy), busy);
        assert_eq!(written(Mode::Woodpeckers), "Networks, limit /28:\n00000001: 192.0.2.16\n\n");
        assert!(written(Mode::Version).starts_with("$Source: opentracker-xdp$: $Revision: "));
    }

    #[test]
    fn everything_is_xml_with_opentrackers_elements_in_its_order() {
        let xml = written(Mode::Everything);
        let mut rest = &*xml;
        for expected in [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<stats>\n  <tracker_id>",
            "</tracker_id>\n  <version>\n$Source: opentracker-xdp$: $Revision: ",
            "$\n  </version>\n  <uptime>7202</uptime>\n  <torrents>\n    <count_mutex>0</count_mutex>\n    \
             <count_iterator>0</count_iterator>\n  </torrents>\n  <peers>\n    <count>0</count>\n  </peers>\n  <seeds>\n    \
             <count>0</count>\n  </seeds>\n  <completed>\n    <count>2</count>\n  </completed>\n  <connections>\n    <tcp>\n",
            "      <accept>100000</accept>\n      <announce>4097</announce>\n      <scrape>4</scrape>\n    </tcp>\n    <udp>\n",
            "      <overall>1054507</overall>\n      <connect>1020000</connect>\n      <announce>30000</announce>\n",
            "      <scrape>4000</scrape>\n      <missmatch>507</missmatch>\n    </udp>\n    <livesync>\n      \
             <count>0</count>\n    </livesync>\n  </connections>\n  <debug>\n    <renew>\n",
            "      <count interval=\"02\">1</count>\n",
            "      <count interval=\"44\">0</count>\n    </renew>\n    <http_error>\n",
            "      <count code=\"302 Redirect\">64</count>\n      <count code=\"400 Parse Error\">768</count>\n",
            "      <count code=\"400 Not Modest\">32768</count>\n",
            "      <count code=\"403 Access Denied\">534560</count>\n      <count code=\"404 Not found\">128</count>\n",
            "    </http_error>\n    <mutex_stall>\n      <count>0</count>\n    </mutex_stall>\n  </debug>\n",
            "  <opentracker-xdp>\n",
            "    <udp verdict=\"connection_id_forged\">500</udp>\n",
            "    <http verdict=\"stats_refused\">131072</http>\n",
            "  </opentracker-xdp>\n</stats>",
        ] {
            let (_, behind) =
                rest.split_once(expected).unwrap_or_else(|| panic!("{expected:?} not in {rest}"));
            rest = behind;
        }
        assert_eq!(rest, "");
    }
}
