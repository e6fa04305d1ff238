//! One configuration file: read, told apart by its name, and taken into the draft.

use super::draft::Draft;
use super::finding::{Finding, Place};
use super::{classic, toml_file};
use std::path::Path;

/// Takes a file in: TOML if its name ends in `.toml`, else opentracker's format.
pub(super) fn read(draft: &mut Draft, path: &Path) {
    let at = |line| Place::File { path: path.to_owned(), line };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            draft.findings.push(Finding::error(&at(None), "", format!("cannot be read: {error}")));
            return;
        }
    };
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = line_of(&bytes, error.valid_up_to());
            draft.findings.push(Finding::error(&at(Some(line)), "", "expected UTF-8, found other bytes"));
            return;
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if path.extension().is_some_and(|extension| extension == "toml") {
        toml_file::read(draft, path, text);
    } else {
        classic::read(draft, path, text);
    }
}

/// The line, counted from 1, of a byte of a file.
pub(super) fn line_of(bytes: &[u8], offset: usize) -> usize {
    1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count()
}
