//! `cargo xtask bench full-scrape`: a full scrape of millions of torrents beside opentracker's, plain and gzip: its time, the
//! memory that it takes, and how long announces wait meanwhile.

use super::child;
use super::contender::{Contender, Over, RunningTracker, Stable};
use super::cpu;
use super::report::Spread;
use crate::setup;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result, bail};
use clap::Args;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tracker_common::wire::{ACTION_ANNOUNCE, ACTION_CONNECT, INFO_HASH_LEN, PROTOCOL_ID, request, response};

/// Of opentracker's time.
const TARGET_TIME: f64 = 0.5;
/// Resident bytes more than before.
const TARGET_GROWTH_MIB: f64 = 16.0;
/// Announces under way at a time while a tracker is filled.
const WINDOW: u32 = 64;
/// After which an announce is sent again while a tracker is filled, and counts as lost while it is measured.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// Between two announces that are measured.
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each tracker is scraped, plain and with gzip
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Torrents that each tracker holds, with one peer each
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    torrents: u32,
}

/// Bytes of a torrent with one-digit figures: `20:`, its hash, `d8:completei0e10:downloadedi0e10:incompletei0ee`.
const TORRENT_BYTES: u64 = 3 + INFO_HASH_LEN as u64 + 47;

/// The codings that are asked for.
const CODINGS: [&str; 2] = ["identity", "gzip"];

/// What was measured of one full scrape.
#[derive(Clone, Copy)]
struct Sample {
    secs: f64,
    growth_mib: f64,
    mib_sent: f64,
    announce_p99_ms: f64,
}

/// Fills both trackers, scrapes each in every round, and prints the comparison.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let cores = cpu::allowed_cores()?;
    let [tracker_core, load_core, ..] = cores[..] else {
        bail!("this benchmark needs two cores, one for the trackers and one for the load; there is one");
    };
    let tools = setup::for_bench(workspace)?;
    let daemon = Some(workspace.build_daemon(Profile::Release)?);
    let stable = Stable { daemon, tools, directory: workspace.target.join("bench") };
    let contenders = stable.choose(&[Contender::OpentrackerXdp, Contender::Opentracker])?;
    stable.prepare(&info_hashes_hex(arguments.torrents))?;
    child::end_on_signal(|| {})?;
    let mut own_core = CpuSet::new();
    own_core.set(load_core as usize)?;
    sched_setaffinity(Pid::from_raw(0), &own_core).context("cannot leave the trackers' core to them")?;

    let mut trackers = Vec::new();
    for contender in &contenders {
        let tracker = stable.start_on(*contender, &[tracker_core], Over::Http { workers: 1 })?;
        eprintln!("{}: announcing {} torrents", contender.name(), arguments.torrents);
        fill(&tracker, arguments.torrents)?;
        trackers.push(tracker);
    }
    let samples = rounds(arguments, &contenders, &trackers)?;
    print!("{}", report(&contenders, &samples));
    Ok(())
}

/// Scrapes every tracker in every round, plain and with gzip.
fn rounds(
    arguments: &Arguments,
    contenders: &[Contender],
    trackers: &[RunningTracker],
) -> Result<Vec<[Vec<Sample>; 2]>> {
    let mut samples: Vec<[Vec<Sample>; 2]> = trackers.iter().map(|_| [Vec::new(), Vec::new()]).collect();
    let mut failed = vec![[false; CODINGS.len()]; trackers.len()];
    for round in 0..arguments.rounds as usize {
        for (coding, name) in CODINGS.iter().enumerate() {
            for turn in 0..trackers.len() {
                let index = (round + turn) % trackers.len();
                if failed[index][coding] {
                    continue;
                }
                let sample = match scrape(&trackers[index], name, arguments.torrents) {
                    Ok(sample) => sample,
                    Err(error) if contenders[index] == Contender::OpentrackerXdp => return Err(error),
                    // Debian's opentracker breaks off, or ends, where there are many torrents.
                    Err(error) => {
                        eprintln!("{} {name}: {error:#}", contenders[index].name());
                        failed[index][coding] = true;
                        samples[index][coding].clear();
                        continue;
                    }
                };
                eprintln!(
                    "round {} {:16} {name:8} {:7.2} s {:8.1} MiB more {:8.1} MiB sent, announces p99 {:.2} ms",
                    round + 1,
                    contenders[index].name(),
                    sample.secs,
                    sample.growth_mib,
                    sample.mib_sent,
                    sample.announce_p99_ms
                );
                samples[index][coding].push(sample);
            }
        }
    }
    Ok(samples)
}

