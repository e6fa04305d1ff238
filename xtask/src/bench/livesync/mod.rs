//! `cargo xtask bench livesync`: nodes on a bridge tell each other of peers at a set rate, and what each heard is counted.
//!
//! Needs root, for network namespaces, and touches no interface but those that it makes.

mod report;
mod round;
mod site;

use super::xdp::network;
use super::{child, cpu};
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use report::Series;
use round::Setting;

/// How nodes tell each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Envelope {
    /// As opentracker does
    Classic,
    /// Sealed with a key
    Sealed,
}

impl Envelope {
    /// As it is called on the command line and in the report.
    const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Sealed => "sealed",
        }
    }
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Events in a second, of all nodes that tell together
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Nodes that peers announce to; all three hear what the others tell
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3))]
    tellers: u32,
    /// What to measure; without it, both
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Envelope>,
}

/// Measures what was asked for in every round, and prints it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("this benchmark makes network namespaces: it needs root");
    }
    let directory = workspace.target.join("bench");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let setting = Setting {
        daemon: workspace.build_daemon(Profile::Release)?,
        generator: workspace.build_load_generator()?,
        directory,
        cores: cpu::allowed_cores()?,
        seconds: arguments.seconds,
        rate: arguments.rate,
        tellers: arguments.tellers as usize,
    };
    child::end_on_signal(network::remove_all)?;
    let wanted = |envelope: &Envelope| arguments.only.is_empty() || arguments.only.contains(envelope);
    let mut series: Vec<Series> =
        [Envelope::Classic, Envelope::Sealed].into_iter().filter(wanted).map(Series::new).collect();
    for round in 0..arguments.rounds as usize {
        for turn in 0..series.len() {
            // Every round begins with another one: a machine that slows down or warms up treats both alike.
            let place = (round + turn) % series.len();
            let Series { envelope, samples } = &mut series[place];
            let sample =
                setting.measure(*envelope).with_context(|| format!("cannot measure {}", envelope.name()))?;
            eprintln!("round {} {}", round + 1, report::sample_line(*envelope, &sample));
            samples.push(sample);
        }
    }
    print!("{}", report::text(&series, arguments.rate));
    Ok(())
}
