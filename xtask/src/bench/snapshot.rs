//! `cargo xtask bench snapshot` and `bench join`: how long it takes to write and to read the whole state, what announces notice
//! of it, and how a real daemon takes a state over from a file and from another daemon.

use super::report::Spread;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Instant;

/// Seconds in which the target has 10,000,000 peers read.
const LOAD_TARGET_SECS: f64 = 5.0;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Peers of the state; without it 10,000,000, for a join 5,000,000
    #[arg(long)]
    peers: Option<u32>,
}

/// All values of every figure, one a round.
#[derive(Default)]
struct Figures(BTreeMap<String, Vec<f64>>);

impl Figures {
    fn add(&mut self, name: &str, value: f64) {
        eprintln!("{name} {value}");
        self.0.entry(name.to_owned()).or_default().push(value);
    }

    fn print(self) {
        for (name, values) in self.0 {
            println!("{name:28} {}", Spread::of(values));
        }
    }
}

/// Writing and reading within one process, and a daemon that starts from the file.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let (peers, mut figures) = (arguments.peers.unwrap_or(10_000_000), Figures::default());
    let (daemon, scene) = (workspace.build_daemon(Profile::Release)?, Scene::new(workspace)?);
    let rounds = arguments.rounds.to_string();
    for line in scene.state(workspace, "measure", peers, &[&rounds])?.lines() {
        let (name, value) = line.split_once(' ').with_context(|| format!("{line:?} is no figure"))?;
        figures.add(name, value.parse()?);
    }
    scene.state(workspace, "write", peers, &[])?;
    let setting = format!("state.snapshot={}", scene.file.display());
    for _ in 0..arguments.rounds {
        let begun = Instant::now();
        let mut running = Running::start(&daemon, &[&setting])?;
        figures.add("daemon_start_secs", begun.elapsed().as_secs_f64());
        if running.totals()?[1] != u64::from(peers) {
            bail!("the daemon has {:?} torrents and peers", running.totals()?);
        }
        let begun = Instant::now();
        running.stop()?;
        figures.add("daemon_stop_secs", begun.elapsed().as_secs_f64());
    }
    let load = Spread::of(figures.0.get("load_secs").cloned().unwrap_or_default()).median;
    figures.print();
    let verdict = if load < LOAD_TARGET_SECS { "reached" } else { "missed" };
    println!("{peers} peers read in {load:.2} s, target {LOAD_TARGET_SECS} s {verdict}");
    Ok(())
}

/// A daemon that takes over the state of another one.
pub(crate) fn join(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let (peers, mut figures) = (arguments.peers.unwrap_or(5_000_000), Figures::default());
    let (daemon, scene) = (workspace.build_daemon(Profile::Release)?, Scene::new(workspace)?);
    scene.state(workspace, "write", peers, &[])?;
    let setting = format!("state.snapshot={}", scene.file.display());
    let donor = Running::start(&daemon, &[&setting, "batchsync.cluster.admin_ip=127.0.0.1"])?;
    let given = donor.totals()?;
    let setting = format!("batchsync.cluster.join={}", donor.http);
    for _ in 0..arguments.rounds {
        let begun = Instant::now();
        let node = Running::start(&daemon, &[&setting])?;
        figures.add("join_secs", begun.elapsed().as_secs_f64());
        let joined = node.log.iter().find(|line| line.contains("joined: ")).context("it has not joined")?;
        let bytes =
            joined.split_once(" bytes").and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok());
        figures.add("join_bytes", bytes.context("it does not say how many bytes came")?);
        if node.totals()? != given {
            bail!(
                "the donor has {given:?} torrents, peers, seeders and downloads, the node {:?}",
                node.totals()?
            );
        }
    }
    figures.print();
    println!("torrents, peers, seeders, downloads: {given:?} at the donor and at every node that joined");
    Ok(())
}

/// Where the state is, and the program that makes it.
struct Scene {
    file: PathBuf,
}

impl Scene {
    fn new(workspace: &Workspace) -> Result<Self> {
        let directory = workspace.target.join("bench");
        fs::create_dir_all(&directory)?;
        Ok(Self { file: directory.join("snapshot") })
    }

    /// Runs the measurements of the daemon's package; what they print.
    fn state(&self, workspace: &Workspace, what: &str, peers: u32, more: &[&str]) -> Result<String> {
        let mut cargo = workspace.cargo();
        cargo.args(["bench", "--quiet", "--package", "tracker-user", "--bench", "snapshot", "--", what]);
        cargo.arg(&self.file).args([peers.to_string(), (peers / 5).to_string()]).args(more);
        let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
        if !output.status.success() {
            bail!("{} ended with {}", crate::process::shown(&cargo), output.status);
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Hundreds of megabytes that can be made again.
        let _ = fs::remove_file(&self.file);
    }
}

/// A daemon on loopback; dropping it kills it.
struct Running {
    child: Child,
    log: Vec<String>,
    /// Read no further than the line that says that it is ready; kept open.
    _rest: BufReader<ChildStderr>,
    http: String,
}

impl Running {
    /// Starts it and waits until it is ready.
    fn start(daemon: &Path, settings: &[&str]) -> Result<Self> {
        let mut command = Command::new(daemon);
        command.args(["-u", "root", "-i", "127.0.0.1", "-p", "0", "-P", "0"]);
        command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        let mut child = command.stderr(Stdio::piped()).spawn().context("cannot start the daemon")?;
        let mut lines = BufReader::new(child.stderr.take().context("its log is a pipe")?);
        let mut log = Vec::new();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                bail!("the daemon does not start:\n{}", log.concat());
            }
            log.push(line.clone());
            if let Some((_, places)) = line.split_once("ready: ") {
                let http = places.split(", ").find_map(|place| place.trim().strip_prefix("tcp "));
                let http = http.context("it listens on TCP")?.to_owned();
                return Ok(Self { child, log, _rest: lines, http });
            }
        }
    }

    /// Torrents, peers, seeders and downloads.
    fn totals(&self) -> Result<[u64; 4]> {
        let mut stream = TcpStream::connect(&self.http)?;
        stream.write_all(b"GET /stats?format=json HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let figure = |name: &str| -> Option<u64> {
            let (_, rest) = answer.split_once(&format!("\"{name}\":"))?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let figures = ["torrents", "peers", "seeders", "completed"].map(figure);
        let [Some(torrents), Some(peers), Some(seeders), Some(completed)] = figures else {
            bail!("no figures in {answer}");
        };
        Ok([torrents, peers, seeders, completed])
    }

    fn stop(&mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { bail!("the daemon ended with {status}") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have been stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
