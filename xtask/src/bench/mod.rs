//! `cargo xtask bench`: this tracker beside others, on this machine.

mod child;
mod contender;
mod cpu;
mod load;
mod report;
mod udp;

use crate::workspace::Workspace;
use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Answers over UDP per second, and per second of CPU time
    Udp(udp::Arguments),
}

/// Runs the benchmark that was asked for.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    match &arguments.benchmark {
        Benchmark::Udp(arguments) => udp::run(workspace, arguments),
    }
}
