//! Killed at any moment while a snapshot is written, or while a list is read again: the next start finds a whole state, the
//! one of the last start or a later one, and exactly the list that stands in its place.
//!
//! `OPENTRACKER_XDP_KILLS` says how often.

use crate::restart::{Hash, hash};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tracker_tests::daemon::{DEADLINE, Daemon};
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
/// So many kills of each kind have to come before what was begun is over: a quarter of all.
const MIDWAY_OF_KILLS: u32 = 4;
/// Daemons at a time, each with a state of its own.
const LANES: u32 = 4;
/// Peers that every state has, so that writing one takes a while; and as many torrents.
const PEERS: u32 = 60_000;
/// Two blacklists that have no torrent in common: their names, and the numbers of their torrents.
const LISTS: [(&str, std::ops::Range<u32>); 2] = [("first", 0..40_000), ("second", 40_000..90_000)];
/// How long after the beginning a kill comes at the latest, at first.
const FIRST_BOUND: Duration = Duration::from_millis(2);
/// The event of an announce, and the action of an answer (BEP 15).
const STOPPED: u32 = 3;
const ERROR: u8 = 3;

/// In the midst of what a daemon is killed.
#[derive(Clone, Copy, Debug)]
enum Midst {
    /// A snapshot that is due while it serves; another list comes at the same time.
    Snapshot,
    /// The last snapshot.
    LastSnapshot,
    /// A list that it has been told to read again.
    Reload,
}

impl Midst {
    /// Half of the kills come in a reload.
    const fn of(kill: u32) -> Self {
        match kill % 4 {
            0 => Self::Snapshot,
            1 => Self::LastSnapshot,
            _ => Self::Reload,
        }
    }
}

/// What a daemon had begun and not ended when it was killed.
#[derive(Clone, Copy, Debug, Default)]
struct Unfinished {
    snapshot: bool,
    reload: bool,
}

#[test]
fn killed_at_any_moment_it_starts_with_a_whole_earlier_state() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().expect("it is a number"));
    let (killed, snapshots, reloads) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let (killed, snapshots, reloads) = (&killed, &snapshots, &reloads);
            scope.spawn(move || {
                let mut scene = Scene::new(lane);
                loop {
                    let kill = killed.fetch_add(1, Ordering::Relaxed);
                    if kill >= kills {
                        break;
                    }
                    let unfinished = scene.kill_once(Midst::of(kill));
                    snapshots.fetch_add(u32::from(unfinished.snapshot), Ordering::Relaxed);
                    reloads.fetch_add(u32::from(unfinished.reload), Ordering::Relaxed);
                }
                let daemon = scene.start(0);
                scene.check(&daemon);
            });
        }
    });
    let (snapshots, reloads) = (snapshots.into_inner(), reloads.into_inner());
    println!("{kills} kills: {snapshots} while a snapshot was half written, {reloads} during a reload");
    let enough = kills / MIDWAY_OF_KILLS;
    assert!(
        kills < KILLS || snapshots.min(reloads) >= enough,
        "{snapshots} and {reloads}, not {enough} each"
    );
}

/// One state and what is known of it.
struct Scene {
    directory: TemporaryDirectory,
    random: fastrand::Rng,
    /// Torrents that were added to the state, one in each run, and were there at the last start.
    added: BTreeSet<u32>,
    next: u32,
    /// Which of the lists stands in its place.
    list: usize,
    /// For each kind of kill within what time from the beginning it comes.
    bounds: [Duration; 3],
}

