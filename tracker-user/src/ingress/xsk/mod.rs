//! AF_XDP: packets that the XDP program hands over, from a receive queue to this process and back, past the kernel's UDP
//! stack.
//!
//! All of its unsafe code is in here: `ring` (memory shared with the kernel), `umem` (the frames), `socket` (system calls).
//! Outside of it a packet is a [`Frame`] that is received, looked at, and handed on.

mod options;
mod queue;
mod ring;
mod socket;
mod umem;

pub use options::{BusyPoll, Options, Statistics, XskError};
pub use queue::Places;
pub use socket::{QueueSocket, Wake};
pub use umem::{FRAME_LEN, Frame};

/// What an answer may need of the link, in bytes: there is no stack that would fragment it.
pub const MIN_MTU: u32 = 1500;
