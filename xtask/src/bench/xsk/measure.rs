//! One tracker in one round: filled, asked as fast as it answers, then at set rates below that.

use super::cable::{self, Feed, Kind};
use super::contender::{Contender, PORT, Stable};
use crate::bench::child::{Output, PinnedChild};
use crate::bench::cpu::{self, Core, CpuTime};
use crate::bench::xdp::frames::FORGED_NETWORK;
use crate::bench::xdp::network::{CABLE, Network, TRACKER};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};

/// Addresses that requests come from.
const SOURCES: u32 = 4096;
const WARM_UP_SECS: &str = "0.7";
/// Requests of each kind in relation to the others, as `bench udp` has them.
const WEIGHTS: [(&str, &str); 3] = [("--connects", "50"), ("--announces", "50"), ("--scrapes", "1")];

/// How load is put on a tracker.
pub(super) struct Load {
    /// tracker-load.
    pub(super) generator: PathBuf,
    pub(super) tracker_core: Core,
    pub(super) load_core: Core,
    pub(super) seconds: u32,
    pub(super) torrents: u32,
    pub(super) under_way: u32,
    pub(super) percent: Vec<u32>,
    pub(super) cable: Kind,
    /// Microseconds for which an end of the cable holds an interrupt back.
    pub(super) interrupt_micros: u32,
}

/// A tracker and a generator at work.
struct Scene<'a> {
    load: &'a Load,
    tracker: PinnedChild,
    lines: Lines<BufReader<ChildStdout>>,
    feed: Option<Feed>,
    network: Network,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// Of the highest rate; `None`: that was looked for.
    pub(super) percent: Option<u32>,
    /// What the load generator says, in its own words.
    pub(super) result: Value,
    /// CPU time of the tracker's process in a second.
    pub(super) process_share: f64,
    /// Time of the tracker's core that was not idle in a second: with what the kernel does for the tracker outside of it.
    pub(super) core_share: f64,
}

impl Sample {
    pub(super) fn answers_per_sec(&self) -> f64 {
        self.result["answers_per_sec"].as_f64().unwrap_or(0.0)
    }

    pub(super) fn loss_percent(&self) -> f64 {
        100.0 * self.result["loss"].as_f64().unwrap_or(1.0)
    }

    pub(super) fn latency_us(&self, share: &str) -> f64 {
        self.result["latency_us"][share].as_f64().unwrap_or(f64::NAN)
    }

    /// Time of the tracker's core for one answer.
    pub(super) fn core_micros_per_answer(&self) -> f64 {
        1e6 * self.core_share / self.answers_per_sec()
    }

    /// CPU time of the tracker's process for one answer.
    pub(super) fn process_micros_per_answer(&self) -> f64 {
        1e6 * self.process_share / self.answers_per_sec()
    }
}

/// Lays a cable, starts a tracker at one end, and measures it from the other.
pub(super) fn measure(stable: &Stable, contender: Contender, load: &Load) -> Result<Vec<Sample>> {
    let network = Network::new()?;
    for (host, core) in [(&network.tracker, load.tracker_core), (&network.client, load.load_core)] {
        // As a host of its own: what comes in is taken in on its own core, for every contender alike.
        host.group_packets(core)?;
        host.receive_on(core)?;
    }
    let feed = match load.cable {
        Kind::Pages => Some(Feed::new(&network.client, load.load_core)?),
        Kind::Packets => None,
    };
    let tracker = stable.start(contender, &network, load.tracker_core)?;
    let log = stable.directory.join("xsk-load.log");
    let command = load.command(&network, feed.as_ref());
    let mut generator = PinnedChild::spawn(&command, load.load_core, &log, Output::ToCaller)?;
    let lines = BufReader::new(generator.take_output()?).lines();
    let mut scene = Scene { load, tracker, lines, feed, network };
    let mut samples = Vec::new();
    let percents = std::iter::once(None).chain(load.percent.iter().copied().map(Some));
    for percent in percents {
        let sample = scene.read_sample(percent);
        scene.tracker.check_running()?;
        let sample = match sample {
            Ok(sample) => sample,
            Err(error) => {
                generator.await_failure()?;
                return Err(error);
            }
        };
        samples.push(sample);
    }
    Ok(samples)
}

