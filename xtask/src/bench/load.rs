//! The load: aquatic_udp_load_test, its configuration, its torrents, and the answers that it counts.
//!
//! What it counts are the answers that it received and could parse. It sends on as long as nine of ten requests are
//! answered, so a tracker that is slower than the load sees about a tenth of the requests lost.

use super::child::{Output, PinnedChild};
use super::contender::{RunningTracker, write};
use super::cpu::{Core, CpuTime};
use anyhow::{Context, Result, bail};
use rand::distributions::{Distribution, Standard};
use rand::{SeedableRng, rngs::SmallRng};
use std::fmt::Write;
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::time::Instant;
use tracker_common::wire::INFO_HASH_LEN;

/// Seconds between two reports of the load generator.
pub(super) const REPORT_SECS: u32 = 5;
/// Reports until all peers must have been announced.
const WARM_UP_LIMIT_REPORTS: u32 = 24;
const TORRENTS: usize = 250_000;
const PEERS: u32 = 500_000;
const PEERS_WANTED: u32 = 30;
const WEIGHT_CONNECT: u32 = 50;
const WEIGHT_ANNOUNCE: u32 = 50;
const WEIGHT_SCRAPE: u32 = 1;
/// As many as keep the tracker from running dry while one worker polls them in turn.
const SOCKETS: u32 = 16;
/// From which the load generator makes its info hashes.
const INFO_HASH_SEED: u64 = 0xc3aa_8be6_17b3_acce;

/// How to put load on a tracker.
pub(super) struct Load {
    /// aquatic_udp_load_test.
    pub(super) binary: PathBuf,
    /// The core that generates the load.
    pub(super) load_core: Core,
    /// The core that the tracker is pinned to.
    pub(super) tracker_core: Core,
    /// Reports that are measured, after the warm-up.
    pub(super) measured_reports: u32,
}

/// What was measured of one tracker in one round, warm-up excluded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Connect, announce and scrape responses; errors are no answers.
    pub(super) answers_per_sec: f64,
    /// Answers per request sent, from 0 to 1.
    pub(super) answered_share: f64,
    /// Peers in an announce response.
    pub(super) peers_per_announce: f64,
    /// CPU time of the tracker per second.
    pub(super) process_share: f64,
    /// Time of the tracker's core that was not idle per second.
    pub(super) core_share: f64,
}

impl Sample {
    /// Answers for a second of the tracker's CPU time.
    pub(super) fn answers_per_cpu_sec(&self) -> f64 {
        self.answers_per_sec / self.process_share
    }

    /// The tracker's CPU time for one answer.
    pub(super) fn cpu_micros_per_answer(&self) -> f64 {
        1e6 / self.answers_per_cpu_sec()
    }
}

/// One report of the load generator, all per second except the peers.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
struct Report {
    requests: f64,
    connects: f64,
    announces: f64,
    scrapes: f64,
    errors: f64,
    peers_per_announce: f64,
}

impl Load {
    /// Puts load on a tracker until all peers are announced once, then measures.
    pub(super) fn measure(&self, tracker: &mut RunningTracker, directory: &Path) -> Result<Sample> {
        let config = directory.join("aquatic_udp_load_test.toml");
        write(&config, &config_text(tracker.address))?;
        let mut command = Command::new(&self.binary);
        command.arg("-c").arg(config);
        let log = directory.join("load.log");
        let tracker_pid = tracker.child.id();
        let mut load = PinnedChild::spawn(&command, self.load_core, &log, Output::ToCaller)?;
        let mut lines = BufReader::new(load.take_output()?).lines();
        let mut next_report = || -> Result<Report> {
            let report = read_report(&mut lines);
            tracker.child.check_running()?;
            load.check_running().context("the load generator")?;
            report
        };

        warm_up(&mut next_report)?;
        let (begun, cpu_begun) = (Instant::now(), CpuTime::read(tracker_pid, self.tracker_core)?);
        let reports = (0..self.measured_reports).map(|_| next_report()).collect::<Result<Vec<_>>>()?;
        let (window_secs, cpu) =
            (begun.elapsed().as_secs_f64(), CpuTime::read(tracker_pid, self.tracker_core)?);
        Ok(summarise(
            &reports,
            (cpu.process_secs - cpu_begun.process_secs) / window_secs,
            (cpu.core_secs - cpu_begun.core_secs) / window_secs,
        ))
    }
}

/// Lets reports pass until every peer is in the tracker, so that all trackers are measured with the same content.
fn warm_up(next_report: &mut impl FnMut() -> Result<Report>) -> Result<()> {
    let mut announced = 0.0;
    for _ in 0..WARM_UP_LIMIT_REPORTS {
        let report = next_report()?;
        announced += report.announces * f64::from(REPORT_SECS);
        if announced >= f64::from(PEERS) {
            return Ok(());
        }
    }
    let limit_secs = WARM_UP_LIMIT_REPORTS * REPORT_SECS;
    bail!(
        "it answered {announced:.0} of the first {PEERS} announces within {limit_secs} s: too few to measure"
    )
}

fn summarise(reports: &[Report], process_share: f64, core_share: f64) -> Sample {
    let mean = |value: fn(&Report) -> f64| reports.iter().map(value).sum::<f64>() / reports.len() as f64;
    let answers_per_sec = mean(|report| report.connects + report.announces + report.scrapes);
    Sample {
        answers_per_sec,
        answered_share: answers_per_sec / mean(|report| report.requests),
        peers_per_announce: mean(|report| report.peers_per_announce * report.announces)
            / mean(|report| report.announces),
        process_share,
        core_share,
    }
}

/// Reads on until the last line of the next report.
fn read_report(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<Report> {
    let mut report = Report::default();
    for line in lines {
        let line = line.context("cannot read what the load generator prints")?;
        let Some((name, value)) = line.split_once(": ") else { continue };
        let value = value.trim().trim_end_matches("/second").parse::<f64>();
        let field = match name.trim_start_matches([' ', '-']) {
            "Requests out" => &mut report.requests,
            "Connect responses" => &mut report.connects,
            "Announce responses" => &mut report.announces,
            "Scrape responses" => &mut report.scrapes,
            "Error responses" => &mut report.errors,
            "Peers per announce response" => &mut report.peers_per_announce,
            _ => continue,
        };
        *field = value.with_context(|| format!("the load generator printed {line:?}"))?;
        if name == "Peers per announce response" {
            return Ok(report);
        }
    }
    bail!("the load generator ended early")
}

fn config_text(tracker: SocketAddrV4) -> String {
    format!(
        "server_address = \"{tracker}\"\nworkers = 1\nduration = 0\nextra_statistics = false\n\
         [network]\nsockets_per_worker = {SOCKETS}\n\
         [requests]\nnumber_of_torrents = {TORRENTS}\nnumber_of_peers = {PEERS}\n\
         announce_peers_wanted = {PEERS_WANTED}\nweight_connect = {WEIGHT_CONNECT}\n\
         weight_announce = {WEIGHT_ANNOUNCE}\nweight_scrape = {WEIGHT_SCRAPE}\n"
    )
}

/// Every info hash that the load generator may announce, one line of hex digits each.
pub(super) fn info_hashes_hex() -> String {
    let mut random = SmallRng::seed_from_u64(INFO_HASH_SEED);
    let mut text = String::with_capacity(TORRENTS * (2 * INFO_HASH_LEN + 1));
    for _ in 0..TORRENTS {
        for _ in 0..INFO_HASH_LEN {
            let byte: u8 = Standard.sample(&mut random);
            write!(text, "{byte:02X}").expect("a string takes everything");
        }
        text.push('\n');
    }
    text
}
