//! Packets through ordinary sockets: one thread with a socket of every listen address, in batches.
//!
//! No allocation and no system call per packet: one receives and one sends a batch, one waits when all is done.

use super::batch::{BATCH, Batch};
use crate::clock::Now;
use crate::counters::UdpCounters;
use crate::udp::{Handler, Outcome};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io::{ErrorKind, Result};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Batches from one socket before the others have their turn.
const BATCHES_IN_A_ROW: usize = 16;
/// Sockets that one wait may name; those left out come first at the next.
const EVENTS: usize = 16;
/// The pause after an error that waiting may heal, such as a lack of kernel memory.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// One thread's work.
pub struct SocketWorker {
    sockets: Vec<UdpSocket>,
    handler: Handler,
    counters: Arc<UdpCounters>,
}

impl SocketWorker {
    /// A worker that serves these sockets.
    pub fn new(sockets: Vec<UdpSocket>, handler: Handler, counters: Arc<UdpCounters>) -> Self {
        Self { sockets, handler, counters }
    }

    /// Serves until the other end of `stop` is closed.
    ///
    /// # Errors
    /// Only where waiting itself fails; what a socket reports is logged and outlived.
    pub fn run(mut self, stop: &UnixStream) -> Result<()> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let stop_number = self.sockets.len();
        epoll.add(stop, EpollEvent::new(EpollFlags::EPOLLIN, stop_number as u64))?;
        for (number, socket) in self.sockets.iter().enumerate() {
            epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        }
        // Made here: the buffers belong to the thread that works with them.
        let mut batch = Batch::new();
        let mut events = [EpollEvent::empty(); EVENTS];
        loop {
            let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(error.into()),
            };
            for event in &events[..count] {
                let number = event.data() as usize;
                if number == stop_number {
                    return Ok(());
                }
                self.drain(&mut batch, number);
            }
        }
    }

    fn drain(&mut self, batch: &mut Batch, number: usize) {
        for _ in 0..BATCHES_IN_A_ROW {
            match batch.receive(&self.sockets[number]) {
                Ok(count) => {
                    self.handle(batch, count);
                    let refused = batch.send(&self.sockets[number]);
                    self.counters.unsent.add(0, refused as u64);
                    if count < BATCH {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    log::error!("receiving UDP packets: {error}");
                    std::thread::sleep(PAUSE_AFTER_ERROR);
                    return;
                }
            }
        }
    }

    fn handle(&mut self, batch: &mut Batch, count: usize) {
        let now = Now::read();
        for slot in 0..count {
            let packet = batch.packet(slot);
            let Some(source) = packet.source else { continue };
            let outcome = self.handler.handle(source, packet.payload, now, packet.answer);
            self.counters.verdicts.add(outcome.verdict().index(), 1);
            if let Outcome::Reply(_, len) = outcome {
                batch.queue(slot, len);
            }
        }
    }
}
