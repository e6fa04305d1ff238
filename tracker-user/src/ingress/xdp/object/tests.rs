//! Objects that are none, that are damaged, and that are of another version; and the embedded one, where there is one.

use super::{ObjectError, check_abi, embedded, find};
use object::write::{Object, StandardSection, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};
use std::path::Path;
use tracker_common::abi::{ABI_VERSION, ABI_VERSION_SYMBOL};

/// An object with nothing in it but `bytes` in `.rodata`, under the name of `symbol`.
fn object(architecture: Architecture, endianness: Endianness, symbol: &str, bytes: &[u8]) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, architecture, endianness);
    let section = object.section_id(StandardSection::ReadOnlyData);
    // Something before it: a version is read where its symbol says, not at the start of the section.
    object.append_section_data(section, &[0xff; 8], 8);
    let symbol = object.add_symbol(Symbol {
        name: symbol.as_bytes().to_vec(),
        value: 0,
        size: 0,
        kind: SymbolKind::Data,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    });
    object.add_symbol_data(symbol, section, bytes, 4);
    object.write().expect("it has nothing that cannot be written")
}

fn bpf_object(version: u32) -> Vec<u8> {
    object(Architecture::Bpf, Endianness::Little, ABI_VERSION_SYMBOL, &version.to_le_bytes())
}

#[test]
fn an_object_of_this_version_is_accepted_in_either_byte_order() {
    check_abi(&bpf_object(ABI_VERSION)).unwrap();
    let big_endian =
        object(Architecture::Bpf, Endianness::Big, ABI_VERSION_SYMBOL, &ABI_VERSION.to_be_bytes());
    check_abi(&big_endian).unwrap();
}

#[test]
fn an_object_of_another_version_is_refused_with_both_versions() {
    let error = check_abi(&bpf_object(ABI_VERSION + 41)).unwrap_err();
    assert!(matches!(error, ObjectError::OtherVersion { found } if found == ABI_VERSION + 41), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(&format!("has version {} ", ABI_VERSION + 41)), "{message}");
    assert!(message.contains(&format!("which has {ABI_VERSION}:")), "{message}");
}

#[test]
fn what_is_no_elf_file_is_refused() {
    for garbage in [&b""[..], b"\x7fELF", b"#!/bin/sh\nexit 0\n", &[0xa5; 4096]] {
        let error = check_abi(garbage).unwrap_err();
        assert!(matches!(error, ObjectError::NotElf(_)), "{error:?}");
    }
}

#[test]
fn every_truncated_object_is_refused() {
    let object = bpf_object(ABI_VERSION);
    for length in 0..object.len() {
        assert!(check_abi(&object[..length]).is_err(), "the first {length} of {} bytes", object.len());
    }
}

#[test]
fn an_object_for_another_machine_is_refused() {
    let native =
        object(Architecture::X86_64, Endianness::Little, ABI_VERSION_SYMBOL, &ABI_VERSION.to_le_bytes());
    let error = check_abi(&native).unwrap_err();
    assert!(matches!(error, ObjectError::NotBpf(Architecture::X86_64)), "{error:?}");
}

#[test]
fn an_object_that_does_not_tell_its_version_is_refused() {
    let other_symbol = object(Architecture::Bpf, Endianness::Little, "OTHER", &ABI_VERSION.to_le_bytes());
    let too_short = object(Architecture::Bpf, Endianness::Little, ABI_VERSION_SYMBOL, &[1, 0]);
    for bytes in [other_symbol, too_short] {
        let error = check_abi(&bytes).unwrap_err();
        assert!(matches!(error, ObjectError::NoVersion), "{error:?}");
    }
}

#[test]
fn the_embedded_object_is_of_this_version() {
    let Some(bytes) = embedded() else {
        let error = find(None).unwrap_err();
        assert!(matches!(error, ObjectError::NotEmbedded), "{error:?}");
        return;
    };
    assert_eq!(bytes.as_ptr().align_offset(8), 0);
    check_abi(bytes).unwrap();
    check_abi(&find(None).unwrap()).unwrap();
}

#[test]
fn a_named_file_comes_before_the_embedded_object() {
    let path = std::env::temp_dir().join(format!("opentracker-xdp-object-{}", std::process::id()));
    std::fs::write(&path, b"the file").unwrap();
    let found = find(Some(&path));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(&*found.unwrap(), b"the file");
}

#[test]
fn a_named_file_that_is_missing_is_named_in_the_error() {
    let error = find(Some(Path::new("/nonexistent/tracker-ebpf"))).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("cannot read the XDP program /nonexistent/tracker-ebpf: "), "{message}");
}
