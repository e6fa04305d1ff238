//! Who may do what, and which torrents are served.

use ipnet::IpNet;
use std::path::PathBuf;

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
