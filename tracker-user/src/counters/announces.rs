//! What is counted of announces beside how they ended: whether peers come back too early, what they want, and from where they
//! come. The worker that answers an announce notes it, for the price of a few cached words.

use super::CounterSet;
use super::busy_networks::{BusyNetworks, Network};
use crate::clock::Now;
use std::collections::HashMap;
use std::net::IpAddr;

/// What is noted of an announce that was taken in.
#[derive(Clone, Copy, Debug)]
pub struct Noted {
    /// Who announced.
    pub client: IpAddr,
    /// The most peers that it was to get.
    pub peers_wanted: usize,
    /// Seconds since its announce before; `None` where it was not known.
    pub renewed_after_secs: Option<u32>,
    /// Whether it came back before the time that it was told.
    pub too_early: bool,
    /// Whether its download has finished just now.
    pub first_completion: bool,
}

/// The announces of one worker: no other may note any.
#[derive(Debug, Default)]
pub struct AnnounceCounters {
    completed: CounterSet<1>,
    /// By minutes since the announce before; the last is for all that is later.
    renewed: CounterSet<{ RENEWED_MINUTES + 1 }>,
    /// By number; the last is for all above.
    peers_wanted: CounterSet<{ PEERS_WANTED + 1 }>,
    networks: BusyNetworks,
    woodpeckers: BusyNetworks,
}

/// Minutes that are told apart between two announces of a peer: those of opentracker's timeout.
pub const RENEWED_MINUTES: usize = 45;
/// Numbers of wanted peers that are told apart, from 0 on.
pub const PEERS_WANTED: usize = 201;

/// What all workers have counted of announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceFigures {
    /// Downloads that have finished since the start.
    pub completed: u64,
    /// Announces of known peers, by minutes since the one before.
    pub renewed: [u64; RENEWED_MINUTES],
    /// Announces of known peers after more minutes than that.
    pub renewed_later: u64,
    /// Announces by the most peers that they were to get.
    pub peers_wanted: [u64; PEERS_WANTED],
    /// Announces that were to get more than that.
    pub peers_wanted_beyond: u64,
}

impl Default for AnnounceFigures {
    fn default() -> Self {
        Self {
            completed: 0,
            renewed: [0; RENEWED_MINUTES],
            renewed_later: 0,
            peers_wanted: [0; PEERS_WANTED],
            peers_wanted_beyond: 0,
        }
    }
}

impl AnnounceCounters {
    /// Notes an announce.
    pub fn note(&self, noted: &Noted, now: Now) {
        let network = Network::of(noted.client);
        self.networks.note(network, now.seconds());
        self.peers_wanted.add(noted.peers_wanted.min(PEERS_WANTED), 1);
        if let Some(seconds) = noted.renewed_after_secs {
            self.renewed.add((seconds / 60).min(RENEWED_MINUTES as u32) as usize, 1);
        }
        if noted.too_early {
            self.woodpeckers.note(network, now.seconds());
        }
        if noted.first_completion {
            self.completed.add(0, 1);
        }
    }
}

/// Adds up the counters of several workers.
pub(super) fn sum<'a>(sets: impl Iterator<Item = &'a AnnounceCounters>) -> AnnounceFigures {
    let mut sum = AnnounceFigures::default();
    for set in sets {
        sum.completed += set.completed.get(0);
        for (minute, count) in sum.renewed.iter_mut().enumerate() {
            *count += set.renewed.get(minute);
        }
        sum.renewed_later += set.renewed.get(RENEWED_MINUTES);
        for (wanted, count) in sum.peers_wanted.iter_mut().enumerate() {
            *count += set.peers_wanted.get(wanted);
        }
        sum.peers_wanted_beyond += set.peers_wanted.get(PEERS_WANTED);
    }
    sum
}

/// Which announces a table of networks is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those that came too early.
    TooEarly,
}

/// Adds up the tables of several workers.
pub(super) fn networks<'a>(
    sets: impl Iterator<Item = &'a AnnounceCounters>,
    which: Which,
    now: Now,
) -> HashMap<Network, u64> {
    let mut sum = HashMap::new();
    for set in sets {
        let table = match which {
            Which::All => &set.networks,
            Which::TooEarly => &set.woodpeckers,
        };
        for (network, count) in table.counts(now.seconds()) {
            *sum.entry(network).or_insert(0) += count;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{AnnounceCounters, Noted, PEERS_WANTED, RENEWED_MINUTES, Which, networks, sum};
    use crate::clock::Now;
    use crate::counters::busy_networks::Network;

    const NOTED: Noted = Noted {
        client: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        peers_wanted: 50,
        renewed_after_secs: None,
        too_early: false,
        first_completion: false,
    };

    #[test]
    fn every_announce_counts_where_it_belongs_and_workers_add_up() {
        let (one, other, now) =
            (AnnounceCounters::default(), AnnounceCounters::default(), Now::from_seconds(1));
        one.note(&NOTED, now);
        other.note(&Noted { peers_wanted: 0, renewed_after_secs: Some(59), too_early: true, ..NOTED }, now);
        other.note(&Noted { peers_wanted: 200, renewed_after_secs: Some(60), ..NOTED }, now);
        one.note(&Noted { peers_wanted: 201, renewed_after_secs: Some(45 * 60 - 1), ..NOTED }, now);
        one.note(&Noted { peers_wanted: 999, renewed_after_secs: Some(45 * 60), ..NOTED }, now);
        one.note(&Noted { first_completion: true, ..NOTED }, now);
        let sets = [one, other];
        let figures = sum(sets.iter());
        let nonzero = |counts: &[u64]| -> Vec<(usize, u64)> {
            counts.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect()
        };
        assert_eq!(nonzero(&figures.renewed), [(0, 1), (1, 1), (RENEWED_MINUTES - 1, 1)]);
        assert_eq!(nonzero(&figures.peers_wanted), [(0, 1), (50, 2), (PEERS_WANTED - 1, 1)]);
        assert_eq!((figures.completed, figures.renewed_later, figures.peers_wanted_beyond), (1, 1, 2));
        let network = Network::of(NOTED.client);
        assert_eq!(networks(sets.iter(), Which::All, now), [(network, 6)].into());
        assert_eq!(networks(sets.iter(), Which::TooEarly, now), [(network, 1)].into());
    }
}
