//! The XDP program under control: a sign of life every second, new keys, new addresses, new budgets. Every call does
//! nothing where no program runs.

use crate::clock::Now;
use crate::config::types::{Config, Mode, Transport};
use crate::counters::Counters;
use crate::ingress::xdp::{ChangeWatch, Insistence, OpenedQueue, QueueEnd, SocketId, Xdp, XdpError};
use anyhow::Result;
use std::net::SocketAddr;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracker_common::connection_id::Keys;

/// The XDP program, where one runs.
pub struct Kernel {
    running: Option<Running>,
}

struct Running {
    xdp: Xdp,
    /// Hears of changes to interfaces, once [`Kernel::watch`] has been called.
    watch: Option<AsyncFd<ChangeWatch>>,
    /// Whether no more connects are answered.
    is_draining: bool,
}

impl Kernel {
    /// No program: sockets serve everything.
    pub const fn absent() -> Self {
        Self { running: None }
    }

    /// Loads the program as the mode asks for, or says why it cannot be had.
    ///
    /// # Errors
    /// In modes xsk and xdp, where the program cannot be loaded.
    pub fn load(config: &Config, bound: &[(Transport, SocketAddr)]) -> Result<Self> {
        let loaded = match config.xdp.mode {
            Mode::Socket => {
                Xdp::warn_of_those_left_behind();
                return Ok(Self::absent());
            }
            Mode::Auto if !Xdp::may_be_of_use(config, bound) => {
                log::info!("mode auto: packets come through sockets, as nothing but loopback is listened on");
                return Ok(Self::absent());
            }
            Mode::Auto => Xdp::load(config, bound),
            Mode::Xsk | Mode::Xdp => Ok(Xdp::load(config, bound)?),
        };
        match loaded {
            Ok(xdp) => Ok(Self { running: Some(Running { xdp, watch: None, is_draining: false }) }),
            Err(error) => {
                log::info!("mode auto: packets come through sockets, since there is no XDP: {error}");
                Ok(Self::absent())
            }
        }
    }

    /// Whether a program runs.
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The keys that a program left attached by an earlier daemon issues with.
    pub fn keys_left_behind(&mut self) -> Option<Keys> {
        self.running.as_mut().and_then(|running| running.xdp.keys_left_behind())
    }

