//! opentracker-xdp: a BitTorrent tracker. The modules stand in the order in which a packet meets them.

pub mod clock;
pub mod config;
pub mod counters;
pub mod info_hash;
pub mod peer_store;
pub mod tracker;
pub mod udp;
