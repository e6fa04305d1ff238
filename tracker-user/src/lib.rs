//! opentracker-xdp: a BitTorrent tracker. A packet meets `ingress`, `udp`, `tracker`, `peer_store`, a request over HTTP
//! `http` and then the same; `daemon` starts them, `control` looks after them.

pub mod access_list;
pub mod bencode;
pub mod bind;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod control;
pub mod counters;
pub mod ctl;
pub mod daemon;
pub mod doctor;
pub mod events;
pub mod http;
pub mod info_hash;
pub mod ingress;
pub mod inherited;
pub mod join;
pub mod livesync;
pub mod logging;
pub mod nats;
mod netlink;
pub mod notify;
pub mod peer_store;
pub mod privileges;
pub mod pulse;
mod same_file;
pub mod sandbox;
pub mod scrape_format;
mod secret_file;
pub mod state;
pub mod state_dump;
pub mod text_file;
pub mod top_torrents;
pub mod tracker;
pub mod udp;
mod workers;
