//! The ways by which the nodes of a cluster hear of each other, put together: events out of the tracker's queue go to each
//! of them, and what comes by them goes into the tracker and no further.

use crate::clock::Now;
use crate::config::types::{Config, LivesyncConfig};
use crate::counters::Counters;
use crate::events::{EventQueue, PeerEvent};
use crate::livesync::{self, GroupSockets, Receiver, Sender, SharedRing, Times, key_file};
use crate::nats::{self, Teller};
use crate::pulse::Pulse;
use crate::tracker::Tracker;
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that runs for the cluster, each part for a thread of its own; nothing where this node is alone.
pub struct Cluster {
    /// What tells others.
    pub relay: Option<Relay>,
    /// What hears them on the local network.
    pub receiver: Option<Receiver>,
    /// What tells other sites and hears them.
    pub nats: Option<nats::Worker>,
    /// The keys, to be read again at a reload.
    pub keys: ClusterKeys,
}

impl Cluster {
    /// Puts together what the configuration asks for, and has the tracker tell of its peers. The sockets were opened
    /// before root was given up; files of keys are read now, as they will be at a reload.
    ///
    /// # Errors
    /// Where keys cannot be read, or there is no randomness.
    pub fn join(
        config: &Config,
        sockets: Option<GroupSockets>,
        tracker: &Arc<Tracker>,
        counters: &Counters,
    ) -> Result<Self> {
        if sockets.is_none() && config.sync.nats.is_empty() {
            return Ok(Self { relay: None, receiver: None, nats: None, keys: ClusterKeys::default() });
        }
        let keys = ClusterKeys::read(&config.livesync)?;
        let ring = keys.livesync.as_ref().map(|(_, ring)| ring);
        let nats = nats::join(&config.sync, ring, Arc::clone(tracker), Arc::clone(counters.nats()))?;
        let (teller, nats) = nats.unzip();
        let (sender, receiver) = match sockets {
            None => (None, None),
            Some(sockets) => {
                let (tracker, counted) = (Arc::clone(tracker), Arc::clone(counters.livesync()));
                let joined = livesync::join(&config.livesync, sockets, ring, tracker, counted);
                let (sender, receiver) = joined.context("no randomness for livesync")?;
                log::info!("livesync: {}", describe(&config.livesync));
                (Some(sender), Some(receiver))
            }
        };
        let delays = [
            sender.as_ref().map(|_| config.livesync.delay_ms),
            teller.as_ref().map(|_| config.sync.interval_ms),
        ];
        let turn = Sender::turn(delays.into_iter().flatten().min().unwrap_or_default());
        let events = Arc::<EventQueue>::default();
        tracker.tell_others(Arc::clone(&events));
        let relay = Relay { events, sender, teller, fetched: Vec::new(), turn };
        Ok(Self { relay: Some(relay), receiver, nats, keys })
    }
}

fn describe(config: &LivesyncConfig) -> String {
    let listen = config.listen.map(|listen| listen.to_string()).unwrap_or_default();
    let believed = match (&config.key_file, config.node_ip.as_slice()) {
        (Some(_), []) => "sealed datagrams from anywhere".to_owned(),
        (key_file, nodes) => {
            let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
            let kind = if key_file.is_some() { "sealed datagrams" } else { "datagrams" };
            format!("{kind} from {}", if nodes.is_empty() { "nobody".to_owned() } else { nodes.join(", ") })
        }
    };
    format!("group {} on {listen}, believing {believed}", config.group)
}

/// The thread between the tracker's queue of events and whoever sends them.
pub struct Relay {
    events: Arc<EventQueue>,
    sender: Option<Sender>,
    teller: Option<Teller>,
    /// What is fetched of the queue in one turn, for the teller.
    fetched: Vec<PeerEvent>,
    turn: Duration,
}

impl Relay {
    /// Sends until the other end of `stop` is closed, and then what is left, with a beat of the pulse for each turn.
    ///
    /// # Errors
    /// Only where waiting itself fails.
    pub fn run(mut self, stop: &UnixStream, pulse: &Pulse) -> std::io::Result<()> {
        let turn = PollTimeout::try_from(self.turn).unwrap_or(PollTimeout::MAX);
        loop {
            pulse.beat();
            self.pass_on(Urgency::Due);
            let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, turn) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if fds[0].any().unwrap_or(true) {
                self.pass_on(Urgency::All);
                return Ok(());
            }
        }
    }

    /// Passes on what the tracker has had to tell since the last time.
    fn pass_on(&mut self, urgency: Urgency) {
        let (times, now) = (Times::read(), Now::read());
        let Self { events, sender, teller, fetched, .. } = self;
        events.drain(|event| {
            if let Some(sender) = sender.as_mut() {
                sender.add(&event, times);
            }
            if teller.is_some() {
                fetched.push(event);
            }
        });
        match (sender, urgency) {
            (Some(sender), Urgency::Due) => sender.send_due(times),
            (Some(sender), Urgency::All) => sender.send_all(times),
            (None, _) => {}
        }
        // Only now, since a datagram may have to wait for the network: who speaks with servers waits for this.
        let Some(mut telling) = teller.as_ref().map(Teller::begin) else { return };
        fetched.drain(..).for_each(|event| telling.add(&event, now));
        match urgency {
            Urgency::Due => telling.close_due(now),
            Urgency::All => telling.close_all(),
        }
    }
}

/// What is to go out of what waits for company.
#[derive(Clone, Copy, Debug)]
enum Urgency {
    /// What has waited for long enough.
    Due,
    /// Everything: the node is about to end.
    All,
}

/// The keys of the cluster, as far as they come from files that are read again at a reload.
#[derive(Clone, Default)]
pub struct ClusterKeys {
    livesync: Option<(PathBuf, SharedRing)>,
}

impl ClusterKeys {
    fn read(config: &LivesyncConfig) -> Result<Self> {
        let Some(path) = &config.key_file else { return Ok(Self::default()) };
        let ring = ArcSwap::from_pointee(key_file::read(path)?);
        Ok(Self { livesync: Some((path.clone(), Arc::new(ring))) })
    }

    /// Reads the files again. What cannot be read leaves the keys of before in force.
    ///
    /// # Errors
    /// Where it cannot be read, for the log: those of before go on.
    pub fn reload(&self) -> Result<(), String> {
        let Some((path, ring)) = &self.livesync else { return Ok(()) };
        match key_file::read(path) {
            Ok(read) => {
                ring.store(Arc::new(read));
                log::info!("livesync: keys read again from {path:?}");
                Ok(())
            }
            Err(error) => Err(format!("livesync goes on with the keys of before: {error}")),
        }
    }
}
