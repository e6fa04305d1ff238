//! opentracker-xdp: a BitTorrent tracker. The modules stand in the order in which a packet meets them.

pub mod access_list;
pub mod bind;
pub mod clock;
pub mod config;
pub mod control;
pub mod counters;
pub mod daemon;
pub mod doctor;
pub mod http;
pub mod info_hash;
pub mod ingress;
pub mod notify;
pub mod peer_store;
pub mod privileges;
pub mod tracker;
pub mod udp;
