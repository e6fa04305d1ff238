//! A snapshot of the store for a node that joins: made by a thread of its own and handed on piece by piece, so that packing it
//! takes no time of a worker. Few are made at a time.

use super::client_ip::contains;
use super::query;
use crate::clock::Now;
use crate::state::moment::Moment;
use crate::state::snapshot::writer::{Origin, SnapshotWriter};
use crate::tracker::Tracker;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use ipnet::IpNet;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Snapshots that are made at a time: a cluster has few nodes, and fewer that start at once.
const AT_ONCE: usize = 2;
/// Pieces that are made before the client has taken one.
const AHEAD: usize = 2;

/// The snapshots of all workers.
#[derive(Debug)]
pub(super) struct Snapshots {
    origin: Origin,
    may_fetch: Vec<IpNet>,
    proxies: Vec<IpNet>,
    places: Arc<Semaphore>,
}

/// Why there is no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSnapshot {
    /// This address may not.
    Forbidden,
    /// As many as there may be are being made, or there is no thread for another.
    Busy,
}

impl Snapshots {
    /// For the nodes of these networks, unless they are these proxies.
    pub(super) fn new(origin: Origin, may_fetch: Vec<IpNet>, proxies: Vec<IpNet>) -> Self {
        Self { origin, may_fetch, proxies, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Snapshots that are being made.
    pub(super) fn running(&self) -> u64 {
        AT_ONCE.saturating_sub(self.places.available_permits()) as u64
    }

    /// Begins a snapshot of the parts from `from` on. The source of the connection decides who may have it. A proxy may not,
    /// whichever client it asks for: nodes ask each other without one.
    pub(super) fn begin(
        &self,
        tracker: &Arc<Tracker>,
        source: IpAddr,
        from: u32,
    ) -> Result<SnapshotBody, NoSnapshot> {
        let source = source.to_canonical();
        if !contains(&self.may_fetch, source) || contains(&self.proxies, source) {
            return Err(NoSnapshot::Forbidden);
        }
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| NoSnapshot::Busy)?;
        let begun = Moment::read(self.origin.boot, Now::read());
        let writer = SnapshotWriter::new(self.origin, from, begun).map_err(|_| NoSnapshot::Busy)?;
        let (sender, pieces) = channel(AHEAD);
        let tracker = Arc::clone(tracker);
        let thread = thread::Builder::new().name("snapshot".to_owned());
        let started = thread.spawn(move || make(&tracker, writer, &sender, place));
        started.map(|_| SnapshotBody(pieces)).map_err(|_| NoSnapshot::Busy)
    }
}

/// Makes a snapshot until its end, or until nobody wants it any more. Rests as long as it works.
fn make(
    tracker: &Tracker,
    mut writer: SnapshotWriter,
    pieces: &Sender<io::Result<Bytes>>,
    _place: OwnedSemaphorePermit,
) {
    loop {
        let begun = Instant::now();
        let Some(piece) = writer.next_piece(tracker.store()).transpose() else { return };
        let worked = begun.elapsed();
        if pieces.blocking_send(piece.map(Bytes::from)).is_err() {
            return;
        }
        thread::sleep(worked);
    }
}

/// The part from which on a query wants a snapshot; the first where it does not say.
pub(super) fn from(query: &[u8]) -> u32 {
    let from = query::pairs(query).find(|(key, _)| key.as_bytes() == b"from");
    from.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok()).unwrap_or(0)
}

/// A snapshot on its way to a node.
pub(super) struct SnapshotBody(Receiver<io::Result<Bytes>>);

impl Body for SnapshotBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.get_mut().0.poll_recv(context).map(|piece| piece.map(|bytes| bytes.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, NoSnapshot, Snapshots, from};
    use crate::config::types::TrackerConfig;
    use crate::state::moment::Boot;
    use crate::state::snapshot::writer::Origin;
    use crate::tracker::Tracker;
    use std::net::IpAddr;
    use std::sync::Arc;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_nodes_of_the_cluster_get_one_and_few_at_a_time() {
        let tracker = Arc::new(Tracker::new(TrackerConfig::default(), [1, 2]));
        let origin = Origin { store_id: 7, boot: Boot::default() };
        let [nodes, proxies] = ["192.0.2.0/28", "192.0.2.8/29"].map(|network| vec![network.parse().unwrap()]);
        let snapshots = Snapshots::new(origin, nodes, proxies);
        let begin = |source| snapshots.begin(&tracker, source, 0);
        for stranger in ["192.0.2.16", "2001:db8::1", "192.0.2.9", "::ffff:192.0.2.9"] {
            assert_eq!(begin(ip(stranger)).err(), Some(NoSnapshot::Forbidden));
        }
        let place = Arc::clone(&snapshots.places).try_acquire_owned().unwrap();
        assert_eq!(snapshots.running(), 1);
        drop(place);
        assert_eq!(snapshots.running(), 0);
        // A body that is not read keeps its place.
        let mut bodies: Vec<_> = (0..AT_ONCE).map(|_| begin(ip("::ffff:192.0.2.1")).unwrap()).collect();
        bodies.iter_mut().for_each(|body| assert!(body.0.blocking_recv().is_some()));
        drop(bodies);
        // Their threads end by themselves, and make room.
        while begin(ip("192.0.2.2")).err() == Some(NoSnapshot::Busy) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_query_says_from_which_part_on() {
        for (query, part) in [("", 0), ("from=7", 7), ("x=1&from=255", 255), ("from=x", 0), ("from=-1", 0)] {
            assert_eq!(from(query.as_bytes()), part, "{query}");
        }
    }
}
