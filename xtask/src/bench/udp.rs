//! `cargo xtask bench udp`: trackers in turn on loopback, one worker on one core, the load on another.

use super::child;
use super::contender::{Contender, Stable};
use super::cpu;
use super::load::{self, Load, REPORT_SECS};
use super::report::{self, Series};
use crate::setup;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each tracker is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each measurement after its warm-up, rounded up to the load generator's 5-second reports
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Which trackers to compare; without it, all that are there
    #[arg(long, value_delimiter = ',', value_enum)]
    trackers: Vec<Contender>,
}

/// Measures every tracker in every round, and prints the comparison.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let cores = cpu::allowed_cores()?;
    let [tracker_core, load_core, ..] = cores[..] else {
        bail!("this benchmark needs two cores, one for the tracker and one for the load; there is one");
    };
    let tools = setup::for_bench(workspace)?;
    let load_binary = tools.binary("aquatic_udp_load_test");
    if !load_binary.exists() {
        bail!("the load generator aquatic_udp_load_test is not installed");
    }
    let wanted = |contender| arguments.trackers.is_empty() || arguments.trackers.contains(&contender);
    let daemon = match wanted(Contender::OpentrackerXdp) {
        true => Some(workspace.build_daemon(Profile::Release)?),
        false => None,
    };
    let stable = Stable { daemon, tools, directory: workspace.target.join("bench") };
    let contenders = stable.choose(&arguments.trackers)?;
    stable.prepare(&load::info_hashes_hex())?;
    child::end_on_signal(|| {})?;

    let measured_reports = arguments.seconds.div_ceil(REPORT_SECS);
    let load = Load { binary: load_binary, load_core, tracker_core, measured_reports };
    let mut all_series: Vec<Series> = contenders.iter().map(|contender| Series::new(*contender)).collect();
    for round in 0..arguments.rounds as usize {
        for turn in 0..contenders.len() {
            // Every round begins with another one: a machine that slows down or warms up treats all alike.
            let index = (round + turn) % contenders.len();
            let contender = contenders[index];
            let mut tracker = stable
                .start(contender, tracker_core)
                .with_context(|| format!("cannot start {}", contender.name()))?;
            let sample = load
                .measure(&mut tracker, &stable.directory)
                .with_context(|| format!("cannot measure {}", contender.name()))?;
            eprintln!("round {} {}", round + 1, report::sample_line(contender, &sample));
            all_series[index].samples.push(sample);
        }
    }
    print!("{}", report::text(&all_series, measured_reports * REPORT_SECS));
    Ok(())
}
