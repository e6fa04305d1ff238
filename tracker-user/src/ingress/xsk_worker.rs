//! A thread that serves one receive queue: packets from the card's ring to [`crate::udp`] and back in the same frames.

use super::frame::{self, Headers};
use super::xsk::{FRAME_LEN, Frame, QueueSocket, Wake};
use crate::clock::Now;
use crate::counters::{UdpCounters, XskCounters, XskEvent};
use crate::pulse::Pulse;
use crate::udp::{Handler, Outcome, Packet};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::Result;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tracker_common::verdict::Verdict;

/// Packets that are worked on at a time: their torrents are prefetched together.
const BATCH: usize = 64;
/// Batches in a row before it is looked whether to stop.
const BATCHES_IN_A_ROW: u32 = 1024;
/// Looks into an empty queue that is polled before the thread sleeps until there is something.
const IDLE_POLLS: u32 = 256;
/// Milliseconds after which a sleeping thread looks whether its interface is still there: nothing else says so.
const LOOK_AFTER_MS: u16 = 1000;
/// Milliseconds after which the kernel is asked again to send what it had no room for.
const SEND_AFTER_MS: u16 = 1;

/// Why a worker has ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Asked,
    /// Its interface is gone: its packets come through the UDP sockets when it comes back.
    InterfaceGone,
}

/// A worker with its socket, not yet running.
pub struct XskWorker {
    server: Server,
    pulse: Pulse,
}

/// What takes packets from the rings and answers them.
struct Server {
    socket: QueueSocket,
    handler: Handler,
    counters: Arc<UdpCounters>,
    events: Arc<XskCounters>,
    batch: Batch,
    /// Whether packets wait to be sent for which the kernel had no room.
    has_unsent: bool,
    /// Whether it is known that the queue is polled, or not to be.
    polling_is_settled: bool,
    /// Whole seconds in which the kernel's own counters were last read.
    counted_at_secs: u32,
}

/// The packets at hand; kept for its memory.
struct Batch {
    frames: Vec<Frame>,
    headers: Vec<Option<Headers>>,
    /// Requests are copied out of their frames: the answers are written there.
    request: Box<[u8; FRAME_LEN]>,
}

impl XskWorker {
    /// A worker on a queue, with the counters that it moves.
    pub fn new(
        socket: QueueSocket,
        handler: Handler,
        counters: Arc<UdpCounters>,
        events: Arc<XskCounters>,
    ) -> Self {
        let batch = Batch {
            frames: Vec::with_capacity(BATCH),
            headers: Vec::with_capacity(BATCH),
            request: Box::new([0; FRAME_LEN]),
        };
        let handler = handler.counting_in(Arc::clone(&counters));
        let server = Server {
            polling_is_settled: !socket.is_polled(),
            socket,
            handler,
            counters,
            events,
            batch,
            has_unsent: false,
            counted_at_secs: 0,
        };
        Self { server, pulse: Pulse::default() }
    }

    /// The same worker, which gives signs of life.
    #[must_use]
    pub fn with_pulse(self, pulse: Pulse) -> Self {
        Self { pulse, ..self }
    }

