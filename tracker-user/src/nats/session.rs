//! One connection to a server, from its greeting to its end: what is told, and when. What comes is taken at any time, while a
//! message waits to be sent as well.

use super::incoming::Incoming;
use super::message::NodeId;
use super::node::{Node, Reply};
use super::outbox::{Audience, Outgoing};
use crate::clock::Now;
use crate::counters::nats::Counted;
use crate::livesync::unix_ms;
use async_nats::connection::State;
use async_nats::{Client, Message, PublishErrorKind};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often it is looked whether there is something to tell.
const TURN: Duration = Duration::from_millis(20);
/// Bytes that are told in a turn, 16 MiB a second: a server gives up who cannot keep up.
const TURN_BYTES: usize = 336 << 10;
/// Messages that are told in a turn: each costs its receivers something, however short it is.
const TURN_MESSAGES: usize = 512;
/// How often the state is told, and so how soon it is noticed that something is missing.
const STATE: Duration = Duration::from_secs(1);
/// What waits is told only after this time: others that have lost the same server come back, too.
const GRACE: Duration = Duration::from_millis(500);
/// How long a server may take no message before the rest waits for the next turn.
const STALL: Duration = Duration::from_millis(100);
/// Replies that may wait until they can be sent; whoever misses one asks again.
const MAX_REPLIES: usize = 256;
/// How long the last messages may take when the node ends.
const LAST: Duration = Duration::from_secs(1);

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
    incoming: Incoming,
    replies: VecDeque<Reply>,
    begun: Instant,
    state_due: Instant,
    /// Whether it has been said that the server takes no messages of this length.
    has_warned: bool,
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
    /// Over a connection that has been made; `None` where it is gone already.
    pub(super) async fn begin(node: &'a mut Node, client: Client) -> Option<Self> {
        let incoming = Incoming::subscribe(&client, node).await?;
        let (now, replies) = (Instant::now(), VecDeque::new());
        Some(Self { node, client, incoming, replies, begun: now, state_due: now, has_warned: false })
    }

    /// Tells and hears until the connection or the node ends.
    pub(super) async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> End {
        let mut turns = interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In this order: nothing keeps the turns from coming.
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
                message = self.incoming.next() => match message {
                    Some(message) => self.take(&message),
                    None => return End::Lost,
                },
            }
            self.reply().await;
        }
    }

    /// Takes a message of another node in. Its reply waits: whoever takes messages waits for nothing.
    fn take(&mut self, message: &Message) {
        let reply = self.node.take(&message.subject, &message.payload);
        if self.replies.len() < MAX_REPLIES {
            self.replies.extend(reply);
        }
    }

    async fn reply(&mut self) {
        while let Some(Reply { to, content }) = self.replies.pop_front() {
            if self.publish_reply(to, content).await == Published::NotNow {
                return;
            }
        }
    }

    /// A turn: the state when it is due, and of what waits as much as a turn may have.
    async fn tell(&mut self) {
        if Instant::now() >= self.state_due {
            let (subject, state) = (self.node.subject("state"), self.node.outbox.lock().state());
            if self.publish(subject, Audience::Everyone, state).await == Published::NotNow {
                return;
            }
            self.state_due = Instant::now() + STATE;
        }
        if self.begun.elapsed() < GRACE {
            return;
        }
        let mut bytes = 0;
        for _ in 0..TURN_MESSAGES {
            let Some(outgoing) = self.next_outgoing() else { return };
            bytes += outgoing.bytes.len();
            if !self.send(outgoing).await || bytes >= TURN_BYTES {
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
        let subject = self.node.subject_for(outgoing.audience, outgoing.shard);
        let bytes = std::mem::take(&mut outgoing.bytes);
        let published = self.publish(subject, outgoing.audience, bytes).await;
        let Node { outbox, counters, .. } = &*self.node;
        match published {
            Published::NotNow => return false,
            // It goes out next, without its events.
            Published::Never => {
                outbox.lock().empty(&outgoing);
                counters.add(Counted::UnsentEvents, outgoing.events.into());
                return outgoing.events > 0;
            }
            Published::Gone => outbox.lock().has_gone(&outgoing),
        }
        if outgoing.is_new {
            counters.add(Counted::SentMessages, 1);
            counters.add(Counted::SentEvents, outgoing.events.into());
        } else {
            counters.add(Counted::RepeatedMessages, 1);
        }
        true
    }

    async fn publish_reply(&mut self, to: NodeId, content: Vec<u8>) -> Published {
        let audience = Audience::Node(to);
        self.publish(self.node.subject_for(audience, 0), audience, content).await
    }

    async fn publish(&mut self, subject: String, audience: Audience, content: Vec<u8>) -> Published {
        let payload = match &mut self.node.seals {
            Some(seals) => seals.seal(audience, &content, unix_ms()),
            None => content,
        };
        let client = self.client.clone();
        let publishing = timeout(STALL, client.publish(subject, payload.into()));
        tokio::pin!(publishing);
        let published = loop {
            tokio::select! {
                biased;
                published = &mut publishing => break published,
                // A server that takes nothing may go on sending.
                message = self.incoming.next() => match message {
                    Some(message) => self.take(&message),
                    None => return Published::NotNow,
                },
            }
        };
        match published {
            Ok(Ok(())) => Published::Gone,
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                self.warn_of_length();
                Published::Never
            }
            Ok(Err(_)) | Err(_) => Published::NotNow,
        }
    }

    fn warn_of_length(&mut self) {
        if !std::mem::replace(&mut self.has_warned, true) {
            log::warn!(
                "nats: the server takes messages of at most {} bytes: longer ones are left out and counted as unsent_events; set \
                 its max_payload to 64 KiB or more",
                self.client.max_payload()
            );
        }
    }
}
