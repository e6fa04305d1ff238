//! The measurements of the store alone: a program of the daemon's package, a process for each.

use super::targets::Figures;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds the program and says where it is.
pub(super) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "--package", "tracker-user", "--bench", "store", "--no-run"]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the measurements of the store do not build");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains("\"name\":\"store\""))
        .find_map(executable)
        .context("cargo does not say where the measurements of the store are")
}

/// What a message of cargo names as `"executable":"…"`.
fn executable(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once("\"executable\":\"")?;
    let (path, _) = rest.split_once('"')?;
    Some(PathBuf::from(path))
}

/// Runs one measurement and takes its figures.
pub(super) fn measure(binary: &Path, measurement: &str, figures: &mut Figures) -> Result<()> {
    let output = Command::new(binary)
        .arg(measurement)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    if !output.status.success() {
        bail!("the measurement {measurement} ended with {}", output.status);
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        eprintln!("{line}");
        let (name, value) = line.split_once(' ').with_context(|| format!("{line:?} is no figure"))?;
        figures.add(name, value.parse().with_context(|| format!("{line:?} has no number"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn the_executable_is_found_in_a_message_of_cargo() {
        let message = r#"{"reason":"compiler-artifact","target":{"name":"store"},"executable":"/t/store-1"}"#;
        assert_eq!(executable(message), Some("/t/store-1".into()));
        assert_eq!(executable(r#"{"executable":null}"#), None);
    }
}
