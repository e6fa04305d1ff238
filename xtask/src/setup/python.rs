//! libtorrent's Python module from PyPI, in a virtual environment under `target/`.

use super::Presence;
use crate::process;
use crate::workspace::Workspace;
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// Older releases have no wheels for today's Pythons.
const REQUIREMENT: &str = "libtorrent>=2.0.11,<3";

/// Installs libtorrent into `target/venv`.
pub(super) fn install_libtorrent(workspace: &Workspace) -> Result<Presence> {
    let venv = workspace.target.join("venv");
    if has_libtorrent(&venv) {
        return Ok(Presence::Present);
    }
    eprintln!("setup: installing {REQUIREMENT} from PyPI into {}", venv.display());
    match install(&venv) {
        Ok(()) if has_libtorrent(&venv) => Ok(Presence::Present),
        Ok(()) => Ok(Presence::Missing("libtorrent from PyPI does not load on this machine".to_owned())),
        Err(error) => Ok(Presence::Missing(format!("no libtorrent: {error:#}"))),
    }
}

fn has_libtorrent(venv: &Path) -> bool {
    process::succeeds(Command::new(venv.join("bin/python")).args(["-c", "import libtorrent"]))
}

fn install(venv: &Path) -> Result<()> {
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // A source archive would need a C++ toolchain and Boost.
    pip.args(["--only-binary", ":all:", REQUIREMENT]);
    process::run(&mut pip)
}
