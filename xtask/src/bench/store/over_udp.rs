//! Memory of whole trackers: everybody announces to each of them over UDP, and what its process has grown by is divided among
//! the peers.

use super::Arguments;
use super::announcer::Announcer;
use super::population::Population;
use super::targets::Figures;
use crate::bench::contender::{Contender, Stable};
use crate::bench::cpu;
use anyhow::{Context, Result, bail};
use std::fs;

/// What is needed to measure.
pub(super) struct Comparison {
    stable: Stable,
    contenders: Vec<Contender>,
    population: Population,
    core: cpu::Core,
}

impl Comparison {
    pub(super) fn prepare(stable: Stable, arguments: &Arguments) -> Result<Self> {
        let contenders = stable.choose(&arguments.trackers)?;
        // How aquatic waits for packets makes no difference to its memory.
        let contenders = contenders.into_iter().filter(|contender| *contender != Contender::AquaticIoUring);
        let population = Population::new(arguments.peers);
        stable.prepare(&population.info_hashes_hex())?;
        let core = *cpu::allowed_cores()?.first().context("there is no core to run on")?;
        Ok(Self { stable, contenders: contenders.collect(), population, core })
    }

    /// Measures each tracker once.
    pub(super) fn measure(&self, round: u32, figures: &mut Figures) -> Result<()> {
        for turn in 0..self.contenders.len() {
            let contender = self.contenders[(round as usize + turn) % self.contenders.len()];
            let name = contender.name();
            let tracker =
                self.stable.start(contender, self.core).with_context(|| format!("cannot start {name}"))?;
            let before = resident_bytes(tracker.child.id())?;
            let answered = Announcer::new(tracker.address)?
                .announce_all(&self.population)
                .with_context(|| format!("cannot announce to {name}"))?;
            if answered != self.population.len() {
                bail!("{name} answered {answered} of {} announces", self.population.len());
            }
            let grown = resident_bytes(tracker.child.id())?.saturating_sub(before);
            let per_peer = grown as f64 / f64::from(answered);
            eprintln!(
                "{name}: {grown} bytes for {answered} peers in {} torrents, {per_peer:.1} for a peer",
                self.population.torrents()
            );
            figures.add(&format!("udp.{name}_bytes_per_peer"), per_peer);
        }
        Ok(())
    }
}

/// Resident memory of a process.
fn resident_bytes(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
        .with_context(|| format!("{path} has no VmRSS"))?;
    Ok(kib * 1024)
}
