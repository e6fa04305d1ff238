//! Snapshots of millions of peers: how long it takes to write and to read one, how large it is, and what announces notice of it.
//! `snapshot measure FILE PEERS TORRENTS ROUNDS` prints a line `name value` for each figure of each round; `snapshot write
//! FILE PEERS TORRENTS` makes a state for a daemon. `cargo xtask bench snapshot` and `bench join` run it.

#[expect(dead_code, reason = "the measurements of the store use the rest of it")]
#[path = "store/fill.rs"]
mod fill;

use fill::{NOW_SECS, Population, address, info_hash};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracker_user::config::types::TrackerConfig;
use tracker_user::peer_store::{PeerStore, PeersOut, Standing, Timeouts, Update};
use tracker_user::state::moment::{Boot, Moment};
use tracker_user::state::replaced_file::ReplacedFile;
use tracker_user::state::snapshot::file::{self, Loaded};
use tracker_user::state::snapshot::writer::{Origin, SnapshotWriter};
use tracker_user::tracker::Tracker;

/// Of a hundred peers, those of IPv6.
const V6_PERCENT: u32 = 10;
/// All peers are so old when a state is made for a daemon.
const AGE_SECS: u32 = 300;
/// How long announces are measured with nothing beside them.
const IDLE: Duration = Duration::from_secs(2);
const ORIGIN: Origin = Origin { store_id: 1, boot: Boot([9; 16]) };

fn main() -> ExitCode {
    // `cargo bench` adds an argument of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u32>().ok();
    let done = match words[..] {
        ["measure", path, peers, torrents, rounds] => (|| {
            let (peers, torrents, rounds) = (number(peers)?, number(torrents)?, number(rounds)?);
            measure(Path::new(path), Population { torrents, peers, v6_percent: V6_PERCENT }, rounds);
            Some(())
        })(),
        ["write", path, peers, torrents] => (|| {
            let (peers, torrents) = (number(peers)?, number(torrents)?);
            write_state(Path::new(path), Population { torrents, peers, v6_percent: V6_PERCENT });
            Some(())
        })(),
        _ => None,
    };
    if done.is_none() {
        eprintln!("error: expected measure FILE PEERS TORRENTS ROUNDS, or write FILE PEERS TORRENTS");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn print(name: &str, value: impl std::fmt::Display) {
    println!("{name} {value}");
}

fn tracker() -> Arc<Tracker> {
    Arc::new(Tracker::new(TrackerConfig::default(), [fastrand::u64(..), fastrand::u64(..)]))
}

fn measure(path: &Path, population: Population, rounds: u32) {
    let tracker = tracker();
    fill::fill(tracker.store(), population);
    let totals = tracker.store().totals();
    for _ in 0..rounds {
        let begun = Instant::now();
        let bytes = write(path, tracker.store(), || {});
        print("write_secs", begun.elapsed().as_secs_f64());
        print("file_mib", bytes as f64 / f64::from(1 << 20));
        load(path, &totals);
        announces("idle", tracker.store(), population, || std::thread::sleep(IDLE));
        announces("writing", tracker.store(), population, || {
            let mut begun = Instant::now();
            write(path, tracker.store(), || {
                // As the daemon does it.
                std::thread::sleep(begun.elapsed());
                begun = Instant::now();
            });
        });
    }
}

/// Reads a snapshot into a store of its own, and compares what both have.
fn load(path: &Path, totals: &tracker_user::peer_store::Totals) {
    let (other, timeouts) = (tracker(), Timeouts { peer_secs: 45 * 60, torrent_secs: 24 * 60 * 60 });
    let here = Moment { wall_secs: 0, secs: NOW_SECS, boot: ORIGIN.boot };
    let begun = Instant::now();
    let loaded = file::load(path, &other, timeouts, here).expect("the file is ours");
    print("load_secs", begun.elapsed().as_secs_f64());
    assert!(matches!(loaded, Loaded::Restored { .. }), "{loaded:?}");
    assert_eq!(other.store().totals(), *totals);
}

/// Writes a snapshot as of the moment at which the store was filled; its bytes.
fn write(path: &Path, store: &PeerStore, mut rest: impl FnMut()) -> u64 {
    let begun = Moment { wall_secs: 0, secs: NOW_SECS, boot: ORIGIN.boot };
    write_as_of(begun, path, store, &mut rest)
}

fn write_as_of(begun: Moment, path: &Path, store: &PeerStore, rest: &mut dyn FnMut()) -> u64 {
    let mut file = ReplacedFile::create(path, 0o600).expect("the directory is ours");
    let mut writer = SnapshotWriter::new(ORIGIN, 0, begun).expect("there is memory");
    let mut bytes = 0;
    while let Some(piece) = writer.next_piece(store).expect("there is memory") {
        file.write_all(&piece).expect("there is room");
        bytes += piece.len() as u64;
        rest();
    }
    file.commit().expect("the directory is ours");
    bytes
}

/// Measures announces on a thread of its own while something else is done.
fn announces(name: &str, store: &PeerStore, population: Population, beside: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let mut measured = std::thread::scope(|scope| {
        let measuring = scope.spawn(|| announce_until(&stop, store, population));
        beside();
        stop.store(true, Ordering::Relaxed);
        measuring.join().expect("it does not panic")
    });
    measured.sort_unstable();
    let last = measured.len().saturating_sub(1) as f64;
    let quantile = |part: f64| measured.get((last * part) as usize).copied().unwrap_or_default();
    for (part, label) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p999")] {
        print(&format!("announce_{name}_{label}_ns"), quantile(part));
    }
}

/// Nanoseconds of announces of peers that are known, so that the store stays as large as it is.
fn announce_until(stop: &AtomicBool, store: &PeerStore, population: Population) -> Vec<u32> {
    let (mut random, mut room) = (fastrand::Rng::with_seed(9), [0; 200 * 6]);
    let mut measured = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let torrent = random.u32(0..population.torrents);
        let update = Update {
            info_hash: info_hash(torrent),
            peer: address(torrent, V6_PERCENT),
            standing: if torrent.is_multiple_of(4) { Standing::Leecher } else { Standing::Seeder },
            completed: false,
            peers_wanted: 50,
            now_secs: NOW_SECS,
        };
        let before = Instant::now();
        std::hint::black_box(store.announce(&update, &mut random, &mut PeersOut::new(&mut room, &mut [])));
        measured.push(before.elapsed().as_nanos() as u32);
    }
    measured
}

/// Writes a state that a daemon takes back, a few minutes old.
fn write_state(path: &Path, population: Population) {
    let tracker = tracker();
    fill::fill(tracker.store(), population);
    let wall_secs = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    // Of no start of a host: the clock counts.
    let begun = Moment { wall_secs: wall_secs - u64::from(AGE_SECS), secs: NOW_SECS, boot: Boot::default() };
    let bytes = write_as_of(begun, path, tracker.store(), &mut || {});
    let totals = tracker.store().totals();
    print("bytes", bytes);
    print("torrents", totals.torrents);
    print("peers", totals.peers);
}
