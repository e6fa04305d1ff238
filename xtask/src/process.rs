//! Other programs: run to their end with their output shown, or only asked for what they print.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// Runs a program to its end, its output shown.
///
/// # Errors
/// It could not be started, or it ended with anything but success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Whether a program can be started and ends with success; its output is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// What a program prints; `None`: it could not be started, failed, or printed no text. Its errors are not shown.
pub(crate) fn printed_by(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
}

/// The command line, to be read by a human.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
