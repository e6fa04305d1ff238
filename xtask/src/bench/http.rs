//! `cargo xtask bench http`: announces over HTTP by wrk, one connection each and keep-alive, beside opentracker's.

use super::child;
use super::contender::{Contender, Over, RunningTracker, Stable};
use super::cpu::{self, Core, CpuTime};
use super::report::Spread;
use crate::setup;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Instant;

/// The load, in wrk's language.
const SCRIPT: &str = include_str!("http.lua");
/// Torrents that the script announces.
const TORRENTS: u32 = 200;
/// Before anything is measured: three times what it takes to announce every peer once.
const WARM_UP_SECS: u32 = 2;
/// Connections at a time.
const CONNECTIONS: u32 = 64;
/// Announces for a second of CPU time, beside opentracker, one connection each.
const TARGET_PER_CPU_SEC: f64 = 1.0;
/// Announces per second on two cores, beside opentracker, one connection each.
const TARGET_ON_TWO_CORES: f64 = 1.5;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each tracker is measured in each case
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// How announces are made, and on how many cores.
struct Case {
    name: &'static str,
    keep_alive: bool,
    cores: usize,
}

const CASES: [Case; 3] = [
    Case { name: "one connection each, one core", keep_alive: false, cores: 1 },
    Case { name: "one connection each, two cores", keep_alive: false, cores: 2 },
    Case { name: "keep-alive, one core", keep_alive: true, cores: 1 },
];

/// What was measured of one tracker in one round.
#[derive(Clone, Copy)]
struct Sample {
    announces_per_sec: f64,
    announces_per_cpu_sec: f64,
}

/// Measures both trackers in every case in every round, and prints the comparison.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let cores = cpu::allowed_cores()?;
    let [first, second, ..] = cores[..] else {
        bail!("this benchmark needs two cores, one for the tracker and one for the load; there is one");
    };
    let tools = setup::for_bench(workspace)?;
    let daemon = Some(workspace.build_daemon(Profile::Release)?);
    let stable = Stable { daemon, tools, directory: workspace.target.join("bench") };
    let contenders = stable.choose(&[Contender::OpentrackerXdp, Contender::Opentracker])?;
    stable.prepare(&info_hashes_hex())?;
    let script = stable.directory.join("http.lua");
    super::contender::write(&script, SCRIPT)?;
    child::end_on_signal(|| {})?;
    let load =
        Load { script: script.display().to_string(), seconds: arguments.seconds, cores: [first, second] };

    let mut samples: Vec<[Vec<Sample>; 2]> = CASES.iter().map(|_| [Vec::new(), Vec::new()]).collect();
    for round in 0..arguments.rounds as usize {
        for (case, samples) in CASES.iter().zip(&mut samples) {
            for turn in 0..contenders.len() {
                // Every round begins with the other one: a machine that slows down treats both alike.
                let index = (round + turn) % contenders.len();
                let contender = contenders[index];
                if case.keep_alive && contender == Contender::Opentracker {
                    // Debian's closes every connection, whatever it is asked.
                    continue;
                }
                let sample = load.measure(&stable, contender, case)?;
                eprintln!(
                    "round {} {:16} {:32} {:8.0} announces/s {:8.0} announces/CPU s",
                    round + 1,
                    contender.name(),
                    case.name,
                    sample.announces_per_sec,
                    sample.announces_per_cpu_sec
                );
                samples[index].push(sample);
            }
        }
    }
    print!("{}", report(&contenders, &samples));
    Ok(())
}

/// The torrents of the script, one a line.
fn info_hashes_hex() -> String {
    (0..TORRENTS).fold(String::new(), |mut text, torrent| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}{:04x}0000", "a7".repeat(16), torrent);
        text
    })
}

/// How to put load on a tracker.
struct Load {
    script: String,
    seconds: u32,
    cores: [Core; 2],
}