impl Scene {
    fn new(lane: u32) -> Self {
        let directory = TemporaryDirectory::new();
        write_state(&directory.path().join("snapshot"));
        for (name, numbers) in LISTS {
            let list: String = numbers.map(|number| format!("{number:040x}\n")).collect();
            fs::write(directory.path().join(name), list).expect("the directory is ours");
        }
        let random = fastrand::Rng::with_seed(lane.into());
        let bounds = [FIRST_BOUND; 3];
        let mut scene = Self { directory, random, added: BTreeSet::new(), next: 0, list: 0, bounds };
        scene.put_list(0);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a list in its place by renaming, as documented.
    fn put_list(&mut self, list: usize) {
        let beside = self.path("beside");
        fs::hard_link(self.path(LISTS[list].0), &beside).expect("the directory is ours");
        fs::rename(&beside, self.path("blacklist")).expect("the directory is ours");
        self.list = list;
    }

    fn start(&self, interval_secs: u32) -> Daemon {
        let settings = [
            format!("state.snapshot={}", self.path("snapshot").display()),
            format!("state.snapshot_interval_secs={interval_secs}"),
            format!("access.blacklist={}", self.path("blacklist").display()),
        ];
        let mut arguments = vec!["-i", "127.0.0.1", "-p", "0", "-P", "0", "--http-workers", "1"];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        Daemon::start(&arguments)
    }

    /// Starts a daemon, changes its state, and kills it in the midst of something.
    fn kill_once(&mut self, midst: Midst) -> Unfinished {
        let mut daemon = self.start(u32::from(matches!(midst, Midst::Snapshot)));
        self.check(&daemon);
        let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
        let connection_id = client.connect();
        let marker =
            AnnounceRequest { info_hash: added(self.next), ..AnnounceRequest::new(connection_id, 1) };
        client.announce(&marker);
        self.next += 1;
        let beginning = Beginning::watch(self.directory.path());
        let seen_lines = daemon.log_lines();
        match midst {
            Midst::Snapshot => beginning.wait(),
            Midst::LastSnapshot => {
                daemon.signal(Signal::SIGTERM);
                beginning.wait();
            }
            Midst::Reload => {}
        }
        let reloads = !matches!(midst, Midst::LastSnapshot);
        if reloads {
            self.put_list(1 - self.list);
            daemon.signal(Signal::SIGHUP);
        }
        // The moment is what is tried out.
        let bound = self.bounds[midst as usize];
        std::thread::sleep(bound.mul_f64(self.random.f64()));
        if daemon.is_running() {
            daemon.signal(Signal::SIGKILL);
        }
        daemon.await_exit();
        let is_in_force = daemon.log().lines().skip(seen_lines).any(|line| line.contains(" in force: "));
        let unfinished = Unfinished {
            snapshot: !matches!(midst, Midst::Reload) && self.path("snapshot.new").exists(),
            reload: reloads && !is_in_force,
        };
        self.measure(midst, unfinished);
        unfinished
    }

    /// What was interrupted takes longer than the kill took to come, and what was not takes less: so the bound comes to be
    /// a little above what it takes, and stays there.
    fn measure(&mut self, midst: Midst, unfinished: Unfinished) {
        let is_early = if matches!(midst, Midst::Reload) { unfinished.reload } else { unfinished.snapshot };
        let bound = &mut self.bounds[midst as usize];
        *bound = bound.mul_f64(if is_early { 1.1 } else { 0.6 });
    }

    /// The daemon has the whole of the state and of the list, and nothing was put aside.
    fn check(&mut self, daemon: &Daemon) {
        self.check_list(daemon);
        let all: Vec<u32> = (0..self.next).collect();
        let present = present(daemon, &all);
        // Whether the last change is in it depends on the moment; everything before is as it was.
        if let Some(last) = all.last().filter(|last| present.contains(last)) {
            self.added.insert(*last);
        }
        assert_eq!(present, self.added);
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

    /// The list that stands in its place is in force from its first torrent to its last, and the other is not.
    fn check_list(&self, daemon: &Daemon) {
        daemon.await_log_line(&format!("in force: {} torrents", LISTS[self.list].1.len()));
        let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
        let connection_id = client.connect();
        let is_refused = |number: u32| {
            let mut info_hash = [0; 20];
            info_hash[16..].copy_from_slice(&number.to_be_bytes());
            // Who stops without having started leaves nothing behind.
            let stopped =
                AnnounceRequest { info_hash, ..AnnounceRequest::new(connection_id, 1) }.event(STOPPED);
            client.ask(&stopped.payload())[3] == ERROR
        };
        for (list, (name, numbers)) in LISTS.into_iter().enumerate() {
            for number in [numbers.start, u32::midpoint(numbers.start, numbers.end), numbers.end - 1] {
                assert_eq!(is_refused(number), list == self.list, "{number} of the {name} list");
            }
        }
    }
}

/// The file that a snapshot is written to, until it is whole.
struct Beginning {
    inotify: Inotify,
    path: PathBuf,
}

impl Beginning {
    fn watch(directory: &Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).expect("Linux has it");
        inotify.add_watch(directory, AddWatchFlags::IN_CREATE).expect("the directory is ours");
        Self { inotify, path: directory.join("snapshot.new") }
    }

    /// Waits until it is there, or has been.
    fn wait(&self) {
        let is_it = |event: &InotifyEvent| event.name.as_deref() == self.path.file_name();
        while !self.path.exists() {
            match self.inotify.read_events() {
                Ok(events) if events.iter().any(is_it) => return,
                Ok(_) => {}
                Err(Errno::EAGAIN) => {
                    let mut waiting = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
                    let timeout = PollTimeout::try_from(DEADLINE).expect("it is less than weeks");
                    assert_eq!(poll(&mut waiting, timeout), Ok(1), "no snapshot is begun");
                }
                Err(error) => panic!("{error}"),
            }
        }
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
