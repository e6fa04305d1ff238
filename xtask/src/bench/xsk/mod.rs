//! `cargo xtask bench xsk`: this tracker through AF_XDP beside its own sockets and aquatic_udp, over a virtual cable, with
//! this project's load generator at the other end.
//!
//! Needs root, for the kernel's sake, and touches no interface but those that it makes.

mod cable;
mod contender;
mod measure;
mod report;
mod results;

use super::xdp::network;
use super::{child, cpu};
use crate::ebpf;
use crate::setup;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;
use contender::{Contender, Stable};
use measure::{Load, measure};
use results::{Results, Round};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Torrents, each with one peer, that every tracker is filled with first
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..))]
    torrents: u32,
    /// Requests under way where the highest rate is looked for
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    under_way: u32,
    /// Measure latency and loss at these percentages of each tracker's own highest rate; the report asks for 10, 50, 70, 90
    #[arg(long, value_delimiter = ',', default_values_t = [10, 30, 50, 70, 90], value_parser = clap::value_parser!(u32).range(1..=100))]
    percent: Vec<u32>,
    /// How requests reach the tracker's end of the cable
    #[arg(long, value_enum, default_value_t = cable::Kind::Pages)]
    cable: cable::Kind,
    /// Microseconds for which each end holds interrupts back, with pages
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=2000))]
    interrupt_micros: u32,
    /// Which trackers to measure; without it, all that are there
    #[arg(long, value_delimiter = ',', value_enum)]
    trackers: Vec<Contender>,
    /// Add to the rounds that calls before have left in target/bench, and report on all of them
    #[arg(long)]
    add: bool,
    /// Measure nothing: report once more on the rounds in target/bench
    #[arg(long, conflicts_with = "add")]
    report: bool,
}

/// Measures every tracker in every round, keeps the figures, prints them, and draws the pictures.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let directory = workspace.target.join("bench");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut results = Results::at(&directory, arguments.cable, arguments.add || arguments.report)?;
    let generator = workspace.build_load_generator()?;
    if !arguments.report {
        measure_rounds(workspace, arguments, &generator, &mut results)?;
    }
    print!("{}", report::text(&results));
    results.draw(&generator, &directory)
}

fn measure_rounds(
    workspace: &Workspace,
    arguments: &Arguments,
    generator: &std::path::Path,
    results: &mut Results,
) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("this benchmark loads programs into the kernel and makes network namespaces: it needs root");
    }
    let cores = cpu::allowed_cores()?;
    let [tracker_core, load_core, ..] = cores[..] else {
        bail!("this benchmark needs two cores, one for the tracker and one for the load; there is one");
    };
    let stable = stable(workspace, &arguments.trackers)?;
    let contenders = stable.choose(&arguments.trackers)?;
    child::end_on_signal(network::remove_all)?;
    let load = Load {
        generator: generator.to_owned(),
        tracker_core,
        load_core,
        seconds: arguments.seconds,
        torrents: arguments.torrents,
        under_way: arguments.under_way,
        percent: arguments.percent.clone(),
        cable: arguments.cable,
        interrupt_micros: arguments.interrupt_micros,
    };
    for _ in 0..arguments.rounds {
        let number = results.rounds.len();
        let mut round = Round::default();
        for turn in 0..contenders.len() {
            // Every round begins with another one: a machine that slows down or warms up treats all alike.
            let contender = contenders[(number + turn) % contenders.len()];
            let samples = measure(&stable, contender, &load)
                .with_context(|| format!("cannot measure {}", contender.name()))?;
            for sample in &samples {
                eprintln!("round {} {}", number + 1, report::sample_line(contender, sample));
            }
            round.insert(contender, samples);
        }
        results.add(round)?;
    }
    Ok(())
}

/// Everything that the trackers are made of.
fn stable(workspace: &Workspace, asked: &[Contender]) -> Result<Stable> {
    let wanted = |contender: Contender| asked.is_empty() || asked.contains(&contender);
    let mut daemon: Option<PathBuf> = None;
    if wanted(Contender::Xsk) || wanted(Contender::Sockets) {
        ebpf::build_where_possible(workspace)?;
        daemon = Some(workspace.build_daemon(Profile::Release)?);
    }
    Ok(Stable {
        daemon,
        object: ebpf::embedded_object_path(workspace),
        aquatic: setup::for_bench(workspace)?.binary("aquatic_udp"),
        directory: workspace.target.join("bench"),
    })
}
