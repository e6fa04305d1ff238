//! The thread that speaks with servers of NATS: it connects to one, tells and hears, and when that one is gone connects to the
//! next. Each connection has a runtime of its own, so that nothing of one outlives it: no message that waited in it comes late.

use super::access;
use super::node::Node;
use super::outbox::Outbox;
use super::session::{End, Session};
use crate::config::types::{NatsServer, SyncConfig};
use crate::counters::nats::{Counted, NatsCounters};
use crate::pulse::Pulse;
use async_nats::{Client, ConnectErrorKind, Event};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The first wait when all servers have failed, doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest: what is told must arrive within five seconds of a server's return.
const MOST_WAIT: Duration = Duration::from_secs(1);
/// The longest where a server refuses this node: it will not change its mind soon.
const MOST_WAIT_IF_REFUSED: Duration = Duration::from_secs(10);
/// A connection that lasted for less was none: a server that takes nodes in only to throw them out is waited for as well.
const LASTING: Duration = Duration::from_secs(5);
/// What has been logged and has not changed is logged again after this time.
const SAY_AGAIN: Duration = Duration::from_secs(5 * 60);
/// How often the figures of what is kept are published.
const FIGURES: Duration = Duration::from_millis(250);

/// Tells other sites, and hears them.
pub struct Worker {
    config: SyncConfig,
    node: Node,
    /// When it was last logged that a server reports errors.
    errors_said: Arc<Mutex<Option<Instant>>>,
}

/// How an attempt to speak with a server has ended.
enum Attempt {
    Stopped,
    /// There was a connection for this long, and it is gone.
    Lost(Duration),
    /// There was none.
    Failed {
        is_refused: bool,
        reason: String,
    },
}

impl Worker {
    /// Of this node, for these settings.
    pub(super) fn new(config: SyncConfig, node: Node) -> Self {
        Self { config, node, errors_said: Arc::default() }
    }

    /// Speaks with servers until it is told to stop. Always in the same thread.
    pub fn run(mut self, mut stop: watch::Receiver<bool>, pulse: &Pulse) {
        let servers = self.config.nats.clone();
        let mut outage = Outage::new(servers.len());
        for server in servers.iter().cycle() {
            let wait = outage.wait(&mut self.node.random);
            let attempt = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let attempt = runtime.block_on(self.attempt(server, wait, &mut stop, pulse.clone()));
                    // A name may still be looked up; nobody waits for it.
                    runtime.shutdown_background();
                    attempt
                }
                Err(error) => attempt_without_runtime(&error, wait, &stop, pulse),
            };
            self.node.counters.set(Counted::Connected, 0);
            match attempt {
                Attempt::Stopped => break,
                Attempt::Lost(lasted) => {
                    log::warn!(
                        "nats: {server} is gone; other sites hear of nothing until it or another is back"
                    );
                    outage.lost(lasted);
                }
                Attempt::Failed { is_refused, reason } => {
                    self.node.counters.add(Counted::FailedConnections, 1);
                    if let Some(message) = outage.failed(server, is_refused, &reason, Instant::now()) {
                        log::warn!("{message}");
                    }
                }
            }
        }
    }

    /// Waits, connects and speaks.
    async fn attempt(
        &mut self,
        server: &NatsServer,
        wait: Duration,
        stop: &mut watch::Receiver<bool>,
        pulse: Pulse,
    ) -> Attempt {
        tokio::spawn(beat(pulse));
        tokio::spawn(publish_figures(Arc::clone(&self.node.outbox), Arc::clone(&self.node.counters)));
        let connected = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Attempt::Stopped,
            connected = self.connect(server, wait) => connected,
        };
        let client = match connected {
            Ok(client) => client,
            Err(attempt) => return attempt,
        };
        log::info!("nats: connected to {server}");
        self.node.counters.set(Counted::Connected, 1);
        self.node.counters.add(Counted::Connections, 1);
        let begun = Instant::now();
        let Some(mut session) = Session::begin(&mut self.node, client).await else {
            return Attempt::Lost(begun.elapsed());
        };
        match session.run(stop).await {
            End::Stopped => Attempt::Stopped,
            End::Lost => Attempt::Lost(begun.elapsed()),
        }
    }

    async fn connect(&self, server: &NatsServer, wait: Duration) -> Result<Client, Attempt> {
        tokio::time::sleep(wait).await;
        let failed = |is_refused, reason| Attempt::Failed { is_refused, reason };
        let options =
            access::options(&self.config, server).map_err(|error| failed(true, error.to_string()))?;
        let counters = Arc::clone(&self.node.counters);
        let errors = Arc::clone(&self.errors_said);
        let options = options.event_callback(move |event| {
            note(&counters, &errors, &event);
            std::future::ready(())
        });
        options.connect(server.address().clone()).await.map_err(|error| {
            let is_refused = matches!(
                error.kind(),
                ConnectErrorKind::AuthorizationViolation
                    | ConnectErrorKind::Authentication
                    | ConnectErrorKind::Tls
            );
            let source = error.source().map(|source| format!(" ({source})")).unwrap_or_default();
            let remedy = match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    access::remedy(&self.config, server)
                }
                _ if source.contains("platform certs") => {
                    "; name a file with the certificates to believe in sync.nats_ca".to_owned()
                }
                _ => String::new(),
            };
            failed(is_refused, format!("{}{source}{remedy}", error.kind()))
        })
    }
}

