//! The ways by which the nodes of a cluster hear of each other, put together: events out of the tracker's queue go to each
//! of them, and what comes by them goes into the tracker and no further.

use crate::config::types::{Config, LivesyncConfig};
use crate::counters::Counters;
use crate::events::EventQueue;
use crate::livesync::{self, GroupSockets, Receiver, Sender, SharedRing, Times, key_file};
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
        let Some(sockets) = sockets else {
            return Ok(Self { relay: None, receiver: None, keys: ClusterKeys::default() });
        };
        let keys = ClusterKeys::read(&config.livesync)?;
        let (tracker_of_receiver, counted) = (Arc::clone(tracker), Arc::clone(counters.livesync()));
        let ring = keys.livesync.as_ref().map(|(_, ring)| ring);
        let (sender, receiver) =
            livesync::join(&config.livesync, sockets, ring, tracker_of_receiver, counted)
                .context("no randomness for livesync")?;
        log::info!("livesync: {}", describe(&config.livesync));
        let events = Arc::<EventQueue>::default();
        tracker.tell_others(Arc::clone(&events));
        let relay = Relay { events, sender, turn: Sender::turn(config.livesync.delay_ms) };
        Ok(Self { relay: Some(relay), receiver: Some(receiver), keys })
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
    sender: Sender,
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
            let times = Times::read();
            self.events.drain(|event| self.sender.add(&event, times));
            self.sender.send_due(times);
            let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, turn) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if fds[0].any().unwrap_or(true) {
                let times = Times::read();
                self.events.drain(|event| self.sender.add(&event, times));
                self.sender.send_all(times);
                return Ok(());
            }
        }
    }
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
    pub fn reload(&self) {
        let Some((path, ring)) = &self.livesync else { return };
        match key_file::read(path) {
            Ok(read) => {
                ring.store(Arc::new(read));
                log::info!("livesync: keys read again from {path:?}");
            }
            Err(error) => log::error!("livesync goes on with the keys of before: {error}"),
        }
    }
}
