//! `cargo xtask bench xdp`: what the XDP program costs, how many connects it answers, and what it keeps away.
//!
//! Needs root, for the kernel's sake, and touches no interface but those that it makes.

mod connects;
mod cost;
mod flood;
pub(super) mod frames;
pub(super) mod network;
mod programs;
mod scene;

use super::{child, cpu};
use crate::ebpf;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use scene::Setting;
use std::path::PathBuf;

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Nanoseconds of a packet, by its verdict
    Cost,
    /// Connects answered in a second, with the program and without
    Connects,
    /// Honest clients in a flood, with the program and without
    Flood,
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often everything is measured
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds of each measurement over a cable
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Which parts to measure; without it, all
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Part>,
    /// A compiled program to measure instead of this repository's
    #[arg(long)]
    object: Option<PathBuf>,
}

/// Measures what was asked for, and prints it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("this benchmark loads programs into the kernel and makes network namespaces: it needs root");
    }
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let object = match &arguments.object {
        Some(object) => object.clone(),
        None => {
            ebpf::build_where_possible(workspace)?;
            ebpf::embedded_object_path(workspace)
        }
    };
    let bytes = std::fs::read(&object).with_context(|| format!("cannot read {}", object.display()))?;
    child::end_on_signal(network::remove_all)?;
    let cores = cpu::allowed_cores()?;
    if wanted(Part::Cost) {
        cost::run(&bytes, arguments.rounds, cores[0])?;
    }
    if !wanted(Part::Connects) && !wanted(Part::Flood) {
        return Ok(());
    }
    let [tracker_core, client_core, ..] = cores[..] else {
        bail!("this benchmark needs two cores, one for the tracker and one for its clients; there is one");
    };
    let daemon = workspace.build_daemon(Profile::Release)?;
    let directory = workspace.target.join("bench");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let setting = Setting { daemon, object, directory, tracker_core, client_core };
    if wanted(Part::Connects) {
        connects::run(&setting, arguments.rounds, arguments.seconds)?;
    }
    if wanted(Part::Flood) {
        flood::run(&setting, arguments.rounds, arguments.seconds)?;
    }
    Ok(())
}
