//! `cargo xtask run`: the daemon, built in release with its XDP program where that can be built, in the foreground.

use crate::ebpf;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result};
use clap::Args;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The daemon's own arguments
    #[arg(last = true, value_name = "ARGS")]
    daemon: Vec<OsString>,
}

/// Builds the daemon, then becomes it: signals reach it because no process stands between.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    ebpf::build_where_possible(workspace)?;
    let daemon = workspace.build_daemon(Profile::Release)?;
    let error = Command::new(&daemon).args(&arguments.daemon).exec();
    Err(error).with_context(|| format!("cannot start {}", daemon.display()))
}
