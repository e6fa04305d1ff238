//! The daemon's host, a client's host and a cable between them, with a BPF file system that no other test sees.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::two_hosts::{self, TwoHosts};
pub(crate) use tracker_tests::two_hosts::{CLIENT, TRACKER, TWO_QUEUES};
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};

pub(crate) const TRACKER_V4: IpAddr = two_hosts::V4.tracker;
pub(crate) const TRACKER_V6: IpAddr = two_hosts::V6.tracker;
pub(crate) const CLIENT_V4: IpAddr = two_hosts::V4.client;
pub(crate) const CLIENT_V6: IpAddr = two_hosts::V6.client;
pub(crate) const PORT: u16 = 6969;
/// Where the daemon listens.
pub(crate) const LISTEN: &[&str] =
    &["-i", "10.77.0.1", "-p", "0", "-P", "6969", "-i", "fd77::1", "-P", "6969"];
/// The program or nothing, in either place.
pub(crate) const GENERIC: &[&str] = &["--mode", "xdp", "--set", "xdp.attach=generic"];
pub(crate) const NATIVE: &[&str] = &["--mode", "xdp", "--set", "xdp.attach=native"];
/// AF_XDP or nothing, the program in the driver.
pub(crate) const AF_XDP: &[&str] = &["--mode", "xsk", "--set", "xdp.attach=native"];
/// Where the statistics are within reach even when the interface is not; before the others.
pub(crate) const STATISTICS: &[&str] = &["-i", "127.0.0.1", "-p", "0"];
/// How often what cannot be waited for is looked at again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The hosts of one test.
pub(crate) struct Hosts(TwoHosts);

impl Deref for Hosts {
    type Target = TwoHosts;

    fn deref(&self) -> &TwoHosts {
        &self.0
    }
}

impl DerefMut for Hosts {
    fn deref_mut(&mut self) -> &mut TwoHosts {
        &mut self.0
    }
}

/// Runs a test with hosts of its own, or says that it is skipped.
pub(crate) fn with_hosts(test: impl FnOnce(&mut Hosts) + Send) {
    with_cable("", test);
}

/// The same, with options of `ip link add` for both ends of the cable.
pub(crate) fn with_cable(options: &str, test: impl FnOnce(&mut Hosts) + Send) {
    if !is_root_or_skipped("the life of the XDP program") {
        return;
    }
    Daemon::build();
    let enter_and_test = || {
        enter_own_bpf_file_system();
        test(&mut Hosts(TwoHosts::new(options, &[two_hosts::V4, two_hosts::V6])));
    };
    let result = std::thread::scope(|scope| scope.spawn(enter_and_test).join());
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// What is pinned has a path on the whole machine: here, in the mounts of this thread and what it starts.
fn enter_own_bpf_file_system() {
    unshare(CloneFlags::CLONE_NEWNS).expect("root may make namespaces");
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("the mounts are this thread's own");
    mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), None::<&str>)
        .expect("the kernel has BPF file systems");
}

impl Hosts {
    /// Starts the daemon at its addresses with these arguments, and waits until it is ready.
    pub(crate) fn start(&self, arguments: &[&str]) -> Daemon {
        self.start_anywhere(&[LISTEN, arguments].concat())
    }

    /// Starts the daemon with these arguments, and waits until it is ready.
    pub(crate) fn start_anywhere(&self, arguments: &[&str]) -> Daemon {
        self.tracker.run(|| Daemon::start(arguments))
    }

    /// Starts the daemon with what it must refuse, and gives its log.
    pub(crate) fn start_refused(&self, arguments: &[&str]) -> String {
        let ended = self.tracker.run(|| Daemon::start_refused(&[LISTEN, arguments].concat()));
        assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
        ended.log
    }

    /// A client of each family.
    pub(crate) fn clients(&self) -> [UdpClient; 2] {
        [(CLIENT_V4, TRACKER_V4), (CLIENT_V6, TRACKER_V6)].map(|(own, tracker)| self.client_of(own, tracker))
    }

    /// A client over IPv4.
    pub(crate) fn client(&self) -> UdpClient {
        self.client_of(CLIENT_V4, TRACKER_V4)
    }

    /// A client with this address of the client's host, for a tracker at that of the daemon's.
    pub(crate) fn client_of(&self, own: IpAddr, tracker: IpAddr) -> UdpClient {
        self.client.run(|| UdpClient::new(own, SocketAddr::new(tracker, PORT)))
    }

    /// The id of the XDP program on the daemon's interface, if there is one.
    pub(crate) fn program_id(&self) -> Option<u64> {
        let shown = self.tracker.ip_output("-json link show dev tracker");
        let links: Value = serde_json::from_str(&shown).expect("ip writes JSON when it is asked to");
        links[0]["xdp"]["prog"]["id"].as_u64()
    }

    /// The daemon's counters.
    pub(crate) fn stats(&self, daemon: &Daemon) -> Value {
        self.tracker.run(|| daemon.stats())
    }

    /// Looks at the counters until they are as wanted: those of the program are read once a second.
    ///
    /// # Panics
    /// With the counters, when they are not by [`DEADLINE`].
    pub(crate) fn await_stats(&self, daemon: &Daemon, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + DEADLINE;
        loop {
            let stats = self.stats(daemon);
            if is_so(&stats) {
                return stats;
            }
            assert!(Instant::now() < end, "not so: {what}: {stats}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Connects until the program, not the daemon, answers; the daemon counts its own answers before it sends them.
    pub(crate) fn await_answer_of_program(&self, daemon: &Daemon, client: &mut UdpClient) -> u64 {
        let end = Instant::now() + DEADLINE;
        loop {
            let before = of_daemon(&self.stats(daemon), "connect_answered");
            let id = client.connect();
            let after = of_daemon(&self.stats(daemon), "connect_answered");
            if before == after {
                return id;
            }
            assert!(Instant::now() < end, "the daemon answers, not the program");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Connects and announces over both families; the program must answer the connects.
    pub(crate) fn assert_program_serves(&self, daemon: &Daemon) {
        let before = of_daemon(&self.stats(daemon), "connect_answered");
        for mut client in self.clients() {
            let id = client.connect();
            assert_ne!(client.announce(&AnnounceRequest::new(id, 6881).seeding()).seeders, 0);
        }
        let stats = self.await_stats(daemon, "the program has counted both", |stats| {
            of_program(stats, "connect_answered") >= 2 && of_program(stats, "announce_proven") >= 2
        });
        assert_eq!(of_daemon(&stats, "connect_answered"), before, "{stats}");
    }
}

/// Datagrams of one verdict that the daemon has seen.
pub(crate) fn of_daemon(stats: &Value, verdict: &str) -> u64 {
    stats["udp"][verdict].as_u64().unwrap_or_else(|| panic!("no {verdict} in {stats}"))
}

/// Packets of one verdict that the program has seen; none before its counters are read for the first time.
pub(crate) fn of_program(stats: &Value, verdict: &str) -> u64 {
    stats["xdp"][verdict]["packets"].as_u64().unwrap_or(0)
}
