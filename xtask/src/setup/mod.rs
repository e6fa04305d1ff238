//! `cargo xtask setup`: installs what a fresh Debian machine lacks, and says what it installs before it does.
//!
//! The other commands call the part they need. What cannot be had is named together with what is done without it,
//! and is never an error here: whoever needs it decides.

mod bench_tools;
mod debian;
mod debian_source;
mod opentracker_livesync;
mod python;

pub(crate) use bench_tools::BenchTools;
pub(crate) use debian::install_packages;

use crate::ebpf;
use crate::workspace::Workspace;
use anyhow::Result;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Install for this purpose only; without it, for all of them
    purpose: Option<Purpose>,
}

/// What something is installed for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// Clients that the tests drive, from Debian and PyPI, opentracker to compare and to sync with, and what the XDP program is built with
    Test,
    /// Other trackers and a load generator, in target/bench-tools
    Bench,
}

/// Whether a thing is there now.
pub(crate) enum Presence {
    /// It can be used.
    Present,
    /// It cannot, for the reason given.
    Missing(String),
}

/// Installs what is asked for.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if arguments.purpose != Some(Purpose::Bench) {
        for_tests(workspace)?;
        ebpf::set_up(workspace);
    }
    if arguments.purpose != Some(Purpose::Test) {
        for_bench(workspace)?;
    }
    Ok(())
}

/// Installs what the tests need; without it, some tests do not run.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<()> {
    let opentracker = BenchTools::in_workspace(workspace).install_opentracker();
    let packages = debian::install_test_packages()?;
    let livesync = opentracker_livesync::install(workspace);
    let parts = [packages, python::install_libtorrent(workspace)?, opentracker, livesync];
    for part in parts {
        if let Presence::Missing(reason) = part {
            eprintln!("setup: {reason}; the tests that need this are skipped");
        }
    }
    Ok(())
}

/// Installs what sites of a cluster speak through.
pub(crate) fn for_tests_between_sites() -> Result<()> {
    if let Presence::Missing(reason) = debian::install_packages(&["nats-server"])? {
        eprintln!("setup: {reason}");
    }
    Ok(())
}

/// Installs the other trackers and the load generator; without one of them, the comparison goes without it.
pub(crate) fn for_bench(workspace: &Workspace) -> Result<BenchTools> {
    let tools = BenchTools::in_workspace(workspace);
    for part in tools.install(workspace)? {
        if let Presence::Missing(reason) = part {
            eprintln!("setup: {reason}; benchmarks do without it");
        }
    }
    Ok(tools)
}
