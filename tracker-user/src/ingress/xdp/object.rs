//! The compiled XDP program before it is loaded: where it comes from, and whether it is one for this daemon.
//!
//! Runs at start only. An object that shares another layout of memory with the daemon must never reach the kernel.

use object::{Architecture, File, Object, ObjectSection, ObjectSymbol};
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use tracker_common::abi::{ABI_VERSION, ABI_VERSION_SYMBOL};

/// Why there is no XDP program to load.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// Neither embedded nor named.
    #[error(
        "this build has no XDP program: run `cargo xtask build-ebpf` and build again, or name one with --xdp-object"
    )]
    NotEmbedded,
    /// The file that the configuration names cannot be read.
    #[error("cannot read the XDP program {}: {cause}; --xdp-object names it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// No object file at all, or a damaged one.
    #[error("the XDP program is no ELF file, or a damaged one ({0}): build it with `cargo xtask build-ebpf`")]
    NotElf(object::Error),
    /// An object file for another machine.
    #[error(
        "the XDP program is compiled for {0:?}, not for BPF: name the output of `cargo xtask build-ebpf`"
    )]
    NotBpf(Architecture),
    /// An object file that does not say which version it is of.
    #[error("the XDP program has no {ABI_VERSION_SYMBOL}: name the output of `cargo xtask build-ebpf`")]
    NoVersion,
    /// An object file of another version of this project.
    #[error(
        "the XDP program has version {found} of the memory that it shares with the daemon, which has {ABI_VERSION}: \
         build both from the same sources, the program first, with `cargo xtask build-ebpf`"
    )]
    OtherVersion {
        /// The version of the object.
        found: u32,
    },
}

/// The program: the file at `path`, else the embedded one. Whether it fits is for [`check_abi`] to say.
///
/// # Errors
/// The file cannot be read; or no path is given and nothing is embedded.
pub(super) fn find(path: Option<&Path>) -> Result<Cow<'static, [u8]>, ObjectError> {
    match path {
        Some(path) => std::fs::read(path)
            .map(Cow::Owned)
            .map_err(|cause| ObjectError::Unreadable { path: path.to_owned(), cause }),
        None => embedded().map(Cow::Borrowed).ok_or(ObjectError::NotEmbedded),
    }
}

/// The program that was there when the daemon was built.
pub(super) fn embedded() -> Option<&'static [u8]> {
    #[cfg(embedded_xdp_object)]
    {
        /// ELF files are parsed in place, as 8-byte fields.
        #[repr(C, align(8))]
        struct Aligned<T: ?Sized>(T);
        static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/tracker-ebpf")));
        Some(&OBJECT.0)
    }
    #[cfg(not(embedded_xdp_object))]
    None
}

/// Checks that a program shares with the daemon what the daemon shares with it.
///
/// # Errors
/// It is no BPF object, or one of another version.
pub(super) fn check_abi(bytes: &[u8]) -> Result<(), ObjectError> {
    let file = File::parse(bytes).map_err(ObjectError::NotElf)?;
    if file.architecture() != Architecture::Bpf {
        return Err(ObjectError::NotBpf(file.architecture()));
    }
    let found = version(&file)?.ok_or(ObjectError::NoVersion)?;
    if found == ABI_VERSION { Ok(()) } else { Err(ObjectError::OtherVersion { found }) }
}

/// What an object says of its version, in its own byte order; `None`: nothing.
fn version(file: &File<'_>) -> Result<Option<u32>, ObjectError> {
    let Some(symbol) = file.symbol_by_name(ABI_VERSION_SYMBOL) else { return Ok(None) };
    let Some(section) = symbol.section_index() else { return Ok(None) };
    let section = file.section_by_index(section).map_err(ObjectError::NotElf)?;
    let bytes = section.data_range(symbol.address(), size_of::<u32>() as u64).map_err(ObjectError::NotElf)?;
    let Some(Ok(bytes)) = bytes.map(<[u8; 4]>::try_from) else { return Ok(None) };
    Ok(Some(if file.is_little_endian() { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }))
}

#[cfg(test)]
mod tests;