/// The torrent of a number: spread over all hashes, as real ones are.
fn info_hash(number: u32) -> [u8; INFO_HASH_LEN] {
    let mut info_hash = [0; INFO_HASH_LEN];
    let mut state = u64::from(number);
    for chunk in info_hash.chunks_mut(8) {
        // The steps of SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes()[..chunk.len()]);
    }
    info_hash
}

fn info_hashes_hex(torrents: u32) -> String {
    let mut text = String::with_capacity(torrents as usize * 41);
    for number in 0..torrents {
        for byte in info_hash(number) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    text
}

/// A client over UDP with a connection id.
struct Client {
    socket: UdpSocket,
    connection_id: [u8; 8],
}

impl Client {
    fn connect(tracker: &RunningTracker) -> Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.connect(tracker.address)?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        let mut connect = [0; request::HEADER_LEN];
        connect[request::CONNECTION_ID].copy_from_slice(&PROTOCOL_ID.to_be_bytes());
        connect[request::ACTION].copy_from_slice(&ACTION_CONNECT.to_be_bytes());
        socket.send(&connect)?;
        let mut answer = [0; 16];
        socket.recv(&mut answer).context("no answer to a connect")?;
        let connection_id = answer[response::CONNECTION_ID].try_into()?;
        Ok(Self { socket, connection_id })
    }

    fn announce(&self, number: u32) -> Result<()> {
        let mut announce = [0; request::ANNOUNCE_LEN];
        announce[request::CONNECTION_ID].copy_from_slice(&self.connection_id);
        announce[request::ACTION].copy_from_slice(&ACTION_ANNOUNCE.to_be_bytes());
        announce[request::TRANSACTION_ID].copy_from_slice(&number.to_be_bytes());
        announce[request::INFO_HASH].copy_from_slice(&info_hash(number));
        announce[request::PORT].copy_from_slice(&6881_u16.to_be_bytes());
        self.socket.send(&announce)?;
        Ok(())
    }

    /// The number of an announce that was answered; `None` where no answer comes in time.
    fn answered(&self) -> Result<Option<u32>> {
        let mut answer = [0; 2048];
        match self.socket.recv(&mut answer) {
            Ok(_) => Ok(Some(u32::from_be_bytes(answer[response::TRANSACTION_ID].try_into()?))),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error).context("cannot receive on loopback"),
        }
    }
}

