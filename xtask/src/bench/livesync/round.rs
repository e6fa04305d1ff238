//! One measurement: peers announce at a set rate, each of them new, and all nodes count.

use super::Envelope;
use super::site::{Figures, NODES, Site};
use crate::bench::child::{Output, PinnedChild};
use crate::bench::cluster_node::{ClusterNode, Load};
use crate::bench::cpu::{Core, CpuTime};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// For how long nothing may come any more until what is missing counts as lost.
const QUIET: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What all measurements share.
pub(super) struct Setting {
    pub(super) daemon: PathBuf,
    /// tracker-load.
    pub(super) generator: PathBuf,
    /// For logs and keys.
    pub(super) directory: PathBuf,
    /// All of them, for everything: three nodes and the load have to share them.
    pub(super) cores: Vec<Core>,
    pub(super) seconds: u32,
    /// Events in a second.
    pub(super) rate: u32,
    /// Nodes that are announced to.
    pub(super) tellers: usize,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// Of each node.
    pub(super) figures: Vec<Figures>,
    /// Seconds of CPU time of each node.
    pub(super) cpu_secs: Vec<f64>,
    pub(super) tellers: usize,
    pub(super) seconds: f64,
}

impl Sample {
    /// Events that there were to tell.
    pub(super) fn events(&self) -> u64 {
        self.figures.iter().map(|node| node.sent_events + node.untold_events).sum()
    }

    pub(super) fn events_per_sec(&self) -> f64 {
        self.events() as f64 / self.seconds
    }

    /// Events that nodes were to hear, each from all others.
    pub(super) fn to_hear(&self) -> u64 {
        self.events() * (NODES as u64 - 1)
    }

    /// Events that nodes have heard.
    pub(super) fn heard(&self) -> u64 {
        self.figures.iter().map(|node| node.received_events).sum()
    }

    pub(super) fn lost_percent(&self) -> f64 {
        100.0 * self.to_hear().saturating_sub(self.heard()) as f64 / self.to_hear().max(1) as f64
    }

    /// CPU time of a node that is announced to, in a second. It answers the announces and tells of them, and hears others
    /// where there is more than one.
    pub(super) fn teller_share(&self) -> f64 {
        self.cpu_secs[..self.tellers].iter().sum::<f64>() / self.tellers as f64 / self.seconds
    }

    /// CPU time for one event of a node that only hears, in microseconds; none where all are announced to.
    pub(super) fn hearer_micros_per_event(&self) -> Option<f64> {
        let hearers = self.tellers..NODES;
        let heard: u64 = self.figures[hearers.clone()].iter().map(|node| node.received_events).sum();
        let spent: f64 = self.cpu_secs[hearers].iter().sum();
        (heard > 0).then(|| 1e6 * spent / heard as f64)
    }
}

impl Setting {
    /// Starts three nodes, announces for a while, waits until all is heard or nothing more comes, and counts.
    pub(super) fn measure(&self, envelope: Envelope) -> Result<Sample> {
        let mut site = Site::new(self, envelope)?;
        let before = site.nodes.iter().map(|node| self.cpu_secs(node)).collect::<Result<Vec<_>>>()?;
        let mut loads = Vec::new();
        for (number, node) in site.nodes.iter().take(self.tellers).enumerate() {
            loads.push(self.put_load(node, number)?);
        }
        for load in &mut loads {
            await_result(load)?;
        }
        drop(loads);
        for node in &mut site.nodes {
            node.child.check_running()?;
        }
        let figures = await_quiet(&site)?;
        let after = site.nodes.iter().map(|node| self.cpu_secs(node)).collect::<Result<Vec<_>>>()?;
        let cpu_secs = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        Ok(Sample { figures, cpu_secs, tellers: self.tellers, seconds: f64::from(self.seconds) })
    }

    fn cpu_secs(&self, node: &ClusterNode) -> Result<f64> {
        let core = self.cores.first().copied().unwrap_or_default();
        Ok(CpuTime::read(node.child.id(), core)?.process_secs)
    }

    fn put_load(&self, node: &ClusterNode, number: usize) -> Result<PinnedChild> {
        let log = self.directory.join(format!("livesync-load-{}.log", number + 1));
        node.put_load(&Load {
            generator: &self.generator,
            cores: &self.cores,
            log: &log,
            output: Output::ToCaller,
            rate: f64::from(self.rate) / self.tellers as f64,
            seconds: self.seconds,
            seed: number + 1,
        })
    }
}

/// Waits for the end of the load; a generator that has not kept its rate is named.
fn await_result(load: &mut PinnedChild) -> Result<()> {
    for line in BufReader::new(load.take_output()?).lines() {
        let line = line.context("cannot read what the load generator prints")?;
        let event: Value =
            serde_json::from_str(&line).with_context(|| format!("the load generator printed {line:?}"))?;
        if event["event"] == "result" {
            let lost = event["loss"].as_f64().unwrap_or(1.0);
            if lost > 0.001 {
                eprintln!("doubt: {:.2} % of the announces were not answered", 100.0 * lost);
            }
            return Ok(());
        }
    }
    load.await_failure()?;
    bail!("the load generator ended early")
}

/// What all nodes have counted, once everything is heard or nothing more comes.
fn await_quiet(site: &Site) -> Result<Vec<Figures>> {
    let read = || site.nodes.iter().map(Figures::of).collect::<Result<Vec<_>>>();
    let (mut known, mut since) = (read()?, Instant::now());
    while since.elapsed() < QUIET {
        thread::sleep(LOOK_AGAIN);
        let figures = read()?;
        if figures != known {
            (known, since) = (figures, Instant::now());
        }
    }
    Ok(known)
}

#[cfg(test)]
pub(super) mod tests {
    use super::Sample;
    use crate::bench::livesync::site::Figures;

    /// One node has told of so many events, and each of the two others has heard so many of them.
    pub(crate) fn sample(told: u64, heard: u64) -> Sample {
        let teller = Figures { sent_events: told, sent_datagrams: told / 52, ..Figures::default() };
        let hearer = Figures { received_events: heard, ..Figures::default() };
        Sample {
            figures: vec![teller, hearer, hearer],
            cpu_secs: vec![3.0, 1.0, 2.0],
            tellers: 1,
            seconds: 10.0,
        }
    }

    #[test]
    fn what_was_told_and_not_heard_is_lost_and_so_is_what_was_not_told() {
        assert_eq!(sample(1000, 1000).lost_percent(), 0.0);
        assert_eq!(sample(1000, 999).lost_percent(), 0.1);
        let mut untold = sample(900, 900);
        untold.figures[0].untold_events = 100;
        assert_eq!((untold.lost_percent(), untold.events_per_sec()), (10.0, 100.0));
    }

    #[test]
    fn cpu_time_is_that_of_whoever_tells_or_hears() {
        let sample = sample(1000, 1000);
        assert_eq!(sample.teller_share(), 0.3);
        assert_eq!(sample.hearer_micros_per_event(), Some(1500.0));
        assert_eq!(Sample { tellers: 3, ..sample }.hearer_micros_per_event(), None);
    }
}
