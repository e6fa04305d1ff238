//! Every counter as XML (`mode=everything`): opentracker's elements, in its order, and behind them what this tracker counts
//! beyond.

use super::figures::Figures;
use super::text;
use crate::counters::HttpVerdict;
use std::io::{Result, Write as _};
use tracker_common::verdict::Verdict;

/// Writes all of it.
pub(super) fn write(out: &mut Vec<u8>, figures: &Figures<'_>) {
    // Writing to memory cannot fail.
    let _ = write_head(out, figures)
        .and_then(|()| write_connections(out, figures))
        .and_then(|()| write_debug(out, figures))
        .and_then(|()| write_own(out, figures));
}

fn write_head(out: &mut Vec<u8>, figures: &Figures<'_>) -> Result<()> {
    let Figures { service, uptime_secs, totals, announces, .. } = figures;
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<stats>\n");
    writeln!(out, "  <tracker_id>{}</tracker_id>\n  <version>", service.id)?;
    text::write_version(out)?;
    writeln!(out, "  </version>\n  <uptime>{uptime_secs}</uptime>\n  <torrents>")?;
    // opentracker counts torrents in two ways; here there is one.
    for name in ["count_mutex", "count_iterator"] {
        writeln!(out, "    <{name}>{}</{name}>", totals.torrents)?;
    }
    out.extend_from_slice(b"  </torrents>\n");
    for (name, count) in
        [("peers", totals.peers), ("seeds", totals.seeders), ("completed", announces.completed)]
    {
        writeln!(out, "  <{name}>\n    <count>{count}</count>\n  </{name}>")?;
    }
    Ok(())
}

fn write_connections(out: &mut Vec<u8>, figures: &Figures<'_>) -> Result<()> {
    let Figures { tcp, udp, connects, wrong_ids, synced, .. } = figures;
    let groups: [(&str, &[(&str, u64)]); 3] = [
        ("tcp", &[("accept", tcp.arrived), ("announce", tcp.announces), ("scrape", tcp.scrapes)]),
        (
            "udp",
            &[
                ("overall", udp.arrived),
                ("connect", *connects),
                ("announce", udp.announces),
                ("scrape", udp.scrapes),
                ("missmatch", *wrong_ids),
            ],
        ),
        ("livesync", &[("count", *synced)]),
    ];
    out.extend_from_slice(b"  <connections>\n");
    for (group, counts) in groups {
        writeln!(out, "    <{group}>")?;
        for (name, count) in counts {
            writeln!(out, "      <{name}>{count}</{name}>")?;
        }
        writeln!(out, "    </{group}>")?;
    }
    out.extend_from_slice(b"  </connections>\n");
    Ok(())
}

fn write_debug(out: &mut Vec<u8>, figures: &Figures<'_>) -> Result<()> {
    out.extend_from_slice(b"  <debug>\n    <renew>\n");
    for (minutes, count) in figures.announces.renewed.iter().enumerate() {
        writeln!(out, "      <count interval=\"{minutes:02}\">{count}</count>")?;
    }
    out.extend_from_slice(b"    </renew>\n    <http_error>\n");
    let errors = figures.http_errors();
    for (code, count) in [
        ("302 Redirect", errors.redirected),
        ("400 Parse Error", errors.malformed),
        ("400 Invalid Parameter", errors.bad_parameter),
        ("400 Invalid Parameter (compact=0)", errors.not_compact),
        ("400 Not Modest", errors.not_modest),
        ("402 Payment Required", errors.unpaid),
        ("403 Access Denied", errors.forbidden),
        ("404 Not found", errors.not_found),
        ("500 Internal Server Error", errors.internal),
    ] {
        writeln!(out, "      <count code=\"{code}\">{count}</count>")?;
    }
    // No worker counts the moments in which it waits for another: there are next to none with so many locks.
    out.extend_from_slice(
        b"    </http_error>\n    <mutex_stall>\n      <count>0</count>\n    </mutex_stall>\n  </debug>\n",
    );
    Ok(())
}

fn write_own(out: &mut Vec<u8>, figures: &Figures<'_>) -> Result<()> {
    let counters = figures.counters();
    out.extend_from_slice(b"  <opentracker-xdp>\n");
    for verdict in Verdict::ALL {
        writeln!(out, "    <udp verdict=\"{}\">{}</udp>", verdict.name(), counters.udp(*verdict))?;
    }
    writeln!(out, "    <udp_unsent>{}</udp_unsent>", counters.udp_unsent())?;
    for verdict in HttpVerdict::ALL {
        writeln!(out, "    <http verdict=\"{}\">{}</http>", verdict.name(), counters.http(verdict))?;
    }
    for (verdict, counter) in Verdict::ALL.iter().zip(counters.kernel().unwrap_or_default().iter()) {
        writeln!(out, "    <xdp verdict=\"{}\">{}</xdp>", verdict.name(), counter.packets)?;
    }
    out.extend_from_slice(b"  </opentracker-xdp>\n</stats>");
    Ok(())
}
