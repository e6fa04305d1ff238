//! The configuration as the daemon uses it: plain values with their defaults, however they were given.

mod access;
mod batchsync;
mod control;
mod http;
mod livesync;
mod state;
mod store;
mod sync;
mod tracker;
mod udp;
mod xdp;
mod xsk;

pub use access::AccessConfig;
pub use batchsync::BatchsyncConfig;
pub use control::ControlConfig;
pub use http::HttpConfig;
pub use livesync::{DEFAULT_LIVESYNC_PORT, LivesyncConfig};
pub use state::StateConfig;
pub use store::StoreConfig;
pub use sync::{Login, NatsServer, SyncConfig};
pub use tracker::{SandboxMode, TrackerConfig};
pub use udp::UdpConfig;
pub use xdp::{Mode, XdpAttach, XdpConfig};
pub use xsk::{CopyMode, XskConfig};

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port of a listen line that names none.
pub const DEFAULT_PORT: u16 = 6969;

/// Everything that an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Config {
    /// Where to listen, UDP first, else in the order given; empty: [`Config::listeners`] decides.
    pub listen: Vec<Listen>,
    /// What the daemon is and how it answers announces.
    pub tracker: TrackerConfig,
    /// What the store of peers may hold, and whom it takes in.
    pub store: StoreConfig,
    /// Who may do what.
    pub access: AccessConfig,
    /// The UDP workers.
    pub udp: UdpConfig,
    /// The XDP program.
    pub xdp: XdpConfig,
    /// AF_XDP sockets.
    pub xsk: XskConfig,
    /// The HTTP workers.
    pub http: HttpConfig,
    /// What outlives a run.
    pub state: StateConfig,
    /// How a node takes over the state of another one.
    pub batchsync: BatchsyncConfig,
    /// What nodes of a cluster tell each other on their network.
    pub livesync: LivesyncConfig,
    /// What they tell each other beyond it.
    pub sync: SyncConfig,
    /// How an operator reaches the daemon while it runs.
    pub control: ControlConfig,
    /// How much is written to standard error.
    pub log_level: LogLevel,
    /// Whether refused announces are written there, a few each second.
    pub log_refused: bool,
}

/// One listen line: a transport on a socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// UDP or TCP.
    pub transport: Transport,
    /// The address; port 0 lets the kernel choose one.
    pub address: SocketAddr,
    /// UDP only: how many workers share this address; `None`: all of them.
    pub udp_workers: Option<u16>,
}

/// What a listen line speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// BEP 15 over UDP.
    Udp,
    /// HTTP over TCP.
    Tcp,
}

impl Transport {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// The least severe messages that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// The daemon cannot go on.
    Error,
    /// Something is not as asked.
    Warn,
    /// What the daemon does.
    #[default]
    Info,
    /// Why it does so.
    Debug,
}

impl LogLevel {
    /// The name in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Config {
    /// The listen lines, or, where none was given, UDP and TCP on port 6969 of every address of both families.
    pub fn listeners(&self) -> Vec<Listen> {
        if !self.listen.is_empty() {
            return self.listen.clone();
        }
        let every_address = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        [Transport::Udp, Transport::Tcp]
            .into_iter()
            .flat_map(|transport| every_address.map(|ip| (transport, SocketAddr::new(ip, DEFAULT_PORT))))
            .map(|(transport, address)| Listen { transport, address, udp_workers: None })
            .collect()
    }

    /// The interval of each protocol in seconds, before jitter: UDP, HTTP.
    pub fn intervals_secs(&self) -> [u32; 2] {
        let or_of_both = |secs: u32| if secs == 0 { self.tracker.interval_secs } else { secs };
        [self.udp.interval_secs, self.http.interval_secs].map(or_of_both)
    }

    /// The longest that an overloaded tracker makes of an interval, in seconds before jitter. A sixteenth of the peer timeout
    /// is left for clients that come late: a peer must not be forgotten before it was to come.
    pub const fn stretched_interval_most_secs(&self) -> u32 {
        let timeout = self.tracker.peer_timeout_secs;
        timeout.saturating_sub(timeout / 16).saturating_sub(self.tracker.interval_jitter_secs)
    }

    /// The most by which that stretches any interval, in percent, and no more than is configured.
    pub fn stretch_most_percent(&self) -> u32 {
        let most = u64::from(self.stretched_interval_most_secs());
        let reached = self.intervals_secs().map(|secs| most * 100 / u64::from(secs.max(1)));
        let reached = reached.into_iter().fold(100, u64::max);
        reached.min(self.tracker.interval_stretch_max_percent.into()) as u32
    }

    /// Whether the tracker may start without this address because the host does not have its family.
    ///
    /// So it is with a port on every address of both families: one of them is enough then. An address of one
    /// family alone was meant.
    pub fn may_lack_family(&self, listen: &Listen) -> bool {
        let listeners = self.listeners();
        let other_family = |other: &Listen| {
            other.transport == listen.transport
                && other.address.ip().is_unspecified()
                && other.address.port() == listen.address.port()
                && other.address.is_ipv4() != listen.address.is_ipv4()
        };
        listen.address.ip().is_unspecified() && listeners.iter().any(other_family)
    }
}
