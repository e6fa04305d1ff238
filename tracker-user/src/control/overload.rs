//! Whether the tracker has more to do than it can: told by what its workers count anyway, once a second.
//!
//! A worker that keeps up finds its sockets empty again and again, however many packets come. One that does not finds more
//! each time, and the kernel drops what its buffers do not hold.

use crate::counters::{Counters, UdpCounters, XskEvent};
use tracker_common::verdict::Verdict;

/// Packets between two times that a worker has found nothing left, on average: sixteen full batches. Beyond, it is behind.
const PACKETS_IN_A_ROW: u64 = 1024;

/// What has been counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// Of each worker of UDP: packets, and how often it found nothing left.
    workers: Vec<(u64, u64)>,
    /// Packets that found no room in a ring of AF_XDP.
    dropped: u64,
    /// Connections over HTTP that were closed for another one.
    closed_for_room: u64,
}

impl Signs {
    /// What is counted now.
    pub(super) fn read(counters: &Counters) -> Self {
        let queues = counters.queues();
        let sets = counters.udp_workers().iter().chain(queues.iter().map(|queue| &queue.packets));
        let full = [XskEvent::ReceiveRingFull, XskEvent::FillRingEmpty];
        let dropped = queues.iter().flat_map(|queue| full.map(|event| queue.events.get(event as usize)));
        Self {
            workers: sets.map(|set| of_worker(set)).collect(),
            dropped: dropped.sum(),
            closed_for_room: counters.closed_for_room(),
        }
    }

    /// Whether there was too much to do between an earlier time and this one. One busy worker of many is none: a single
    /// client must not decide when all others come back.
    pub(super) fn show_overload_since(&self, before: &Self) -> bool {
        let is_behind = |(position, (packets, waits)): (usize, &(u64, u64))| {
            // A queue that has come since had nothing before.
            let (packets_before, waits_before) = before.workers.get(position).copied().unwrap_or_default();
            let packets = packets.wrapping_sub(packets_before);
            packets / (waits.wrapping_sub(waits_before) + 1) >= PACKETS_IN_A_ROW
        };
        let behind = self.workers.iter().enumerate().filter(|worker| is_behind(*worker)).count();
        let most_are_behind = behind > 0 && behind * 2 >= self.workers.len();
        most_are_behind || self.dropped != before.dropped || self.closed_for_room != before.closed_for_room
    }
}

fn of_worker(set: &UdpCounters) -> (u64, u64) {
    let packets = (0..Verdict::COUNT).map(|index| set.verdicts.get(index)).fold(0, u64::wrapping_add);
    (packets, set.waits.get(0))
}

#[cfg(test)]
mod tests {
    use super::Signs;
    use crate::counters::{Counters, XskEvent};
    use tracker_common::verdict::Verdict;

    /// What workers of sockets do in a second: packets, and how often they find nothing left.
    fn second(counters: &Counters, work: &[(u64, u64)]) {
        for (set, (packets, waits)) in counters.udp_workers().iter().zip(work) {
            set.verdicts.add(Verdict::AnnounceAnswered.index(), *packets);
            set.waits.add(0, *waits);
        }
    }

    fn is_overloaded_by(counters: &Counters, work: impl FnOnce(&Counters)) -> bool {
        let before = Signs::read(counters);
        work(counters);
        Signs::read(counters).show_overload_since(&before)
    }

    #[test]
    fn workers_that_never_find_their_sockets_empty_are_overloaded() {
        let counters = Counters::for_workers(2, 1);
        for (work, expected) in [
            ([(0, 0), (0, 0)], false),
            ([(200_000, 9000), (200_000, 7000)], false),
            ([(200_000, 0), (200_000, 0)], true),
            ([(200_000, 100), (200_000, 100)], true),
            ([(200_000, 0), (10, 10)], true),
            ([(1000, 0), (1000, 0)], false),
        ] {
            assert_eq!(is_overloaded_by(&counters, |counters| second(counters, &work)), expected, "{work:?}");
        }
    }

    #[test]
    fn one_busy_worker_of_three_is_no_overload() {
        let counters = Counters::for_workers(3, 1);
        assert!(!is_overloaded_by(&counters, |counters| second(counters, &[(200_000, 0), (9, 9), (9, 9)])));
        assert!(is_overloaded_by(&counters, |counters| second(
            counters,
            &[(200_000, 0), (200_000, 0), (9, 9)]
        )));
    }

    #[test]
    fn a_full_ring_and_connections_closed_for_others_are_overload() {
        let counters = Counters::for_workers(1, 1);
        let queue = counters.of_queue("eth0", 0);
        assert!(!is_overloaded_by(&counters, |_| queue.events.add(XskEvent::SentLater as usize, 1)));
        assert!(is_overloaded_by(&counters, |_| queue.events.add(XskEvent::ReceiveRingFull as usize, 1)));
        assert!(is_overloaded_by(&counters, |counters| counters.http_workers()[0].closed_for_room.add(0, 1)));
        assert!(!is_overloaded_by(&counters, |counters| counters.http_workers()[0].connections.add(0, 1)));
    }
}