impl Load {
    fn measure(&self, stable: &Stable, contender: Contender, case: &Case) -> Result<Sample> {
        let cores = &self.cores[..case.cores];
        let over = Over::Http { workers: case.cores as u16 };
        let tracker = stable.start_on(contender, cores, over)?;
        // Every peer of every torrent, before anything is measured.
        self.wrk(&tracker, case, WARM_UP_SECS)?;
        let (before, begun) = (CpuTime::read(tracker.child.id(), self.cores[0])?, Instant::now());
        let wrk = self.wrk(&tracker, case, self.seconds)?;
        wrk.check(contender, case)?;
        let announces_per_sec = wrk.requests_per_sec;
        let elapsed_secs = begun.elapsed().as_secs_f64();
        let after = CpuTime::read(tracker.child.id(), self.cores[0])?;
        let cpu_share = (after.process_secs - before.process_secs) / elapsed_secs;
        Ok(Sample { announces_per_sec, announces_per_cpu_sec: announces_per_sec / cpu_share })
    }

    /// Runs wrk; what it reports.
    fn wrk(&self, tracker: &RunningTracker, case: &Case, seconds: u32) -> Result<WrkReport> {
        // Alone on the second core beside a tracker on the first; on both beside one on both.
        let cores = if case.cores == 1 { &self.cores[1..] } else { &self.cores[..] };
        let list: Vec<String> = cores.iter().map(ToString::to_string).collect();
        let mut wrk = Command::new("taskset");
        wrk.args(["--cpu-list", &list.join(","), "wrk", "--threads", &cores.len().to_string()]);
        wrk.args(["--connections", &CONNECTIONS.to_string(), "--duration", &format!("{seconds}s")]);
        wrk.args(["--script", &self.script, &format!("http://{}/", tracker.address)]);
        wrk.args(["--", if case.keep_alive { "keep-alive" } else { "close" }]);
        let output = wrk.output().context("cannot start wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("wrk ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        WrkReport::parse(&text)
    }
}

/// What wrk reports of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct WrkReport {
    /// Whole answers.
    requests: u64,
    requests_per_sec: f64,
    /// Ends of connections that wrk did not expect. Where the tracker closes a connection behind an answer without saying so in
    /// it, as opentracker does, there is one for each answer.
    read_errors: u64,
}

impl WrkReport {
    /// Reads a report, unless it says that some announces failed in a way that no tracker may let them fail.
    fn parse(report: &str) -> Result<Self> {
        let errors = report.lines().find_map(|line| line.trim().strip_prefix("Socket errors: "));
        let mut read_errors = 0;
        let mut others = false;
        for part in errors.iter().flat_map(|errors| errors.split(", ")) {
            match part.strip_prefix("read ") {
                Some(number) => read_errors = number.parse()?,
                None => others |= !part.ends_with(" 0"),
            }
        }
        if others || report.contains("Non-2xx or 3xx responses") {
            bail!("not every announce was answered:\n{report}");
        }
        let rate = report.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        let requests =
            report.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
        let (Some(requests), Some(requests_per_sec)) = (requests, rate) else {
            bail!("wrk reports no rate:\n{report}");
        };
        Ok(Self { requests, requests_per_sec, read_errors })
    }

    /// Fails where connections ended that had no answer: of a tracker that announces the end of each none may, of opentracker no
    /// more than it has answered, and those that were under way when wrk began and ended.
    fn check(&self, contender: Contender, case: &Case) -> Result<()> {
        let closes_unsaid = contender == Contender::Opentracker && !case.keep_alive;
        let most = if closes_unsaid { self.requests + u64::from(CONNECTIONS) } else { 0 };
        if self.read_errors > most {
            bail!(
                "{} connections ended without an answer on them, of {} requests",
                self.read_errors,
                self.requests
            );
        }
        Ok(())
    }
}

