//! The daemon of one test, asked in one family.

use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::netns::{SECOND_LOOPBACK_V6, enter_own_loopback};
use tracker_tests::skip::{is_root_or_skipped, skipped};
use tracker_tests::two_hosts::{CLIENT, TRACKER, TWO_QUEUES, TwoHosts, V4, V6};
use tracker_tests::udp_client::{AnnounceRequest, Announced, INFO_HASH, Row, UdpClient};

/// More addresses of the client's host and of the daemon's, beside those of [`V4`] and [`V6`].
const OTHER_CLIENT_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 10));
const OTHER_CLIENT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 10));
const OTHER_TRACKER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 5));
const OTHER_TRACKER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 5));
/// AF_XDP or nothing, and clients that may ask as fast as they like.
const AF_XDP: &[&str] =
    &["--mode", "xsk", "--set", "xdp.attach=native", "--set", "xdp.source_packets_per_sec=0"];
/// How often what cannot be waited for is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The address family of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// Where clients come from.
    pub(crate) fn loopback(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::LOCALHOST.into(),
            Self::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// Bytes of a peer in an answer.
    pub(crate) fn peer_len(self) -> usize {
        match self {
            Self::V4 => 6,
            Self::V6 => 18,
        }
    }
}

/// How packets reach the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through UDP sockets, on the loopback interface.
    Sockets,
    /// Through the XDP program and AF_XDP sockets, over a cable with as many queues.
    AfXdp(u32),
}

/// Makes tests of each rule, for both families and each way in: `RULE::over_ipv4`, `RULE::over_ipv6`, and the same in
/// `RULE::through_af_xdp` and `RULE::through_two_queues_of_af_xdp`.
macro_rules! rules {
    ($($rule:ident,)+) => {$(
        mod $rule {
            use $crate::tracker::{Family, Way, check};

            #[test]
            fn over_ipv4() {
                check(super::$rule, Way::Sockets, Family::V4);
            }

            #[test]
            fn over_ipv6() {
                check(super::$rule, Way::Sockets, Family::V6);
            }

            mod through_af_xdp {
                use super::{Family, Way, check};

                #[test]
                fn over_ipv4() {
                    check(super::super::$rule, Way::AfXdp(1), Family::V4);
                }

                #[test]
                fn over_ipv6() {
                    check(super::super::$rule, Way::AfXdp(1), Family::V6);
                }
            }

            mod through_two_queues_of_af_xdp {
                use super::{Family, Way, check};

                #[test]
                fn over_ipv4() {
                    check(super::super::$rule, Way::AfXdp(2), Family::V4);
                }

                #[test]
                fn over_ipv6() {
                    check(super::super::$rule, Way::AfXdp(2), Family::V6);
                }
            }
        }
    )+};
}
pub(crate) use rules;

/// Checks a rule, or says that it is skipped.
pub(crate) fn check(rule: fn(&Tracker), way: Way, family: Family) {
    if way == Way::Sockets || is_root_or_skipped("the protocol through AF_XDP") {
        let tracker = Tracker::start(way, family);
        rule(&tracker);
        tracker.assert_way_in();
    }
}

/// A daemon with addresses of both families.
pub(crate) struct Tracker {
    pub(crate) daemon: Daemon,
    pub(crate) family: Family,
    way: Way,
    has_own_loopback: bool,
    /// Where it is not the loopback interface that joins it to its clients.
    hosts: Option<TwoHosts>,
}

impl Tracker {
    /// Starts it as operators do: on the loopback addresses, and this thread moves to a loopback of its own where it may,
    /// or on a host of its own, with its clients on another.
    fn start(way: Way, family: Family) -> Self {
        Self::start_with(way, family, &[])
    }

    /// Starts another one in the same way, with more arguments.
    pub(crate) fn another(&self, more: &[&str]) -> Self {
        Self::start_with(self.way, self.family, more)
    }

