//! Livesync: what peers tell one node of a cluster, every other node hears by multicast within its network. Meets the
//! tracker only through events, and is never on the way of a packet.

pub mod key_file;
pub mod multicast;
pub mod packer;
pub mod packet;
pub mod receiver;
pub mod sealing;
pub mod sender;

pub use multicast::GroupSockets;
pub use packer::Times;
pub use receiver::Receiver;
pub use sealing::SharedRing;
pub use sender::Sender;

use crate::clock::since_1970;
use crate::config::types::LivesyncConfig;
use crate::counters::livesync::LivesyncCounters;
use crate::tracker::Tracker;
use packer::{Envelope, Packer};
use receiver::Beliefs;
use sealing::{Opener, Sealer};
use std::sync::Arc;

/// Both directions of livesync, each for a thread of its own.
pub fn join(
    config: &LivesyncConfig,
    sockets: GroupSockets,
    ring: Option<&SharedRing>,
    tracker: Arc<Tracker>,
    counters: Arc<LivesyncCounters>,
) -> Result<(Sender, Receiver), getrandom::Error> {
    let tracker_id = getrandom::u32()?.to_ne_bytes();
    let session = getrandom::u64()?.to_ne_bytes();
    let envelope = match ring {
        None => Envelope::Classic(tracker_id),
        Some(ring) => Envelope::Sealed(Box::new(Sealer::new(Arc::clone(ring), tracker_id, session))),
    };
    let packer = Packer::new(envelope, config.delay_ms);
    let sender = Sender::new(packer, sockets.sender, Arc::clone(&counters));
    let opener = ring.map(|ring| Opener::new(Arc::clone(ring)));
    let beliefs = Beliefs { tracker_id, nodes: config.node_ip.clone(), opener };
    Ok((sender, Receiver { group: sockets.receiver, beliefs, tracker, counters }))
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}
