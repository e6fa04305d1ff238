//! The four rings of one receive queue and the way of its frames round them, without a system call.
//!
//! A frame is at exactly one place: free, in the fill ring, held by whoever works on its packet, or in the transmit ring
//! until the completion ring brings it back. [`Queue::places`] counts them.

use super::ring::{Consumer, Producer};
use super::umem::{Frame, Umem};
use libc::xdp_desc;

/// This process's side of the four rings.
#[derive(Debug)]
pub(super) struct Rings {
    pub(super) fill: Producer<u64>,
    pub(super) completion: Consumer<u64>,
    pub(super) receive: Consumer<xdp_desc>,
    pub(super) transmit: Producer<xdp_desc>,
}

/// The rings of one socket, and its frames.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) rings: Rings,
    pub(super) umem: Umem,
    /// Frames that are nowhere else.
    free: Vec<Frame>,
    /// Frames in the fill ring, or taken from it by the kernel and not yet received.
    filled: u32,
    /// Frames in the transmit ring, or sent and not yet back.
    sending: u32,
    /// Frames that the kernel named without having them.
    refused: u64,
    /// The most frames with the kernel for packets to come: the others are for what is sent.
    fill_target: u32,
}

/// Where the frames of a socket are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// With nobody.
    pub free: usize,
    /// With the kernel, for packets to come.
    pub receiving: usize,
    /// With the kernel, with packets to be sent.
    pub sending: usize,
    /// With whoever works on their packets.
    pub held: usize,
}

impl Queue {
    /// Rings as they were made, with all frames free.
    pub(super) fn new(rings: Rings, umem: Umem, free: Vec<Frame>, fill_target: u32) -> Self {
        Self { rings, umem, free, filled: 0, sending: 0, refused: 0, fill_target }
    }

    /// Takes back what has been sent, and gives the kernel frames for packets to come.
    pub(super) fn turn_over(&mut self) {
        let mut reaped = false;
        while let Some(address) = self.rings.completion.pop() {
            reaped = true;
            match self.umem.take_back(address, 0) {
                Some(frame) => {
                    self.sending = self.sending.saturating_sub(1);
                    self.free.push(frame);
                }
                None => self.refused += 1,
            }
        }
        if reaped {
            self.rings.completion.release();
        }
        self.refill();
    }

    /// Moves packets that have come in behind those in `batch`, until it holds `most`; returns how many.
    pub(super) fn receive(&mut self, batch: &mut Vec<Frame>, most: usize) -> usize {
        let before = batch.len();
        while batch.len() < most
            && let Some(packet) = self.rings.receive.pop()
        {
            match self.umem.take_back(packet.addr, packet.len) {
                Some(frame) => {
                    self.filled = self.filled.saturating_sub(1);
                    batch.push(frame);
                }
                None => self.refused += 1,
            }
        }
        let received = batch.len() - before;
        if received > 0 {
            self.rings.receive.release();
        }
        received
    }

    /// Puts `len` bytes from where a frame's packet begins into the transmit ring.
    ///
    /// # Errors
    /// The frame, where the ring is full.
    pub(super) fn send(&mut self, frame: Frame, len: usize) -> Result<(), Frame> {
        if !self.rings.transmit.has_room() {
            return Err(frame);
        }
        let frame = Umem::with_len(frame, len);
        let len = frame.len() as u32;
        let packet = xdp_desc { addr: self.umem.hand_over(frame), len, options: 0 };
        let pushed = self.rings.transmit.push(packet);
        debug_assert!(pushed, "there was room");
        self.sending += 1;
        Ok(())
    }

    /// Puts a frame that is not to be sent back where it is free.
    pub(super) fn recycle(&mut self, frame: Frame) {
        self.free.push(frame);
    }

    /// A free frame, for a packet of one's own.
    pub(super) fn take_free(&mut self) -> Option<Frame> {
        self.free.pop()
    }

    /// Where all frames are.
    pub(super) fn places(&self) -> Places {
        let (receiving, sending) = (self.filled as usize, self.sending as usize);
        Places { free: self.free.len(), receiving, sending, held: self.umem.ours() - self.free.len() }
    }

    fn refill(&mut self) {
        let mut has_filled = false;
        while self.filled < self.fill_target && self.rings.fill.has_room() {
            let Some(frame) = self.free.pop() else { break };
            let pushed = self.rings.fill.push(self.umem.hand_over(frame.emptied()));
            debug_assert!(pushed, "there was room");
            self.filled += 1;
            has_filled = true;
        }
        if has_filled {
            self.rings.fill.publish();
        }
    }
}

#[cfg(test)]
mod tests;
