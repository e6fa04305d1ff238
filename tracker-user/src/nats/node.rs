//! What outlives a connection: who this node is, and what it does with messages of others. Whatever comes is counted; nothing
//! that comes may end more than the connection. Never waits.

use super::inbox::{Inbox, Place, Sender};
use super::message::{Content, Message, NodeId, Records};
use super::outbox::{Audience, Outbox};
use super::seals::Seals;
use crate::clock::Now;
use crate::counters::nats::{Counted, NatsCounters};
use crate::livesync::sealing::Unopened;
use crate::livesync::unix_ms;
use crate::tracker::{TakenIn, Tracker};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;

/// The longest message that is looked at: twice what any node sends.
const MAX_MESSAGE_LEN: usize = 32 << 10;

/// A node of this tracker's.
pub(super) struct Node {
    pub(super) id: NodeId,
    /// The subjects up to the name of a site.
    pub(super) prefix: String,
    pub(super) site: String,
    pub(super) outbox: Arc<Mutex<Outbox>>,
    pub(super) inbox: Inbox,
    pub(super) seals: Option<Seals>,
    pub(super) tracker: Arc<Tracker>,
    pub(super) counters: Arc<NatsCounters>,
    pub(super) random: fastrand::Rng,
}

/// What a message is answered with: a question or a state, to the node that it came from.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) to: NodeId,
    pub(super) content: Vec<u8>,
}

impl Node {
    /// A subject of this node's site.
    pub(super) fn subject(&self, what: &str) -> String {
        format!("{}.{}.{what}", self.prefix, self.site)
    }

    /// The subject of a message for these.
    pub(super) fn subject_for(&self, audience: Audience, shard: u8) -> String {
        match audience {
            Audience::Everyone => self.subject(&format!("{shard:x}")),
            Audience::Node(node) => self.subject(&format!("to.{}", hex(&node))),
        }
    }

    /// Takes a message of another node in; what that node is to be told or asked because of it.
    pub(super) fn take(&mut self, subject: &str, payload: &[u8]) -> Option<Reply> {
        let taken = self.site_in(subject).and_then(|site| {
            let content = self.open(payload)?;
            let Message { node, content } = Message::parse(&content).map_err(|_| Counted::Malformed)?;
            if node == self.id {
                return Err(Counted::OwnSite);
            }
            Ok(match content {
                Content::Events { number, age_secs, records } => {
                    let (place, ask_from) = self.inbox.take((site, node), number, Now::read());
                    self.take_events(place, age_secs, records);
                    ask_from.map(|first| self.request(node, first))
                }
                Content::State { oldest, newest } => self.take_state((site, node), oldest, newest),
                Content::Request { first } => Some(self.take_request(node, first)),
            })
        });
        taken.unwrap_or_else(|counted| {
            self.counters.add(counted, 1);
            None
        })
    }

    /// The site that a subject names, if it is another one.
    fn site_in<'a>(&self, subject: &'a str) -> Result<&'a str, Counted> {
        let of_site = subject.strip_prefix(&*self.prefix).and_then(|rest| rest.strip_prefix('.'));
        let site = of_site.and_then(|rest| rest.split('.').next()).ok_or(Counted::Malformed)?;
        if site == self.site { Err(Counted::OwnSite) } else { Ok(site) }
    }

    /// What is in a message, sealed or not.
    fn open<'a>(&mut self, payload: &'a [u8]) -> Result<Cow<'a, [u8]>, Counted> {
        if payload.len() > MAX_MESSAGE_LEN {
            return Err(Counted::Malformed);
        }
        match &mut self.seals {
            None => Ok(payload.into()),
            Some(seals) => seals.open(payload, unix_ms()).map(Cow::from).map_err(counted),
        }
    }

    fn take_events(&mut self, place: Place, age_secs: u32, records: Records<'_>) {
        let now = Now::read();
        let Self { tracker, counters, random, .. } = self;
        match place {
            Place::Next => counters.add(Counted::ReceivedMessages, 1),
            Place::Repeated => return counters.add(Counted::Duplicates, 1),
            Place::Early => return counters.add(Counted::Early, 1),
        }
        for event in records.events(now.seconds().saturating_sub(age_secs)) {
            match tracker.take_in(&event, now, random) {
                TakenIn::Stored | TakenIn::Older => counters.add(Counted::ReceivedEvents, 1),
                TakenIn::NoRoom => counters.add(Counted::ReceivedEventsNoRoom, 1),
                TakenIn::NotServed => counters.add(Counted::ReceivedEventsNotServed, 1),
            }
        }
    }

    fn take_state(&mut self, sender: Sender<'_>, oldest: u64, newest: u64) -> Option<Reply> {
        let behind = self.inbox.state(sender, oldest, newest, Now::read());
        self.counters.add(Counted::MissedMessages, behind.lost);
        self.counters.set(Counted::Nodes, self.inbox.nodes() as u64);
        let (_, node) = sender;
        behind.ask_from.map(|first| self.request(node, first))
    }

    fn request(&self, node: NodeId, first: u64) -> Reply {
        self.counters.add(Counted::Requests, 1);
        let request = Message { node: self.id, content: Content::Request { first } };
        Reply { to: node, content: request.write() }
    }

    fn take_request(&self, node: NodeId, first: u64) -> Reply {
        self.counters.add(Counted::RequestsReceived, 1);
        let mut outbox = self.outbox.lock();
        outbox.ask(node, first, Now::read());
        // What is there no more is not to be waited for.
        Reply { to: node, content: outbox.state() }
    }
}

const fn counted(unopened: Unopened) -> Counted {
    match unopened {
        Unopened::Malformed => Counted::Malformed,
        Unopened::Forged => Counted::Forged,
        Unopened::Stale => Counted::Stale,
        Unopened::Replayed => Counted::Replayed,
    }
}

/// A node as it stands in a subject.
pub(super) fn hex(node: &NodeId) -> String {
    format!("{:016x}", u64::from_be_bytes(*node))
}
