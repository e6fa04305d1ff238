//! How a socket is made, what the kernel says of it, and why it cannot be had.

use crate::config::types::CopyMode;
use std::io::Error;
use thiserror::Error as ErrorMessage;

/// Working through the card's queue in system calls of this process instead of in interrupts (Linux 5.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// For how long one call may look for packets, in microseconds.
    pub micros: u32,
    /// Packets of one call.
    pub budget: u16,
}

/// How a socket is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Entries of each ring: a power of two. There are twice as many frames.
    pub ring_size: u32,
    /// Frames that wait for packets; the others are for what is sent. At most `ring_size`.
    pub fill: u32,
    /// How packets get into the frames.
    pub copy_mode: CopyMode,
    /// Whether the kernel sleeps until it is woken up, which spares it and this process from looking (Linux 5.4).
    pub need_wakeup: bool,
    /// Whether to wait a little, a quarter of a second at most, for a queue that is taken: of a socket that was just closed,
    /// the kernel lets go a moment later.
    pub waits_for_release: bool,
    /// Whether and how the queue is polled by this process.
    pub busy_poll: Option<BusyPoll>,
    /// Packets that one wake-up sends at most, where the kernel copies (`XDP_MAX_TX_SKB_BUDGET`, Linux 6.17; older ones
    /// send 32). From 32 to `ring_size`, into which others are forced. 0: the kernel's own.
    pub transmit_budget: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ring_size: 2048,
            fill: 2048,
            copy_mode: CopyMode::Auto,
            need_wakeup: true,
            waits_for_release: true,
            busy_poll: None,
            transmit_budget: 64,
        }
    }
}

/// What the kernel counts for a socket (`XDP_STATISTICS`, Linux 5.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets dropped for other reasons than a full receive ring.
    pub receive_dropped: u64,
    /// Packets dropped because the receive ring was full.
    pub receive_ring_full: u64,
    /// Times that the fill ring was found empty.
    pub fill_ring_empty: u64,
    /// Entries of the fill ring that named no frame.
    pub receive_invalid: u64,
    /// Entries of the transmit ring that named no frame.
    pub transmit_invalid: u64,
}

/// Why there is no socket.
#[derive(Debug, ErrorMessage)]
pub enum XskError {
    /// The kernel has no AF_XDP.
    #[error("this kernel has no AF_XDP (CONFIG_XDP_SOCKETS): {0}")]
    Unsupported(Error),
    /// It takes a right that is not there.
    #[error("AF_XDP needs root or CAP_NET_RAW: {0}")]
    NotPermitted(Error),
    /// Its memory is not to be had.
    #[error(
        "no memory for the frames of an AF_XDP socket: {0}; raise the limit of locked memory (LimitMEMLOCK, ulimit -l)"
    )]
    Memory(Error),
    /// Another socket has the queue.
    #[error(
        "queue {queue} is taken by another AF_XDP socket; stop that program, or leave the queue out with xsk.queues"
    )]
    Busy {
        /// The queue.
        queue: u32,
    },
    /// The interface has no such queue.
    #[error("there is no queue {queue}")]
    NoQueue {
        /// The queue.
        queue: u32,
    },
    /// The driver cannot do zero-copy, which was asked for.
    #[error("queue {queue} cannot do without copying: {error}; set xsk.zero_copy to auto")]
    NoZeroCopy {
        /// The queue.
        queue: u32,
        /// What the driver says.
        error: Error,
    },
    /// The options contradict each other.
    #[error("{0}")]
    Options(&'static str),
    /// Anything else.
    #[error("queue {queue}: {step}: {error}")]
    System {
        /// The queue.
        queue: u32,
        /// What was tried.
        step: &'static str,
        /// What the kernel says.
        error: Error,
    },
}