/// What an attempt comes to for which the host has no descriptors left: a wait, in which it may get some.
fn attempt_without_runtime(
    error: &io::Error,
    wait: Duration,
    stop: &watch::Receiver<bool>,
    pulse: &Pulse,
) -> Attempt {
    pulse.beat();
    std::thread::sleep(wait.max(FIRST_WAIT));
    match *stop.borrow() {
        true => Attempt::Stopped,
        false => Attempt::Failed { is_refused: false, reason: error.to_string() },
    }
}

/// Notes what the library says beside messages.
fn note(counters: &NatsCounters, errors_said: &Mutex<Option<Instant>>, event: &Event) {
    match event {
        Event::SlowConsumer(_) => counters.add(Counted::Overflowed, 1),
        Event::ServerError(error) => {
            // One who may not use a subject is told so for every message.
            let mut said = errors_said.lock();
            if said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
                log::warn!("nats: the server says: {error}; further errors are counted as server_errors");
                *said = Some(Instant::now());
            }
            counters.add(Counted::ServerErrors, 1);
        }
        event => log::debug!("nats: {event}"),
    }
}

/// Beats for as long as the thread has its turns.
async fn beat(pulse: Pulse) {
    let Some(period) = pulse.period() else { return };
    let mut beats = tokio::time::interval(period);
    loop {
        beats.tick().await;
        pulse.beat();
    }
}

async fn publish_figures(outbox: Arc<Mutex<Outbox>>, counters: Arc<NatsCounters>) {
    let mut turns = tokio::time::interval(FIGURES);
    loop {
        turns.tick().await;
        let (bytes, lost) = {
            let outbox = outbox.lock();
            (outbox.bytes() as u64, outbox.lost_events())
        };
        counters.set(Counted::KeptBytes, bytes);
        counters.set(Counted::LostEvents, lost);
    }
}

/// A time without a server.
struct Outage {
    servers: usize,
    failures: usize,
    is_refused: bool,
    /// What was logged last of each server, and when: the same is not said for every try.
    logged: HashMap<String, (String, Instant)>,
}

impl Outage {
    fn new(servers: usize) -> Self {
        Self { servers, failures: 0, is_refused: false, logged: HashMap::new() }
    }

    fn lost(&mut self, lasted: Duration) {
        if lasted < LASTING {
            (self.failures, self.is_refused) = (self.failures + 1, false);
        } else {
            *self = Self::new(self.servers);
        }
    }

