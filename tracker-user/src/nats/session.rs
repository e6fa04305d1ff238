//! One connection to a server, from its greeting to its end: what is told, what is heard, what is asked for. Whatever comes is
//! counted; nothing that comes may end more than the connection.

use super::inbox::{Inbox, Place};
use super::message::{Content, Message, NodeId, Records};
use super::outbox::{Audience, Outbox, Outgoing};
use crate::clock::Now;
use crate::counters::nats::{Counted, NatsCounters};
use crate::livesync::sealing::{Opener, Sealer, Unopened};
use crate::livesync::unix_ms;
use crate::tracker::{TakenIn, Tracker};
use async_nats::connection::State;
use async_nats::{Client, Subscriber};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_stream::StreamExt;

/// The longest message that is looked at: twice what any node sends.
pub(super) const MAX_MESSAGE_LEN: usize = 32 << 10;
/// How often it is looked whether there is something to tell.
const TURN: Duration = Duration::from_millis(20);
/// Bytes that are told in a turn, 16 MiB a second: a server gives up who cannot keep up.
const TURN_BYTES: usize = 336 << 10;
/// How often the state is told, and so how soon it is noticed that something is missing.
const STATE: Duration = Duration::from_secs(1);
/// What waits is told only after this time: others that have lost the same server come back, too.
const GRACE: Duration = Duration::from_millis(500);
/// How long a server may take no message before the rest waits for the next turn.
const STALL: Duration = Duration::from_millis(100);
/// How long the last messages may take when the node ends.
const LAST: Duration = Duration::from_secs(1);

/// What outlives a connection.
pub(super) struct Node {
    pub(super) id: NodeId,
    /// The subjects up to the name of a site.
    pub(super) prefix: String,
    pub(super) site: String,
    pub(super) outbox: Arc<Mutex<Outbox>>,
    pub(super) inbox: Inbox,
    pub(super) seals: Option<(Sealer, Opener)>,
    pub(super) tracker: Arc<Tracker>,
    pub(super) counters: Arc<NatsCounters>,
    pub(super) random: fastrand::Rng,
}

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The node was told to stop.
    Stopped,
    /// The server is gone.
    Lost,
}

/// A connection.
pub(super) struct Session<'a> {
    node: &'a mut Node,
    client: Client,
    begun: Instant,
    state_due: Instant,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Published {
    Gone,
    /// The server takes none now.
    NotNow,
    /// It never will be.
    Never,
}

impl<'a> Session<'a> {
    /// Over a connection that has been made.
    pub(super) fn new(node: &'a mut Node, client: Client) -> Self {
        let now = Instant::now();
        Self { node, client, begun: now, state_due: now }
    }

