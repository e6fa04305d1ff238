//! How requests leave and answers come in: through UDP sockets, or as frames through AF_XDP.

pub(crate) mod neighbour;
pub(crate) mod sockets;
pub(crate) mod sources;
pub(crate) mod xsk;

use anyhow::Result;
use std::time::Duration;

/// Sends and receives datagrams, of sources that go by numbers.
pub(crate) trait Carrier {
    /// Whether datagrams of one source are cheaper together than those of many.
    const ONE_SOURCE_AT_A_TIME: bool;

    /// Whether one more datagram can be queued.
    fn has_room(&mut self) -> bool;

    /// Queues a datagram that `write` writes, whose length it returns. There was room.
    fn queue(&mut self, source: u32, write: impl FnOnce(&mut [u8]) -> usize) -> Result<()>;

    /// Sends what is queued, as far as there is room for it.
    fn flush(&mut self) -> Result<()>;

    /// Hands over every datagram that has come in from the tracker; returns how many.
    fn receive(&mut self, take: impl FnMut(&[u8])) -> Result<usize>;

    /// Waits until something has come in, this long at most.
    fn wait(&mut self, at_most: Duration) -> Result<()>;

    /// What came in and was damaged.
    fn damaged(&self) -> u64;
}
