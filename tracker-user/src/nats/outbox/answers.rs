//! Who has missed which messages and is told them again. Nobody's question puts off what others have asked before: questions that
//! come while some are being answered wait until these have been.

use super::Audience;
use crate::clock::Now;
use crate::nats::message::{ANSWER, NodeId};
use std::collections::BTreeMap;
use std::ops::Range;

/// Nodes that ask within this time are answered together.
pub(super) const ASKING_NS: u64 = 100_000_000;
/// Nodes that can wait for an answer. Whoever is left out asks again.
const MAX_ASKERS: usize = 64;

/// Answers to questions, and questions.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// What each of the nodes that are being answered has still to be told.
    begun: BTreeMap<NodeId, Range<u64>>,
    /// What those have missed that have asked since then.
    waiting: BTreeMap<NodeId, Range<u64>>,
    /// When the first of them asked.
    asked: Option<Now>,
}

impl Answers {
    /// A node has missed messages from this number on.
    pub(super) fn ask(&mut self, asker: NodeId, first: u64, now: Now) {
        let is_told = self.begun.get(&asker).is_some_and(|rest| rest.contains(&first));
        let has_room = self.waiting.len() < MAX_ASKERS || self.waiting.contains_key(&asker);
        if is_told || !has_room {
            return;
        }
        let missed = first..first.saturating_add(ANSWER);
        self.waiting
            .entry(asker)
            .and_modify(|waiting| match waiting.end == first {
                true => waiting.end = missed.end,
                false => *waiting = missed.clone(),
            })
            .or_insert(missed.clone());
        self.asked.get_or_insert(now);
    }

    /// The message that is told again next, and to whom: everyone, where several have missed it. `told` are those that can be.
    pub(super) fn next(&mut self, told: &Range<u64>, now: Now) -> Option<(u64, Audience)> {
        self.end_answers(told);
        if self.begun.is_empty() {
            if self.is_collecting(now) {
                return None;
            }
            self.begun = std::mem::take(&mut self.waiting);
            self.asked = None;
            self.end_answers(told);
        }
        let number = self.begun.values().map(|rest| rest.start).min()?;
        let mut missing = self.begun.iter().filter(|(_, rest)| rest.start == number).map(|(asker, _)| *asker);
        let audience = match (missing.next()?, missing.next()) {
            (asker, None) => Audience::Node(asker),
            (_, Some(_)) => Audience::Everyone,
        };
        Some((number, audience))
    }

    /// An answer goes on until its node has been told all that everyone has: then it hears the next one with them.
    fn end_answers(&mut self, told: &Range<u64>) {
        self.begun.retain(|_, rest| {
            rest.start = rest.start.max(told.start);
            rest.start < rest.end.min(told.end)
        });
    }

    /// That message has gone out.
    pub(super) fn has_gone(&mut self, number: u64) {
        for rest in self.begun.values_mut().filter(|rest| rest.start == number) {
            rest.start += 1;
        }
    }

    fn is_collecting(&self, now: Now) -> bool {
        self.asked.is_some_and(|asked| now.nanoseconds().saturating_sub(asked.nanoseconds()) < ASKING_NS)
    }
}
