//! The load generator as a child process that runs to its end.

use crate::daemon::binary;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// Whether with success.
    pub is_success: bool,
    /// The JSON objects that it printed.
    pub events: Vec<Value>,
    /// What it wrote to standard error.
    pub errors: String,
}

/// The binary, built once per test process.
///
/// # Panics
/// When it does not build.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| binary::build("tracker-load", "tracker-load"))
}

/// Runs it with these arguments, separated by blanks, in the network of this thread.
///
/// # Panics
/// When it cannot be started, or prints what is no JSON.
pub fn run(arguments: &str) -> Finished {
    let output = Command::new(path()).args(arguments.split(' ')).output().expect("it has just been built");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
    Finished {
        is_success: output.status.success(),
        events: printed.lines().map(parse).collect(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Finished {
    /// The measurements.
    ///
    /// # Panics
    /// With what it wrote, when it failed.
    pub fn results(&self) -> Vec<&Value> {
        assert!(self.is_success, "{self:?}");
        self.events.iter().filter(|event| event["event"] == "result").collect()
    }
}
