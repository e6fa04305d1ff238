//! What this node has to tell other sites: events put together to messages by shard, numbered, and kept for as long as there is
//! room. Messages that wait for a server are kept there, and so are those that have been told, for nodes that missed them.
//! Never larger than it was made: while nobody can be told, the oldest goes. Knows no server and reads no clock.

mod answers;

use super::message::{Content, MAX_RECORD_LEN, Message, NodeId, Records, SHARDS, shard, write_record};
use crate::clock::Now;
use crate::events::PeerEvent;
use answers::Answers;
use std::collections::VecDeque;

/// Bytes of records in a message; a server takes a megabyte where it is not told otherwise.
const MAX_RECORDS_LEN: usize = 16 << 10;
/// Seconds for which a message is kept: what is older, peers have told again or nobody needs.
const KEPT_SECS: u32 = 30 * 60;
/// What a kept message takes beside its records: its place in a queue that may be half empty, and what the allocator adds.
const OVERHEAD: usize = 2 * size_of::<Kept>() + 16;

/// Records of one shard that are put together.
#[derive(Debug, Default)]
struct Lane {
    records: Vec<u8>,
    events: u32,
    /// When the first of them came.
    since: Option<Now>,
}

/// A message as it is kept.
#[derive(Debug)]
struct Kept {
    records: Box<[u8]>,
    events: u32,
    shard: u8,
    heard_secs: u32,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Every other site: the first time, or again where several nodes have missed it.
    Everyone,
    /// The one node that has missed it.
    Node(NodeId),
}

/// A message on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) number: u64,
    pub(super) audience: Audience,
    pub(super) shard: u8,
    pub(super) events: u32,
    /// Whether it goes out for the first time.
    pub(super) is_new: bool,
    pub(super) bytes: Vec<u8>,
}

/// Puts messages together and keeps them.
#[derive(Debug)]
pub(super) struct Outbox {
    node: NodeId,
    lanes: [Lane; SHARDS],
    interval_ns: u64,
    kept: VecDeque<Kept>,
    /// The number of the first that is kept.
    oldest: u64,
    /// The next that has never been told.
    next: u64,
    bytes: usize,
    max_bytes: usize,
    /// What is told again.
    answers: Answers,
    lost_events: u64,
}

impl Outbox {
    /// An empty one of the node, in which an event waits for others this long at most, and that takes so many bytes.
    pub(super) fn new(node: NodeId, interval_ms: u32, max_bytes: usize) -> Self {
        Self {
            node,
            lanes: std::array::from_fn(|_| Lane::default()),
            interval_ns: u64::from(interval_ms) * 1_000_000,
            kept: VecDeque::new(),
            oldest: 1,
            next: 1,
            bytes: 0,
            max_bytes,
            answers: Answers::default(),
            lost_events: 0,
        }
    }

    /// Takes an event in.
    pub(super) fn add(&mut self, event: &PeerEvent, now: Now) {
        let shard = shard(&event.info_hash);
        let Some(lane) = self.lanes.get_mut(shard) else { return };
        write_record(&mut lane.records, event);
        lane.events += 1;
        lane.since.get_or_insert(now);
        if lane.records.len() + MAX_RECORD_LEN > MAX_RECORDS_LEN {
            self.close(shard);
        }
    }

    /// Makes messages of what has waited for long enough, and lets go of what is too old.
    pub(super) fn close_due(&mut self, now: Now) {
        let is_due = |since: Now| now.nanoseconds().saturating_sub(since.nanoseconds()) >= self.interval_ns;
        let due: [bool; SHARDS] = std::array::from_fn(|shard| self.lanes[shard].since.is_some_and(is_due));
        (0..SHARDS).filter(|shard| due[*shard]).for_each(|shard| self.close(shard));
        let is_old = |kept: &Kept| now.seconds().saturating_sub(kept.heard_secs) > KEPT_SECS;
        while self.kept.front().is_some_and(is_old) {
            self.forget_oldest();
        }
    }

    /// Makes messages of everything: the node is about to end.
    pub(super) fn close_all(&mut self) {
        (0..SHARDS).for_each(|shard| self.close(shard));
    }

    fn close(&mut self, shard: usize) {
        let Some(Lane { records, events, since: Some(since) }) =
            self.lanes.get_mut(shard).map(std::mem::take)
        else {
            return;
        };
        let kept = Kept {
            records: records.into_boxed_slice(),
            events,
            shard: shard as u8,
            heard_secs: since.seconds(),
        };
        self.bytes += kept.records.len() + OVERHEAD;
        self.kept.push_back(kept);
        while self.bytes > self.max_bytes && !self.kept.is_empty() {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(kept) = self.kept.pop_front() else { return };
        self.bytes -= kept.records.len() + OVERHEAD;
        if self.oldest >= self.next {
            self.lost_events += u64::from(kept.events);
        }
        self.oldest += 1;
        self.next = self.next.max(self.oldest);
    }

    /// What other nodes are told of what they can have.
    pub(super) fn state(&self) -> Vec<u8> {
        let content = Content::State { oldest: self.oldest, newest: self.next.saturating_sub(1) };
        Message { node: self.node, content }.write()
    }

    /// A node has missed messages from this number on.
    pub(super) fn ask(&mut self, asker: NodeId, first: u64, now: Now) {
        if first < self.next {
            self.answers.ask(asker, first, now);
        }
    }

    /// The message that goes out next: new ones first, then what somebody has missed. It is to be said when it has gone out.
    pub(super) fn next(&mut self, now: Now) -> Option<Outgoing> {
        if let Some(new) = self.outgoing(self.next, Audience::Everyone, now) {
            return Some(new);
        }
        let (number, audience) = self.answers.next(&(self.oldest..self.next), now)?;
        self.outgoing(number, audience, now)
    }

    fn outgoing(&self, number: u64, audience: Audience, now: Now) -> Option<Outgoing> {
        let index = usize::try_from(number.checked_sub(self.oldest)?).ok()?;
        let Kept { records, events, shard, heard_secs } = self.kept.get(index)?;
        let age_secs = now.seconds().saturating_sub(*heard_secs);
        // It was written here.
        let content = Content::Events { number, age_secs, records: Records::parse(records).ok()? };
        let bytes = Message { node: self.node, content }.write();
        let is_new = number >= self.next;
        Some(Outgoing { number, audience, shard: *shard, events: *events, is_new, bytes })
    }

    /// The message has gone out.
    pub(super) fn has_gone(&mut self, outgoing: &Outgoing) {
        if outgoing.is_new {
            self.next = self.next.max(outgoing.number + 1);
        } else {
            self.answers.has_gone(outgoing.number);
        }
    }

    /// The message cannot be sent: from now on there is nothing in it, so that those behind it can be taken.
    pub(super) fn empty(&mut self, outgoing: &Outgoing) {
        let index = outgoing.number.checked_sub(self.oldest).and_then(|index| usize::try_from(index).ok());
        if let Some(kept) = index.and_then(|index| self.kept.get_mut(index)) {
            self.bytes -= kept.records.len();
            (kept.records, kept.events) = (Box::default(), 0);
        }
    }

    /// Events that went without having been told, for want of room or because they were too old.
    pub(super) const fn lost_events(&self) -> u64 {
        self.lost_events
    }

    /// Bytes that are kept.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
