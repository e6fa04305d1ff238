//! The configuration as the daemon uses it: plain values with their defaults, however they were given.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// The port of a listen line that names none.
pub const DEFAULT_PORT: u16 = 6969;

/// Everything that an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Config {
    /// Where to listen, UDP first, else in the order given; empty: [`Config::listeners`] decides.
    pub listen: Vec<Listen>,
    /// What the daemon is and how it answers announces.
    pub tracker: TrackerConfig,
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
    /// A state dump to read at the start; below the root directory that is entered.
    pub state_load: Option<PathBuf>,
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

/// The ways in that the daemon may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// The best that this host offers.
    #[default]
    Auto,
    /// The XDP program with AF_XDP sockets behind it, or no start.
    Xsk,
    /// The XDP program in front of ordinary sockets, or no start.
    Xdp,
    /// Ordinary sockets.
    Socket,
}

impl Mode {
    /// The name in configurations and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Xsk => "xsk",
            Self::Xdp => "xdp",
            Self::Socket => "socket",
        }
    }
}

/// Keys under `tracker.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerConfig {
    /// The user to become after binding; `None`: `nobody` when started as root, else nobody new.
    pub user: Option<String>,
    /// The directory to chroot to (as root) or change to (otherwise) after binding.
    pub rootdir: Option<PathBuf>,
    /// Where `GET /` is redirected.
    pub redirect_url: Option<String>,
    /// Seconds until a client should announce again, before jitter.
    pub interval_secs: u32,
    /// The most seconds by which an interval is shortened or lengthened at random.
    pub interval_jitter_secs: u32,
    /// Seconds after its last announce when a peer is forgotten.
    pub peer_timeout_secs: u32,
    /// Seconds after its last announce when a torrent without peers is forgotten with its completed count.
    pub torrent_timeout_secs: u32,
    /// Peers in an answer when the client does not say.
    pub peers_wanted_default: u16,
    /// The most peers in an answer.
    pub peers_wanted_max: u16,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            user: None,
            rootdir: None,
            redirect_url: None,
            interval_secs: 30 * 60,
            interval_jitter_secs: 3 * 60,
            peer_timeout_secs: 45 * 60,
            torrent_timeout_secs: 24 * 60 * 60,
            peers_wanted_default: 50,
            peers_wanted_max: 200,
        }
    }
}

/// Keys under `access.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessConfig {
    /// Networks that may fetch statistics; empty: everyone may.
    pub stats: Vec<IpNet>,
    /// The path of the statistics, without its leading slash.
    pub stats_path: String,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxy: Vec<IpNet>,
    /// Networks that are not served.
    pub deny: Vec<IpNet>,
    /// What the peer ids of clients begin with that are not served.
    pub clients_deny: Vec<String>,
    /// A file of the only torrents that are served; below the root directory that is entered.
    pub whitelist: Option<PathBuf>,
    /// A file of torrents that are not served; below the root directory that is entered.
    pub blacklist: Option<PathBuf>,
    /// A FIFO by which torrents are put on the list.
    pub fifo_add: Option<PathBuf>,
    /// A FIFO by which torrents are taken off the list.
    pub fifo_delete: Option<PathBuf>,
    /// Whether scrapes know nothing of torrents that are not served.
    pub lists_apply_to_scrapes: bool,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            stats: Vec::new(),
            stats_path: "stats".to_owned(),
            proxy: Vec::new(),
            deny: Vec::new(),
            clients_deny: Vec::new(),
            whitelist: None,
            blacklist: None,
            fifo_add: None,
            fifo_delete: None,
            lists_apply_to_scrapes: false,
        }
    }
}

/// Keys under `udp.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpConfig {
    /// Worker threads; 0: one per core.
    pub workers: u16,
    /// `SO_RCVBUF` of each socket in bytes; 0: the kernel's default.
    pub receive_buffer_bytes: u32,
    /// Whether a wrong connection id is answered with an error, for debugging.
    pub lenient: bool,
    /// Seconds for which a connection id holds, at least.
    pub connection_id_lifetime_secs: u32,
    /// Seconds between two new keys of the connection ids.
    pub connection_id_rotation_secs: u32,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            receive_buffer_bytes: 8 << 20,
            lenient: false,
            connection_id_lifetime_secs: 8 * 60,
            connection_id_rotation_secs: 60 * 60,
        }
    }
}

