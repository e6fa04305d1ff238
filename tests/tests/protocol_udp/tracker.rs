//! The daemon of one test, asked in one family.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tracker_tests::daemon::Daemon;
use tracker_tests::netns::enter_own_loopback;
use tracker_tests::skip::skipped;
use tracker_tests::udp_client::{AnnounceRequest, Announced, INFO_HASH, Row, UdpClient};

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

/// Makes two tests of each rule, `RULE::over_ipv4` and `RULE::over_ipv6`.
macro_rules! rules {
    ($($rule:ident,)+) => {$(
        mod $rule {
            #[test]
            fn over_ipv4() {
                super::$rule(&$crate::tracker::Tracker::start($crate::tracker::Family::V4));
            }

            #[test]
            fn over_ipv6() {
                super::$rule(&$crate::tracker::Tracker::start($crate::tracker::Family::V6));
            }
        }
    )+};
}
pub(crate) use rules;

/// A daemon on the loopback addresses of both families.
pub(crate) struct Tracker {
    pub(crate) daemon: Daemon,
    pub(crate) family: Family,
    has_own_loopback: bool,
}

impl Tracker {
    /// Starts it as operators do, and moves this thread to a loopback of its own where it may.
    pub(crate) fn start(family: Family) -> Self {
        Self::start_with(family, &[])
    }

    /// Starts it with more arguments.
    pub(crate) fn start_with(family: Family, more: &[&str]) -> Self {
        let addresses = ["-i", "127.0.0.1", "-p", "0", "-P", "0", "-i", "::1", "-P", "0"];
        Self::start_at(family, &[&addresses, more].concat())
    }

    /// Starts it with these arguments alone.
    pub(crate) fn start_at(family: Family, arguments: &[&str]) -> Self {
        let has_own_loopback = nix::unistd::geteuid().is_root();
        if has_own_loopback {
            enter_own_loopback();
        }
        Self { daemon: Daemon::start(arguments), family, has_own_loopback }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        match self.family {
            Family::V4 => self.daemon.udp_v4(),
            Family::V6 => self.daemon.udp_v6(),
        }
    }

    /// A client without a connection id.
    pub(crate) fn client(&self) -> UdpClient {
        UdpClient::new(self.family.loopback(), self.address())
    }

    /// Another address of this host than the one that clients come from; none, and the test is said to be skipped,
    /// where that takes root.
    pub(crate) fn other_address(&self) -> Option<IpAddr> {
        match self.family {
            Family::V4 => Some(Ipv4Addr::new(127, 0, 0, 2).into()),
            Family::V6 if self.has_own_loopback => Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).into()),
            Family::V6 => {
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
        let (ip, address) = match self.family {
            Family::V4 => (Family::V6.loopback(), self.daemon.udp_v6()),
            Family::V6 => (Family::V4.loopback(), self.daemon.udp_v4()),
        };
        Session::new(UdpClient::new(ip, address))
    }

    /// Packets that ended in this verdict so far.
    pub(crate) fn verdict(&self, name: &str) -> u64 {
        let stats = self.daemon.stats();
        stats["udp"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"))
    }

    /// Peers that it holds.
    pub(crate) fn peers(&self) -> u64 {
        self.total("peers")
    }

    /// One of its totals.
    pub(crate) fn total(&self, name: &str) -> u64 {
        self.daemon.stats()[name].as_u64().expect("totals are numbers")
    }
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
