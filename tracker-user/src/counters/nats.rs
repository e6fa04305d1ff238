//! What is counted of the messages between sites.

use super::CounterSet;

/// What is counted, each the index of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// 1 while a server is connected to.
    Connected,
    /// Times that one was.
    Connections,
    /// Tries that failed.
    FailedConnections,
    /// Errors that servers have reported, such as a subject that may not be used.
    ServerErrors,
    /// Nodes of other sites that have been heard, this one's last thousand.
    Nodes,
    /// Messages told to everyone for the first time.
    SentMessages,
    /// Events in them.
    SentEvents,
    /// Messages told again, to nodes that had missed them.
    RepeatedMessages,
    /// Events in messages that could not be sent at all.
    UnsentEvents,
    /// Events that made room before any server heard of them.
    LostEvents,
    /// Bytes of messages that are kept.
    KeptBytes,
    /// Messages of other sites that were taken.
    ReceivedMessages,
    /// Events in them that were taken in.
    ReceivedEvents,
    /// Events in them that were left out: their torrent or network is not served here, or the peer cannot be reached.
    ReceivedEventsNotServed,
    /// Events in them that were left out: the store is full, or the peer's source has had its share.
    ReceivedEventsNoRoom,
    /// Messages that had come before.
    Duplicates,
    /// Messages that came before others that were missing.
    Early,
    /// Requests for messages that this node has missed.
    Requests,
    /// Requests of others.
    RequestsReceived,
    /// Messages of other nodes that were missed for good.
    MissedMessages,
    /// Messages of this node's own site, whose nodes hear each other by livesync.
    OwnSite,
    /// Messages that are none of these.
    Malformed,
    /// Messages sealed with none of the keys, or changed on their way.
    Forged,
    /// Sealed messages that had come before.
    Replayed,
    /// Messages sealed too long ago, by the clocks of both nodes.
    Stale,
    /// Messages that came faster than they could be taken.
    Overflowed,
}

impl Counted {
    /// Everything, in the order of the counters.
    pub const ALL: [Self; 26] = [
        Self::Connected,
        Self::Connections,
        Self::FailedConnections,
        Self::ServerErrors,
        Self::Nodes,
        Self::SentMessages,
        Self::SentEvents,
        Self::RepeatedMessages,
        Self::UnsentEvents,
        Self::LostEvents,
        Self::KeptBytes,
        Self::ReceivedMessages,
        Self::ReceivedEvents,
        Self::ReceivedEventsNotServed,
        Self::ReceivedEventsNoRoom,
        Self::Duplicates,
        Self::Early,
        Self::Requests,
        Self::RequestsReceived,
        Self::MissedMessages,
        Self::OwnSite,
        Self::Malformed,
        Self::Forged,
        Self::Replayed,
        Self::Stale,
        Self::Overflowed,
    ];

    /// The name under which it is published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connections => "connections",
            Self::FailedConnections => "failed_connections",
            Self::ServerErrors => "server_errors",
            Self::Nodes => "nodes",
            Self::SentMessages => "sent_messages",
            Self::SentEvents => "sent_events",
            Self::RepeatedMessages => "repeated_messages",
            Self::UnsentEvents => "unsent_events",
            Self::LostEvents => "lost_events",
            Self::KeptBytes => "kept_bytes",
            Self::ReceivedMessages => "received_messages",
            Self::ReceivedEvents => "received_events",
            Self::ReceivedEventsNotServed => "received_events_not_served",
            Self::ReceivedEventsNoRoom => "received_events_no_room",
            Self::Duplicates => "duplicates",
            Self::Early => "early",
            Self::Requests => "requests",
            Self::RequestsReceived => "requests_received",
            Self::MissedMessages => "missed_messages",
            Self::OwnSite => "own_site",
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Stale => "stale",
            Self::Overflowed => "overflowed",
        }
    }
}

/// What is counted; of the thread that speaks with servers.
#[derive(Debug, Default)]
pub struct NatsCounters(CounterSet<{ Counted::ALL.len() }>);

impl NatsCounters {
    /// Adds to a counter.
    pub fn add(&self, counted: Counted, count: u64) {
        self.0.add(counted as usize, count);
    }

    /// Sets a counter that is no sum.
    pub fn set(&self, counted: Counted, count: u64) {
        self.0.set(counted as usize, count);
    }

    /// One counter.
    pub fn get(&self, counted: Counted) -> u64 {
        self.0.get(counted as usize)
    }

    /// Every figure with its name.
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Counted::ALL.iter().map(|counted| (counted.name(), self.get(*counted)))
    }
}

#[cfg(test)]
mod tests {
    use super::Counted;

    #[test]
    fn everything_is_the_index_of_its_own_counter() {
        assert!(Counted::ALL.iter().enumerate().all(|(position, counted)| *counted as usize == position));
    }
}