/// Keys under `xdp.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpConfig {
    /// The ways in.
    pub mode: Mode,
    /// Interfaces to attach to; empty: all that carry a listen address, but for the loopback interface.
    pub interface: Vec<String>,
    /// Where in the kernel the program runs.
    pub attach: XdpAttach,
    /// An object to load instead of the one that is built in.
    pub object: Option<PathBuf>,
    /// Whether the program outlives the daemon, for an upgrade that answers every connect.
    pub pin: bool,
    /// Proven packets that one source may send per second; 0: no bound. A source is an IPv4 address or an IPv6
    /// network of 64 bits.
    pub source_packets_per_sec: u32,
    /// Proven packets that one source may send at once.
    pub source_burst_packets: u32,
    /// Connects of all sources together that are answered per second; 0: no bound.
    pub connects_per_sec: u32,
    /// Connects of all sources together that are answered at once.
    pub connect_burst: u32,
}

impl Default for XdpConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            interface: Vec::new(),
            attach: XdpAttach::Auto,
            object: None,
            pin: false,
            source_packets_per_sec: 2000,
            source_burst_packets: 20_000,
            connects_per_sec: 0,
            connect_burst: 100_000,
        }
    }
}

/// Keys under `xsk.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XskConfig {
    /// How packets get from the card into the tracker's memory.
    pub zero_copy: CopyMode,
    /// Microseconds for which a system call may look for packets; 0: interrupts bring them.
    pub busy_poll_micros: u32,
    /// Packets that such a call takes in at most.
    pub busy_poll_budget: u16,
    /// Entries of each ring, a power of two.
    pub ring_size: u32,
    /// Packets that one wake-up sends at most where the kernel copies; 0: the kernel's own budget.
    pub transmit_budget: u32,
    /// Receive queues of each interface that get a socket; 0: all of them.
    pub queues: u16,
    /// Cores for the threads of the queues, one after the other; empty: those that the daemon may use.
    pub cpus: Vec<u16>,
}

impl Default for XskConfig {
    fn default() -> Self {
        Self {
            zero_copy: CopyMode::Auto,
            busy_poll_micros: 0,
            busy_poll_budget: 64,
            ring_size: 2048,
            transmit_budget: 64,
            queues: 0,
            cpus: Vec::new(),
        }
    }
}

/// How packets get from the card into the memory of AF_XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CopyMode {
    /// By the card itself where its driver can, else by the kernel.
    #[default]
    Auto,
    /// By the card itself, or not at all.
    ZeroCopy,
    /// By the kernel: every driver with XDP can.
    Copy,
}

/// Where in the kernel the XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum XdpAttach {
    /// In the driver where it can, else before the network stack. On a veth always the latter: what a driver's program
    /// sends back there is lost unless the peer runs one too.
    #[default]
    Auto,
    /// In the driver.
    Native,
    /// Before the network stack.
    Generic,
}

/// Keys under `http.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Worker threads; 0: one per core.
    pub workers: u16,
    /// Open connections of all workers; one more closes the oldest.
    pub max_connections: u32,
    /// Seconds for a whole request to arrive, and for an idle connection to send the next.
    pub request_timeout_secs: u32,
    /// Seconds for a client to take some bytes of an answer.
    pub response_timeout_secs: u32,
    /// The most bytes of a request line and its headers.
    pub max_request_bytes: u32,
    /// Whether full scrapes are served.
    pub full_scrape: bool,
    /// Seconds from one full scrape to the next of the same address; 0: no bound.
    pub full_scrape_interval_secs: u32,
    /// Full scrapes of all workers that run at a time.
    pub full_scrapes_max: u32,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            max_connections: 16_384,
            request_timeout_secs: 30,
            response_timeout_secs: 60,
            max_request_bytes: 16_384,
            full_scrape: true,
            full_scrape_interval_secs: 5 * 60,
            full_scrapes_max: 4,
        }
    }
}

/// The least severe messages that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
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
