//! `cargo xtask bench store`: the peer store alone, and the memory of whole trackers after the same announces over UDP.

mod announcer;
mod in_process;
mod over_udp;
mod population;
mod stalls;
mod targets;

use super::child;
use super::contender::{Contender, Stable};
use crate::setup;
use crate::workspace::{Profile, Workspace};
use anyhow::Result;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each part is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What to measure; without it, everything
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Part>,
    /// Peers that are announced over UDP, in a fifth as many torrents
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u32).range(1000..))]
    peers: u32,
    /// Announces a second for `udp-stalls`: a third of what a core answers
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Which trackers are announced to over UDP; without it, all that are there
    #[arg(long, value_delimiter = ',', value_enum)]
    trackers: Vec<Contender>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Bytes for a peer of whole trackers, after announces over UDP
    Udp,
    /// Bytes for 50,000,000 peers in the store alone, and what is left when they are gone
    Memory,
    /// Nanoseconds of an announce, with one thread and with two
    Speed,
    /// A swarm of 1,000,000 peers
    LargeSwarm,
    /// Info hashes that were chosen to collide
    Collisions,
    /// What an announce waits for during expiry and a listing, in the store alone
    Stalls,
    /// What announces over UDP wait for while a tracker of 1,000,000 torrents is scraped, reads a list, and forgets them
    UdpStalls,
}

impl Part {
    /// The measurement of the store alone, as `benches/store` of the daemon's package calls it.
    fn measurement(self) -> Option<&'static str> {
        match self {
            Self::Udp | Self::UdpStalls => None,
            Self::Memory => Some("memory"),
            Self::Speed => Some("speed"),
            Self::LargeSwarm => Some("large-swarm"),
            Self::Collisions => Some("collisions"),
            Self::Stalls => Some("stalls"),
        }
    }
}

/// Measures what was asked for in every round, and prints medians beside their targets.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let parts: Vec<Part> = match arguments.only.is_empty() {
        true => Part::value_variants().to_vec(),
        false => arguments.only.clone(),
    };
    let measurements: Vec<&str> = parts.iter().filter_map(|part| part.measurement()).collect();
    let binary = match measurements.is_empty() {
        true => None,
        false => Some(in_process::build(workspace)?),
    };
    let over_udp = match parts.contains(&Part::Udp) {
        true => Some(over_udp::Comparison::prepare(stable(workspace, arguments)?, arguments)?),
        false => None,
    };
    let stalls = match parts.contains(&Part::UdpStalls) {
        true => Some(stalls::Stalls::prepare(workspace, arguments.rate)?),
        false => None,
    };
    child::end_on_signal(|| {})?;

    let mut figures = targets::Figures::default();
    for round in 1..=arguments.rounds {
        if let Some(binary) = &binary {
            for measurement in &measurements {
                in_process::measure(binary, measurement, &mut figures)?;
            }
        }
        if let Some(comparison) = &over_udp {
            comparison.measure(round, &mut figures)?;
        }
        if let Some(stalls) = &stalls {
            stalls.measure(&mut figures)?;
        }
    }
    print!("{figures}");
    Ok(())
}

fn stable(workspace: &Workspace, arguments: &Arguments) -> Result<Stable> {
    let tools = setup::for_bench(workspace)?;
    let trackers = &arguments.trackers;
    let daemon = match trackers.is_empty() || trackers.contains(&Contender::OpentrackerXdp) {
        true => Some(workspace.build_daemon(Profile::Release)?),
        false => None,
    };
    Ok(Stable { daemon, tools, directory: workspace.target.join("bench") })
}
