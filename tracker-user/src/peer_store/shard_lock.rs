//! The lock of a shard. Who answers a packet waits for it awake, and whoever walks the whole store gives way: woken from
//! sleep, an announce would have waited ten times as long as the step that it waits for.

use super::prefetch;
use super::shard::Shard;
use parking_lot::{Mutex, MutexGuard};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tries before who waits lies down to sleep: some twenty microseconds, longer than any step of a walk.
const TRIES: u32 = 1000;

/// A shard and its lock, alone on their cache lines: two workers that lock neighbours do not disturb each other.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct ShardLock {
    shard: Mutex<Shard>,
    /// Who is waiting for the lock awake.
    waiting: AtomicU32,
}

impl ShardLock {
    pub(super) const fn new(shard: Shard) -> Self {
        Self { shard: Mutex::new(shard), waiting: AtomicU32::new(0) }
    }

    /// Begins to load the lock and what stands beside it.
    pub(super) fn prefetch(&self) {
        prefetch::write_front(self);
    }

    /// The shard, if nobody has it.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Shard>> {
        self.shard.try_lock()
    }

    /// The shard, as soon as whoever has it is done.
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, Shard> {
        self.shard.try_lock().unwrap_or_else(|| self.wait())
    }

    #[cold]
    fn wait(&self) -> MutexGuard<'_, Shard> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let got = (0..TRIES).find_map(|_| {
            spin_loop();
            self.shard.try_lock()
        });
        // Who has it may have lost its core: then sleep costs nothing.
        let guard = got.unwrap_or_else(|| self.shard.lock());
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Takes a step of a walk once nobody waits any more, and gives the shard to whoever has begun to wait meanwhile.
    pub(super) fn step<R>(&self, step: impl FnOnce(&mut Shard) -> R) -> R {
        // Not for ever: who waits may have lost its core, or sleep, and is then handed the lock.
        for _ in 0..TRIES {
            if self.waiting.load(Ordering::Relaxed) == 0 {
                break;
            }
            spin_loop();
        }
        let mut guard = self.shard.lock();
        let result = step(&mut guard);
        MutexGuard::unlock_fair(guard);
        result
    }
}
