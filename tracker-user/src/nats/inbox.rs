//! Which messages of other nodes have come: each is taken once and in its order, so that no late word overtakes a later one.
//! What a node has missed it asks for, a piece at a time. Knows no server and reads no clock.

use super::message::{ANSWER, NodeId};
use crate::clock::Now;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Nodes that are remembered; one more makes room of the one that has been silent longest.
const MAX_NODES: usize = 1024;

/// An answer that does not go on for so long is asked for again.
const ANSWER_NS: u64 = 800_000_000;

/// A node of another site, as its messages name it: the name of its site and its id. A site is not believed of the nodes of others.
pub(super) type Sender<'a> = (&'a str, NodeId);

/// What a message is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The next one.
    Next,
    /// It has come before.
    Repeated,
    /// Others before it have not come; it will be asked for with them.
    Early,
}

/// What there is to do about another node's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Behind {
    /// Messages that nobody can tell any more.
    pub(super) lost: u64,
    /// The number from which on this node asks.
    pub(super) ask_from: Option<u64>,
}

/// What is known of another node.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// The number that comes next.
    next: u64,
    /// The highest that it is known to have told.
    newest: u64,
    /// What this node has asked for.
    asked: Option<Asked>,
    /// Whether something of it has come before: what was before that was not for us.
    is_known: bool,
    last: Now,
}

/// What was asked for and has not come.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// The number behind it.
    until: u64,
    /// When it was asked for, or when the answer last went on.
    since: Now,
}

/// What has come of whom.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    nodes: HashMap<(u64, NodeId), Heard>,
    /// Names of sites are kept as their hashes: they may be long, and of anybody's choice.
    sites: RandomState,
}

impl Inbox {
    /// Takes the number of a message down: what the message is, and from where on this node asks because of it.
    pub(super) fn take(&mut self, sender: Sender<'_>, number: u64, now: Now) -> (Place, Option<u64>) {
        let heard = self.of(sender, now);
        match number.cmp(&heard.next) {
            std::cmp::Ordering::Less => (Place::Repeated, None),
            std::cmp::Ordering::Greater => {
                heard.newest = heard.newest.max(number);
                // Where it begins, a node that is new to us says in its state.
                (Place::Early, if heard.is_known { heard.wanted(now) } else { None })
            }
            std::cmp::Ordering::Equal => {
                heard.next = number.saturating_add(1);
                heard.is_known = true;
                if let Some(asked) = &mut heard.asked {
                    asked.since = now;
                }
                (Place::Next, heard.wanted(now))
            }
        }
    }

    /// Another node can tell the messages from `oldest` on, and has told those up to `newest`.
    pub(super) fn state(&mut self, sender: Sender<'_>, oldest: u64, newest: u64, now: Now) -> Behind {
        let heard = self.of(sender, now);
        let was_known = std::mem::replace(&mut heard.is_known, true);
        let lost = oldest.saturating_sub(heard.next);
        heard.next = heard.next.max(oldest);
        heard.newest = heard.newest.max(newest);
        Behind { lost: if was_known { lost } else { 0 }, ask_from: heard.wanted(now) }
    }

    /// Nodes of which something has come.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    fn of(&mut self, (site, node): Sender<'_>, now: Now) -> &mut Heard {
        let key = (self.sites.hash_one(site), node);
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&key) {
            let silent = self.nodes.iter().min_by_key(|(_, heard)| heard.last.nanoseconds());
            if let Some(silent) = silent.map(|(key, _)| *key) {
                self.nodes.remove(&silent);
            }
        }
        let new = Heard { next: 1, newest: 0, asked: None, is_known: false, last: now };
        let heard = self.nodes.entry(key).or_insert(new);
        heard.last = now;
        heard
    }
}

impl Heard {
    /// From where on to ask now: at once when something is missing, for the next piece when half of one has come, and again
    /// when an answer does not go on.
    fn wanted(&mut self, now: Now) -> Option<u64> {
        if self.next > self.newest {
            self.asked = None;
            return None;
        }
        let first = match self.asked {
            Some(Asked { until, since }) if self.next < until => {
                let waited_ns = now.nanoseconds().saturating_sub(since.nanoseconds());
                let is_half_in = until - self.next <= ANSWER / 2;
                if waited_ns >= ANSWER_NS {
                    self.next
                } else if is_half_in && until <= self.newest {
                    until
                } else {
                    return None;
                }
            }
            Some(_) | None => self.next,
        };
        self.asked = Some(Asked { until: first.saturating_add(ANSWER), since: now });
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWER, Behind, Inbox, MAX_NODES, Place, Sender};
    use crate::clock::Now;

    const NODE: Sender<'_> = ("paris", *b"nodenode");

    fn at(secs: u32) -> Now {
        Now::from_seconds(secs)
    }

    fn places(inbox: &mut Inbox, numbers: impl IntoIterator<Item = u64>, now: Now) -> Vec<Place> {
        numbers.into_iter().map(|number| inbox.take(NODE, number, now).0).collect()
    }

