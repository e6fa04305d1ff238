//! What announces wait for in the whole tracker while something is done to all of its store: announces over UDP come at a set
//! rate, and meanwhile a million torrents are listed, or a large list is read, or everything times out at once.
//!
//! The thread that serves UDP has a core of its own. All other threads of the tracker, who asks for the listing, and the
//! load generator share the other core, the generator ahead of all of them: measured is what the tracker's threads do to
//! each other through the store, not how the kernel divides a core among them.

use super::targets::Figures;
use crate::bench::child::{Output, PinnedChild};
use crate::bench::contender::{RunningTracker, free_address, wait_until_it_answers, write};
use crate::bench::cpu::{self, Core};
use crate::bench::{full_scrape, lists};
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Torrents that are listed and time out, with one peer each.
const TORRENTS: u32 = 1_000_000;
/// Lines of the list.
const LIST_LINES: u32 = 300_000;
/// Seconds after which a peer times out: the listings and the reloads must be over by then.
const PEER_TIMEOUT_SECS: u64 = 60;
/// Seconds that expiry is given for a walk through the store.
const WALK_SECS: u64 = 4;
/// Seconds of each measurement but that beside expiry.
const PHASE_SECS: u64 = 6;
/// Between two reloads.
const RELOAD_PAUSE: Duration = Duration::from_millis(300);
/// The most peers that may be left of those that have timed out, of a hundred.
const LEFT_PERCENT: u32 = 5;

/// What is needed to measure.
pub(super) struct Stalls {
    daemon: PathBuf,
    generator: PathBuf,
    directory: PathBuf,
    tracker_core: Core,
    other_core: Core,
    /// Announces a second.
    rate: u32,
}

/// What goes on beside the load until it is told to stop; returns how often it was done.
type Beside<'a> = Box<dyn FnOnce(&AtomicBool) -> Result<u32> + Send + 'a>;

impl Stalls {
    /// Builds what it takes, and leaves the first core to the tracker.
    pub(super) fn prepare(workspace: &Workspace, rate: u32) -> Result<Self> {
        let [tracker_core, other_core, ..] = cpu::allowed_cores()?[..] else {
            bail!("this benchmark needs two cores, one for the tracker and one for the load; there is one");
        };
        let stalls = Self {
            daemon: workspace.build_daemon(Profile::Release)?,
            generator: workspace.build_load_generator()?,
            directory: workspace.target.join("bench"),
            tracker_core,
            other_core,
            rate,
        };
        write(&stalls.list(), &lists::lines(LIST_LINES))?;
        Ok(stalls)
    }

    /// Measures every phase once, with a tracker of its own.
    pub(super) fn measure(&self, figures: &mut Figures) -> Result<()> {
        set_affinity(Pid::this(), self.other_core)?;
        let mut tracker = self.start()?;
        let pid = Pid::from_raw(i32::try_from(tracker.child.id())?);
        let began = Instant::now();
        full_scrape::fill(&tracker, TORRENTS)?;
        let filled = began.elapsed();
        let idle = self.load(&tracker, PHASE_SECS, true, Box::new(|_| Ok(0)))?;
        report(figures, "idle", &idle, &idle);
        for (name, coding) in [("scrape_plain", "identity"), ("scrape_gzip", "gzip")] {
            let beside = self.load(&tracker, PHASE_SECS, false, repeat(|| scrape(&tracker, coding)))?;
            report(figures, name, &beside, &idle);
        }
        let (log, mut read) = (self.log(), 1);
        let reload = || {
            kill(pid, Signal::SIGHUP)?;
            read += 1;
            lists::await_lists(None, &log, read)?;
            thread::sleep(RELOAD_PAUSE);
            Ok(())
        };
        let beside = self.load(&tracker, PHASE_SECS, false, repeat(reload))?;
        report(figures, "reload", &beside, &idle);

        let timeout = Duration::from_secs(PEER_TIMEOUT_SECS);
        let Some(left) = timeout.checked_sub(began.elapsed()) else {
            bail!("peers timed out before the listings and reloads were over");
        };
        let before = torrents(&tracker)?;
        thread::sleep(left);
        let beside = self.load(&tracker, filled.as_secs() + WALK_SECS, false, Box::new(|_| Ok(1)))?;
        report(figures, "expiry", &beside, &idle);
        let gone = before.saturating_sub(torrents(&tracker)?);
        if gone < TORRENTS / 100 * (100 - LEFT_PERCENT) {
            bail!("only {gone} of {TORRENTS} torrents timed out while it was measured");
        }
        tracker.child.check_running()
    }

    fn list(&self) -> PathBuf {
        self.directory.join("stalls-blacklist.txt")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("stalls.log")
    }

