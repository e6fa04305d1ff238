//! What livesync counts. Each set belongs to one thread.

use super::CounterSet;

/// What is counted of what this node sends, each the index of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Datagrams sent.
    Datagrams,
    /// Events in them.
    Events,
    /// Events in datagrams that the kernel refused to send.
    EventsUnsent,
}

impl Sent {
    /// Everything, in the order of the counters.
    pub const ALL: [Self; 3] = [Self::Datagrams, Self::Events, Self::EventsUnsent];

    /// The name under which the counter is published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Datagrams => "sent_datagrams",
            Self::Events => "sent_events",
            Self::EventsUnsent => "unsent_events",
        }
    }
}

/// How a datagram that came in ended, or an event in it; each the index of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Datagrams that were believed.
    Datagrams,
    /// Events taken in.
    Events,
    /// Events left out: their torrent or network is not served here, or the peer cannot be reached.
    EventsNotServed,
    /// Events left out: the store is full, or the peer's source has had its share.
    EventsNoRoom,
    /// Datagrams of this node itself.
    Own,
    /// Datagrams from outside `livesync.cluster.node_ip`.
    NotOfCluster,
    /// Datagrams that are not of livesync, or of the kind that this node does not speak: sealed without a key, open with one.
    Malformed,
    /// Datagrams sealed with none of the keys, or changed on their way.
    Forged,
    /// Datagrams that had come before.
    Replayed,
    /// Datagrams sealed too long ago, by the clocks of both nodes.
    Stale,
}

impl Received {
    /// Everything, in the order of the counters.
    pub const ALL: [Self; 10] = [
        Self::Datagrams,
        Self::Events,
        Self::EventsNotServed,
        Self::EventsNoRoom,
        Self::Own,
        Self::NotOfCluster,
        Self::Malformed,
        Self::Forged,
        Self::Replayed,
        Self::Stale,
    ];

    /// The name under which the counter is published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Datagrams => "received_datagrams",
            Self::Events => "received_events",
            Self::EventsNotServed => "received_events_not_served",
            Self::EventsNoRoom => "received_events_no_room",
            Self::Own => "own",
            Self::NotOfCluster => "not_of_cluster",
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Stale => "stale",
        }
    }
}

/// What livesync counts.
#[derive(Debug, Default)]
pub struct LivesyncCounters {
    /// Of the thread that sends.
    pub sent: CounterSet<{ Sent::ALL.len() }>,
    /// Of the thread that receives.
    pub received: CounterSet<{ Received::ALL.len() }>,
}

impl LivesyncCounters {
    /// Every figure with its name.
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let sent = Sent::ALL.iter().map(|sent| (sent.name(), self.sent.get(*sent as usize)));
        let received =
            Received::ALL.iter().map(|received| (received.name(), self.received.get(*received as usize)));
        sent.chain(received)
    }
}

#[cfg(test)]
mod tests {
    use super::{Received, Sent};

    #[test]
    fn everything_is_the_index_of_its_own_counter() {
        assert!(Sent::ALL.iter().enumerate().all(|(position, sent)| *sent as usize == position));
        assert!(Received::ALL.iter().enumerate().all(|(position, received)| *received as usize == position));
    }
}