    /// Tells the program everything, then attaches it.
    ///
    /// # Errors
    /// In modes xsk and xdp, where an interface that was asked for cannot be had.
    pub fn start(&mut self, config: &Config, keys: &Keys, source_hash_key: u64) -> Result<()> {
        let Some(Running { xdp, .. }) = &mut self.running else { return Ok(()) };
        xdp.publish_keys(keys);
        xdp.set_source_hash_key(source_hash_key);
        xdp.set_budgets(&config.xdp);
        xdp.beat(Now::read());
        let attached = xdp
            .deny(&config.access.deny)
            .and_then(|()| if config.xdp.pin { xdp.pin_keys() } else { Ok(()) })
            .and_then(|()| xdp.refresh(insistence(config), Now::read()))
            .and_then(|()| xdp.require_all());
        match attached {
            Ok(()) => {
                let behind =
                    if xdp.has_queues() { "AF_XDP, and of UDP sockets for the rest" } else { "UDP sockets" };
                log::info!("mode {}: XDP in front of {behind}", config.xdp.mode.name());
            }
            Err(error @ XdpError::NoInterface(_))
                if config.xdp.mode == Mode::Auto && config.xdp.interface.is_empty() =>
            {
                log::info!(
                    "mode auto: packets come through sockets until there is an interface for XDP: {error}"
                );
            }
            // What is named may come later, but it may be misspelled as well.
            Err(error @ XdpError::NoInterface(_)) if config.xdp.mode == Mode::Auto => {
                log::warn!("mode auto: {error}");
            }
            Err(error) if config.xdp.mode == Mode::Auto => {
                log::warn!("mode auto: packets come through sockets: {error}");
                self.running = None;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// AF_XDP sockets that have been opened since the last call, each for a thread of its own.
    pub fn take_opened_queues(&mut self) -> Vec<OpenedQueue> {
        self.running.as_mut().map(|running| running.xdp.take_opened_queues()).unwrap_or_default()
    }

    /// AF_XDP sockets that are to be closed since the last call.
    pub(super) fn take_closing_queues(&mut self) -> Vec<SocketId> {
        self.running.as_mut().map(|running| running.xdp.take_closing_queues()).unwrap_or_default()
    }

    /// Takes note that an AF_XDP socket is closed.
    pub(super) fn queue_ended(&mut self, id: SocketId, end: QueueEnd) {
        if let Some(Running { xdp, .. }) = &mut self.running {
            xdp.queue_ended(id, end, Now::read());
        }
    }

    /// Whether [`Self::refresh`] would find a queue for AF_XDP.
    pub(super) fn is_queue_due(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.xdp.is_queue_due(Now::read()))
    }

    /// Counts what has become of interfaces and queues under AF_XDP.
    pub(super) fn count_queue_news(&mut self, counters: &Counters) {
        let Some(Running { xdp, .. }) = &mut self.running else { return };
        for (interface, news) in xdp.take_queue_news() {
            counters.count_xsk(&interface, news);
        }
    }

    /// A sign of life to the program, and its counters to the statistics.
    pub(super) fn beat(&mut self, counters: &Counters) {
        let Some(Running { xdp, .. }) = &mut self.running else { return };
        xdp.flush_log();
        xdp.beat(Now::read());
        match xdp.counters() {
            Ok(read) => counters.publish_kernel(read),
            Err(error) => log::warn!("the counters of the XDP program cannot be read: {error}"),
        }
    }

    /// Lets the program check with the new key, before anyone issues with it.
    pub(super) fn prepare_keys(&self, keys: &Keys) {
        if let Some(Running { xdp, .. }) = &self.running {
            xdp.prepare_keys(keys);
        }
    }

    /// Lets the program issue with the new key, once everyone checks with it.
    pub(super) fn publish_keys(&self, keys: &Keys) {
        if let Some(Running { xdp, .. }) = &self.running {
            xdp.publish_keys(keys);
        }
    }

    /// Begins to hear of changes to interfaces and addresses. Must be called within a runtime.
    pub(super) fn watch(&mut self) {
        let Some(Running { watch, .. }) = &mut self.running else { return };
        let registered = ChangeWatch::new().and_then(|changes| {
            // SAFETY: the descriptor is that of a socket that the watch owns and never replaces or closes.
            unsafe { AsyncFd::register_with_interest(changes, Interest::READABLE) }.map_err(Into::into)
        });
        match registered {
            Ok(heard) => *watch = Some(heard),
            Err(error) => log::error!("changes to interfaces go unheard: {error}"),
        }
        // What has changed since the program was attached.
        self.refresh();
    }

    /// Waits until interfaces or addresses have changed; for ever where nothing is watched.
    pub(super) async fn host_changed(&self) {
        let Some(Running { watch: Some(watch), .. }) = &self.running else {
            return std::future::pending().await;
        };
        if let Ok(mut heard) = watch.readable().await {
            heard.get_inner().drain();
            heard.clear_ready();
        }
    }

    /// Follows the host's interfaces and addresses.
    pub(super) fn refresh(&mut self) {
        let Some(Running { xdp, .. }) = &mut self.running else { return };
        // An interface that comes later is served as well as can be: the daemon does not end for it.
        if let Err(error) = xdp.refresh(Insistence::BestEffort, Now::read()) {
            log::warn!("the XDP program could not follow a change of interfaces: {error}");
        }
    }

    /// Lets the program answer no more connects, but for one at the most.
    pub(super) fn drain(&mut self) {
        let Some(Running { xdp, is_draining, .. }) = &mut self.running else { return };
        *is_draining = true;
        xdp.answer_no_connects();
    }

    /// Takes over budgets, denied networks, and how many queues AF_XDP serves.
    ///
    /// # Errors
    /// Where the program cannot be told which networks are denied, for the log.
    pub(super) fn adjust(&mut self, config: &Config) -> Result<(), String> {
        let Some(Running { xdp, is_draining, .. }) = &mut self.running else { return Ok(()) };
        xdp.set_budgets(&config.xdp);
        if *is_draining {
            xdp.answer_no_connects();
        }
        xdp.set_queues(config.xsk.queues);
        xdp.deny(&config.access.deny).map_err(|error| {
            format!("denied networks are dropped by the daemon, but not by the XDP program: {error}")
        })
    }
}

fn insistence(config: &Config) -> Insistence {
    match config.xdp.mode {
        Mode::Xsk | Mode::Xdp => Insistence::Required,
        Mode::Auto | Mode::Socket => Insistence::BestEffort,
    }
}