    fn start_with(way: Way, family: Family, more: &[&str]) -> Self {
        let addresses: &[&str] = match way {
            Way::Sockets => &["-i", "127.0.0.1", "-p", "0", "-P", "0", "-i", "::1", "-P", "0"],
            Way::AfXdp(_) => &["-i", "10.77.0.1", "-p", "0", "-P", "6969", "-i", "fd77::1", "-P", "6969"],
        };
        Self::start_at(way, family, &[addresses, more].concat())
    }

    /// Starts it with these arguments alone.
    pub(crate) fn start_at(way: Way, family: Family, arguments: &[&str]) -> Self {
        match way {
            Way::Sockets => {
                let has_own_loopback = nix::unistd::geteuid().is_root();
                if has_own_loopback {
                    enter_own_loopback();
                }
                Self { daemon: Daemon::start(arguments), family, way, has_own_loopback, hosts: None }
            }
            Way::AfXdp(queues) => {
                Daemon::build();
                let options = if queues == 2 { TWO_QUEUES } else { "" };
                let hosts = TwoHosts::new(options, &[V4, V6]);
                for (address, prefix_len) in [(OTHER_CLIENT_V4, 24), (OTHER_CLIENT_V6, 64)] {
                    hosts.client.add_address(CLIENT, address, prefix_len);
                }
                for (address, prefix_len) in [(OTHER_TRACKER_V4, 24), (OTHER_TRACKER_V6, 64)] {
                    hosts.tracker.add_address(TRACKER, address, prefix_len);
                }
                let daemon = hosts.tracker.run(|| Daemon::start(&[arguments, AF_XDP].concat()));
                Self { daemon, family, way, has_own_loopback: false, hosts: Some(hosts) }
            }
        }
    }

    /// Does something where its clients are.
    fn among_clients<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.hosts {
            Some(hosts) => hosts.client.run(work),
            None => work(),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        match self.family {
            Family::V4 => self.daemon.udp_v4(),
            Family::V6 => self.daemon.udp_v6(),
        }
    }

    /// Where its clients come from.
    pub(crate) fn client_address(&self) -> IpAddr {
        match (self.way, self.family) {
            (Way::Sockets, family) => family.loopback(),
            (Way::AfXdp(_), Family::V4) => V4.client,
            (Way::AfXdp(_), Family::V6) => V6.client,
        }
    }

    /// A client without a connection id.
    pub(crate) fn client(&self) -> UdpClient {
        self.client_of(self.client_address(), self.address())
    }

    /// A client without a connection id, at one of the addresses of its clients, for one of the tracker's.
    pub(crate) fn client_of(&self, own: IpAddr, tracker: SocketAddr) -> UdpClient {
        self.among_clients(|| match self.way {
            Way::Sockets => UdpClient::new(own, tracker),
            Way::AfXdp(_) => UdpClient::of_kernel(own, tracker),
        })
    }

    /// Another address of its clients than the one that they come from; none, and the test is said to be skipped, where
    /// that takes root.
    pub(crate) fn other_address(&self) -> Option<IpAddr> {
        match (self.way, self.family) {
            (Way::AfXdp(_), Family::V4) => Some(OTHER_CLIENT_V4),
            (Way::AfXdp(_), Family::V6) => Some(OTHER_CLIENT_V6),
            (Way::Sockets, Family::V4) => Some(Ipv4Addr::new(127, 0, 0, 2).into()),
            (Way::Sockets, Family::V6) if self.has_own_loopback => Some(SECOND_LOOPBACK_V6.into()),
            (Way::Sockets, Family::V6) => {
                skipped("a second IPv6 address: needs root");
                None
            }
        }
    }

    /// A client with a connection id.
    pub(crate) fn session(&self) -> Session {
        Session::new(self.client())
    }

