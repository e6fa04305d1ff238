//! Everything the program is built with: found on this machine or, as root on Debian, installed.

use super::bpf_linker::{self, Llvm};
use super::compiler::Compiler;
use crate::setup::{self, Presence};
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// The LLVM of Debian, and what its compiler for browsers is made with, which is newer than its other one.
const DEBIAN_PACKAGES: [&str; 3] = ["llvm-22-dev", "rustc-web", "rust-web-src"];
/// The version of the first of [`DEBIAN_PACKAGES`].
const DEBIAN_LLVM_MAJOR: u32 = 22;

/// A compiler and the linker that understands it.
pub(super) struct Toolchain {
    pub(super) compiler: Compiler,
    pub(super) linker: PathBuf,
}

impl Toolchain {
    /// The toolchain of this machine. What it lacks is installed, if that is possible.
    ///
    /// # Errors
    /// Something is missing; the error says how to install it.
    pub(super) fn find_or_install(workspace: &Workspace) -> Result<Self> {
        let (compiler, llvm) = match pair(Compiler::all()) {
            Ok(pair) => pair,
            Err(lack) => {
                if let Presence::Missing(reason) = setup::install_packages(lack.debian_packages())? {
                    bail!("{}; {reason}", lack.remedy());
                }
                match pair(Compiler::all()) {
                    Ok(pair) => pair,
                    Err(lack) => bail!("{}", lack.remedy()),
                }
            }
        };
        let linker = bpf_linker::install(workspace, &llvm)?;
        Ok(Self { compiler, linker })
    }
}

/// What keeps a machine from building the program.
enum Lack {
    /// No compiler with its sources.
    Compiler,
    /// There is one, but no LLVM that reads what its LLVM, of this version, writes.
    Llvm(u32),
}

impl Lack {
    fn debian_packages(&self) -> &'static [&'static str] {
        match self {
            Self::Llvm(writer) if *writer <= DEBIAN_LLVM_MAJOR => &DEBIAN_PACKAGES[..1],
            Self::Compiler | Self::Llvm(_) => &DEBIAN_PACKAGES,
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::Compiler => format!(
                "no Rust compiler with the sources of `core`: install one, on Debian with `apt-get install {}`, \
                 elsewhere with `rustup toolchain install nightly --component rust-src` and the LLVM of its version",
                DEBIAN_PACKAGES.join(" ")
            ),
            Self::Llvm(writer) => {
                format!(
                    "no LLVM {writer} to link with: install it, on Debian with `apt-get install llvm-{writer}-dev`"
                )
            }
        }
    }
}

/// The first compiler for whose output there is an LLVM.
fn pair(compilers: Vec<Compiler>) -> Result<(Compiler, Llvm), Lack> {
    let mut lack = Lack::Compiler;
    for compiler in compilers {
        match Llvm::for_output_of(compiler.llvm) {
            Some(llvm) => return Ok((compiler, llvm)),
            None => lack = Lack::Llvm(compiler.llvm),
        }
    }
    Err(lack)
}