    /// Starts the tracker, with its thread for UDP alone on its core.
    fn start(&self) -> Result<RunningTracker> {
        let address = free_address()?;
        let port = address.port().to_string();
        let mut command = Command::new(&self.daemon);
        command.args(["-i", "127.0.0.1", "-p", &port, "-P", &port, "--mode", "socket"]);
        command.args(["--udp-workers", "1", "--http-workers", "1"]);
        let settings = [
            format!("access.blacklist={}", self.list().display()),
            "http.full_scrape_interval_secs=0".to_owned(),
            format!("tracker.peer_timeout_secs={PEER_TIMEOUT_SECS}"),
            "tracker.interval_secs=30".to_owned(),
            "tracker.interval_jitter_secs=0".to_owned(),
        ];
        command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "root"]);
        }
        let mut child = PinnedChild::spawn(&command, self.other_core, &self.log(), Output::ToLog)?;
        wait_until_it_answers(&mut child, address)?;
        for thread in fs::read_dir(format!("/proc/{}/task", child.id()))? {
            let thread = thread?;
            if fs::read_to_string(thread.path().join("comm"))?.starts_with("udp-") {
                let id = thread.file_name().to_string_lossy().parse()?;
                set_affinity(Pid::from_raw(id), self.tracker_core)?;
            }
        }
        lists::await_lists(Some(&mut child), &self.log(), 1)?;
        Ok(RunningTracker { child, address })
    }

    /// Latencies of announces, as the load generator says them, while something goes on beside.
    fn load(&self, tracker: &RunningTracker, secs: u64, fill: bool, beside: Beside<'_>) -> Result<Value> {
        let mut command = Command::new("nice");
        command.args(["-n", "-5"]).arg(&self.generator).args(["run", "--json", "--connects", "0"]);
        command.args(["--announces", "100", "--scrapes", "1", "--rate", &self.rate.to_string()]);
        command.args(["--duration", &secs.to_string(), "--warm-up", "0.5"]);
        if fill {
            command.arg("--fill");
        }
        command.arg(tracker.address.to_string());
        let log = self.directory.join("stalls-load.log");
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let beside = scope.spawn(|| beside(&ended));
            let result = PinnedChild::spawn(&command, self.other_core, &log, Output::ToCaller)
                .and_then(|mut generator| result_of(&mut generator));
            ended.store(true, Ordering::Relaxed);
            let Ok(times) = beside.join() else { bail!("what went on beside has panicked") };
            let mut result = result?;
            result["beside"] = times?.into();
            Ok(result)
        })
    }
}

/// Does something over and over, once at least.
fn repeat<'a>(mut work: impl FnMut() -> Result<()> + Send + 'a) -> Beside<'a> {
    Box::new(move |ended| {
        let mut times = 0;
        while !ended.load(Ordering::Relaxed) {
            work()?;
            times += 1;
        }
        Ok(times)
    })
}

fn scrape(tracker: &RunningTracker, coding: &str) -> Result<()> {
    let (bytes, _) = full_scrape::receive(tracker, coding)?;
    // Nothing codes a torrent in less than its hash.
    if bytes < u64::from(TORRENTS) * 20 {
        bail!("{bytes} bytes are no full scrape of {TORRENTS} torrents");
    }
    Ok(())
}

/// What a load generator says of its one measurement.
fn result_of(generator: &mut PinnedChild) -> Result<Value> {
    for line in BufReader::new(generator.take_output()?).lines() {
        let event: Value = serde_json::from_str(&line?).context("the load generator printed no JSON")?;
        if event["event"] == "result" {
            return Ok(event);
        }
    }
    generator.await_failure()?;
    bail!("the load generator has measured nothing")
}

/// How many torrents the tracker has.
fn torrents(tracker: &RunningTracker) -> Result<u32> {
    let mut stream = TcpStream::connect(tracker.address)?;
    stream.write_all(b"GET /stats?mode=peer&format=json HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no answer to a request for statistics")?;
    let counts: Value = serde_json::from_str(body).with_context(|| format!("no statistics: {answer}"))?;
    Ok(u32::try_from(counts["torrents"].as_u64().context("no torrents in the statistics")?)?)
}

fn set_affinity(thread: Pid, core: Core) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core as usize)?;
    sched_setaffinity(thread, &cores).context("cannot keep a thread on its core")
}

/// Takes the latencies of a phase in, and how they stand beside those of the idle tracker of the same round.
fn report(figures: &mut Figures, phase: &str, result: &Value, idle: &Value) {
    let latency = |result: &Value, share: &str| result["latency_us"][share].as_f64().unwrap_or(f64::NAN);
    let mut line = format!("stalls over UDP, {phase:12}");
    for share in ["p50", "p99", "p99.9", "max"] {
        let micros = latency(result, share);
        figures.add(&format!("udp_stalls.{phase}_{}_us", share.replace('.', "")), micros);
        line += &format!("  {share} {micros:7.0} µs");
    }
    let ratio = latency(result, "p99.9") / latency(idle, "p99.9");
    figures.add(&format!("udp_stalls.{phase}_p999_ratio"), ratio);
    let lost = 100.0 * result["loss"].as_f64().unwrap_or(1.0);
    eprintln!("{line}  {ratio:.2} × idle  {lost:.3} % lost  {} × beside", result["beside"]);
}
