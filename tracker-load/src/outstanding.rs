//! Requests that are under way: which answer belongs to which, and which are given up.
//!
//! Transaction ids are given out in order, so the requests lie in a ring in the order in which they were sent, and those
//! that have waited too long are found at its end without a search.

use crate::request::Kind;

/// The fewest places of the ring.
const MIN_PLACES: usize = 1 << 16;
/// The most: 64 MiB.
const MAX_PLACES: usize = 1 << 22;

/// A request under way, or a place that is free.
#[derive(Clone, Copy)]
struct Place {
    /// When it was to be sent. 0: the place is free.
    due_ns: u64,
    sequence: u32,
    /// The source in the lower bits, the kind in the upper.
    source_and_kind: u32,
}

const KIND_SHIFT: u32 = 28;
const FREE: Place = Place { due_ns: 0, sequence: 0, source_and_kind: 0 };

/// The most sources that are told apart.
pub(crate) const MAX_SOURCES: u32 = 1 << KIND_SHIFT;

/// A request, as far as it matters for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// When it was to be sent, whether or not it was sent then.
    pub(crate) due_ns: u64,
    pub(crate) kind: Kind,
    pub(crate) source: u32,
}

/// All requests under way.
pub(crate) struct Outstanding {
    places: Box<[Place]>,
    /// Requests begun so far.
    begun: u64,
    /// Requests whose places have been looked at for the last time.
    settled: u64,
    /// Requests under way that are to be answered.
    expected: usize,
    timeout_ns: u64,
    /// What makes transaction ids of one run unlike those of another.
    salt: u32,
}

impl Outstanding {
    /// Room for what a rate leaves under way in the time after which a request is given up.
    pub(crate) fn new(most_per_sec: u64, timeout_ns: u64, salt: u32) -> Self {
        let under_way = most_per_sec as f64 * timeout_ns as f64 / 1e9;
        let places = ((under_way * 1.25) as usize).next_power_of_two().clamp(MIN_PLACES, MAX_PLACES);
        Self { places: vec![FREE; places].into(), begun: 0, settled: 0, expected: 0, timeout_ns, salt }
    }

    /// Whether one more request can be told from the others.
    pub(crate) const fn has_room(&self) -> bool {
        self.begun - self.settled < self.places.len() as u64
    }

    /// Requests under way that are to be answered.
    pub(crate) const fn expected(&self) -> usize {
        self.expected
    }

    /// Whether nothing is under way any more.
    pub(crate) const fn is_settled(&self) -> bool {
        self.begun == self.settled
    }

    /// Begins a request and returns its transaction id. There is room.
    pub(crate) fn begin(&mut self, pending: Pending) -> u32 {
        let sequence = self.begun as u32;
        let place = self.place(sequence);
        self.places[place] = Place {
            due_ns: pending.due_ns.max(1),
            sequence,
            source_and_kind: pending.source | (pending.kind as u32) << KIND_SHIFT,
        };
        self.begun += 1;
        self.expected += usize::from(pending.kind.expects_answer());
        sequence ^ self.salt
    }

    /// The request that an answer belongs to; `None`: it was never sent, is answered already or given up.
    pub(crate) fn answered(&mut self, transaction_id: u32) -> Option<Pending> {
        let sequence = transaction_id ^ self.salt;
        let place = self.place(sequence);
        let found = self.places[place];
        if found.due_ns == 0 || found.sequence != sequence {
            return None;
        }
        Some(self.clear(place))
    }

    /// Gives up the next request that has waited too long at `now_ns`, and returns it.
    pub(crate) fn give_up(&mut self, now_ns: u64) -> Option<Pending> {
        while self.settled < self.begun {
            let place = self.place(self.settled as u32);
            let found = self.places[place];
            if found.due_ns != 0 && found.due_ns + self.timeout_ns > now_ns {
                return None;
            }
            self.settled += 1;
            if found.due_ns != 0 {
                return Some(self.clear(place));
            }
        }
        None
    }

    fn clear(&mut self, place: usize) -> Pending {
        let Place { due_ns, source_and_kind, .. } = std::mem::replace(&mut self.places[place], FREE);
        let kind = Kind::ALL[(source_and_kind >> KIND_SHIFT) as usize % Kind::ALL.len()];
        self.expected -= usize::from(kind.expects_answer());
        Pending { due_ns, kind, source: source_and_kind & (MAX_SOURCES - 1) }
    }

    const fn place(&self, sequence: u32) -> usize {
        sequence as usize & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{MIN_PLACES, Outstanding, Pending};
    use crate::request::Kind;

    fn outstanding() -> Outstanding {
        Outstanding::new(1000, 100, 0xabcd_0000)
    }

    fn announce(due_ns: u64) -> Pending {
        Pending { due_ns, kind: Kind::Announce, source: 77 }
    }

    #[test]
    fn an_answer_finds_its_request_once() {
        let mut outstanding = outstanding();
        let first = outstanding.begin(announce(10));
        let second = outstanding.begin(Pending { due_ns: 11, kind: Kind::Stale, source: 3 });
        assert_eq!(outstanding.expected(), 1);
        assert_eq!(outstanding.answered(second), Some(Pending { due_ns: 11, kind: Kind::Stale, source: 3 }));
        assert_eq!(outstanding.answered(first), Some(announce(10)));
        assert_eq!(outstanding.answered(first), None);
        assert_eq!(outstanding.answered(first.wrapping_add(100)), None);
        assert_eq!(outstanding.expected(), 0);
    }

    #[test]
    fn what_waits_too_long_is_given_up_and_no_longer_answered() {
        let mut outstanding = outstanding();
        let ids = [10, 20, 30].map(|due_ns| outstanding.begin(announce(due_ns)));
        assert_eq!(outstanding.answered(ids[1]), Some(announce(20)));
        assert_eq!(outstanding.give_up(109), None);
        assert_eq!(outstanding.give_up(110), Some(announce(10)));
        assert_eq!(outstanding.give_up(110), None);
        assert_eq!(outstanding.answered(ids[0]), None);
        assert_eq!(outstanding.give_up(1000), Some(announce(30)));
        assert!(outstanding.is_settled());
    }

    #[test]
    fn places_are_used_again_and_old_answers_do_not_match_them() {
        let mut outstanding = outstanding();
        let first = outstanding.begin(announce(1));
        for _ in 1..MIN_PLACES {
            assert!(outstanding.has_room());
            outstanding.begin(announce(1));
        }
        assert!(!outstanding.has_room());
        assert_eq!(outstanding.give_up(101), Some(announce(1)));
        assert!(outstanding.has_room());
        let again = outstanding.begin(announce(2));
        assert_eq!(outstanding.answered(first), None);
        assert_eq!(outstanding.answered(again), Some(announce(2)));
    }
}
