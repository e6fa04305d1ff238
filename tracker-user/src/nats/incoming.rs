//! What the server sends, in two subscriptions.
//!
//! The library takes from the server whatever has come, and throws away what does not fit into the room of a subscription. So the
//! room is bounded by messages that are never waited with: after each of the library's turns everything is taken out again,
//! in one go, before it has its next. Meanwhile the server waits, as TCP makes it.

use super::node::Node;
use async_nats::{Client, Message, Subscriber};
use tokio::task::unconstrained;
use tokio::time::timeout;
use tokio_stream::StreamExt;

/// Both subscriptions of a connection.
pub(super) struct Incoming {
    /// What everyone is told.
    everyones: Subscriber,
    /// What this node alone is.
    own: Subscriber,
}

impl Incoming {
    /// Subscribes; in force with the server when this returns, `None` where the server is gone.
    pub(super) async fn subscribe(client: &Client, node: &Node) -> Option<Self> {
        let Node { prefix, id, .. } = node;
        let everyones = client.subscribe(format!("{prefix}.*.*")).await.ok()?;
        let own = client.subscribe(format!("{prefix}.*.to.{}", super::node::hex(id))).await.ok()?;
        timeout(super::PATIENCE, client.flush()).await.ok()?.ok()?;
        Some(Self { everyones, own })
    }

    /// The next message; `None` when the connection is gone. What was asked for goes first: it is missing before all that follows.
    ///
    /// Goes on for as long as there is anything, though the runtime would rather let others have their turn: the library.
    pub(super) async fn next(&mut self) -> Option<Message> {
        unconstrained(async {
            tokio::select! {
                biased;
                message = self.own.next() => message,
                message = self.everyones.next() => message,
            }
        })
        .await
    }
}
