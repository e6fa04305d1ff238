//! What a peer has said, on its way between the tracker and other nodes: where the tracker and the ways to synchronise
//! meet, knowing nothing of each other. Telling never waits: what finds no room is lost and counted.

use crate::info_hash::InfoHash;
use crate::peer_store::{Standing, Taken};
use crossbeam_queue::ArrayQueue;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A peer that comes back within so many seconds is not told of again, unless it has just completed (opentracker).
pub const RENEW_BOUNDARY_SECS: u32 = 10 * 60;

/// Lanes of an [`EventQueue`]. What concerns one torrent keeps to one lane, and so its order.
const LANES: usize = 16;
/// Room in a lane. Within the longest turn of whoever empties them, 25 ms, that is 160,000 announces a second of one torrent; of many,
/// all lanes together hold what a million a second leave within 60 ms.
const LANE_EVENTS: usize = 4096;

/// One peer's word on one torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerEvent {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Address and port of the peer; an IPv4 address is none that is mapped into IPv6, and the port is not 0.
    pub peer: SocketAddr,
    /// What the peer is from now on.
    pub standing: Standing,
    /// Whether it has said that its download has finished.
    pub completed: bool,
    /// When it said so, in seconds of this host's uptime.
    pub heard_secs: u32,
}

impl PeerEvent {
    /// Whether other nodes need to hear of it, by what the store had to say: a stop always, a peer that is new or has
    /// just completed, and one that was not heard of for longer than [`RENEW_BOUNDARY_SECS`]; never of one that was not stored,
    /// for it would be told of each time.
    pub fn is_news(&self, taken: &Taken) -> bool {
        let is_due = || taken.renewed_after_secs.is_none_or(|secs| secs > RENEW_BOUNDARY_SECS);
        self.standing == Standing::Stopped || (taken.is_stored && (taken.first_completion || is_due()))
    }
}

/// Events between the workers and the thread that sends them.
#[derive(Debug)]
pub struct EventQueue {
    lanes: Box<[Lane]>,
    lost: AtomicU64,
}

/// A lane alone on its cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Lane(ArrayQueue<PeerEvent>);

impl Default for EventQueue {
    fn default() -> Self {
        Self::with_room(LANE_EVENTS)
    }
}

impl EventQueue {
    fn with_room(events_per_lane: usize) -> Self {
        let lanes = (0..LANES).map(|_| Lane(ArrayQueue::new(events_per_lane))).collect();
        Self { lanes, lost: AtomicU64::new(0) }
    }

    /// Takes an event in, or counts it as lost where there is no room. Never waits.
    pub fn push(&self, event: PeerEvent) {
        let [.., last] = event.info_hash.0;
        // Somebody may choose hashes that share a lane: then that lane is slower, and no other.
        if let Some(Lane(lane)) = self.lanes.get(usize::from(last) % LANES)
            && lane.push(event).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives everything that waits to `take`, and returns how much that was. Events of one torrent come in their order.
    pub fn drain(&self, mut take: impl FnMut(PeerEvent)) -> usize {
        let mut taken = 0;
        for Lane(lane) in &self.lanes {
            // What comes meanwhile is for the next time, or a busy lane would have it all.
            for _ in 0..lane.len() {
                let Some(event) = lane.pop() else { break };
                take(event);
                taken += 1;
            }
        }
        taken
    }

    /// Events that found no room, since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{EventQueue, LANES, PeerEvent, RENEW_BOUNDARY_SECS};
    use crate::info_hash::InfoHash;
    use crate::peer_store::{Standing, Taken};

    fn event(torrent: u8, port: u16) -> PeerEvent {
        PeerEvent {
            info_hash: InfoHash([torrent; 20]),
            peer: ([192, 0, 2, 1], port).into(),
            standing: Standing::Leecher,
            completed: false,
            heard_secs: 0,
        }
    }

    #[test]
    fn a_peer_is_told_of_again_only_after_ten_minutes_or_once_it_completes_or_stops() {
        let renewed = |secs| Taken { renewed_after_secs: secs, is_stored: true, ..Taken::default() };
        let leecher = event(1, 1);
        assert!(leecher.is_news(&renewed(None)));
        assert!(!leecher.is_news(&renewed(Some(0))));
        assert!(!leecher.is_news(&renewed(Some(RENEW_BOUNDARY_SECS))));
        assert!(leecher.is_news(&renewed(Some(RENEW_BOUNDARY_SECS + 1))));
        assert!(leecher.is_news(&Taken { first_completion: true, ..renewed(Some(1)) }));
        assert!(!leecher.is_news(&Taken { is_stored: false, ..renewed(None) }));
        let stopped = PeerEvent { standing: Standing::Stopped, ..leecher };
        assert!(stopped.is_news(&renewed(Some(1))));
    }

    #[test]
    fn events_of_a_torrent_come_in_their_order_and_what_finds_no_room_is_counted() {
        let queue = EventQueue::with_room(3);
        (1..=5).for_each(|port| queue.push(event(7, port)));
        (1..LANES as u8).for_each(|lane| queue.push(event(7 + lane, 1)));
        let mut of_torrent = Vec::new();
        let taken = queue.drain(|event| {
            if event.info_hash == InfoHash([7; 20]) {
                of_torrent.push(event.peer.port());
            }
        });
        assert_eq!((taken, queue.lost()), (3 + LANES - 1, 2));
        assert_eq!(of_torrent, [1, 2, 3]);
        assert_eq!(queue.drain(|_| {}), 0);
    }
}
