//! Killed at any moment, while a snapshot is written or a list is read again: the next start finds a whole state, the one of
//! the last start or a later one.
//!
//! `OPENTRACKER_XDP_KILLS` says how often.

use crate::restart::{Hash, hash};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tracker_tests::daemon::Daemon;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};
use tracker_user::clock::Now;
use tracker_user::config::types::TrackerConfig;
use tracker_user::info_hash::InfoHash;
use tracker_user::peer_store::PeersOut;
use tracker_user::state::moment::Boot;
use tracker_user::state::snapshot::file;
use tracker_user::state::snapshot::writer::Origin;
use tracker_user::tracker::{Announce, Event, Protocol, Tracker};

const KILLS_VARIABLE: &str = "OPENTRACKER_XDP_KILLS";
const KILLS: u32 = 200;
/// Torrents on the blacklist.
const LISTED: u32 = 5000;
/// Daemons at a time, each with a state of its own.
const LANES: u32 = 4;
/// Peers that every state has, so that writing one takes a while; and as many torrents.
const PEERS: u32 = 60_000;
/// Within so long a daemon has stopped in order, its snapshot written.
const STOPPING_MICROS: u64 = 60_000;
/// Within so long it has written a snapshot by itself.
const RUNNING_MICROS: u64 = 1_200_000;

#[test]
fn killed_at_any_moment_it_starts_with_a_whole_earlier_state() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().expect("it is a number"));
    let (killed, halfway) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let (killed, halfway) = (&killed, &halfway);
            scope.spawn(move || {
                let mut scene = Scene::new(lane);
                while killed.fetch_add(1, Ordering::Relaxed) < kills {
                    halfway.fetch_add(u32::from(scene.kill_once()), Ordering::Relaxed);
                }
                let daemon = scene.start(0);
                scene.check(&daemon);
            });
        }
    });
    let halfway = halfway.into_inner();
    println!("{kills} kills, {halfway} of them while a snapshot was half written");
    assert!(halfway > 0 || kills < KILLS, "no kill came in the middle of a snapshot");
}

/// One state and what is known of it.
struct Scene {
    directory: TemporaryDirectory,
    random: fastrand::Rng,
    /// Torrents that were added to the state, one in each run, and were there at the last start.
    added: BTreeSet<u32>,
    next: u32,
}

impl Scene {
    fn new(lane: u32) -> Self {
        let directory = TemporaryDirectory::new();
        write_state(&directory.path().join("snapshot"));
        let list: String = (0..LISTED).map(|number| format!("{number:040x}\n")).collect();
        fs::write(directory.path().join("blacklist"), list).expect("the directory is ours");
        Self { directory, random: fastrand::Rng::with_seed(lane.into()), added: BTreeSet::new(), next: 0 }
    }

    fn start(&self, interval_secs: u32) -> Daemon {
        let path = |name| self.directory.path().join(name).display().to_string();
        let settings = [
            format!("state.snapshot={}", path("snapshot")),
            format!("state.snapshot_interval_secs={interval_secs}"),
            format!("access.blacklist={}", path("blacklist")),
        ];
        let mut arguments = vec!["-i", "127.0.0.1", "-p", "0", "-P", "0", "--http-workers", "1"];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        Daemon::start(&arguments)
    }

    /// Starts a daemon, changes its state, and kills it at some moment; whether it was writing a snapshot.
    fn kill_once(&mut self) -> bool {
        let stops = self.random.bool();
        let mut daemon = self.start(u32::from(!stops));
        self.check(&daemon);
        let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
        let connection_id = client.connect();
        let marker =
            AnnounceRequest { info_hash: added(self.next), ..AnnounceRequest::new(connection_id, 1) };
        client.announce(&marker);
        self.next += 1;
        if self.random.bool() {
            daemon.signal(Signal::SIGHUP);
        }
        if stops {
            daemon.signal(Signal::SIGTERM);
        }
        let most = if stops { STOPPING_MICROS } else { RUNNING_MICROS };
        // The moment is what is tried out.
        std::thread::sleep(Duration::from_micros(self.random.u64(..most)));
        if daemon.is_running() {
            daemon.signal(Signal::SIGKILL);
        }
        daemon.await_exit();
        self.directory.path().join("snapshot.new").exists()
    }

    /// The daemon has the whole of the state, and nothing was put aside.
    fn check(&mut self, daemon: &Daemon) {
        let all: Vec<u32> = (0..self.next).collect();
        let present = present(daemon, &all);
        // Whether the last change is in it depends on the moment; everything before is as it was.
        if let Some(last) = all.last().filter(|last| present.contains(last)) {
            self.added.insert(*last);
        }
        assert_eq!(present, self.added);
        daemon.await_log_line(&format!("in force: {LISTED} torrents"));
        let stats = daemon.stats();
        let expected = u64::from(PEERS) + self.added.len() as u64;
        assert_eq!(
            (&stats["torrents"], &stats["peers"]),
            (&expected.into(), &expected.into()),
            "{}",
            daemon.log()
        );
        let files = fs::read_dir(self.directory.path()).expect("the directory is ours");
        let names = files.map(|entry| entry.expect("the directory is ours").file_name());
        let aside: Vec<_> = names.filter(|name| name.to_string_lossy().contains("damaged")).collect();
        assert!(aside.is_empty(), "{aside:?}");
    }
}

/// A torrent that is added to a state.
fn added(number: u32) -> Hash {
    hash(u32::MAX - number)
}

/// Those of the added torrents that the daemon knows.
fn present(daemon: &Daemon, numbers: &[u32]) -> BTreeSet<u32> {
    let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
    let connection_id = client.connect();
    let mut present = BTreeSet::new();
    for numbers in numbers.chunks(50) {
        let hashes: Vec<_> = numbers.iter().map(|number| added(*number)).collect();
        let rows = client.scrape(connection_id, &hashes);
        present
            .extend(numbers.iter().zip(rows).filter(|(_, row)| row.leechers > 0).map(|(number, _)| *number));
    }
    present
}

/// A snapshot of a store with so many peers, each in a torrent of its own.
fn write_state(path: &Path) {
    let tracker = Tracker::new(TrackerConfig::default(), [1, 2]);
    let (now, mut random) = (Now::read(), fastrand::Rng::with_seed(1));
    for number in 0..PEERS {
        let announce = Announce {
            over: Protocol::Udp,
            info_hash: InfoHash(hash(number)),
            peer: ([127, 0, 0, 2], 6881).into(),
            bytes_left: 1,
            event: Event::Ordinary,
            peers_wanted: None,
        };
        tracker.announce(&announce, now, &mut random, &mut PeersOut::new(&mut [], &mut []));
    }
    let origin = Origin { store_id: 1, boot: Boot::read() };
    file::write(path, tracker.store(), origin, || Ok(())).expect("the directory is ours");
}
