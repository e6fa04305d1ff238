//! `cargo xtask bench`: this tracker beside others, on this machine.

mod child;
mod contender;
mod cpu;
mod load;
mod report;
mod store;
mod udp;
mod xdp;

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
    /// The peer store: bytes for a peer, nanoseconds of an announce, what makes it wait
    Store(store::Arguments),
    /// The XDP program: nanoseconds of a packet, connects per second, honest clients in a flood
    Xdp(xdp::Arguments),
}

/// Runs the benchmark that was asked for.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    match &arguments.benchmark {
        Benchmark::Udp(arguments) => udp::run(workspace, arguments),
        Benchmark::Store(arguments) => store::run(workspace, arguments),
        Benchmark::Xdp(arguments) => xdp::run(workspace, arguments),
    }
}
