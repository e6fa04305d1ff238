//! What the nodes of a cluster tell each other on their network.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The port of livesync where none is named.
pub const DEFAULT_LIVESYNC_PORT: u16 = 9696;

/// Keys under `livesync.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivesyncConfig {
    /// This host's address on the network of the cluster, and the port of the group; `None`: no livesync.
    pub listen: Option<SocketAddr>,
    /// Networks of the nodes that are believed.
    pub node_ip: Vec<IpNet>,
    /// The multicast group.
    pub group: IpAddr,
    /// Milliseconds for which an event waits for others at most.
    pub delay_ms: u32,
    /// A file of keys; with it, datagrams are sealed.
    pub key_file: Option<PathBuf>,
}

impl Default for LivesyncConfig {
    fn default() -> Self {
        Self {
            listen: None,
            node_ip: Vec::new(),
            group: IpAddr::V4(Ipv4Addr::new(224, 0, 42, 23)),
            delay_ms: 15_000,
            key_file: None,
        }
    }
}
