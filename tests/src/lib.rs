//! What the tests of the real daemon share: starting it, speaking to it, reading its counters, and the real clients
//! that meet through it.

pub mod clients;
mod collected_log;
pub mod daemon;
pub mod ethtool;
pub mod http;
pub mod kernel_program;
pub mod load_generator;
pub mod nats_server;
pub mod netns;
pub mod network;
pub mod opentracker;
pub mod packet;
pub mod packet_socket;
pub mod passing_program;
pub mod skip;
pub mod swarm;
pub mod temporary_directory;
pub mod two_hosts;
pub mod udp_client;
