//! Which messages of other nodes have come: each is taken once and in its order, so that no late word overtakes a later one.
//! What a node has missed it asks for. Knows no server and reads no clock.

use super::message::NodeId;
use crate::clock::Now;
use std::collections::HashMap;

/// Nodes that are remembered; one more makes room of the one that has been silent longest.
const MAX_NODES: usize = 1024;

/// An answer may take this long before it is asked for again.
const ANSWER_NS: u64 = 800_000_000;

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
    /// The number from which on this node has asked, and when, or has seen the answer go on.
    asked: Option<(u64, Now)>,
    /// Whether something of it has come before: what was before that was not for us.
    is_known: bool,
    last: Now,
}

/// What has come of whom.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    nodes: HashMap<NodeId, Heard>,
}

impl Inbox {
    /// Takes the number of a message down.
    pub(super) fn take(&mut self, node: NodeId, number: u64, now: Now) -> Place {
        let heard = self.of(node, now);
        match number.cmp(&heard.next) {
            std::cmp::Ordering::Less => Place::Repeated,
            std::cmp::Ordering::Greater => Place::Early,
            std::cmp::Ordering::Equal => {
                heard.next = number.saturating_add(1);
                heard.is_known = true;
                Place::Next
            }
        }
    }

    /// Another node can tell the messages from `oldest` on, and has told those up to `newest`.
    pub(super) fn state(&mut self, node: NodeId, oldest: u64, newest: u64, now: Now) -> Behind {
        let heard = self.of(node, now);
        let was_known = std::mem::replace(&mut heard.is_known, true);
        let mut behind = Behind::default();
        if heard.next < oldest {
            behind.lost = if was_known { oldest - heard.next } else { 0 };
            heard.next = oldest;
            // The answer to what was asked for begins there.
            heard.asked = heard.asked.map(|(_, at)| (oldest, at));
        }
        let waits = |(_, at): (u64, Now)| now.nanoseconds().saturating_sub(at.nanoseconds()) < ANSWER_NS;
        match heard.asked {
            _ if heard.next > newest => heard.asked = None,
            Some(asked) if waits(asked) => {}
            Some((from, _)) if from < heard.next => heard.asked = Some((heard.next, now)),
            Some(_) | None => {
                heard.asked = Some((heard.next, now));
                behind.ask_from = Some(heard.next);
            }
        }
        behind
    }

    /// Nodes of which something has come.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    fn of(&mut self, node: NodeId, now: Now) -> &mut Heard {
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&node) {
            let silent = self.nodes.iter().min_by_key(|(_, heard)| heard.last.nanoseconds());
            if let Some(silent) = silent.map(|(node, _)| *node) {
                self.nodes.remove(&silent);
            }
        }
        let new = Heard { next: 1, asked: None, is_known: false, last: now };
        let heard = self.nodes.entry(node).or_insert(new);
        heard.last = now;
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::{Behind, Inbox, MAX_NODES, Place};
    use crate::clock::Now;

    const NODE: [u8; 8] = *b"nodenode";

    fn at(secs: u32) -> Now {
        Now::from_seconds(secs)
    }

    #[test]
    fn every_message_is_taken_once_and_in_its_order() {
        let mut inbox = Inbox::default();
        let places = [1, 2, 2, 4, 3, 4, 1].map(|number| inbox.take(NODE, number, at(1)));
        let (next, repeated, early) = (Place::Next, Place::Repeated, Place::Early);
        assert_eq!(places, [next, next, repeated, early, next, next, repeated]);
        assert_eq!(inbox.take(*b"another!", 1, at(1)), next);
    }

    #[test]
    fn what_is_missing_is_asked_for_until_it_comes() {
        let mut inbox = Inbox::default();
        let asking = |from| Behind { lost: 0, ask_from: Some(from) };
        assert_eq!(inbox.state(NODE, 1, 0, at(1)), Behind::default());
        inbox.take(NODE, 1, at(1));
        assert_eq!(inbox.state(NODE, 1, 1, at(1)), Behind::default());
        inbox.take(NODE, 3, at(1));
        assert_eq!(inbox.state(NODE, 1, 3, at(2)), asking(2));
        assert_eq!(inbox.state(NODE, 1, 3, at(2)), Behind::default(), "the answer takes its time");
        assert_eq!(inbox.state(NODE, 1, 3, at(3)), asking(2), "there was no answer");
        inbox.take(NODE, 2, at(3));
        assert_eq!(inbox.state(NODE, 1, 3, at(4)), Behind::default(), "the answer is on its way");
        assert_eq!(inbox.state(NODE, 1, 3, at(5)), asking(3), "it ended too early");
        inbox.take(NODE, 3, at(5));
        assert_eq!(inbox.state(NODE, 1, 3, at(6)), Behind::default());
    }

    #[test]
    fn what_nobody_can_tell_any_more_is_counted_and_not_waited_for() {
        let mut inbox = Inbox::default();
        // Of a node that was there before this one, all that it has is asked for.
        assert_eq!(inbox.state(NODE, 90, 99, at(1)), Behind { lost: 0, ask_from: Some(90) });
        assert_eq!(inbox.take(NODE, 90, at(1)), Place::Next);
        assert_eq!(
            inbox.state(NODE, 200, 201, at(1)),
            Behind { lost: 109, ask_from: None },
            "it is being told"
        );
        assert_eq!(inbox.state(NODE, 200, 201, at(2)), Behind { lost: 0, ask_from: Some(200) });
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
        let id = |number: usize| (number as u64).to_be_bytes();
        let first = |number: usize| inbox.take(id(number), 1, at(number as u32));
        assert!((0..MAX_NODES).map(first).all(|place| place == Place::Next));
        inbox.take(id(0), 2, at(5000));
        assert_eq!(inbox.take(id(MAX_NODES), 1, at(5001)), Place::Next);
        assert_eq!(inbox.nodes(), MAX_NODES);
        assert_eq!(inbox.take(id(0), 2, at(5002)), Place::Repeated);
        assert_eq!(inbox.take(id(1), 1, at(5003)), Place::Next, "it was forgotten");
    }
}
