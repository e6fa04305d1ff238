//! What goes on beside the packets: signals, new keys, expiry, the XDP program, and watching over the workers. It
//! publishes snapshots that the workers read, and is never on the packet path.

mod condition;
mod drain;
mod kept_keys;
mod kernel;
pub mod keys;
mod letting_go;
mod lists;
mod overload;
mod queue_threads;
pub mod socket;
pub mod state;
mod store_limits;
mod stretch;
mod sweeper;
pub mod watchdog;

pub use kept_keys::KeptKeys;
pub use kernel::Kernel;
pub use keys::KeySource;
pub use lists::{Lists, Wanted};
pub use queue_threads::{Crew, QueueThreads};
pub use state::StateKeeper;

use crate::access_list::AccessList;
use crate::clock::Now;
use crate::cluster::ClusterKeys;
use crate::config::Command;
use crate::config::types::Config;
use crate::counters::Counters;
use crate::http;
use crate::ingress::xdp::QueueEnd;
use crate::notify::{Notifier, State};
use crate::tracker::Tracker;
use crate::udp::SharedKeys;
use condition::Condition;
use drain::Drain;
use socket::{Order, Reloaded};
use std::io::Result;
use std::sync::Arc;
use std::time::Duration;
use sweeper::Sweeper;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::time::{Instant, interval, interval_at};
use watchdog::Watchdog;

/// How often the XDP program gets a sign of life, and its counters are read.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Why the daemon ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGTERM or SIGINT.
    Asked(&'static str),
    /// It has drained.
    Drained,
    /// The worker of this name has ended by itself.
    WorkerLost(String),
}

/// The signals, caught from here on: made before anything takes long, since SIGHUP ends a process that does not catch it.
pub struct Signals {
    /// Those that end the daemon.
    pub ending: EndingSignals,
    hangup: Signal,
}

/// SIGTERM and SIGINT.
pub struct EndingSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches the signals. Must be called within a runtime.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn catch() -> Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { ending: EndingSignals { terminate, interrupt }, hangup: signal(SignalKind::hangup())? })
    }
}

impl EndingSignals {
    /// Waits for one, and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Everything that control looks after.
pub struct Control<'a> {
    /// What was configured at the start.
    pub config: &'a Config,
    /// Reads the configuration again, from where it came.
    pub reread: &'a dyn Fn() -> Command,
    /// The tracker.
    pub tracker: &'a Tracker,
    /// Where the XDP program's counters are published.
    pub counters: &'a Counters,
    /// The keys of the connection ids.
    pub keys: &'a SharedKeys,
    /// Where new ones come from.
    pub key_source: KeySource,
    /// The XDP program, where there is one.
    pub kernel: Kernel,
    /// The threads of AF_XDP.
    pub queue_threads: QueueThreads<'a>,
    /// The lists of torrents.
    pub lists: Arc<Lists>,
    /// The keys of the cluster.
    pub cluster_keys: ClusterKeys,
    /// What is served over HTTP: a drain waits for it.
    pub service: &'a http::Service,
    /// What operators order.
    pub orders: Receiver<Order>,
    /// What systemd is told.
    pub notifier: Arc<Notifier>,
    /// What looks at the workers for it.
    pub watchdog: Watchdog,
    /// The keys of the connection ids as it keeps them for the next start.
    pub kept_keys: Option<KeptKeys>,
}

