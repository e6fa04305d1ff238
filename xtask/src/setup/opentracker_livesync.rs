//! opentracker with livesync, which Debian's package is built without: from Debian's source, for the tests that put it into a
//! cluster with this tracker.

use super::{Presence, debian, debian_source};
use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What it is built for. The second suits every release of libowfat.
const FEATURES: &str = "-DWANT_SYNC_LIVE -DWANT_NO_AUTO_FREE";
/// The library, with its headers and the archive to link with.
const LIBRARY_PACKAGE: &str = "libowfat-dev";

/// Builds it into `target/test-tools/opentracker-livesync`, if it is not there.
pub(super) fn install(workspace: &Workspace) -> Presence {
    let tools = workspace.target.join("test-tools");
    let binary = tools.join("opentracker-livesync");
    if binary.exists() {
        return Presence::Present;
    }
    eprintln!("setup: building opentracker with livesync from Debian's source into {}", tools.display());
    match build(&tools, &binary) {
        Ok(()) => Presence::Present,
        Err(error) => Presence::Missing(format!("no opentracker with livesync: {error:#}")),
    }
}

fn build(tools: &Path, binary: &Path) -> Result<()> {
    fs::create_dir_all(tools)?;
    let (source, library) = (tools.join("opentracker-source"), tools.join("libowfat"));
    debian_source::unpack("opentracker", &source)?;
    debian::unpack_packages(&[LIBRARY_PACKAGE], &library)?;
    let archive = archive_below(&library.join("usr/lib"))?;
    let headers = library.join("usr/include");
    // Older releases have the headers in the first of them, newer ones in the second.
    let include = format!("-I{0} -I{0}/libowfat", headers.display());
    let mut make = Command::new("make");
    // Given here, the two replace what the Makefile appends: compression, which tests do not need.
    make.args(["--silent", "opentracker", "STRIP=:", &format!("FEATURES={FEATURES}")])
        .arg(format!("LDFLAGS={} -pthread", archive.display()))
        .env("CFLAGS", format!("{include} -w"))
        .current_dir(&source);
    process::run(&mut make)?;
    // Last, so that an interrupted build is not taken for a finished one.
    fs::rename(source.join("opentracker"), binary).context("cannot move opentracker")?;
    debian::remove_directory(&source)?;
    debian::remove_directory(&library)
}

/// The archive of the library, in this directory or in that of the machine's architecture below it.
fn archive_below(directory: &Path) -> Result<PathBuf> {
    let below = fs::read_dir(directory)?.filter_map(|entry| entry.ok()).map(|entry| entry.path());
    let mut archives = std::iter::once(directory.to_owned()).chain(below).map(|path| path.join("libowfat.a"));
    archives.find(|path| path.exists()).with_context(|| format!("no libowfat.a in {LIBRARY_PACKAGE}"))
}
