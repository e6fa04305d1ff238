//! The UDP workers.

use std::path::PathBuf;
use tracker_common::connection_id::{SharedClock, Slot};

/// Keys under `udp.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpConfig {
    /// Worker threads; 0: one per core.
    pub workers: u16,
    /// `SO_RCVBUF` of each socket in bytes; 0: the kernel's default.
    pub receive_buffer_bytes: u32,
    /// Seconds until a client should announce again, before jitter; 0: as `tracker.interval_secs` says.
    pub interval_secs: u32,
    /// Whether a wrong connection id is answered with an error, for debugging.
    pub lenient: bool,
    /// Seconds for which a connection id holds, at least.
    pub connection_id_lifetime_secs: u32,
    /// Seconds between two new keys of the connection ids.
    pub connection_id_rotation_secs: u32,
    /// A file of secrets that several nodes share: keys are made of those. `None`: they are random, and this node's alone.
    pub connection_id_key_file: Option<PathBuf>,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            receive_buffer_bytes: 8 << 20,
            interval_secs: 0,
            lenient: false,
            connection_id_lifetime_secs: 8 * 60,
            connection_id_rotation_secs: 60 * 60,
            connection_id_key_file: None,
        }
    }
}

impl UdpConfig {
    /// Slots for which a connection id holds, as whoever checks it counts them.
    pub const fn connection_id_slots(&self) -> u32 {
        let more = if self.connection_id_key_file.is_some() { SharedClock::MORE_LIFETIME_SLOTS } else { 0 };
        Slot::lifetime(self.connection_id_lifetime_secs) + more
    }
}