fn report(contenders: &[Contender], samples: &[[Vec<Sample>; 2]]) -> String {
    let mut text =
        format!("\n{:32}  {:16}  {:>26}  {:>26}\n", "case", "tracker", "announces/s", "announces/CPU s");
    for (case, of_case) in CASES.iter().zip(samples) {
        for (contender, samples) in contenders.iter().zip(of_case).filter(|(_, samples)| !samples.is_empty())
        {
            let spread = |value: fn(&Sample) -> f64| Spread::of(samples.iter().map(value).collect());
            text += &format!(
                "{:32}  {:16}  {:>26}  {:>26}\n",
                case.name,
                contender.name(),
                spread(|sample| sample.announces_per_sec),
                spread(|sample| sample.announces_per_cpu_sec)
            );
        }
    }
    let [one, two, ..] = samples else { return text };
    let per_cpu_sec = ratio(one, |sample| sample.announces_per_cpu_sec);
    let on_two_cores = ratio(two, |sample| sample.announces_per_sec);
    for (name, ratio, target) in [
        ("announces/CPU s, one connection each", per_cpu_sec, TARGET_PER_CPU_SEC),
        ("announces/s on two cores, one connection each", on_two_cores, TARGET_ON_TWO_CORES),
    ] {
        let Some(ratio) = ratio else { continue };
        let verdict = if ratio.median >= target { "reached" } else { "missed" };
        text += &format!("beside opentracker, round by round: {name}: {ratio}, target {target} {verdict}\n");
    }
    text
}

/// In each round, the first tracker's value divided by the second's.
fn ratio([ours, theirs]: &[Vec<Sample>; 2], value: fn(&Sample) -> f64) -> Option<Spread> {
    let ratios: Vec<f64> =
        ours.iter().zip(theirs).map(|(ours, theirs)| value(ours) / value(theirs)).collect();
    (!ratios.is_empty()).then(|| Spread::of(ratios))
}

#[cfg(test)]
mod tests {
    use super::{CASES, Contender, Sample, WrkReport, report};

    const GOOD: &str =
        "Running 4s test\n  2 threads\n  49382 requests in 4.00s, 1.0MB read\nRequests/sec:  12345.67\n";

    fn with_errors(errors: &str) -> anyhow::Result<WrkReport> {
        WrkReport::parse(&GOOD.replace("Requests/sec", &format!("  Socket errors: {errors}\nRequests/sec")))
    }

    #[test]
    fn a_report_of_wrk_with_errors_is_no_measurement() {
        let expected = WrkReport { requests: 49382, requests_per_sec: 12345.67, read_errors: 0 };
        assert_eq!(WrkReport::parse(GOOD).unwrap(), expected);
        assert_eq!(with_errors("connect 0, read 7, write 0, timeout 0").unwrap().read_errors, 7);
        assert!(with_errors("connect 0, read 7, write 0, timeout 1").is_err());
        assert!(with_errors("connect 2, read 0, write 0, timeout 0").is_err());
        assert!(WrkReport::parse(&format!("  Non-2xx or 3xx responses: 1\n{GOOD}")).is_err());
        assert!(WrkReport::parse("Running").is_err());
    }

    #[test]
    fn a_connection_that_ends_without_an_answer_is_told_from_one_that_ends_behind_it() {
        let [one_each, _, keep_alive] = &CASES;
        let check = |reads: u64, contender, case| {
            with_errors(&format!("connect 0, read {reads}, write 0, timeout 0"))
                .unwrap()
                .check(contender, case)
        };
        assert!(check(0, Contender::OpentrackerXdp, one_each).is_ok());
        assert!(check(1, Contender::OpentrackerXdp, one_each).is_err());
        assert!(check(1, Contender::OpentrackerXdp, keep_alive).is_err());
        assert!(check(49382, Contender::Opentracker, one_each).is_ok());
        assert!(check(49500, Contender::Opentracker, one_each).is_err());
    }

    #[test]
    fn the_report_says_which_target_is_reached() {
        let sample = |rate| vec![Sample { announces_per_sec: rate, announces_per_cpu_sec: rate }];
        let samples = [[sample(100.0), sample(100.0)], [sample(149.0), sample(100.0)], [sample(9.0), vec![]]];
        let text = report(&[Contender::OpentrackerXdp, Contender::Opentracker], &samples);
        assert!(text.contains("target 1 reached") && text.contains("target 1.5 missed"), "{text}");
    }
}