    /// Tells and hears until the connection or the node ends.
    pub(super) async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> End {
        let Some((mut everyones, mut own)) = self.subscribe().await else { return End::Lost };
        let mut turns = interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In this order: nothing keeps the turns from coming, and what was asked for is missing before all that follows.
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => {
                    self.tell_last().await;
                    return End::Stopped;
                }
                _ = turns.tick() => {
                    if self.client.connection_state() == State::Disconnected {
                        return End::Lost;
                    }
                    self.tell().await;
                }
                message = own.next() => match message {
                    Some(message) => self.take(&message).await,
                    None => return End::Lost,
                },
                message = everyones.next() => match message {
                    Some(message) => self.take(&message).await,
                    None => return End::Lost,
                },
            }
        }
    }

    /// What everyone is told, and what this node alone is; both are in force with the server when this returns.
    async fn subscribe(&self) -> Option<(Subscriber, Subscriber)> {
        let Node { prefix, id, .. } = &*self.node;
        let everyones = self.client.subscribe(format!("{prefix}.*.*")).await.ok()?;
        let own = self.client.subscribe(format!("{prefix}.*.to.{}", hex(id))).await.ok()?;
        timeout(super::PATIENCE, self.client.flush()).await.ok()?.ok()?;
        Some((everyones, own))
    }

    /// A turn: the state when it is due, and of what waits as much as a turn may have.
    async fn tell(&mut self) {
        if Instant::now() >= self.state_due {
            let state = self.node.outbox.lock().state();
            if self.publish(self.node.subject("state"), state).await == Published::NotNow {
                return;
            }
            self.state_due = Instant::now() + STATE;
        }
        if self.begun.elapsed() < GRACE {
            return;
        }
        let mut bytes = 0;
        while bytes < TURN_BYTES {
            let Some(outgoing) = self.next_outgoing() else { return };
            bytes += outgoing.bytes.len();
            if !self.send(outgoing).await {
                return;
            }
        }
    }

    fn next_outgoing(&self) -> Option<Outgoing> {
        self.node.outbox.lock().next(Now::read())
    }

    /// Everything that waits, within a time limit: the node is about to end.
    async fn tell_last(&mut self) {
        let telling = async {
            while let Some(outgoing) = self.next_outgoing() {
                if !self.send(outgoing).await {
                    return;
                }
            }
            // It may be gone: then nobody hears the last messages.
            let _ = self.client.flush().await;
        };
        let _ = timeout(LAST, telling).await;
    }

    /// Sends a message; whether the next one may follow.
    async fn send(&mut self, mut outgoing: Outgoing) -> bool {
        let subject = match outgoing.audience {
            Audience::Everyone => self.node.subject(&format!("{:x}", outgoing.shard)),
            Audience::Node(node) => self.node.subject_of(&node),
        };
        let bytes = std::mem::take(&mut outgoing.bytes);
        let published = self.publish(subject, bytes).await;
        if published == Published::NotNow {
            return false;
        }
        let Node { outbox, counters, .. } = &*self.node;
        outbox.lock().has_gone(&outgoing);
        match (published, outgoing.is_new) {
            (Published::Gone, true) => {
                counters.add(Counted::SentMessages, 1);
                counters.add(Counted::SentEvents, outgoing.events.into());
            }
            (Published::Gone, false) => counters.add(Counted::RepeatedMessages, 1),
            _ => counters.add(Counted::UnsentEvents, outgoing.events.into()),
        }
        true
    }

    async fn publish(&mut self, subject: String, content: Vec<u8>) -> Published {
        let mut payload = content;
        if let Some((sealer, _)) = &mut self.node.seals {
            let mut sealed = Vec::new();
            sealer.seal(&payload, unix_ms(), &mut sealed);
            payload = sealed;
        }
        match timeout(STALL, self.client.publish(subject, payload.into())).await {
            Ok(Ok(())) => Published::Gone,
            Ok(Err(error)) if error.kind() == async_nats::PublishErrorKind::MaxPayloadExceeded => {
                log::warn!(
                    "nats: the server takes no messages of this length; set its max_payload to 64 KiB or more"
                );
                Published::Never
            }
            Ok(Err(_)) | Err(_) => Published::NotNow,
        }
    }

    /// Takes a message of another node in.
    async fn take(&mut self, message: &async_nats::Message) {
        let Node { prefix, site, id, seals, counters, .. } = &mut *self.node;
        let of_site = message.subject.strip_prefix(&**prefix).and_then(|rest| rest.strip_prefix('.'));
        let sender_site = of_site.and_then(|rest| rest.split('.').next());
        if sender_site == Some(site) {
            return counters.add(Counted::OwnSite, 1);
        }
        let opened;
        let content = match seals {
            _ if message.payload.len() > MAX_MESSAGE_LEN => return counters.add(Counted::Malformed, 1),
            None => &*message.payload,
            Some((_, opener)) => match opener.open(&message.payload, unix_ms()) {
                Ok(content) => {
                    opened = content;
                    &*opened
                }
                Err(unopened) => return counters.add(counted(unopened), 1),
            },
        };
        let Ok(Message { node, content }) = Message::parse(content) else {
            return counters.add(Counted::Malformed, 1);
        };
        if node == *id {
            return counters.add(Counted::OwnSite, 1);
        }
        match content {
            Content::Events { number, age_secs, records } => {
                self.node.take_events((node, number), age_secs, records)
            }
            Content::State { oldest, newest } => self.take_state(node, oldest, newest).await,
            Content::Request { first } => self.take_request(node, first).await,
        }
    }

    async fn take_state(&mut self, node: NodeId, oldest: u64, newest: u64) {
        let behind = self.node.inbox.state(node, oldest, newest, Now::read());
        self.node.counters.add(Counted::MissedMessages, behind.lost);
        self.node.counters.set(Counted::Nodes, self.node.inbox.nodes() as u64);
        if let Some(first) = behind.ask_from {
            let request = Message { node: self.node.id, content: Content::Request { first } };
            // Where it does not go out, the next state brings another.
            let _ = self.publish(self.node.subject_of(&node), request.write()).await;
            self.node.counters.add(Counted::Requests, 1);
        }
    }

    async fn take_request(&mut self, node: NodeId, first: u64) {
        self.node.counters.add(Counted::RequestsReceived, 1);
        let state = {
            let mut outbox = self.node.outbox.lock();
            outbox.ask(node, first, Now::read());
            outbox.state()
        };
        // What is there no more is not to be waited for.
        let _ = self.publish(self.node.subject_of(&node), state).await;
    }
}

impl Node {
    fn subject(&self, what: &str) -> String {
        format!("{}.{}.{what}", self.prefix, self.site)
    }

    /// The subject of another node alone.
    fn subject_of(&self, node: &NodeId) -> String {
        self.subject(&format!("to.{}", hex(node)))
    }

    fn take_events(&mut self, (node, number): (NodeId, u64), age_secs: u32, records: Records<'_>) {
        let now = Now::read();
        let Self { inbox, tracker, counters, random, .. } = self;
        match inbox.take(node, number, now) {
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
