//! The thread that tells the cluster what this node has heard.

use super::multicast::GroupSender;
use super::packer::{Packed, Packer, Times};
use crate::clock::Now;
use crate::counters::livesync::{LivesyncCounters, Sent};
use crate::events::PeerEvent;
use std::sync::Arc;
use std::time::Duration;

/// Events are fetched this many times within the delay, so that none waits much longer than that.
const TURNS_PER_DELAY: u64 = 8;
/// No more often than this, and no less: the queue of events must not overflow meanwhile.
const TURN_MS: std::ops::RangeInclusive<u64> = 2..=25;

/// Sends to the group.
pub struct Sender {
    packer: Packer,
    group: GroupSender,
    counters: Arc<LivesyncCounters>,
    /// Whether the last datagram could not be sent: logged once, not for every datagram.
    is_failing: bool,
}

impl Sender {
    /// One that sends what this packer gives.
    pub const fn new(packer: Packer, group: GroupSender, counters: Arc<LivesyncCounters>) -> Self {
        Self { packer, group, counters, is_failing: false }
    }

    /// How long to rest between two turns.
    pub fn turn(delay_ms: u32) -> Duration {
        let turn = u64::from(delay_ms) / TURNS_PER_DELAY;
        Duration::from_millis(turn.clamp(*TURN_MS.start(), *TURN_MS.end()))
    }

    /// Takes an event in.
    pub fn add(&mut self, event: &PeerEvent, times: Times) {
        let Self { packer, group, counters, is_failing } = self;
        packer.add(event, times, &mut |packed| send(group, counters, is_failing, packed));
    }

    /// Sends what is due.
    pub fn send_due(&mut self, times: Times) {
        let Self { packer, group, counters, is_failing } = self;
        packer.send_due(times, &mut |packed| send(group, counters, is_failing, packed));
    }

    /// Sends everything: the node is about to end.
    pub fn send_all(&mut self, times: Times) {
        let Self { packer, group, counters, is_failing } = self;
        packer.send_all(times, &mut |packed| send(group, counters, is_failing, packed));
    }
}

impl Times {
    /// The time now.
    pub fn read() -> Self {
        Self { now: Now::read(), unix_ms: super::unix_ms() }
    }
}

fn send(group: &GroupSender, counters: &LivesyncCounters, is_failing: &mut bool, packed: Packed<'_>) {
    let Packed { datagram, events } = packed;
    match group.send(datagram) {
        Ok(()) => {
            counters.sent.add(Sent::Datagrams as usize, 1);
            counters.sent.add(Sent::Events as usize, events as u64);
            if std::mem::take(is_failing) {
                log::info!("livesync: datagrams go out again");
            }
        }
        Err(error) => {
            counters.sent.add(Sent::EventsUnsent as usize, events as u64);
            if !std::mem::replace(is_failing, true) {
                log::warn!(
                    "livesync: datagrams cannot be sent: {error}; other nodes hear nothing of this one"
                );
            }
        }
    }
}