/// Announces every torrent once, and again what is not answered.
pub(super) fn fill(tracker: &RunningTracker, torrents: u32) -> Result<()> {
    let client = Client::connect(tracker)?;
    for first in (0..torrents).step_by(WINDOW as usize) {
        let mut missing: Vec<u32> = (first..torrents.min(first + WINDOW)).collect();
        while !missing.is_empty() {
            missing.iter().try_for_each(|number| client.announce(*number))?;
            while let Some(number) = client.answered()? {
                missing.retain(|other| *other != number);
                if missing.is_empty() {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// One full scrape, with announces meanwhile.
fn scrape(tracker: &RunningTracker, coding: &str, torrents: u32) -> Result<Sample> {
    let pid = tracker.child.id();
    let client = Client::connect(tracker)?;
    // The peak is counted from what is resident now on.
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the peak of resident memory")?;
    let before_kib = status_kib(pid, "VmRSS:")?;
    let ended = AtomicBool::new(false);
    let (scraped, waited) = thread::scope(|scope| {
        let announcer = scope.spawn(|| announce_until(&client, &ended, torrents));
        let scraped = receive(tracker, coding);
        ended.store(true, Ordering::Relaxed);
        (scraped, announcer.join())
    });
    let (bytes, secs) = scraped?;
    let Ok(waited) = waited else { bail!("the thread that announces has panicked") };
    let growth_kib = status_kib(pid, "VmHWM:")?.saturating_sub(before_kib);
    // The least that there is of a torrent without a coding; nothing codes its hash in less.
    let least = if coding == "identity" { TORRENT_BYTES } else { INFO_HASH_LEN as u64 };
    if bytes < u64::from(torrents) * least {
        bail!("{bytes} bytes are no full scrape of {torrents} torrents");
    }
    Ok(Sample {
        secs,
        growth_mib: growth_kib as f64 / 1024.0,
        mib_sent: bytes as f64 / f64::from(1 << 20),
        announce_p99_ms: p99(waited?).as_secs_f64() * 1000.0,
    })
}

/// The bytes of a full scrape, and the seconds until the last of them.
pub(super) fn receive(tracker: &RunningTracker, coding: &str) -> Result<(u64, f64)> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(tracker.address)?;
    let accept = if coding == "identity" { String::new() } else { format!("Accept-Encoding: {coding}\r\n") };
    stream.write_all(format!("GET /scrape HTTP/1.0\r\n{accept}\r\n").as_bytes())?;
    let (mut bytes, mut piece) = (0, vec![0; 256 << 10]);
    loop {
        match stream.read(&mut piece)? {
            0 => return Ok((bytes, begun.elapsed().as_secs_f64())),
            length => bytes += length as u64,
        }
    }
}

/// How long each announce waited for its answer, one after the other.
fn announce_until(client: &Client, ended: &AtomicBool, torrents: u32) -> Result<Vec<Duration>> {
    let mut waited = Vec::new();
    let mut number = 0_u32;
    while !ended.load(Ordering::Relaxed) {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let begun = Instant::now();
        client.announce(number % torrents)?;
        while client.answered()?.is_some_and(|answered| answered != number % torrents) {}
        waited.push(begun.elapsed());
        thread::sleep(PAUSE);
    }
    Ok(waited)
}

fn p99(mut waited: Vec<Duration>) -> Duration {
    waited.sort_unstable();
    waited.get(waited.len() * 99 / 100).copied().unwrap_or_default()
}

/// A line of `/proc/PID/status` that has KiB.
fn status_kib(pid: u32, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.with_context(|| format!("no {name} in {path}"))
}

fn report(contenders: &[Contender], samples: &[[Vec<Sample>; 2]]) -> String {
    let mut text = format!(
        "\n{:10}  {:16}  {:>20}  {:>22}  {:>22}  {:>22}\n",
        "coding", "tracker", "seconds", "MiB resident more", "MiB sent", "announces p99 ms"
    );
    for (coding, name) in CODINGS.iter().enumerate() {
        for (contender, samples) in contenders.iter().zip(samples) {
            if samples[coding].is_empty() {
                text += &format!("{name:10}  {:16}  no whole full scrape\n", contender.name());
                continue;
            }
            let spread = |value: fn(&Sample) -> f64| Spread::of(samples[coding].iter().map(value).collect());
            text += &format!(
                "{name:10}  {:16}  {:>20}  {:>22}  {:>22}  {:>22}\n",
                contender.name(),
                spread(|sample| sample.secs),
                spread(|sample| sample.growth_mib),
                spread(|sample| sample.mib_sent),
                spread(|sample| sample.announce_p99_ms)
            );
        }
    }
    for (coding, name) in CODINGS.iter().enumerate() {
        let Some(ours) = samples.first().map(|samples| &samples[coding]) else { continue };
        let growth = Spread::of(ours.iter().map(|sample| sample.growth_mib).collect());
        let verdict = |is_reached| if is_reached { "reached" } else { "missed" };
        let reached = verdict(growth.median < TARGET_GROWTH_MIB);
        text += &format!("{name}: {growth} MiB more, target below {TARGET_GROWTH_MIB} {reached}\n");
        let theirs = samples.get(1).map(|samples| &samples[coding]);
        let Some(theirs) = theirs.filter(|theirs| !theirs.is_empty()) else { continue };
        let ratio =
            Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours.secs / theirs.secs).collect());
        let reached = verdict(ratio.median <= TARGET_TIME);
        text += &format!(
            "{name}: {ratio} of opentracker's time, round by round, target {TARGET_TIME} {reached}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Contender, Sample, info_hash, p99, report};
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn every_torrent_has_a_hash_of_its_own() {
        assert_eq!((0..10_000).map(info_hash).collect::<BTreeSet<_>>().len(), 10_000);
    }

    #[test]
    fn one_of_a_hundred_waits_longer() {
        assert_eq!(p99((0..100).map(Duration::from_millis).collect()), Duration::from_millis(99));
        assert_eq!(p99((0..1000).rev().map(Duration::from_millis).collect()), Duration::from_millis(990));
    }

    #[test]
    fn the_report_says_which_target_is_reached() {
        let sample =
            |secs, growth_mib| vec![Sample { secs, growth_mib, mib_sent: 1.0, announce_p99_ms: 1.0 }];
        let samples = [[sample(1.0, 15.0), sample(1.1, 17.0)], [sample(2.0, 0.0), sample(2.0, 0.0)]];
        let text = report(&[Contender::OpentrackerXdp, Contender::Opentracker], &samples);
        for expected in ["below 16 reached", "below 16 missed", "target 0.5 reached", "target 0.5 missed"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn a_tracker_without_a_whole_full_scrape_is_named_and_compared_with_nobody() {
        let sample = Sample { secs: 1.0, growth_mib: 1.0, mib_sent: 1.0, announce_p99_ms: 1.0 };
        let samples = [[vec![sample], vec![sample]], [vec![], vec![sample]]];
        let text = report(&[Contender::OpentrackerXdp, Contender::Opentracker], &samples);
        assert_eq!(text.matches("no whole full scrape").count(), 1, "{text}");
        assert_eq!(text.matches("of opentracker's time").count(), 1, "{text}");
    }
}
