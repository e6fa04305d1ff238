//! `cargo xtask bench lists`: how long the daemon takes to read a list of torrents, and to put it in force while it runs.

use super::child::{self, Output, PinnedChild};
use super::contender::write;
use super::cpu;
use super::report::Spread;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Seconds for a list of 300,000 lines.
const TARGET_SECS: f64 = 1.0;
/// What the daemon says of a list once it is in force.
const IN_FORCE: &str = " in force: ";
/// What it says once it hears signals.
const READY: &str = " ready: ";
/// Between two looks at the log.
const PAUSE: Duration = Duration::from_micros(200);
/// For how long a list may take.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often the list is read
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Lines of the list
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1..))]
    lines: u32,
}

/// Has the daemon read a list again and again, each time from the signal until it is in force.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let [core, ..] = cpu::allowed_cores()?[..] else { bail!("there is no core") };
    let daemon = workspace.build_daemon(Profile::Release)?;
    child::end_on_signal(|| {})?;
    let directory = workspace.target.join("bench");
    let list = directory.join("list.txt");
    write(&list, &lines(arguments.lines))?;
    let log = directory.join("lists.log");
    let mut command = Command::new(daemon);
    command.args(["-i", "127.0.0.1", "-p", "0", "-P", "0", "--mode", "socket", "-w"]).arg(&list);
    if nix::unistd::geteuid().is_root() {
        command.args(["-u", "root"]);
    }
    let mut child = PinnedChild::spawn(&command, core, &log, Output::ToLog)?;
    await_said(Some(&mut child), &log, READY, 1)?;
    let mut secs = Vec::new();
    for round in 0..arguments.rounds as usize {
        let begun = Instant::now();
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGHUP)?;
        await_said(Some(&mut child), &log, IN_FORCE, round + 2)?;
        secs.push(begun.elapsed().as_secs_f64());
    }
    let spread = Spread::of(secs);
    let verdict = if spread.median < TARGET_SECS { "reached" } else { "missed" };
    println!(
        "{} lines from SIGHUP until they are in force, {} rounds: {spread} s, target {TARGET_SECS} {verdict}",
        arguments.lines, arguments.rounds
    );
    Ok(())
}

/// A list in no order, as they come.
pub(super) fn lines(count: u32) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mixed:016x}{:016X}{number:08x} 2026-01-01 as the court has ordered", !mixed);
        text
    })
}

/// Waits until so many lists have come into force.
pub(super) fn await_lists(child: Option<&mut PinnedChild>, log: &Path, count: usize) -> Result<()> {
    await_said(child, log, IN_FORCE, count)
}

/// Waits until the daemon has said something so many times.
fn await_said(mut child: Option<&mut PinnedChild>, log: &Path, said: &str, count: usize) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        if let Some(child) = &mut child {
            child.check_running()?;
        }
        let written = fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
        if written.matches(said).count() >= count {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    bail!("the daemon did not say{said}within {} s; see {}", LIMIT.as_secs(), log.display())
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn every_line_begins_with_a_hash() {
        let lines = lines(1000);
        let is_hash = |line: &str| {
            line.split(' ')
                .next()
                .is_some_and(|hash| hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        assert!(lines.lines().count() == 1000 && lines.lines().all(is_hash));
    }
}
