//! Refused announces on their way to the log. Whoever refuses one never waits and never allocates: there is room for a few
//! until the log is written next, and what finds none is counted.

use crate::info_hash::InfoHash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Refusals that wait for the log at most, and so that are logged at a time.
pub const ROOM: usize = 10;

/// An announce that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of which torrent.
    pub info_hash: InfoHash,
    /// From where.
    pub client: IpAddr,
}

/// Where refusals are noted.
#[derive(Debug)]
pub struct Refusals {
    waiting: SyncSender<Refusal>,
    missed: AtomicU64,
}

impl Refusals {
    /// A place to note them, and the one to read them from, which must not wait for them: who waits must be woken.
    pub fn channel() -> (Self, Receiver<Refusal>) {
        let (waiting, noted) = sync_channel(ROOM);
        (Self { waiting, missed: AtomicU64::new(0) }, noted)
    }

    /// Notes a refusal, or counts it where there is no room.
    pub fn note(&self, refusal: Refusal) {
        if self.waiting.try_send(refusal).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many found no room since this was asked last.
    pub fn take_missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{ROOM, Refusal, Refusals};
    use crate::info_hash::InfoHash;

    #[test]
    fn what_finds_no_room_is_counted() {
        let (refusals, noted) = Refusals::channel();
        let refusal = |number| Refusal { info_hash: InfoHash([number; 20]), client: [192, 0, 2, 1].into() };
        (0..ROOM as u8 + 3).for_each(|number| refusals.note(refusal(number)));
        assert_eq!(noted.try_iter().collect::<Vec<_>>(), (0..ROOM as u8).map(refusal).collect::<Vec<_>>());
        assert_eq!((refusals.take_missed(), refusals.take_missed()), (3, 0));
        refusals.note(refusal(99));
        assert_eq!(noted.try_recv(), Ok(refusal(99)));
    }
}