    /// Serves until the other end of `stop` is closed, or the interface is gone.
    ///
    /// # Errors
    /// Where waiting or sending fails in a way that no later try would mend.
    pub fn run(self, stop: &UnixStream) -> Result<Ended> {
        let Self { mut server, pulse } = self;
        let look_after = match pulse.sleep() {
            PollTimeout::NONE => LOOK_AFTER_MS.into(),
            sleep => sleep.min(LOOK_AFTER_MS.into()),
        };
        loop {
            pulse.beat();
            let is_empty = server.serve_until_empty()?;
            server.counters.waits.add(0, u64::from(is_empty));
            let timeout = match is_empty {
                false => PollTimeout::ZERO,
                true if server.has_unsent => SEND_AFTER_MS.into(),
                true => look_after,
            };
            let watched = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut fds = [watched(stop.as_fd()), watched(server.socket.as_fd())];
            match poll(&mut fds, timeout) {
                Ok(0) if timeout != PollTimeout::ZERO && server.socket.is_orphaned() => {
                    return Ok(Ended::InterfaceGone);
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [stop, socket] = &fds;
            if stop.any().unwrap_or(true) {
                return Ok(Ended::Asked);
            }
            let failed = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
            if socket.revents().is_some_and(|events| events.intersects(failed)) && server.socket.is_orphaned()
            {
                return Ok(Ended::InterfaceGone);
            }
            server.publish_kernel_counters(Now::read());
        }
    }
}

impl Server {
    /// Serves batch after batch; returns whether the queue was found empty.
    fn serve_until_empty(&mut self) -> Result<bool> {
        let mut idle_polls = if self.socket.is_polled() { IDLE_POLLS } else { 0 };
        for _ in 0..BATCHES_IN_A_ROW {
            self.socket.take_in();
            if self.serve()? > 0 {
                continue;
            }
            if idle_polls == 0 {
                return Ok(true);
            }
            idle_polls -= 1;
        }
        Ok(false)
    }

    /// Serves one batch and returns how many packets it had.
    fn serve(&mut self) -> Result<usize> {
        self.socket.turn_over();
        let count = self.socket.receive(&mut self.batch.frames, BATCH);
        if count > 0 {
            self.parse();
            self.answer(Now::read());
            self.settle_polling();
        }
        let wake = self.socket.wake()?;
        self.has_unsent = wake == Wake::Later;
        match wake {
            Wake::Done => {}
            Wake::Later => self.events.add(XskEvent::SentLater as usize, 1),
            Wake::Down => self.events.add(XskEvent::InterfaceDown as usize, 1),
        }
        Ok(count)
    }

    /// With the first packets: interrupts do where the kernel does not poll, and looking into the queue would be in vain.
    fn settle_polling(&mut self) {
        if self.polling_is_settled {
            return;
        }
        self.polling_is_settled = true;
        if self.socket.stop_vain_polling() {
            let queue = self.socket.number();
            log::warn!(
                "xsk.busy_poll does nothing for queue {queue}: its driver does not tell the kernel what to poll (veth does not since \
                 Linux 6.14); interrupts go on"
            );
        }
    }

    /// Reads all headers, and begins to load what the requests will touch.
    fn parse(&mut self) {
        let Self { socket, handler, counters, batch, .. } = self;
        batch.headers.clear();
        for frame in &batch.frames {
            let headers = frame::parse(socket.packet(frame));
            if let Err(verdict) = &headers {
                counters.verdicts.add(verdict.index(), 1);
            }
            batch.headers.push(headers.ok());
        }
        // A single packet waits for its memory either way.
        if batch.frames.len() > 1 {
            let payload = |(frame, headers): (&Frame, &Option<Headers>)| {
                headers.as_ref().and_then(|headers| socket.packet(frame).get(headers.payload.clone()))
            };
            handler.prefetch(batch.frames.iter().zip(&batch.headers).filter_map(payload));
        }
    }

    fn answer(&mut self, now: Now) {
        let Self { socket, handler, counters, events, batch, .. } = self;
        for (mut frame, headers) in batch.frames.drain(..).zip(&batch.headers) {
            let Some(headers) = headers else {
                socket.recycle(frame);
                continue;
            };
            let room = socket.room(&mut frame);
            match answer_in_place(handler, headers, room, now, &mut batch.request) {
                (Outcome::Ignore(verdict), _) => {
                    counters.verdicts.add(verdict.index(), 1);
                    socket.recycle(frame);
                }
                (Outcome::Reply(verdict, _), len) => {
                    counters.verdicts.add(verdict.index(), 1);
                    if let Err(frame) = socket.send(frame, len) {
                        socket.recycle(frame);
                        events.add(XskEvent::TransmitRingFull as usize, 1);
                        counters.unsent.add(0, 1);
                    }
                }
            }
        }
    }

    /// Once a second at most: it is a system call.
    fn publish_kernel_counters(&mut self, now: Now) {
        if self.counted_at_secs == now.seconds() {
            return;
        }
        self.counted_at_secs = now.seconds();
        self.events.set(XskEvent::TransmitDropped as usize, self.socket.dropped());
        self.events.set(XskEvent::WakeUp as usize, self.socket.wake_ups());
        let Ok(counted) = self.socket.statistics() else { return };
        for (event, count) in [
            (XskEvent::ReceiveDropped, counted.receive_dropped),
            (XskEvent::ReceiveRingFull, counted.receive_ring_full),
            (XskEvent::FillRingEmpty, counted.fill_ring_empty),
            (XskEvent::InvalidEntry, counted.receive_invalid + counted.transmit_invalid),
        ] {
            self.events.set(event as usize, count);
        }
    }
}

/// Handles the request in a frame; an answer stands in the frame afterwards, whose length is returned.
fn answer_in_place(
    handler: &mut Handler,
    headers: &Headers,
    frame: &mut [u8],
    now: Now,
    request: &mut [u8; FRAME_LEN],
) -> (Outcome, usize) {
    let payload = &frame[headers.payload.clone()];
    let len = payload.len().min(request.len());
    request[..len].copy_from_slice(&payload[..len]);
    let out: Option<&mut Packet> = frame[headers.payload.start..].first_chunk_mut();
    let Some(out) = out else { return (Outcome::Ignore(Verdict::BadHeader), 0) };
    let outcome = handler.handle(headers.source, &request[..len], now, out);
    match outcome {
        Outcome::Reply(_, len) => (outcome, headers.turn_round(frame, len)),
        Outcome::Ignore(_) => (outcome, 0),
    }
}
