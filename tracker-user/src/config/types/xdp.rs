//! The ways in, and the XDP program.

use std::path::PathBuf;

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
