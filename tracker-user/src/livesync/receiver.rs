//! The thread that takes in what other nodes of the cluster tell. What it does not believe it counts, and leaves no trace of.

use super::multicast::GroupReceiver;
use super::packet::{Records, split};
use super::sealing::{Opener, Unopened};
use super::unix_ms;
use crate::clock::Now;
use crate::counters::livesync::{LivesyncCounters, Received};
use crate::pulse::Pulse;
use crate::tracker::{TakenIn, Tracker};
use ipnet::IpNet;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Result};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the group is joined again, for interfaces that went and came back.
const REJOIN: Duration = Duration::from_secs(5);
/// The shortest time that poll(2) knows.
const SHORTEST_REST: Duration = Duration::from_millis(1);
/// Datagrams in a row before the stop is looked for.
const DATAGRAMS_IN_A_ROW: usize = 64;

/// What is believed.
pub struct Beliefs {
    /// Our own tracker id: what has it is our own.
    pub tracker_id: [u8; 4],
    /// Networks of the cluster's nodes. With a key, none means any.
    pub nodes: Vec<IpNet>,
    /// Opens sealed datagrams, where there are keys; then no others are believed.
    pub opener: Option<Opener>,
}

impl Beliefs {
    /// The type and the records of a datagram, if it is to be believed; they are copied only where they were sealed.
    fn judge<'a>(
        &mut self,
        source: IpAddr,
        datagram: &'a [u8],
        opened: &'a mut Vec<u8>,
    ) -> std::result::Result<Records<'a>, Received> {
        let (tracker_id, content) = split(datagram).map_err(|_| Received::Malformed)?;
        if tracker_id == self.tracker_id {
            return Err(Received::Own);
        }
        let source = source.to_canonical();
        let is_node = self.nodes.iter().any(|network| network.contains(&source));
        let takes_any = self.nodes.is_empty() && self.opener.is_some();
        if !is_node && !takes_any {
            return Err(Received::NotOfCluster);
        }
        let content = match &mut self.opener {
            None => content,
            Some(opener) => {
                *opened = opener.open(datagram, unix_ms()).map_err(|unopened| match unopened {
                    Unopened::Malformed => Received::Malformed,
                    Unopened::Forged => Received::Forged,
                    Unopened::Stale => Received::Stale,
                    Unopened::Replayed => Received::Replayed,
                })?;
                opened
            }
        };
        Records::parse(content).map_err(|_| Received::Malformed)
    }
}

/// Receives from the group.
pub struct Receiver {
    /// The socket.
    pub group: GroupReceiver,
    /// What is believed.
    pub beliefs: Beliefs,
    /// Where it goes.
    pub tracker: Arc<Tracker>,
    /// What is counted.
    pub counters: Arc<LivesyncCounters>,
}

