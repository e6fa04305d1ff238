//! The loop: sends what is due, takes in what has come, gives up what has waited too long.

use crate::carrier::Carrier;
use crate::clock::Clock;
use crate::draw::{Connections, Draw};
use crate::outstanding::{Outstanding, Pending};
use crate::pace::{Pace, Schedule};
use crate::population::Family;
use crate::request::{self, Answer, Composer, Kind, Request};
use crate::tally::Tally;
use anyhow::{Result, bail};
use std::time::Duration;

/// Requests that are sent between two looks at what has come in.
const BATCH: u64 = 64;
/// For how long sources ask for their first connection ids: a tracker may just be starting.
const CONNECT_LIMIT_NS: u64 = 10_000_000_000;
/// For how long nothing is waited for longer than this at once.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// A point of a measurement that others may want to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The warm-up is over.
    Measuring,
    /// The measured time is over.
    Measured,
}

/// How long a measurement takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// Everything that a request meets, but for its way out.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) composer: Composer,
    pub(crate) draw: Draw,
    pub(crate) connections: Connections,
    pub(crate) outstanding: Outstanding,
    pub(crate) tally: Tally,
}

/// A generator on its way in and out.
pub(crate) struct Generator<C> {
    pub(crate) carrier: C,
    pub(crate) world: World,
}

impl World {
    fn begin(&mut self, request: &Request, due_ns: u64, now_ns: u64) -> u32 {
        let pending = Pending { due_ns, kind: request.kind, source: request.source };
        self.tally.add_sent(&pending, now_ns);
        self.outstanding.begin(pending)
    }

    fn take_answer(&mut self, datagram: &[u8], now_ns: u64) {
        let transaction_id = request::transaction_id(datagram);
        let Some(pending) = transaction_id.and_then(|id| self.outstanding.answered(id)) else {
            self.tally.unknown += 1;
            return;
        };
        let family: Family = self.draw.family(pending.source);
        let answer = request::read_answer(pending.kind, family, datagram);
        if let Some(Answer::Connected(id)) = answer {
            self.connections.set(pending.source, id, now_ns);
        }
        self.tally.add_answer(&pending, answer, now_ns);
    }

    fn give_up(&mut self, now_ns: u64) {
        while let Some(pending) = self.outstanding.give_up(now_ns) {
            self.tally.add_given_up(&pending);
        }
    }
}

impl<C: Carrier> Generator<C> {
    /// Gives every source a connection id.
    ///
    /// # Errors
    /// Where the tracker does not answer all of them.
    pub(crate) fn connect(&mut self, under_way: usize) -> Result<()> {
        let limit_ns = self.world.clock.now_ns() + CONNECT_LIMIT_NS;
        loop {
            let missing = self.world.connections.missing();
            if missing.is_empty() {
                return Ok(());
            }
            if self.world.clock.now_ns() >= limit_ns {
                let count = missing.len();
                bail!(
                    "{count} sources were given no connection id: does the tracker run, and can it answer them?"
                );
            }
            let peer = self.world.composer.population.peer(0);
            let request = |source| Request { kind: Kind::Connect, source, peer, is_first: false };
            self.run_through(missing.into_iter().map(request), under_way)?;
        }
    }

    /// Announces every peer once, with event `started`, and returns how many were answered.
    pub(crate) fn fill(&mut self, under_way: usize) -> Result<u64> {
        // Counts this and nothing else.
        self.world.tally = Tally::new(0..u64::MAX)?;
        for peers in self.world.draw.families().to_vec() {
            let population = self.world.composer.population.clone();
            let announces = peers.in_runs().map(|number| Request {
                kind: Kind::Announce,
                source: peers.source(number),
                peer: population.peer(number),
                is_first: true,
            });
            self.run_through(announces, under_way)?;
        }
        Ok(self.world.tally.kinds[Kind::Announce as usize].answered)
    }

