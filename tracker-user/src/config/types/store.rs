//! What the store of peers may hold, and whom it takes in.

use crate::peer_store::Limits;
use ipnet::IpNet;

/// Keys under `store.`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreConfig {
    /// What it may hold; by default as much as comes, as no number would be right for every host and every swarm.
    pub limits: Limits,
    /// Whether peers are refused whose addresses nobody reaches over the Internet.
    pub refuse_bogons: bool,
    /// Networks whose peers are refused.
    pub refuse_networks: Vec<IpNet>,
}
