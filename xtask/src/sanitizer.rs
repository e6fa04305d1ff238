//! The tests of the peer store that have several threads, under a thread sanitizer: it sees every access to memory that two
//! threads do not agree on, whether or not it has done harm this time.
//!
//! The sanitizer has to know all synchronisation, so the standard library is built with it too. That takes its sources, and
//! the sanitizer's runtime for the LLVM that the compiler writes for.

use crate::ebpf::Compiler;
use crate::process;
use crate::setup::{self, Presence};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::env::consts::ARCH;
use std::path::Path;
use std::process::Command;

/// A compiler with its sources, the runtime, and among other linkers one that takes it.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "rust-web-src", "libclang-rt-22-dev", "binutils"];
/// The tests with several threads.
const TESTS: [&str; 2] = ["tests::exact", "tests::threads"];

/// The command that builds and runs the tests, or why there is none. What it takes is installed where that is possible.
///
/// # Errors
/// Installing was tried and went wrong.
pub(crate) fn tests(workspace: &Workspace) -> Result<Result<Command, String>> {
    if let Some(command) = command(workspace) {
        return Ok(Ok(command));
    }
    if let Presence::Missing(reason) = setup::install_packages(&DEBIAN_PACKAGES)? {
        return Ok(Err(format!("no Rust compiler with its sources and a thread sanitizer; {reason}")));
    }
    Ok(Ok(command(workspace).context("there is no thread sanitizer for this machine's Rust compilers")?))
}

fn command(workspace: &Workspace) -> Option<Command> {
    let (compiler, flags) = Compiler::all()
        .into_iter()
        .find_map(|compiler| rustflags(&compiler).map(|flags| (compiler, flags)))?;
    let mut cargo = compiler.cargo(workspace);
    cargo.args(["test", "--package", "peer-store-alone", "--lib", "-Z", "build-std"]);
    cargo.args(["--target", &format!("{ARCH}-unknown-linux-gnu")]);
    cargo.arg("--target-dir").arg(workspace.target.join("sanitizer"));
    cargo.arg("--").args(TESTS);
    // Unlike RUSTFLAGS, nothing that a user has set overrides it.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    Some(cargo)
}

/// What a compiler has to be told; `None` where it has no runtime.
fn rustflags(compiler: &Compiler) -> Option<Vec<String>> {
    let mut flags = vec!["-Zsanitizer=thread".to_owned()];
    if has_runtime_of_its_own(compiler) {
        return Some(flags);
    }
    let llvm = compiler.llvm;
    let runtime = format!("/usr/lib/llvm-{llvm}/lib/clang/{llvm}/lib/linux/libclang_rt.tsan-{ARCH}.a");
    // GNU's other linker does not link this runtime.
    let has_linker = process::succeeds(Command::new("ld.gold").arg("--version"));
    if !Path::new(&runtime).exists() || !has_linker {
        return None;
    }
    flags.push("-Zexternal-clangrt".to_owned());
    let linked = ["-fuse-ld=gold", "-Wl,--whole-archive", &runtime, "-Wl,--no-whole-archive", "-lm", "-lc"];
    flags.extend(linked.map(|argument| format!("-Clink-arg={argument}")));
    Some(flags)
}

/// Whether a compiler has come with a runtime, as rustup's have.
fn has_runtime_of_its_own(compiler: &Compiler) -> bool {
    let mut rustc = Command::new(&compiler.rustc);
    let Some(libraries) = process::printed_by(rustc.args(["--print", "target-libdir"])) else { return false };
    let channel = if compiler.is_nightly { "nightly" } else { "stable" };
    Path::new(libraries.trim_end()).join(format!("librustc-{channel}_rt.tsan.a")).exists()
}