    /// Sends requests at this pace, counts those that are due after the warm-up, and waits for the last answers.
    pub(crate) fn measure(&mut self, pace: Pace, times: Times, mut tell: impl FnMut(Event)) -> Result<Tally> {
        let start_ns = self.world.clock.now_ns();
        let begin_ns = start_ns + times.warm_up.as_nanos() as u64;
        let end_ns = begin_ns + times.duration.as_nanos() as u64;
        self.world.tally = Tally::new(begin_ns..end_ns)?;
        let damaged_before = self.carrier.damaged();
        let mut schedule = Schedule::new(pace, start_ns);
        let mut has_begun = false;
        loop {
            let now_ns = self.world.clock.now_ns();
            if !has_begun && now_ns >= begin_ns {
                has_begun = true;
                tell(Event::Measuring);
            }
            if now_ns >= end_ns {
                break;
            }
            let sent = self.send_due(&mut schedule, now_ns)?;
            let received = self.take_in()?;
            if sent == 0 && received == 0 {
                let pause = schedule.pause(self.world.clock.now_ns());
                self.carrier.wait(pause.min(LONGEST_PAUSE))?;
            }
        }
        tell(Event::Measured);
        self.settle()?;
        let mut tally = self.world.tally.clone();
        tally.never_sent = schedule.never_sent(end_ns);
        tally.broken += self.carrier.damaged() - damaged_before;
        Ok(tally)
    }

    fn send_due(&mut self, schedule: &mut Schedule, now_ns: u64) -> Result<u64> {
        let Self { carrier, world } = self;
        let due = schedule.due(now_ns, world.outstanding.expected()).min(BATCH);
        if due == 0 {
            return Ok(0);
        }
        let source = C::ONE_SOURCE_AT_A_TIME.then(|| world.draw.source());
        let mut sent = 0;
        while sent < due && world.outstanding.has_room() && carrier.has_room() {
            let due_ns = schedule.take(now_ns);
            let World { draw, composer, connections, .. } = world;
            let request = draw.request(source, &composer.population, connections, now_ns);
            send(carrier, world, &request, due_ns, now_ns)?;
            sent += 1;
        }
        carrier.flush()?;
        Ok(sent)
    }

    /// Sends all of these, so many at a time, and waits for their answers.
    fn run_through(&mut self, requests: impl Iterator<Item = Request>, under_way: usize) -> Result<()> {
        let mut requests = requests.peekable();
        while requests.peek().is_some() {
            let now_ns = self.world.clock.now_ns();
            let free = under_way.saturating_sub(self.world.outstanding.expected()).min(BATCH as usize);
            let mut sent = 0;
            while sent < free && self.world.outstanding.has_room() && self.carrier.has_room() {
                let Some(request) = requests.next() else { break };
                send(&mut self.carrier, &mut self.world, &request, now_ns, now_ns)?;
                sent += 1;
            }
            if sent > 0 {
                self.carrier.flush()?;
            }
            if self.take_in()? == 0 && sent == 0 {
                self.carrier.wait(Duration::from_millis(1))?;
            }
        }
        self.settle()
    }

    /// Waits until every request is answered or given up.
    fn settle(&mut self) -> Result<()> {
        while !self.world.outstanding.is_settled() {
            self.carrier.flush()?;
            if self.take_in()? == 0 && !self.world.outstanding.is_settled() {
                self.carrier.wait(Duration::from_millis(1))?;
            }
        }
        Ok(())
    }

    fn take_in(&mut self) -> Result<usize> {
        let Self { carrier, world } = self;
        let mut now_ns = 0;
        let received = carrier.receive(|datagram| {
            // Once a batch: answers that come in together came in now.
            if now_ns == 0 {
                now_ns = world.clock.now_ns();
            }
            world.take_answer(datagram, now_ns);
        })?;
        let now_ns = if now_ns == 0 { world.clock.now_ns() } else { now_ns };
        world.give_up(now_ns);
        Ok(received)
    }
}

fn send<C: Carrier>(
    carrier: &mut C,
    world: &mut World,
    request: &Request,
    due_ns: u64,
    now_ns: u64,
) -> Result<()> {
    let transaction_id = world.begin(request, due_ns, now_ns);
    let connection_id = world.connections.id(request.source);
    carrier.queue(request.source, |payload| {
        world.composer.write(request, connection_id, transaction_id, payload)
    })
}
