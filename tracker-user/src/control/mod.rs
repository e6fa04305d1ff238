//! What goes on beside the packets: signals, new keys, expiry, and watching over the workers. It publishes
//! snapshots that the workers read, and is never on the packet path.

pub mod keys;
mod sweeper;

use crate::clock::Now;
use crate::config::types::Config;
use crate::tracker::Tracker;
use crate::udp::SharedKeys;
use std::io::Result;
use std::sync::Arc;
use std::time::Duration;
use sweeper::Sweeper;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, interval_at};

/// Why the daemon ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGTERM or SIGINT.
    Asked(&'static str),
    /// The worker of this name has ended by itself.
    WorkerLost(String),
}

/// The signals, caught from here on: made before the daemon says that it is ready.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Catches the signals. Must be called within a runtime.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn catch() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Runs until the daemon shall end, and says why. `lost_workers` hears the names of workers that end.
pub async fn run(
    config: &Config,
    tracker: &Arc<Tracker>,
    keys: &SharedKeys,
    mut signals: Signals,
    mut lost_workers: UnboundedReceiver<String>,
) -> End {
    let rotation_period = Duration::from_secs(u64::from(config.udp.connection_id_rotation_secs.max(1)));
    let mut rotation = interval_at(Instant::now() + rotation_period, rotation_period);
    let mut sweeper = Sweeper::new(config.tracker.peer_timeout_secs);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return End::Asked("SIGTERM"),
            _ = signals.interrupt.recv() => return End::Asked("SIGINT"),
            _ = signals.hangup.recv() => log::info!("SIGHUP: there is nothing to reload"),
            Some(worker) = lost_workers.recv() => return End::WorkerLost(worker),
            _ = rotation.tick() => rotate(keys),
            () = sweeper.next_turn() => sweeper.sweep_shard(tracker.store(), Now::read()),
        }
    }
}

fn rotate(keys: &SharedKeys) {
    match keys::rotate(keys) {
        Ok(()) => log::debug!("connection ids are made with a new key"),
        // The old keys go on: better than none.
        Err(error) => log::error!("no randomness for a new key of the connection ids: {error}"),
    }
}