impl Control<'_> {
    /// Runs until the daemon shall end, and says why. `lost_workers` hears the names of workers that end.
    pub async fn run(&mut self, mut signals: Signals, mut lost_workers: UnboundedReceiver<String>) -> End {
        let rotation_period =
            Duration::from_secs(u64::from(self.config.udp.connection_id_rotation_secs.max(1)));
        let mut rotation = interval_at(Instant::now() + rotation_period, rotation_period);
        let mut heartbeat = interval(HEARTBEAT);
        self.kernel.watch();
        self.follow_queues();
        let mut drain = None;
        let mut looks = self.watchdog.looks();
        let mut condition = Condition::new(self.config, self.counters, Now::read());
        let mut sweeper = Sweeper::new(self.config.tracker.peer_timeout_secs);
        loop {
            tokio::select! {
                signal = signals.ending.next() => return End::Asked(signal),
                _ = signals.hangup.recv() => self.reload_for_systemd(),
                Some(order) = self.orders.recv() => self.obey(order, &mut drain),
                () = Drain::is_over(&mut drain, self.counters, self.service) => return End::Drained,
                Some(worker) = lost_workers.recv() => return End::WorkerLost(worker),
                () = watchdog::next(&mut looks) => self.watchdog.look(),
                _ = rotation.tick() => self.rotate(),
                _ = heartbeat.tick() => {
                    self.beat();
                    condition.look(self.tracker, self.counters, Now::read());
                }
                () = self.kernel.host_changed() => self.follow_host(),
                ended = self.queue_threads.next_end() => match ended {
                    Ok((id, end)) => self.kernel.queue_ended(id, end),
                    Err(worker) => return End::WorkerLost(worker),
                },
                () = sweeper.next_turn() => sweeper.sweep_shard(self.tracker.store(), Now::read()),
            }
        }
    }

    /// Does what an operator orders. Whoever gave the order may be gone.
    fn obey(&mut self, order: Order, drain: &mut Option<Drain>) {
        match order {
            Order::Reload(done) => drop(done.send(self.reload())),
            Order::Drain(within, done) => {
                log::info!(
                    "draining: no new clients, and the end once it is quiet, within {} s",
                    within.as_secs()
                );
                self.notifier.tell(State::Draining);
                self.tracker.drain();
                self.kernel.drain();
                *drain = Some(Drain::begin(within, self.counters));
                let _ = done.send(());
            }
        }
    }

    fn beat(&mut self) {
        self.kernel.beat(self.counters);
        self.key_source.follow_clock(self.keys, &self.kernel);
        if self.kernel.is_queue_due() {
            self.follow_host();
        }
        self.kernel.count_queue_news(self.counters);
    }

    fn follow_host(&mut self) {
        self.kernel.refresh();
        self.follow_queues();
    }

    /// Starts and stops threads of AF_XDP with the queues that have come and gone.
    fn follow_queues(&mut self) {
        for id in self.kernel.take_closing_queues() {
            self.queue_threads.close(id);
        }
        for opened in self.kernel.take_opened_queues() {
            let (id, interface) = (opened.id, opened.interface.clone());
            if let Err(error) = self.queue_threads.serve(opened) {
                log::error!("packets of {interface} come through UDP sockets: {error:#}");
                self.kernel.queue_ended(id, QueueEnd::Failed);
            }
        }
        self.kernel.count_queue_news(self.counters);
    }

    fn rotate(&self) {
        match self.key_source.rotate(self.keys, &self.kernel) {
            Ok(()) => {
                let kept = self.kept_keys.as_ref().map(|kept| kept.write(&self.keys.load()));
                if let Some(Err(error)) = kept {
                    log::warn!("the next start makes new keys of the connection ids: {error}");
                }
            }
            // The old keys go on: better than none.
            Err(error) => log::error!("no randomness for a new key of the connection ids: {error}"),
        }
    }

    /// Reloads, and says so around it: a unit of `Type=notify-reload` waits for it.
    fn reload_for_systemd(&mut self) {
        self.notifier.tell(State::Reloading);
        let Reloaded { lists, .. } = self.reload();
        let notifier = Arc::clone(&self.notifier);
        tokio::spawn(async move {
            // However it ends: what is in force is in force.
            drop(lists.await);
            notifier.tell(State::Ready);
        });
    }

    /// Takes over what can change while the daemon runs. A configuration with a mistake changes nothing; lists are read
    /// again all the same, from where they were: within a chroot the configuration is often out of reach.
    fn reload(&mut self) -> Reloaded {
        let mut parts = vec![self.cluster_keys.reload(), self.key_source.reload(self.keys, &self.kernel)];
        let (configuration, lists) = match (self.reread)() {
            Command::Run { config, warnings } => {
                warnings.iter().for_each(|warning| log::warn!("{warning}"));
                let access = AccessList::of(&config.access).refusing(&config.store);
                let before = self.tracker.replace_access(Arc::new(access));
                // Elsewhere, as this thread has a heartbeat to keep up.
                tokio::task::spawn_blocking(move || letting_go::wait(&before));
                parts.push(self.kernel.adjust(&config));
                self.follow_queues();
                let lists = self.lists.reload(Some(&config.access));
                log::info!(
                    "reloaded access.deny, access.clients_deny, store.refuse_*, the lists, the budgets under xdp and \
                     xsk.queues; other keys need a restart"
                );
                (Ok(()), lists)
            }
            Command::Refuse { findings, .. } => {
                findings.iter().for_each(|finding| log::error!("{finding}"));
                log::error!("the configuration is not reloaded: mend it first; the lists of torrents are");
                let findings = findings.iter().map(ToString::to_string).collect();
                (Err(findings), self.lists.reload(None))
            }
            // The arguments with which the daemon runs ask for nothing to be printed.
            Command::Print { .. } => (Err(Vec::new()), self.lists.reload(None)),
        };
        let failed: Vec<_> = parts.into_iter().filter_map(|part| part.err()).collect();
        failed.iter().for_each(|why| log::error!("{why}"));
        Reloaded { configuration, failed, lists }
    }
}