impl Receiver {
    /// Receives until the other end of `stop` is closed, with a beat of the pulse for each time round.
    ///
    /// # Errors
    /// Only where waiting itself fails.
    pub fn run(mut self, stop: &UnixStream, pulse: &Pulse) -> Result<()> {
        let mut random = fastrand::Rng::new();
        let (mut joined, mut is_in_group) = (Instant::now(), true);
        // Longer than any datagram that is believed, so that one that is cut off is known as too long.
        let mut buffer = vec![0; 2048];
        let rest = pulse.period().map_or(REJOIN, |period| period.clamp(SHORTEST_REST, REJOIN));
        let timeout = PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX);
        loop {
            pulse.beat();
            self.receive_all(&mut buffer, &mut random);
            let watched = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut fds = [watched(stop.as_fd()), watched(self.group.as_fd())];
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if fds[0].any().unwrap_or(true) {
                return Ok(());
            }
            if joined.elapsed() >= REJOIN {
                joined = Instant::now();
                is_in_group = self.rejoin(is_in_group);
            }
        }
    }

    /// Joins the group again, where need be; whether this node is in it. Only a change is logged.
    fn rejoin(&mut self, was_in_group: bool) -> bool {
        let rejoined = self.group.rejoin();
        match &rejoined {
            Ok(()) if was_in_group => {}
            Ok(()) => log::info!("livesync: this node is in the group again"),
            // It may come back.
            Err(error) if was_in_group => log::warn!(
                "livesync: the group cannot be joined: {error}; an interface must carry the address of \
                 livesync.cluster.listen; it is tried again every {} seconds",
                REJOIN.as_secs()
            ),
            Err(_) => {}
        }
        rejoined.is_ok()
    }

    fn receive_all(&mut self, buffer: &mut [u8], random: &mut fastrand::Rng) {
        for _ in 0..DATAGRAMS_IN_A_ROW {
            match self.group.receive(buffer) {
                Ok((len, source)) => self.take(source, buffer.get(..len).unwrap_or_default(), random),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    log::warn!("livesync: receiving: {error}");
                    return;
                }
            }
        }
    }

    fn take(&mut self, source: IpAddr, datagram: &[u8], random: &mut fastrand::Rng) {
        let count = |received: Received, count: u64| self.counters.received.add(received as usize, count);
        let mut opened = Vec::new();
        let records = match self.beliefs.judge(source, datagram, &mut opened) {
            Ok(records) => records,
            Err(refused) => return count(refused, 1),
        };
        count(Received::Datagrams, 1);
        let now = Now::read();
        for event in records.events(now.seconds()) {
            match self.tracker.take_in(&event, now, random) {
                TakenIn::Stored | TakenIn::Older => count(Received::Events, 1),
                TakenIn::NoRoom => count(Received::EventsNoRoom, 1),
                TakenIn::NotServed => count(Received::EventsNotServed, 1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Beliefs, Received};
    use crate::clock::Now;
    use crate::events::PeerEvent;
    use crate::info_hash::InfoHash;
    use crate::livesync::packer::{Envelope, Packer, Times};
    use crate::livesync::sealing::{KeyRing, Opener, Sealer, SharedRing};
    use crate::livesync::unix_ms;
    use crate::peer_store::Standing;
    use arc_swap::ArcSwap;
    use std::net::IpAddr;
    use std::sync::Arc;

    fn ring(key: u8) -> SharedRing {
        Arc::new(ArcSwap::from_pointee(KeyRing::new(&[[key; 32]])))
    }

    /// The datagram of another node with one event.
    fn datagram(envelope: Envelope) -> Vec<u8> {
        let (mut packer, mut datagram) = (Packer::new(envelope, 0), Vec::new());
        let event = PeerEvent {
            info_hash: InfoHash([7; 20]),
            peer: "192.0.2.1:1".parse().unwrap(),
            standing: Standing::Leecher,
            completed: false,
            heard_secs: 0,
        };
        let times = Times { now: Now::from_seconds(0), unix_ms: unix_ms() };
        packer.add(&event, times, &mut |_| {});
        packer.send_all(times, &mut |packed| datagram.extend_from_slice(packed.datagram));
        datagram
    }

    fn sealed(key: u8) -> Vec<u8> {
        datagram(Envelope::Sealed(Box::new(Sealer::new(ring(key), *b"them", *b"session1"))))
    }

    fn judge(beliefs: &mut Beliefs, source: &str, datagram: &[u8]) -> Result<usize, Received> {
        let source: IpAddr = source.parse().unwrap();
        beliefs.judge(source, datagram, &mut Vec::new()).map(|records| records.len())
    }

    fn beliefs(nodes: &[&str], key: Option<u8>) -> Beliefs {
        let nodes = nodes.iter().map(|network| network.parse().unwrap()).collect();
        Beliefs { tracker_id: *b"ours", nodes, opener: key.map(|key| Opener::new(ring(key))) }
    }

    #[test]
    fn without_a_key_the_networks_of_the_cluster_are_believed_and_nobody_else() {
        let mut ours = beliefs(&["10.0.0.0/24"], None);
        let classic = datagram(Envelope::Classic(*b"them"));
        assert_eq!(judge(&mut ours, "10.0.0.9", &classic), Ok(1));
        assert_eq!(judge(&mut ours, "::ffff:10.0.0.9", &classic), Ok(1));
        assert_eq!(judge(&mut ours, "10.0.1.9", &classic), Err(Received::NotOfCluster));
        assert_eq!(judge(&mut ours, "10.0.0.9", &datagram(Envelope::Classic(*b"ours"))), Err(Received::Own));
        assert_eq!(judge(&mut ours, "10.0.0.9", &sealed(1)), Err(Received::Malformed));
        assert_eq!(judge(&mut beliefs(&[], None), "10.0.0.9", &classic), Err(Received::NotOfCluster));
    }

    #[test]
    fn with_a_key_only_what_it_opens_is_believed_and_once() {
        let mut ours = beliefs(&["10.0.0.0/24"], Some(1));
        assert_eq!(
            judge(&mut ours, "10.0.0.9", &datagram(Envelope::Classic(*b"them"))),
            Err(Received::Malformed)
        );
        assert_eq!(judge(&mut ours, "10.0.0.9", &sealed(2)), Err(Received::Forged));
        let datagram = sealed(1);
        assert_eq!(judge(&mut ours, "10.0.1.9", &datagram), Err(Received::NotOfCluster));
        assert_eq!(judge(&mut ours, "10.0.0.9", &datagram), Ok(1));
        assert_eq!(judge(&mut ours, "10.0.0.9", &datagram), Err(Received::Replayed));
        assert_eq!(judge(&mut beliefs(&[], Some(1)), "10.0.1.9", &datagram), Ok(1));
    }
}
