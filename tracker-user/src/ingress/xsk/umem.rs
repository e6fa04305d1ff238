//! The memory of all frames of one socket, and who has each of them.
//!
//! Invariants:
//! - The memory is divided into frames of [`FRAME_LEN`] bytes, numbered from 0.
//! - Each frame is with the kernel or with this process, never with both: `is_ours` says so. Ours are either in the list of
//!   free frames or held as a [`Frame`], which cannot be copied and is all that gives access to the bytes.
//! - A frame comes back from the kernel only if it was there: what a ring says otherwise is refused. So no two [`Frame`]s
//!   ever stand for the same bytes, whatever the kernel does.

use std::io::{Error, Result};
use std::ops::Range;
use std::ptr::NonNull;

/// Bytes of a frame: what the kernel keeps free in front, the longest packet, and nothing to waste. A power of two.
pub const FRAME_LEN: usize = 2048;

/// Memory that is mapped for as long as this value lives.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: plain memory; what may touch it, and when, is the owner's concern.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Memory of this process alone, all zero.
    ///
    /// # Errors
    /// Those of `mmap`.
    pub(super) fn anonymous(len: usize) -> Result<Self> {
        // Miri does not know how to have memory at once.
        let at_once = if cfg!(miri) { 0 } else { libc::MAP_POPULATE };
        Self::map(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | at_once, -1, 0)
    }

    /// Memory that a descriptor offers at an offset, shared with the kernel.
    ///
    /// # Errors
    /// Those of `mmap`.
    pub(super) fn of_descriptor(len: usize, descriptor: i32, offset: i64) -> Result<Self> {
        Self::map(len, libc::MAP_SHARED | libc::MAP_POPULATE, descriptor, offset)
    }

    fn map(len: usize, flags: i32, descriptor: i32, offset: i64) -> Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, descriptor, offset) };
        match NonNull::new(address.cast()) {
            Some(start) if address != libc::MAP_FAILED => Ok(Self { start, len }),
            _ => Err(Error::last_os_error()),
        }
    }

    /// The first byte.
    pub(super) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Bytes.
    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing borrowed from it outlives it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A frame that this process has. It must be handed on: to be sent, or back to where frames are free.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a frame that is dropped is lost to its socket"]
pub struct Frame {
    number: u32,
    /// Where its packet begins, in bytes from the start of the frame.
    start: u16,
    /// Bytes of its packet.
    len: u16,
}

impl Frame {
    /// Bytes of the packet in it.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is no packet in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its number.
    #[cfg(test)]
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// The same frame without a packet.
    pub(super) fn emptied(self) -> Self {
        Self { start: 0, len: 0, ..self }
    }
}

/// The frames of one socket.
#[derive(Debug)]
pub(super) struct Umem {
    memory: Mapping,
    /// By number: whether this process has it, or else the kernel.
    is_ours: Box<[bool]>,
}

impl Umem {
    /// Memory of `frames` frames, all of them ours, and the frames.
    ///
    /// # Errors
    /// Where there is no memory.
    pub(super) fn new(frames: u32) -> Result<(Self, Vec<Frame>)> {
        let memory = Mapping::anonymous(frames as usize * FRAME_LEN)?;
        let is_ours = vec![true; frames as usize].into_boxed_slice();
        let all = (0..frames).rev().map(|number| Frame { number, start: 0, len: 0 }).collect();
        Ok((Self { memory, is_ours }, all))
    }

    /// The memory, for the kernel to know.
    pub(super) const fn memory(&self) -> &Mapping {
        &self.memory
    }

    /// Frames with this process.
    pub(super) fn ours(&self) -> usize {
        self.is_ours.iter().filter(|ours| **ours).count()
    }

    /// The packet in a frame; nothing if the frame is of another socket.
    pub(super) fn packet(&self, frame: &Frame) -> &[u8] {
        let Some(range) = self.range(frame, usize::from(frame.start) + frame.len()) else { return &[] };
        // SAFETY: the range lies within the memory.
        let start = unsafe { self.memory.start.add(range.start) };
        // SAFETY: the frame is with this process, and what writes to its bytes borrows all of the memory exclusively.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), range.len()) }
    }

    /// The bytes from the start of the packet to the end of the frame.
    pub(super) fn room(&mut self, frame: &mut Frame) -> &mut [u8] {
        let Some(range) = self.range(frame, FRAME_LEN) else { return &mut [] };
        // SAFETY: the range lies within the memory.
        let start = unsafe { self.memory.start.add(range.start) };
        // SAFETY: the frame is with this process, and all of the memory is exclusively borrowed.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), range.len()) }
    }

    /// Gives a frame to the kernel and returns where it begins, for a ring.
    pub(super) fn hand_over(&mut self, frame: Frame) -> u64 {
        self.is_ours[frame.number as usize] = false;
        u64::from(frame.number) * FRAME_LEN as u64 + u64::from(frame.start)
    }

    /// Takes a frame back that a ring names by an address within it; `None` if the kernel did not have it.
    pub(super) fn take_back(&mut self, address: u64, len: u32) -> Option<Frame> {
        let (number, start) = (address / FRAME_LEN as u64, address as usize % FRAME_LEN);
        let ours = self.is_ours.get_mut(usize::try_from(number).ok()?)?;
        if *ours || start + len as usize > FRAME_LEN {
            return None;
        }
        *ours = true;
        Some(Frame { number: number as u32, start: start as u16, len: len as u16 })
    }

    /// A frame that is to carry `len` bytes from where its packet begins.
    pub(super) fn with_len(mut frame: Frame, len: usize) -> Frame {
        frame.len = len.min(FRAME_LEN - usize::from(frame.start)) as u16;
        frame
    }

    /// The bytes of a frame up to `end`, counted from the start of the memory; `None` if this process does not have it.
    fn range(&self, frame: &Frame, end: usize) -> Option<Range<usize>> {
        let base = frame.number as usize * FRAME_LEN;
        let is_ours = *self.is_ours.get(frame.number as usize)?;
        is_ours.then_some(base + usize::from(frame.start)..base + end)
    }
}
