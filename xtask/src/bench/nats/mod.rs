//! `cargo xtask bench nats`: two sites of two nodes under load, whose server of NATS is killed and comes back: how soon all know
//! what was announced meanwhile, and what memory that took.
//!
//! Needs root, for network namespaces, and touches no interface but those that it makes.

mod client;
mod round;
mod world;

use super::report::Spread;
use super::xdp::network;
use super::{child, cpu};
use crate::setup;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;
use round::{Sample, Setting};
use std::path::Path;

/// Seconds after the server's return in which everything must have arrived.
const TARGET_SECS: f64 = 5.0;

/// Where Debian's package has it.
const SERVER: &str = "/usr/sbin/nats-server";

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Announces of new peers in a second, at all four nodes together
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(4..=1_000_000))]
    rate: u32,
    /// Seconds for which the server is away
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    away: u32,
    /// The bound of a node's memory for what it has to tell
    #[arg(long, default_value = "32M")]
    memory: String,
}

/// Measures in every round, and prints it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("this benchmark makes network namespaces: it needs root");
    }
    setup::for_tests_between_sites()?;
    if !Path::new(SERVER).exists() {
        bail!("there is no {SERVER}; install the package nats-server");
    }
    let directory = workspace.target.join("bench");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let setting = Setting {
        daemon: workspace.build_daemon(Profile::Release)?,
        generator: workspace.build_load_generator()?,
        server: SERVER.into(),
        directory,
        cores: cpu::allowed_cores()?,
        rate: arguments.rate,
        away_secs: arguments.away,
        memory: arguments.memory.clone(),
    };
    child::end_on_signal(network::remove_all)?;
    let mut samples = Vec::new();
    for round in 1..=arguments.rounds {
        let sample = setting.measure().with_context(|| format!("round {round}"))?;
        eprintln!("round {round}  {}", sample.line());
        samples.push(sample);
    }
    print!("{}", text(&samples, arguments));
    Ok(())
}

fn text(samples: &[Sample], arguments: &Arguments) -> String {
    let spread = |value: fn(&Sample) -> f64| Spread::of(samples.iter().map(value).collect());
    let convergence = spread(|sample| sample.convergence_secs);
    let verdict = if convergence.max < TARGET_SECS { "reached" } else { "missed" };
    let mut text = format!(
        "\n{} rounds, {} announces/s, server away for {} s: median (min–max)\n",
        samples.len(),
        arguments.rate,
        arguments.away
    );
    for (name, value) in [
        ("convergence s", convergence),
        ("events told", spread(|sample| sample.told_events as f64)),
        ("kept KiB/node at the return", spread(|sample| sample.kept_bytes as f64 / 1024.0)),
        ("VmRSS growth MiB/node while away", spread(|sample| sample.rss_growth_bytes / f64::from(1 << 20))),
        ("bytes/peer of that growth", spread(Sample::bytes_per_peer)),
        ("events lost", spread(|sample| sample.lost_events as f64)),
        ("events missing in the end", spread(|sample| sample.missing_events as f64)),
    ] {
        text += &format!("{name:34} {value}\n");
    }
    text + &format!(
        "target {TARGET_SECS} s {verdict}; the memory for what is told is bound to {}\n",
        arguments.memory
    )
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Sample, text};

    #[test]
    fn the_report_says_whether_every_round_has_reached_the_target() {
        let arguments = Arguments { rounds: 1, rate: 10_000, away: 10, memory: "32M".to_owned() };
        let of = |rounds: &[f64]| {
            let sample = |secs: &f64| Sample { convergence_secs: *secs, ..Sample::default() };
            text(&rounds.iter().map(sample).collect::<Vec<_>>(), &arguments)
        };
        assert!(of(&[1.5, 4.5]).contains("target 5 s reached"));
        assert!(of(&[1.5, 1.5, 5.5]).contains("target 5 s missed"), "one round has missed it");
    }
}
