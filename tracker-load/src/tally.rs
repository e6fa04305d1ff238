//! What became of the requests of a measured time: each ends as answered, refused, lost, or still without its answer.
//!
//! A request belongs to the time in which it was due. Latency counts from then, not from when it was sent: a generator or
//! a tracker that falls behind does not make its own delay disappear (coordinated omission).

use crate::outstanding::Pending;
use crate::request::{Answer, Kind};
use anyhow::Result;
use hdrhistogram::Histogram;
use std::ops::Range;

/// The longest latency that is told from longer ones.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
/// Latencies are kept to three digits.
const DIGITS: u8 = 3;

/// Counts of one kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KindTally {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// Answered by an error response.
    pub(crate) refused: u64,
}

/// All counts of a measured time.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// The measured time.
    window_ns: Range<u64>,
    pub(crate) kinds: [KindTally; Kind::ALL.len()],
    /// Requests that were to be answered and were not in time.
    pub(crate) lost: u64,
    /// Answers that came in during the measured time, whenever their requests were due.
    pub(crate) answers_in_time: u64,
    /// Datagrams that are no answer to a request under way: late, twice, or nobody's.
    pub(crate) unknown: u64,
    /// Answers that contradict their requests or themselves.
    pub(crate) broken: u64,
    /// Requests that were due and that this generator had no time for.
    pub(crate) never_sent: u64,
    /// The longest time by which a request was sent later than it was due.
    pub(crate) worst_delay_ns: u64,
    /// Peers in all answers to announces.
    pub(crate) peers: u64,
    latencies_ns: Histogram<u64>,
}

impl Tally {
    /// Of requests that are due in this time.
    pub(crate) fn new(window_ns: Range<u64>) -> Result<Self> {
        Ok(Self {
            window_ns,
            kinds: Default::default(),
            lost: 0,
            answers_in_time: 0,
            unknown: 0,
            broken: 0,
            never_sent: 0,
            worst_delay_ns: 0,
            peers: 0,
            latencies_ns: Histogram::new_with_bounds(1, MAX_LATENCY_NS, DIGITS)?,
        })
    }

    /// Counts a request that is sent now.
    pub(crate) fn add_sent(&mut self, pending: &Pending, now_ns: u64) {
        if self.window_ns.contains(&pending.due_ns) {
            self.kinds[pending.kind as usize].sent += 1;
            self.worst_delay_ns = self.worst_delay_ns.max(now_ns.saturating_sub(pending.due_ns));
        }
    }

    /// Counts an answer that has come in now.
    pub(crate) fn add_answer(&mut self, pending: &Pending, answer: Option<Answer>, now_ns: u64) {
        let is_expected = pending.kind.expects_answer();
        if is_expected && self.window_ns.contains(&now_ns) && !matches!(answer, None | Some(Answer::Refused))
        {
            self.answers_in_time += 1;
        }
        if !self.window_ns.contains(&pending.due_ns) {
            return;
        }
        let kind = &mut self.kinds[pending.kind as usize];
        match answer {
            None => {
                self.broken += 1;
                return;
            }
            Some(Answer::Refused) => {
                kind.refused += 1;
                return;
            }
            Some(Answer::Announced(peers)) => self.peers += u64::from(peers),
            Some(Answer::Connected(_) | Answer::Scraped) => {}
        }
        kind.answered += 1;
        if is_expected {
            self.latencies_ns.saturating_record(now_ns.saturating_sub(pending.due_ns).max(1));
        }
    }

    /// Counts a request that has waited too long.
    pub(crate) fn add_given_up(&mut self, pending: &Pending) {
        if pending.kind.expects_answer() && self.window_ns.contains(&pending.due_ns) {
            self.lost += 1;
        }
    }

    /// Requests that were to be answered.
    pub(crate) fn expected(&self) -> u64 {
        Kind::ALL
            .iter()
            .filter(|kind| kind.expects_answer())
            .map(|kind| self.kinds[*kind as usize].sent)
            .sum()
    }

