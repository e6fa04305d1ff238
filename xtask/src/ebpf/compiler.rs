//! A Rust compiler with the sources of its standard library: rustup's nightly or Debian's. It builds `core` for the XDP
//! program, and all of it for the thread sanitizer.

use crate::process;
use crate::workspace::Workspace;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest compiler that can build this workspace, as `MAJOR.MINOR`.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// A compiler with sources.
pub(crate) struct Compiler {
    /// The cargo to call it with.
    cargo: PathBuf,
    /// The compiler itself.
    pub(crate) rustc: PathBuf,
    /// Whether it changes from day to day.
    pub(crate) is_nightly: bool,
    /// The major version of the LLVM that writes its output: an older one cannot read it.
    pub(crate) llvm: u32,
}

impl Compiler {
    /// All on this machine that would do, the preferred one first.
    pub(crate) fn all() -> Vec<Self> {
        [Self::rustup_nightly(), Self::debian()].into_iter().flatten().collect()
    }

    /// Cargo with this compiler, which takes its unstable options too.
    pub(crate) fn cargo(&self, workspace: &Workspace) -> Command {
        let mut cargo = Command::new(&self.cargo);
        cargo.current_dir(&workspace.root).env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1");
        cargo
    }

    fn rustup_nightly() -> Option<Self> {
        let mut rustup = Command::new("rustup");
        // Asking for a toolchain shall not download it.
        rustup.args(["which", "--toolchain", "nightly", "rustc"]).env("RUSTUP_AUTO_INSTALL", "0");
        let rustc = PathBuf::from(process::printed_by(&mut rustup)?.trim_end());
        let cargo = rustc.with_file_name("cargo");
        Self::with_sources(cargo, rustc, true)
    }

    fn debian() -> Option<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::with_sources(cargo.into(), PathBuf::from("/usr/bin/rustc"), false)
    }

    /// The compiler, if it is there, new enough, and has its sources.
    fn with_sources(cargo: PathBuf, rustc: PathBuf, is_nightly: bool) -> Option<Self> {
        let sysroot = process::printed_by(Command::new(&rustc).args(["--print", "sysroot"]))?;
        let core = Path::new(sysroot.trim_end()).join("lib/rustlib/src/rust/library/core/src/lib.rs");
        let about = process::printed_by(Command::new(&rustc).arg("-vV"))?;
        let is_new_enough = version_after(&about, "release: ")? >= version(OLDEST)?;
        if !is_new_enough || !core.exists() {
            return None;
        }
        let (llvm, _) = version_after(&about, "LLVM version: ")?;
        Some(Self { cargo, rustc, is_nightly, llvm })
    }
}

/// The first two numbers of the version in the line that begins with `label`.
fn version_after(text: &str, label: &str) -> Option<(u32, u32)> {
    version(text.lines().find_map(|line| line.strip_prefix(label))?)
}

/// The first two numbers of a version such as `1.97.0-nightly`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse::<u32>().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::version_after;

    #[test]
    fn versions_are_read_from_what_rustc_says_about_itself() {
        let about =
            "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        assert_eq!(version_after(about, "release: "), Some((1, 97)));
        assert_eq!(version_after(about, "LLVM version: "), Some((22, 1)));
        assert_eq!(version_after(about, "host: "), None);
    }
}
