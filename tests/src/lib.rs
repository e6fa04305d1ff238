//! What the tests of the real daemon share: starting it, speaking to it, reading its counters.

pub mod daemon;
pub mod netns;
pub mod packet;
pub mod packet_socket;
pub mod skip;
pub mod udp_client;