    fn asking(from: u64) -> Behind {
        Behind { lost: 0, ask_from: Some(from) }
    }

    #[test]
    fn every_message_is_taken_once_and_in_its_order() {
        let mut inbox = Inbox::default();
        let (next, repeated, early) = (Place::Next, Place::Repeated, Place::Early);
        let expected = [next, next, repeated, early, next, next, repeated];
        assert_eq!(places(&mut inbox, [1, 2, 2, 4, 3, 4, 1], at(1)), expected);
        assert_eq!(inbox.take(("paris", *b"another!"), 1, at(1)), (next, None));
    }

    #[test]
    fn what_one_site_says_of_a_node_of_another_is_not_that_nodes_word() {
        let mut inbox = Inbox::default();
        inbox.take(NODE, 1, at(1));
        inbox.state(("rome", NODE.1), 1 << 40, 1 << 40, at(1));
        assert_eq!(inbox.take(("rome", NODE.1), 1 << 41, at(1)).0, Place::Early);
        assert_eq!(inbox.take(NODE, 2, at(1)), (Place::Next, None));
    }

    #[test]
    fn what_is_missing_is_asked_for_at_once_and_until_it_comes() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.state(NODE, 1, 0, at(1)), Behind::default());
        inbox.take(NODE, 1, at(1));
        assert_eq!(inbox.state(NODE, 1, 1, at(1)), Behind::default());
        assert_eq!(inbox.take(NODE, 4, at(2)), (Place::Early, Some(2)));
        assert_eq!(inbox.take(NODE, 5, at(2)), (Place::Early, None), "the answer takes its time");
        assert_eq!(inbox.state(NODE, 1, 5, at(2)), Behind::default());
        assert_eq!(inbox.state(NODE, 1, 5, at(3)), asking(2), "there was no answer");
        inbox.take(NODE, 2, at(4));
        assert_eq!(inbox.state(NODE, 1, 5, at(4)), Behind::default(), "the answer is on its way");
        assert_eq!(inbox.take(NODE, 6, at(5)), (Place::Early, Some(3)), "it ended too early");
        assert_eq!(places(&mut inbox, 3..=6, at(5)), [Place::Next; 4]);
        assert_eq!(inbox.state(NODE, 1, 6, at(9)), Behind::default());
        assert_eq!(inbox.take(NODE, 8, at(9)), (Place::Early, Some(7)));
    }

    #[test]
    fn much_is_asked_for_in_pieces_each_before_the_last_one_has_ended() {
        let mut inbox = Inbox::default();
        let newest = 2 * ANSWER + 10;
        assert_eq!(inbox.state(NODE, 1, newest, at(1)), asking(1));
        let asks: Vec<_> = (1..=newest)
            .filter_map(|number| inbox.take(NODE, number, at(1)).1.map(|first| (number, first)))
            .collect();
        assert_eq!(asks, [(ANSWER / 2, ANSWER + 1), (ANSWER + ANSWER / 2, 2 * ANSWER + 1)]);
    }

    #[test]
    fn what_nobody_can_tell_any_more_is_counted_and_not_waited_for() {
        let mut inbox = Inbox::default();
        // A node that was there before this one says where it begins, before it is asked.
        assert_eq!(inbox.take(NODE, 98, at(1)), (Place::Early, None));
        assert_eq!(inbox.state(NODE, 90, 99, at(1)), asking(90));
        assert_eq!(inbox.take(NODE, 90, at(1)), (Place::Next, None));
        let lost = Behind { lost: 109, ask_from: None };
        assert_eq!(inbox.state(NODE, 200, 201, at(1)), lost, "it is being told");
        assert_eq!(inbox.state(NODE, 200, 201, at(2)), asking(200));
        assert_eq!(inbox.state(NODE, 9999, 9999, at(2)), Behind { lost: 9799, ask_from: Some(9999) });
    }

    #[test]
    fn what_is_lost_behind_the_first_message_counts_though_the_node_had_told_no_state() {
        let mut inbox = Inbox::default();
        inbox.take(NODE, 1, at(1));
        assert_eq!(inbox.state(NODE, 5, 5, at(2)).lost, 3);
    }

    #[test]
    fn the_node_that_was_silent_longest_makes_room() {
        let mut inbox = Inbox::default();
        let id = |number: usize| ("paris", (number as u64).to_be_bytes());
        let first = |number: usize| inbox.take(id(number), 1, at(number as u32)).0;
        assert!((0..MAX_NODES).map(first).all(|place| place == Place::Next));
        inbox.take(id(0), 2, at(5000));
        assert_eq!(inbox.take(id(MAX_NODES), 1, at(5001)).0, Place::Next);
        assert_eq!(inbox.nodes(), MAX_NODES);
        assert_eq!(inbox.take(id(0), 2, at(5002)).0, Place::Repeated);
        assert_eq!(inbox.take(id(1), 1, at(5003)).0, Place::Next, "it was forgotten");
    }
}