    /// A server could not be connected to; what the log is to say of it, where that is new or has not been said for long.
    fn failed(
        &mut self,
        server: &NatsServer,
        is_refused: bool,
        reason: &str,
        now: Instant,
    ) -> Option<String> {
        self.failures += 1;
        self.is_refused = is_refused;
        let message = format!("nats: no connection to {server}: {reason}; it is tried again and again");
        let is_said = |(said, at): &(String, Instant)| {
            *said == message && now.saturating_duration_since(*at) < SAY_AGAIN
        };
        if self.logged.get(&server.to_string()).is_some_and(is_said) {
            return None;
        }
        self.logged.insert(server.to_string(), (message.clone(), now));
        Some(message)
    }

    /// How long to wait before the next server: not at all while there are some that have not been tried.
    fn wait(&self, random: &mut fastrand::Rng) -> Duration {
        if self.failures == 0 || !self.failures.is_multiple_of(self.servers.max(1)) {
            return Duration::ZERO;
        }
        let rounds = self.failures / self.servers.max(1);
        let most = if self.is_refused { MOST_WAIT_IF_REFUSED } else { MOST_WAIT };
        let doubled = FIRST_WAIT.saturating_mul(1 << rounds.min(16).saturating_sub(1));
        // Nodes that have lost the same server do not all come at once.
        doubled.min(most).mul_f64(0.5 + random.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST_WAIT, LASTING, MOST_WAIT, MOST_WAIT_IF_REFUSED, Outage};
    use std::time::{Duration, Instant};

    #[test]
    fn a_reason_is_logged_when_it_changes_and_again_after_a_while() {
        let [one, other] = ["nats://127.0.0.1", "nats://127.0.0.2"].map(|server| server.parse().unwrap());
        let (begun, mut outage) = (Instant::now(), Outage::new(2));
        let mut is_logged = |server, reason, secs| {
            outage.failed(server, false, reason, begun + Duration::from_secs(secs)).is_some()
        };
        assert!(is_logged(&one, "refused", 0) && is_logged(&other, "refused", 0));
        for secs in 1..100 {
            assert!(!is_logged(&one, "refused", secs) && !is_logged(&other, "refused", secs));
        }
        assert!(is_logged(&one, "timed out", 100) && !is_logged(&other, "refused", 100));
        assert!(is_logged(&one, "refused", 101));
        assert!(!is_logged(&other, "refused", 299) && is_logged(&other, "refused", 300));
        outage.lost(LASTING);
        assert!(outage.failed(&one, false, "refused", begun).is_some(), "another outage");
    }

    #[test]
    fn a_server_that_throws_nodes_out_at_once_is_waited_for() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut outage = Outage::new(1);
        (0..3).for_each(|_| outage.lost(LASTING / 2));
        assert!(outage.wait(&mut random) > FIRST_WAIT);
        outage.lost(LASTING);
        assert_eq!(outage.wait(&mut random), Duration::ZERO);
    }

    #[test]
    fn every_server_is_tried_before_the_wait_which_becomes_longer() {
        let server = "nats://127.0.0.1".parse().unwrap();
        let mut random = fastrand::Rng::with_seed(1);
        for (is_refused, most) in [(false, MOST_WAIT), (true, MOST_WAIT_IF_REFUSED)] {
            let mut outage = Outage::new(2);
            let mut waits = Vec::new();
            for _ in 0..40 {
                waits.push(outage.wait(&mut random));
                outage.failed(&server, is_refused, "refused", Instant::now());
            }
            assert!(waits.iter().step_by(2).skip(1).all(|wait| *wait >= FIRST_WAIT / 2 && *wait <= most));
            assert!(waits.iter().skip(1).step_by(2).all(|wait| *wait == Duration::ZERO));
            assert!(waits[0] == Duration::ZERO && waits[2] <= FIRST_WAIT && waits[38] >= most / 2);
        }
    }
}
