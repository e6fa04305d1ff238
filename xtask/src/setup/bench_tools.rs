//! Other trackers and a load generator for the benchmarks, in `target/bench-tools`: nothing is installed system-wide.

use super::{Presence, debian};
use crate::process;
use crate::workspace::Workspace;
use anyhow::Result;
use std::path::PathBuf;

/// opentracker and the library that Debian packages apart from it.
const OPENTRACKER_PACKAGES: [&str; 2] = ["opentracker", "libowfat0"];

/// What is built from crates.io: the crate with its version, the binary, and its features.
///
/// Without `--locked`: the dependencies that these releases were locked with no longer compile.
const CRATES: [(&str, &str, &[&str]); 2] = [
    ("aquatic_udp@0.9.0", "aquatic_udp", &["--features", "io-uring"]),
    ("aquatic_udp_load_test@0.9.0", "aquatic_udp_load_test", &[]),
];

/// Where the tools are, or would be.
pub(crate) struct BenchTools {
    directory: PathBuf,
}

impl BenchTools {
    pub(super) fn in_workspace(workspace: &Workspace) -> Self {
        Self { directory: workspace.target.join("bench-tools") }
    }

    /// Debian's opentracker.
    pub(crate) fn opentracker(&self) -> PathBuf {
        self.opentracker_root().join("usr/bin/opentracker")
    }

    /// The directory of the libraries that [`BenchTools::opentracker`] needs.
    pub(crate) fn opentracker_libraries(&self) -> PathBuf {
        self.opentracker_root().join("usr/lib")
    }

    /// A binary that was built from crates.io.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }

    fn opentracker_root(&self) -> PathBuf {
        self.directory.join("opentracker")
    }

    /// Installs what is missing.
    pub(super) fn install(&self, workspace: &Workspace) -> Result<Vec<Presence>> {
        let mut parts = vec![self.install_opentracker(), debian::install_bench_packages()?];
        for (package, binary, features) in CRATES {
            parts.push(self.install_crate(workspace, package, binary, features));
        }
        Ok(parts)
    }

    /// Unpacks Debian's opentracker, if it is not there.
    pub(super) fn install_opentracker(&self) -> Presence {
        if self.opentracker().exists() {
            return Presence::Present;
        }
        let names = OPENTRACKER_PACKAGES.join(" ");
        let root = self.opentracker_root();
        eprintln!("setup: unpacking these Debian packages into {}: {names}", root.display());
        match debian::unpack_packages(&OPENTRACKER_PACKAGES, &root) {
            Ok(()) => Presence::Present,
            Err(error) => Presence::Missing(format!("no opentracker: {error:#}")),
        }
    }

    fn install_crate(
        &self,
        workspace: &Workspace,
        package: &str,
        binary: &str,
        features: &[&str],
    ) -> Presence {
        if self.binary(binary).exists() {
            return Presence::Present;
        }
        eprintln!("setup: building {package} from crates.io into {}", self.directory.display());
        let mut cargo = workspace.cargo();
        cargo.args(["install", "--quiet", package]).args(features).arg("--root").arg(&self.directory);
        match process::run(&mut cargo) {
            Ok(()) => Presence::Present,
            Err(error) => Presence::Missing(format!("no {binary}: {error:#}")),
        }
    }
}
