//! Embeds the XDP program in the daemon when `cargo xtask build-ebpf` has built it. Without it the build succeeds too,
//! and yields a daemon that has to be given the program or serves through sockets alone.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Names another object to embed, by an absolute path; empty: none is embedded.
const OBJECT_VARIABLE: &str = "OPENTRACKER_XDP_OBJECT";

fn main() -> io::Result<()> {
    println!("cargo:rustc-check-cfg=cfg(embedded_xdp_object)");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={OBJECT_VARIABLE}");
    let object = match env::var_os(OBJECT_VARIABLE) {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(named_object(path.into())),
        None => built_object()?,
    };
    if let Some(object) = object {
        // A copy: the object may be built anew while the daemon compiles.
        let embedded = directory_from("OUT_DIR")?.join("tracker-ebpf");
        fs::copy(&object, embedded).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot embed the XDP program {}: {error}", object.display()),
            )
        })?;
        println!("cargo:rustc-cfg=embedded_xdp_object");
    }
    Ok(())
}

/// The object that the builder names.
fn named_object(path: PathBuf) -> PathBuf {
    println!("cargo:rerun-if-changed={}", path.display());
    path
}

/// The object of `cargo xtask build-ebpf`, if it is there.
fn built_object() -> io::Result<Option<PathBuf>> {
    let directory = directory_from("CARGO_MANIFEST_DIR")?.join("../target/bpf");
    // Cargo would take a missing file for a changed one, and compile the daemon in every build: the directory is
    // watched instead. Where it cannot be made, no object can come either.
    if directory.is_dir() || fs::create_dir_all(&directory).is_ok() {
        println!("cargo:rerun-if-changed={}", directory.display());
    }
    let object = directory.join("tracker-ebpf");
    Ok(object.exists().then_some(object))
}

/// A directory that cargo names to build scripts.
fn directory_from(variable: &str) -> io::Result<PathBuf> {
    let value =
        env::var_os(variable).ok_or_else(|| io::Error::other(format!("cargo has set no {variable}")))?;
    Ok(Path::new(&value).to_path_buf())
}
