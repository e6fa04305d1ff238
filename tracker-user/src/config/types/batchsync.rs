//! How a node takes over the state of another one when it starts.

use ipnet::IpNet;
use std::net::SocketAddr;

/// Keys under `batchsync.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchsyncConfig {
    /// Who may fetch the state of this node; empty: nobody.
    pub admin_ip: Vec<IpNet>,
    /// Whom to ask for theirs at the start, in this order; empty: nobody.
    pub join: Vec<SocketAddr>,
    /// Seconds after which this node starts with what it has got.
    pub join_timeout_secs: u32,
}

impl Default for BatchsyncConfig {
    fn default() -> Self {
        Self { admin_ip: Vec::new(), join: Vec::new(), join_timeout_secs: 30 }
    }
}