    /// Answers to requests that were to be answered; errors are none.
    pub(crate) fn answered(&self) -> u64 {
        let kinds = Kind::ALL.iter().filter(|kind| kind.expects_answer());
        kinds.map(|kind| self.kinds[*kind as usize].answered).sum()
    }

    /// The share of the requests that were to be answered and were lost, from 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        self.lost as f64 / self.expected().max(1) as f64
    }

    /// The latency in nanoseconds that this share of the answers, from 0 to 1, did not exceed.
    pub(crate) fn latency_ns(&self, share: f64) -> u64 {
        self.latencies_ns.value_at_quantile(share)
    }

    /// The longest latency in nanoseconds.
    pub(crate) fn worst_latency_ns(&self) -> u64 {
        self.latencies_ns.max()
    }

    /// Seconds of the measured time.
    pub(crate) fn seconds(&self) -> f64 {
        (self.window_ns.end - self.window_ns.start) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::{KindTally, Tally};
    use crate::outstanding::Pending;
    use crate::request::{Answer, Kind};

    fn request(kind: Kind, due_ns: u64) -> Pending {
        Pending { due_ns, kind, source: 0 }
    }

    #[test]
    fn every_request_of_the_measured_time_ends_once() {
        let mut tally = Tally::new(1000..2000).unwrap();
        let announces = [1000, 1100, 1200, 1999].map(|due_ns| request(Kind::Announce, due_ns));
        for announce in &announces {
            tally.add_sent(announce, announce.due_ns + 5);
        }
        tally.add_answer(&announces[0], Some(Answer::Announced(30)), 1300);
        tally.add_answer(&announces[1], Some(Answer::Refused), 1300);
        tally.add_answer(&announces[2], None, 1300);
        tally.add_given_up(&announces[3]);
        assert_eq!(tally.kinds[Kind::Announce as usize], KindTally { sent: 4, answered: 1, refused: 1 });
        assert_eq!((tally.broken, tally.lost, tally.peers, tally.worst_delay_ns), (1, 1, 30, 5));
        assert_eq!((tally.expected(), tally.answered(), tally.answers_in_time), (4, 1, 1));
        assert!((tally.loss() - 0.25).abs() < 1e-9);
    }

    #[test]
    fn what_is_due_before_or_after_is_another_measurements() {
        let mut tally = Tally::new(1000..2000).unwrap();
        for due_ns in [999, 2000] {
            let connect = request(Kind::Connect, due_ns);
            tally.add_sent(&connect, due_ns);
            tally.add_answer(&connect, Some(Answer::Connected([0; 8])), due_ns + 1);
            tally.add_given_up(&connect);
        }
        assert_eq!((tally.expected(), tally.answered(), tally.lost), (0, 0, 0));
        // The answer to the first came in the measured time, and was work that was done in it.
        assert_eq!(tally.answers_in_time, 1);
    }

    #[test]
    fn latency_counts_from_when_a_request_was_due() {
        let mut tally = Tally::new(0..1_000_000_000).unwrap();
        for number in 1..=1000 {
            // Sent a millisecond late, answered at once.
            let announce = request(Kind::Announce, 10);
            tally.add_sent(&announce, 1_000_010);
            tally.add_answer(&announce, Some(Answer::Announced(0)), 1_000_010 + number);
        }
        assert!((1_000_000..1_003_000).contains(&tally.latency_ns(0.5)), "{}", tally.latency_ns(0.5));
        assert!(tally.worst_latency_ns() >= 1_001_000);
    }

    #[test]
    fn a_wrong_id_that_is_not_answered_is_no_loss() {
        let mut tally = Tally::new(0..100).unwrap();
        let [silent, answered] = [request(Kind::Forged, 1), request(Kind::Stale, 2)];
        tally.add_sent(&silent, 1);
        tally.add_sent(&answered, 2);
        tally.add_given_up(&silent);
        tally.add_answer(&answered, Some(Answer::Announced(7)), 3);
        assert_eq!((tally.expected(), tally.answered(), tally.lost, tally.answers_in_time), (0, 0, 0, 0));
        assert_eq!(tally.kinds[Kind::Stale as usize].answered, 1);
        assert_eq!(tally.latency_ns(1.0), 0);
    }
}
