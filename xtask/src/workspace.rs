//! Where the repository is and where its builds go.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package and its binary, as cargo names them.
type Binary = (&'static str, &'static str);
const DAEMON: Binary = ("tracker-user", "opentracker-xdp");
const LOAD_GENERATOR: Binary = ("tracker-load", "tracker-load");

/// The repository that a command works on.
pub(crate) struct Workspace {
    /// The directory of the virtual `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where builds, tools, logs, and results go: `target/`, or what `CARGO_TARGET_DIR` says.
    pub(crate) target: PathBuf,
}

/// How the daemon is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As tests use it.
    Dev,
    /// As operators use it.
    Release,
}

impl Workspace {
    /// The workspace that holds this crate.
    pub(crate) fn find() -> Result<Self> {
        let manifest_dir =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest_dir)
            .parent()
            .context("the directory of xtask has no parent")?
            .canonicalize()
            .context("the repository that xtask was built from is gone")?;
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(target) => env::current_dir()?.join(target),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// Cargo itself, called in the root of the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        cargo
    }

    /// Builds the daemon and says where its binary is.
    pub(crate) fn build_daemon(&self, profile: Profile) -> Result<PathBuf> {
        self.build(DAEMON, profile)
    }

    /// Builds the load generator as operators use it and says where its binary is.
    pub(crate) fn build_load_generator(&self) -> Result<PathBuf> {
        self.build(LOAD_GENERATOR, Profile::Release)
    }

    fn build(&self, (package, binary): Binary, profile: Profile) -> Result<PathBuf> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--package", package, "--bin", binary]);
        let directory = match profile {
            Profile::Dev => "debug",
            Profile::Release => {
                cargo.arg("--release");
                "release"
            }
        };
        crate::process::run(&mut cargo)?;
        Ok(self.target.join(directory).join(binary))
    }
}
