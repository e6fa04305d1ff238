//! Saying aloud that a test did not run: a machine without root or without a client must not pass in silence.

use std::fs::OpenOptions;
use std::io::Write;

/// Names the file in which skipped tests are collected; `cargo xtask test` sets it and reads it.
pub const SKIPPED_LOG_VARIABLE: &str = "TRACKER_TESTS_SKIPPED_LOG";

/// Writes `skipped: reason` to standard error and to the file that [`SKIPPED_LOG_VARIABLE`] names. The test returns
/// after it.
///
/// # Panics
/// When that file cannot be written: a skip that nobody hears of is worse than a failure.
pub fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
    let Some(path) = std::env::var_os(SKIPPED_LOG_VARIABLE) else { return };
    // One write in append mode: lines of tests that run side by side do not mix.
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("skipped: {reason}\n").as_bytes()))
        .unwrap_or_else(|error| panic!("cannot append to {}: {error}", path.display()));
}

/// Whether the test has the rights of root; if not, says that `what` is skipped.
pub fn is_root_or_skipped(what: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skipped(&format!("{what}: needs root"));
    }
    is_root
}
