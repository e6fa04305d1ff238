//! `cargo xtask build-ebpf`: the XDP program, compiled for the kernel's virtual machine into `target/bpf/tracker-ebpf`.
//!
//! The build of the daemon embeds it from there. The commands that need a daemon build it first where they can; a
//! machine without the compiler for it still gets a daemon, which serves through sockets alone.

mod bpf_linker;
mod compiler;
mod toolchain;

pub(crate) use compiler::Compiler;

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use toolchain::Toolchain;

/// What rustc calls the kernel's virtual machine on a little-endian machine.
const TARGET: &str = "bpfel-unknown-none";

/// The machines whose kernels the program is built for; all are little-endian.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// Whether the program logs what becomes of every packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// It counts, and is embedded.
    Silent,
    /// For debugging: it lies beside the other, and is loaded with `--xdp-object`.
    Logging,
}

/// What `cargo xtask build-ebpf` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build the variant that logs what becomes of every packet, for `--xdp-object target/bpf/tracker-ebpf-log`
    #[arg(long)]
    log: bool,
}

/// Builds the program, or says what is missing for it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let variant = if arguments.log { Variant::Logging } else { Variant::Silent };
    let toolchain = Toolchain::find_or_install(workspace)?;
    build(workspace, &toolchain, variant)
}

/// Installs what the build needs, or says in one line what goes without it.
pub(crate) fn set_up(workspace: &Workspace) {
    if let Err(error) = Toolchain::find_or_install(workspace) {
        eprintln!("setup: {error:#}; the daemon is built without its XDP program");
    }
}

/// Builds the program where that is possible; elsewhere says in one line why not, and what is done without it.
///
/// # Errors
/// The program does not compile.
pub(crate) fn build_where_possible(workspace: &Workspace) -> Result<()> {
    match Toolchain::find_or_install(workspace) {
        Ok(toolchain) => build(workspace, &toolchain, Variant::Silent),
        Err(error) => {
            let object = object_path(workspace, Variant::Silent);
            if object.exists() {
                eprintln!("xdp: {error:#}; taking the XDP program that {} holds", object.display());
            } else {
                eprintln!("xdp: {error:#}; the daemon is built without its XDP program");
            }
            Ok(())
        }
    }
}

/// Where the program is that daemons embed, once it is built.
pub(crate) fn embedded_object_path(workspace: &Workspace) -> PathBuf {
    object_path(workspace, Variant::Silent)
}

/// Where the daemon's build looks for the program, wherever cargo's own output goes.
fn object_path(workspace: &Workspace, variant: Variant) -> PathBuf {
    let name = if variant == Variant::Logging { "tracker-ebpf-log" } else { "tracker-ebpf" };
    workspace.root.join("target/bpf").join(name)
}

fn build(workspace: &Workspace, toolchain: &Toolchain, variant: Variant) -> Result<()> {
    if !ARCHITECTURES.contains(&ARCH) {
        bail!("there is no XDP program for {ARCH}, only for {}", ARCHITECTURES.join(" and "));
    }
    let target = workspace.target.join("ebpf");
    let mut cargo = toolchain.compiler.cargo(workspace);
    cargo.args(["build", "--release", "--package", "tracker-ebpf", "--target", TARGET]);
    if variant == Variant::Logging {
        cargo.args(["--features", "log"]);
    }
    // Nobody ships a compiled `core` for this target.
    cargo.args(["-Z", "build-std=core", "--target-dir"]).arg(&target);
    // Unlike RUSTFLAGS, nothing that a user has set overrides it.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags(toolchain).join("\x1f"));
    process::run(&mut cargo).context("the XDP program does not build")?;

    let built = fs::read(target.join(TARGET).join("release/tracker-ebpf"))?;
    let object = object_path(workspace, variant);
    replace_if_changed(&object, &built).with_context(|| format!("cannot write {}", object.display()))?;
    println!("XDP program: {} bytes in {}", built.len(), object.display());
    Ok(())
}

fn rustflags(toolchain: &Toolchain) -> Vec<String> {
    let mut flags = vec![
        format!("--cfg=bpf_target_arch=\"{ARCH}\""),
        format!("-Clinker={}", toolchain.linker.display()),
        // The types of the maps (BTF) are made from the whole debug information.
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Otherwise every read of a header field goes byte by byte: a third more instructions.
        "-Clink-arg=--cpu-features=+allows-misaligned-mem-access".to_owned(),
    ];
    if !toolchain.compiler.is_nightly {
        // This build is the program's lint check: clippy has no `core` for this target. A nightly compiler learns new
        // warnings any day, which shall not stop a build.
        flags.push("-Dwarnings".to_owned());
    }
    flags
}

/// Writes a file unless it holds these bytes already: a newer file would make cargo build the daemon again.
fn replace_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let directory = path.parent().context("the file has no directory")?;
    fs::create_dir_all(directory)?;
    // A build of the daemon that runs meanwhile finds either program, never half of one.
    let new = path.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(&new, path)?;
    Ok(())
}
