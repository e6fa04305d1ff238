//! Packets through ordinary sockets: one thread with a socket of every listen address, in batches.
//!
//! No allocation and no system call per packet: one receives and one sends a batch, one waits when all is done.

use super::batch::{BATCH, Batch};
use crate::clock::Now;
use crate::counters::UdpCounters;
use crate::pulse::Pulse;
use crate::udp::{Handler, Outcome};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Result};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Rounds over all sockets before the stop is looked for, where packets never cease.
const ROUNDS_IN_A_ROW: usize = 64;
/// The pause after an error that waiting may heal, such as a lack of kernel memory.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// One thread's work.
pub struct SocketWorker {
    sockets: Vec<UdpSocket>,
    handler: Handler,
    counters: Arc<UdpCounters>,
    pulse: Pulse,
}

impl SocketWorker {
    /// A worker that serves these sockets.
    pub fn new(sockets: Vec<UdpSocket>, handler: Handler, counters: Arc<UdpCounters>) -> Self {
        let handler = handler.counting_in(Arc::clone(&counters));
        Self { sockets, handler, counters, pulse: Pulse::default() }
    }

    /// The same worker, which gives signs of life.
    #[must_use]
    pub fn with_pulse(self, pulse: Pulse) -> Self {
        Self { pulse, ..self }
    }

    /// Serves until the other end of `stop` is closed.
    ///
    /// Waits by `poll`, not `epoll`: an `epoll` stays in the wait queue of every socket, and the kernel calls it for
    /// each packet that comes or has gone out, busy or not. That is some 5 % of a worker's time under load.
    ///
    /// # Errors
    /// Only where waiting itself fails; what a socket reports is logged and outlived.
    pub fn run(self, stop: &UnixStream) -> Result<()> {
        let Self { sockets, handler, counters, pulse } = self;
        // Made here: the buffers belong to the thread that works with them.
        let mut server = Server { handler, counters, batch: Batch::new() };
        let watched = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = vec![watched(stop.as_fd())];
        fds.extend(sockets.iter().map(|socket| watched(socket.as_fd())));
        loop {
            pulse.beat();
            let left = server.serve_until_empty(&sockets);
            let timeout = if left == Left::Nothing {
                server.counters.waits.add(0, 1);
                pulse.sleep()
            } else {
                PollTimeout::ZERO
            };
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if fds.first().and_then(PollFd::any).unwrap_or(true) {
                return Ok(());
            }
        }
    }
}

/// What may still wait in a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It was found empty.
    Nothing,
    /// A whole batch came, so there may be more.
    Perhaps,
}

/// What takes packets from sockets and answers them.
struct Server {
    handler: Handler,
    counters: Arc<UdpCounters>,
    batch: Batch,
}

impl Server {
    /// Serves all sockets in turn, a batch of each, until all were empty in one round.
    fn serve_until_empty(&mut self, sockets: &[UdpSocket]) -> Left {
        for _ in 0..ROUNDS_IN_A_ROW {
            let mut left = Left::Nothing;
            for socket in sockets {
                if self.serve(socket) == Left::Perhaps {
                    left = Left::Perhaps;
                }
            }
            if left == Left::Nothing {
                return Left::Nothing;
            }
        }
        Left::Perhaps
    }

    /// Serves one batch.
    fn serve(&mut self, socket: &UdpSocket) -> Left {
        match self.batch.receive(socket) {
            Ok(count) => {
                self.handle(count);
                let refused = self.batch.send(socket);
                self.counters.unsent.add(0, refused as u64);
                if count < BATCH { Left::Nothing } else { Left::Perhaps }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Left::Nothing,
            Err(error) if error.kind() == ErrorKind::Interrupted => Left::Perhaps,
            Err(error) => {
                log::error!("receiving UDP packets: {error}");
                std::thread::sleep(PAUSE_AFTER_ERROR);
                Left::Nothing
            }
        }
    }

    fn handle(&mut self, count: usize) {
        let now = Now::read();
        // A single packet waits for its memory either way.
        if count > 1 {
            self.handler.prefetch((0..count).map(|slot| self.batch.payload(slot)));
        }
        for slot in 0..count {
            let packet = self.batch.packet(slot);
            let Some(source) = packet.source else { continue };
            let outcome = self.handler.handle(source, packet.payload, now, packet.answer);
            self.counters.verdicts.add(outcome.verdict().index(), 1);
            if let Outcome::Reply(_, len) = outcome {
                self.batch.queue(slot, len);
            }
        }
    }
}
