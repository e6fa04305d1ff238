//! NATS: what peers tell a node of one site, every node of other sites hears through servers of NATS. Meets the tracker only
//! through events, and is never on the way of a packet.
//!
//! A node tells what has been announced to it and nothing that it has learned, so nothing goes round. Every message has a number;
//! every node tells once a second which messages it has, and whoever missed one asks for it. What each node says is taken in the order in
//! which it was said, and once.

mod access;
mod inbox;
mod incoming;
mod message;
mod node;
mod outbox;
mod seals;
mod session;
mod worker;

pub use access::AccessError;
pub use worker::Worker;

use crate::clock::Now;
use crate::config::types::SyncConfig;
use crate::counters::nats::NatsCounters;
use crate::events::PeerEvent;
use crate::livesync::SharedRing;
use crate::tracker::Tracker;
use outbox::Outbox;
use parking_lot::{Mutex, MutexGuard};
use seals::Seals;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// How long a server may take to do what every server does at once.
const PATIENCE: Duration = Duration::from_secs(3);

/// What waits for the thread that speaks with servers.
#[derive(Clone, Debug)]
pub struct Teller(Arc<Mutex<Outbox>>);

/// Events that are told in a row.
#[derive(Debug)]
pub struct Telling<'a>(MutexGuard<'a, Outbox>);

/// Other sites cannot be told.
#[derive(Debug, Error)]
pub enum NatsError {
    /// A file cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// There is no randomness.
    #[error("no randomness for the name of this node: {0}")]
    Randomness(#[from] getrandom::Error),
}

impl Teller {
    /// Begins to tell.
    pub fn begin(&self) -> Telling<'_> {
        Telling(self.0.lock())
    }
}

impl Telling<'_> {
    /// Takes an event in. Never waits for a server.
    pub fn add(&mut self, event: &PeerEvent, now: Now) {
        self.0.add(event, now);
    }

    /// Gives what has waited for long enough to whoever sends it.
    pub fn close_due(&mut self, now: Now) {
        self.0.close_due(now);
    }

    /// Gives everything to whoever sends it: the node is about to end.
    pub fn close_all(&mut self) {
        self.0.close_all();
    }
}

/// Both directions: what other sites are told by, and the thread that tells them and hears them; `None` where there is no server.
///
/// # Errors
/// Where a file cannot be used, or there is no randomness.
pub fn join(
    config: &SyncConfig,
    ring: Option<&SharedRing>,
    tracker: Arc<Tracker>,
    counters: Arc<NatsCounters>,
) -> Result<Option<(Teller, Worker)>, NatsError> {
    if config.nats.is_empty() {
        return Ok(None);
    }
    access::check(config)?;
    let id = getrandom::u64()?.to_be_bytes();
    let seals = ring.map(Seals::new).transpose()?;
    let max_bytes = usize::try_from(config.max_memory_bytes).unwrap_or(usize::MAX);
    let outbox = Arc::new(Mutex::new(Outbox::new(id, config.interval_ms, max_bytes)));
    let site = config.site.clone().unwrap_or_else(|| node::hex(&id));
    let servers: Vec<_> = config.nats.iter().map(ToString::to_string).collect();
    log::info!("nats: site {site}, subject {}, servers {}", config.subject, servers.join(", "));
    let node = node::Node {
        id,
        prefix: config.subject.clone(),
        site,
        outbox: Arc::clone(&outbox),
        inbox: inbox::Inbox::default(),
        seals,
        tracker,
        counters,
        random: fastrand::Rng::new(),
    };
    Ok(Some((Teller(outbox), Worker::new(config.clone(), node))))
}
