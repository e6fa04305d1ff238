//! `cargo xtask test`: every test of the workspace, against the real daemon, then those of the peer store with several threads
//! once more under a thread sanitizer, and a closing line that counts them.
//!
//! A test that cannot run on this machine appends one line to the file that `TRACKER_TESTS_SKIPPED_LOG` names. As
//! root everything can run, so such a line is a failure there.

use crate::ebpf;
use crate::process::shown;
use crate::sanitizer;
use crate::setup;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The variable by which tests find the file for their `skipped: …` lines.
const SKIPPED_LOG_VARIABLE: &str = "TRACKER_TESTS_SKIPPED_LOG";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Run nothing but the tests of the peer store that have several threads, under a thread sanitizer
    #[arg(long, conflicts_with = "cargo_test")]
    thread_sanitizer: bool,
    /// More arguments to `cargo test`, such as a test's name; nothing runs under the thread sanitizer then
    #[arg(last = true, value_name = "ARGS")]
    cargo_test: Vec<OsString>,
}

/// How many tests ended how.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tally {
    /// Adds what a line of `cargo test` reports; other lines report nothing.
    fn add_line(&mut self, line: &str) {
        let Some(report) = line.strip_prefix("test result: ") else { return };
        for part in report.split([';', '.']) {
            let Some((count, outcome)) = part.trim().split_once(' ') else { continue };
            let Ok(count) = count.parse::<u32>() else { continue };
            match outcome {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

/// Installs what the tests need, builds the XDP program and the daemon, runs all tests, and counts them.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let skipped_log = workspace.target.join("tests-skipped.log");
    fs::create_dir_all(&workspace.target)?;
    fs::write(&skipped_log, "").with_context(|| format!("cannot write {}", skipped_log.display()))?;
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    if !arguments.thread_sanitizer {
        failures.extend(run_all(workspace, arguments, &skipped_log, &mut tally)?);
    }
    let mut skipped = read_skipped(&skipped_log)?;
    if arguments.cargo_test.is_empty() {
        match sanitizer::tests(workspace)? {
            Ok(command) => failures.extend(run_tests(command, &mut tally)?),
            Err(reason) => skipped.push(format!("skipped: tests under the thread sanitizer: {reason}")),
        }
    }

    for line in &skipped {
        println!("{line}");
    }
    println!(
        "tests: {} passed, {} failed, {} ignored, {} skipped",
        tally.passed,
        tally.failed,
        tally.ignored,
        skipped.len()
    );
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    if !skipped.is_empty() && nix::unistd::geteuid().is_root() {
        bail!("as root every test can run, but {} did not", skipped.len());
    }
    Ok(())
}

/// Runs the tests of the whole workspace, and returns how they failed.
fn run_all(
    workspace: &Workspace,
    arguments: &Arguments,
    skipped_log: &Path,
    tally: &mut Tally,
) -> Result<Option<String>> {
    setup::for_tests(workspace)?;
    ebpf::build_where_possible(workspace)?;
    workspace.build_daemon(Profile::Dev)?;
    let mut cargo_test = workspace.cargo();
    cargo_test.args(["test", "--workspace", "--no-fail-fast"]).args(&arguments.cargo_test);
    cargo_test.env(SKIPPED_LOG_VARIABLE, skipped_log);
    run_tests(cargo_test, tally)
}

/// Runs tests, counts them, and returns how they failed.
fn run_tests(mut cargo_test: Command, tally: &mut Tally) -> Result<Option<String>> {
    let mut child = cargo_test.stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    tally_output(&mut child, tally)?;
    let status = child.wait()?;
    Ok((!status.success()).then(|| format!("{} ended with {status}", shown(&cargo_test))))
}

/// Passes the tests' output on as it comes, and counts what it reports.
fn tally_output(child: &mut Child, tally: &mut Tally) -> Result<()> {
    let mut output = BufReader::new(child.stdout.take().context("cargo test has no output")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        tally.add_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

/// The lines that tests left behind, one for each test that did not run.
fn read_skipped(skipped_log: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(skipped_log).with_context(|| format!("cannot read {}", skipped_log.display()))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn the_reports_of_all_test_programs_add_up() {
        let mut tally = Tally::default();
        tally.add_line("running 3 tests\n");
        tally.add_line(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.10s\n",
        );
        tally.add_line("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n");
        assert_eq!(tally, Tally { passed: 7, failed: 2, ignored: 1 });
    }

    #[test]
    fn what_a_test_prints_is_not_counted() {
        let mut tally = Tally::default();
        tally.add_line("5 passed; 5 failed\n");
        assert_eq!(tally, Tally::default());
    }
}
