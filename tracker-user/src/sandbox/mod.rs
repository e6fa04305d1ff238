//! What the tracker could still do to the host if somebody took it over: as little as goes. Entered once the ports are bound,
//! the XDP program is attached and root is given up, and before there is a second thread, so that every thread is within.
//!
//! `files` says which paths stay open (Landlock), `calls` which system calls (seccomp). What a setting needs is said there
//! and nowhere else: see docs/adr/0003.

mod calls;
mod files;
#[cfg(test)]
mod skipped;

use crate::config::types::{Config, SandboxMode};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use thiserror::Error;

/// What decides about the sandbox.
#[derive(Debug)]
pub struct Needs<'a> {
    /// The configuration that takes effect.
    pub config: &'a Config,
    /// The files that it was read from, and is read from again at a reload.
    pub config_files: &'a [PathBuf],
    /// The directory of the control socket, from which it is removed in the end.
    pub control_directory: Option<BorrowedFd<'a>>,
    /// Whether an XDP program runs: interfaces that come later are served as well.
    pub has_xdp: bool,
}

/// The sandbox cannot be had, and was asked for.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// Without Landlock.
    #[error("files cannot be fenced off ({0}); tracker.sandbox auto goes on without what the kernel lacks")]
    Files(String),
    /// Without seccomp.
    #[error(
        "system calls cannot be filtered ({0}); tracker.sandbox auto goes on without what the kernel lacks"
    )]
    Calls(String),
}

/// Enters the sandbox as far as the configuration asks for it.
///
/// # Errors
/// With `tracker.sandbox on`, where the kernel lacks something; some of it may be in force by then.
pub fn enter(needs: &Needs<'_>) -> Result<(), SandboxError> {
    let mode = needs.config.tracker.sandbox;
    if mode == SandboxMode::Off {
        log::warn!("tracker.sandbox off: nothing but its user bounds what the tracker may do");
        return Ok(());
    }
    let files = files::fence(needs).map_err(SandboxError::Files);
    let calls =
        calls::filter(needs.has_xdp).and_then(|filters| calls::install(&filters, calls::Threads::All));
    let calls = calls.map_err(SandboxError::Calls);
    let mut missing = Vec::new();
    for outcome in [files, calls] {
        match outcome {
            Ok(()) => {}
            Err(error) if mode == SandboxMode::On => return Err(error),
            Err(error) => missing.push(error.to_string()),
        }
    }
    match missing.len() {
        0 => log::info!("sandbox: files by Landlock, system calls by seccomp"),
        _ => missing.iter().for_each(|missing| log::warn!("sandbox: {missing}")),
    }
    Ok(())
}
