//! Saying aloud that a test of the sandbox did not run, as the tests of the daemon do (`tests/src/skip.rs`): where all can
//! run, one that did not is an error.

use std::fs::OpenOptions;
use std::io::Write;

/// Writes `skipped: reason` to standard error, and to the file in which `cargo xtask test` collects such lines.
pub(super) fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
    let Some(path) = std::env::var_os("TRACKER_TESTS_SKIPPED_LOG") else { return };
    let mut log = OpenOptions::new().create(true).append(true).open(path).unwrap();
    // One write: lines of tests that run side by side do not mix.
    log.write_all(format!("skipped: {reason}\n").as_bytes()).unwrap();
}