impl Load {
    fn command(&self, network: &Network, feed: Option<&Feed>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", network.client.namespace));
        command.arg(&self.generator).args(["sweep", "--json", "--i-own-this-tracker", "--fill"]);
        command.args(["--interface", &network.client.interface, "--attach", "native"]);
        if let Some(feed) = feed {
            command.args(["--send-through", &feed.interface]);
        }
        command.args(["--next-hop", &CABLE.destination.map(|byte| format!("{byte:02x}")).join(":")]);
        command.args(["--source-network", &format!("{FORGED_NETWORK}.0.0.0/8")]);
        command.args(["--sources", &SOURCES.to_string()]);
        command.args(["--torrents", &self.torrents.to_string(), "--peers", &self.torrents.to_string()]);
        command.args(WEIGHTS.iter().flat_map(|(option, weight)| [option, weight]));
        command.args(["--under-way", &self.under_way.to_string()]);
        let percent: Vec<String> = self.percent.iter().map(ToString::to_string).collect();
        command.args(["--percent", &percent.join(",")]);
        command.args(["--duration", &self.seconds.to_string(), "--warm-up", WARM_UP_SECS]);
        command.arg(format!("{TRACKER}:{PORT}"));
        command
    }
}

impl Scene<'_> {
    /// Reads what the generator says until its next result, and the clocks of tracker and core as it begins and ends to
    /// measure.
    fn read_sample(&mut self, percent: Option<u32>) -> Result<Sample> {
        let mut begun = None;
        let mut spent = None;
        let mut interrupts = Vec::new();
        while let Some(line) = self.lines.next() {
            let line = line.context("cannot read what the load generator prints")?;
            let event: Value = serde_json::from_str(&line)
                .with_context(|| format!("the load generator printed {line:?}"))?;
            match event["event"].as_str() {
                Some("filled") => self.filled(&event)?,
                Some("measuring") => {
                    interrupts = cpu::receive_interrupts()?;
                    begun = Some(self.cpu_time()?);
                }
                Some("measured") => {
                    spent = Some(self.cpu_time()?);
                    if self.feed.is_some() {
                        cable::check_cores(&interrupts, [self.load.tracker_core, self.load.load_core])?;
                    }
                }
                Some("result") => {
                    let (begun, spent) = begun.zip(spent).context("a result without its beginning")?;
                    let seconds = event["seconds"].as_f64().context("a result without its time")?;
                    return Ok(Sample {
                        percent,
                        result: event,
                        process_share: (spent.process_secs - begun.process_secs) / seconds,
                        core_share: (spent.core_secs - begun.core_secs) / seconds,
                    });
                }
                _ => {}
            }
        }
        bail!("the load generator ended early")
    }

    /// The tracker has all peers, and what warms it up for the first measurement is on its way.
    fn filled(&self, event: &Value) -> Result<()> {
        let (answered, peers) = (&event["answered"], &event["peers"]);
        if answered != peers {
            eprintln!("doubt: {answered} of {peers} peers were announced before the measurement");
        }
        match &self.feed {
            Some(feed) => cable::take_in_by_timer(&self.network, feed, self.load.interrupt_micros),
            None => Ok(()),
        }
    }

    fn cpu_time(&self) -> Result<CpuTime> {
        CpuTime::read(self.tracker.id(), self.load.tracker_core)
    }
}

/// Where the measurements at set rates of one contender are kept for the picture.
pub(super) fn picture_data(directory: &Path, contender: Contender) -> PathBuf {
    directory.join(format!("xsk-{}.jsonl", contender.name()))
}
