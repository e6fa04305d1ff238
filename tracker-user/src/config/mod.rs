//! From files and arguments to one [`types::Config`]; everything wrong with them is found at once.
//!
//! Runs once, before anything is bound. [`keys`] is the one table of settings: the classic file, the TOML file,
//! the command line, the printed configuration and the documentation all follow it. Nothing here logs, exits
//! or touches more of the system than the files that it is told to read.

mod check;
mod classic;
mod command_line;
mod draft;
mod file;
pub mod finding;
pub mod keys;
mod print;
mod toml_file;
pub mod types;
mod values;

#[cfg(test)]
mod tests;

use finding::Finding;
use std::ffi::OsString;
use std::path::PathBuf;
use types::Config;

/// The exit code of a daemon that cannot start with what it was told.
const EXIT_REFUSED: u8 = 2;
/// The exit code of `--check-config` that found something.
const EXIT_CHECK_FAILED: u8 = 1;

/// What the arguments ask of the program.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Start the tracker.
    Run {
        /// With everything that was set, and defaults for the rest.
        config: Box<Config>,
        /// What looks wrong but is no reason not to start; to be logged.
        warnings: Vec<Finding>,
    },
    /// Write a text to standard output and exit with 0: help, version, the configuration, or `ok`.
    Print {
        /// The text with its last line break.
        text: String,
        /// What looks wrong; for standard error.
        warnings: Vec<Finding>,
    },
    /// Write the findings to standard error, one per line, and exit.
    Refuse {
        /// Everything found, warnings too; at least one error.
        findings: Vec<Finding>,
        /// 2 for a start that failed, 1 for a check that did.
        exit_code: u8,
    },
}

/// The files that arguments name with `-f`, in their order; none where the arguments are wrong.
pub fn files_named(arguments: impl IntoIterator<Item = OsString>) -> Vec<PathBuf> {
    command_line::files_named(arguments)
}

/// Reads the arguments, the program's name first, and every file that they name.
pub fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Command {
    command_line::read(arguments)
}