    /// A client of the other family with a connection id.
    pub(crate) fn session_of_other_family(&self) -> Session {
        let (own, address) = match (self.way, self.family) {
            (Way::Sockets, Family::V4) => (Family::V6.loopback(), self.daemon.udp_v6()),
            (Way::Sockets, Family::V6) => (Family::V4.loopback(), self.daemon.udp_v4()),
            (Way::AfXdp(_), Family::V4) => (V6.client, self.daemon.udp_v6()),
            (Way::AfXdp(_), Family::V6) => (V4.client, self.daemon.udp_v4()),
        };
        Session::new(self.client_of(own, address))
    }

    /// Its statistics.
    pub(crate) fn stats(&self) -> Value {
        self.among_clients(|| self.daemon.stats())
    }

    /// Waits until so many packets have ended in these verdicts together: what the kernel counts is read once a second.
    ///
    /// # Panics
    /// When it is another number.
    pub(crate) fn assert_verdicts(&self, names: &[&str], expected: u64) {
        let counted = |stats: &Value| names.iter().map(|name| verdict(stats, name)).sum::<u64>();
        let stats = self.await_stats(|stats| counted(stats) >= expected);
        assert_eq!(counted(&stats), expected, "{names:?} in {stats}");
    }

    /// Looks at the statistics until they are so, or the deadline has passed.
    pub(crate) fn await_stats(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + DEADLINE;
        loop {
            let stats = self.stats();
            if is_so(&stats) || Instant::now() > end {
                return stats;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Asserts that an announce comes in as it should, so that no rule has been shown for another way.
    fn assert_way_in(&self) {
        let Way::AfXdp(queues) = self.way else { return };
        let answered = |stats: &Value| {
            let queues = stats["xsk"].as_array().expect("AF_XDP serves queues");
            queues.iter().map(|queue| queue["scrape_answered"].as_u64()).sum::<Option<u64>>()
        };
        let has_all =
            |stats: &Value| stats["xsk"].as_array().is_some_and(|known| known.len() == queues as usize);
        let before = self.await_stats(has_all);
        assert_eq!(before["xsk"].as_array().map(Vec::len), Some(queues as usize), "{before}");
        self.session().row();
        let after = self.stats();
        assert_eq!(answered(&after), answered(&before).map(|count| count + 1), "{after}");
    }

    /// Peers that it holds.
    pub(crate) fn peers(&self) -> u64 {
        self.total("peers")
    }

    /// One of its totals.
    pub(crate) fn total(&self, name: &str) -> u64 {
        self.stats()[name].as_u64().expect("totals are numbers")
    }
}

/// Packets of one verdict, of the daemon and of its XDP program.
pub(crate) fn verdict(stats: &Value, name: &str) -> u64 {
    let of_daemon = stats["udp"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"));
    of_daemon + stats["xdp"][name]["packets"].as_u64().unwrap_or(0)
}

/// A client with a connection id.
pub(crate) struct Session {
    pub(crate) client: UdpClient,
    pub(crate) id: u64,
}

impl Session {
    pub(crate) fn new(mut client: UdpClient) -> Self {
        let id = client.connect();
        Self { client, id }
    }

    /// The announce of a leecher on this port.
    pub(crate) fn leecher(&self, port: u16) -> AnnounceRequest {
        AnnounceRequest::new(self.id, port)
    }

    /// The announce of a seeder on this port.
    pub(crate) fn seeder(&self, port: u16) -> AnnounceRequest {
        self.leecher(port).seeding()
    }

    pub(crate) fn announce(&mut self, request: &AnnounceRequest) -> Announced {
        self.client.announce(request)
    }

    /// Announces a leecher on each of these ports.
    pub(crate) fn fill(&mut self, ports: std::ops::RangeInclusive<u16>) {
        for port in ports {
            self.announce(&self.leecher(port).wanting(0));
        }
    }

    /// The row of the torrent that all announce by default.
    pub(crate) fn row(&mut self) -> Row {
        self.client.scrape(self.id, &[INFO_HASH])[0]
    }
}

/// A row of a scrape.
pub(crate) fn row(seeders: u32, completed: u32, leechers: u32) -> Row {
    Row { seeders, completed, leechers }
}
