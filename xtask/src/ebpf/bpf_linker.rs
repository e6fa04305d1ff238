//! bpf-linker, which makes a BPF object of what rustc writes, built from crates.io with an LLVM of this machine.

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "0.13.0";

/// The LLVM versions that this release of bpf-linker can be built with.
const LLVM_MAJORS: [u32; 3] = [21, 22, 23];

/// An LLVM with what is needed to link with it.
pub(super) struct Llvm {
    major: u32,
    prefix: PathBuf,
}

impl Llvm {
    /// The nearest that reads what an LLVM of version `writer` has written.
    pub(super) fn for_output_of(writer: u32) -> Option<Self> {
        LLVM_MAJORS.into_iter().filter(|&major| major >= writer).find_map(Self::find)
    }

    fn find(major: u32) -> Option<Self> {
        // Debian and its kin have several versions side by side, others only one, which goes without a suffix.
        let names = [format!("llvm-config-{major}"), "llvm-config".to_owned()];
        names.into_iter().find_map(|name| {
            let ask = |what: &str| process::printed_by(Command::new(&name).arg(what));
            let is_this_version = ask("--version")?.starts_with(&format!("{major}."));
            // llvm-config comes without the library's link too, which is in the package for developers.
            let library = Path::new(ask("--libdir")?.trim_end()).join("libLLVM.so");
            let prefix = PathBuf::from(ask("--prefix")?.trim_end());
            (is_this_version && library.exists()).then_some(Self { major, prefix })
        })
    }
}

/// Builds bpf-linker unless it is there, and says where it is.
pub(super) fn install(workspace: &Workspace, llvm: &Llvm) -> Result<PathBuf> {
    let root = workspace.target.join(format!("bpf-tools/bpf-linker-{VERSION}-llvm-{}", llvm.major));
    let linker = root.join("bin/bpf-linker");
    // Started, not only looked for: it needs its LLVM still to be there.
    if process::succeeds(Command::new(&linker).arg("--version")) {
        return Ok(linker);
    }
    eprintln!(
        "build-ebpf: building bpf-linker {VERSION} from crates.io into {}, which takes minutes",
        root.display()
    );
    let mut cargo = workspace.cargo();
    // Without optimisation it is built in a third of the time, and links one small program no slower: LLVM does the work.
    cargo.args(["install", "bpf-linker", "--debug", "--quiet", "--locked", "--force", "--version"]);
    cargo.arg(format!("={VERSION}")).args(["--no-default-features", "--features"]);
    cargo.arg(format!("llvm-{}", llvm.major)).arg("--root").arg(&root);
    cargo.env("LLVM_PREFIX", &llvm.prefix);
    process::run(&mut cargo).context("no bpf-linker")?;
    Ok(linker)
}
