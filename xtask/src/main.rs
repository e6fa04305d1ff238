//! The commands of this repository: one file each, called as `cargo xtask COMMAND`.
//!
//! They stand outside the packet's way: nothing here is linked into the daemon.

mod bench;
mod ebpf;
mod process;
mod run;
mod sanitizer;
mod setup;
mod test;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use workspace::Workspace;

/// The commands of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests and the benchmarks need and this machine lacks
    Setup(setup::Arguments),
    /// Build the XDP program, which the next build of the daemon embeds
    BuildEbpf(ebpf::Arguments),
    /// Build the daemon in release and run it in the foreground
    Run(run::Arguments),
    /// Run every test, against the real daemon
    Test(test::Arguments),
    /// Compare this tracker with others
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not returned from main: a backtrace would hide the cause and the remedy.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Setup(arguments) => setup::run(&workspace, &arguments),
        Command::BuildEbpf(arguments) => ebpf::run(&workspace, &arguments),
        Command::Run(arguments) => run::run(&workspace, &arguments),
        Command::Test(arguments) => test::run(&workspace, &arguments),
        Command::Bench(arguments) => bench::run(&workspace, &arguments),
    }
}
