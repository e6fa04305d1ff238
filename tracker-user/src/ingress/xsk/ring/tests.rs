//! One ring on plain memory, compared with a model that says what each side may see.
//!
//! This file and `queue/tests.rs` touch nothing but memory, so Miri can judge the unsafe code under them:
//! `cargo +nightly miri test -p tracker-user --lib ingress::xsk` (`rustup component add miri --toolchain nightly`).
//! They then run fewer rounds; `-Zmiri-many-seeds` in `MIRIFLAGS` tries other orders of the two threads.

use super::{Consumer, NEED_WAKEUP, Parts, Producer};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Rounds of a test; Miri is a thousand times slower.
pub(in crate::ingress::xsk) const fn rounds(rounds: usize) -> usize {
    if cfg!(miri) { rounds / 500 } else { rounds }
}

/// The memory of one ring, with counts that begin anywhere. Known by its pointers alone, as memory is that another side
/// writes to.
pub(in crate::ingress::xsk) struct Memory<T> {
    counts: NonNull<[AtomicU32; 3]>,
    entries: NonNull<[T]>,
}

impl<T: Copy> Memory<T> {
    pub(in crate::ingress::xsk) fn new(size: u32, begin: u32, entry: T) -> Self {
        let counts = Box::new([AtomicU32::new(begin), AtomicU32::new(begin), AtomicU32::new(0)]);
        let entries = vec![entry; size as usize].into_boxed_slice();
        Self { counts: NonNull::from(Box::leak(counts)), entries: NonNull::from(Box::leak(entries)) }
    }

    fn parts(&self) -> Parts<T> {
        // SAFETY: the memory lives until it is dropped, and nothing but atomic accesses reaches the counts.
        let [written, read, flags] = unsafe { self.counts.as_ref() };
        Parts {
            written: NonNull::from(written),
            read: NonNull::from(read),
            flags: NonNull::from(flags),
            size: self.entries.len() as u32,
            entries: self.entries.cast(),
        }
    }

    pub(in crate::ingress::xsk) fn producer(&self) -> Producer<T> {
        // SAFETY: the memory outlives the ring in these tests, and this is its only writer.
        unsafe { Producer::new(self.parts()) }
    }

    pub(in crate::ingress::xsk) fn consumer(&self) -> Consumer<T> {
        // SAFETY: as above, its only reader.
        unsafe { Consumer::new(self.parts()) }
    }

    fn count(&self, which: usize) -> &AtomicU32 {
        // SAFETY: as for `parts`.
        let counts = unsafe { self.counts.as_ref() };
        &counts[which]
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: it was leaked from a box for this value alone, and the rings on it are used no more.
        drop(unsafe { Box::from_raw(self.counts.as_ptr()) });
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(self.entries.as_ptr()) });
    }
}

/// What a ring is, without memory in common: entries that were pushed and not yet shown, shown and not yet popped, popped
/// and not yet given back.
#[derive(Default)]
struct Model {
    hidden: VecDeque<u64>,
    shown: VecDeque<u64>,
    held: usize,
}

impl Model {
    /// Entries whose places are not free.
    fn len(&self) -> usize {
        self.hidden.len() + self.shown.len() + self.held
    }
}

#[test]
fn a_ring_does_what_its_model_does() {
    for (seed, size, begin) in [(1, 1, 0), (2, 2, u32::MAX), (3, 8, u32::MAX - 3), (4, 64, 7)] {
        let mut random = fastrand::Rng::with_seed(seed);
        let memory = Memory::new(size, begin, 0_u64);
        let (mut producer, mut consumer) = (memory.producer(), memory.consumer());
        let mut model = Model::default();
        let mut next = 0;
        for _ in 0..rounds(100_000) {
            match random.u8(0..10) {
                0..4 => {
                    let has_room = model.len() < size as usize;
                    assert_eq!(producer.push(next), has_room, "{} of {size} entries", model.len());
                    if has_room {
                        model.hidden.push_back(next);
                    }
                    next += 1;
                }
                4 => {
                    producer.publish();
                    model.shown.append(&mut model.hidden);
                }
                5..8 => {
                    let popped = consumer.pop();
                    assert_eq!(popped, model.shown.pop_front());
                    model.held += usize::from(popped.is_some());
                }
                8 => {
                    consumer.release();
                    model.held = 0;
                }
                _ => {
                    assert_eq!(producer.has_room(), model.len() < size as usize);
                    assert_eq!(producer.outstanding() as usize, model.len());
                }
            }
        }
    }
}

#[test]
fn a_ring_carries_what_is_written_in_order_between_two_threads() {
    let memory = Memory::new(64, u32::MAX - 500, 0_u64);
    let (mut producer, mut consumer) = (memory.producer(), memory.consumer());
    let last = rounds(200_000) as u64;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut next = 0;
            while next < last {
                while next < last && producer.push(next) {
                    next += 1;
                }
                producer.publish();
                std::thread::yield_now();
            }
        });
        let mut expected = 0;
        while expected < last {
            while let Some(entry) = consumer.pop() {
                assert_eq!(entry, expected);
                expected += 1;
            }
            consumer.release();
            std::thread::yield_now();
        }
    });
}

#[test]
fn no_count_that_the_other_side_claims_leads_out_of_the_ring() {
    const SIZE: u32 = 8;
    const WRITTEN: u64 = 0x5a5a_5a5a_5a5a_5a5a;
    for claimed in [0, 1, SIZE, SIZE + 1, 1 << 31, u32::MAX] {
        let memory = Memory::new(SIZE, 0, WRITTEN);
        let (mut producer, mut consumer) = (memory.producer(), memory.consumer());
        // Far more written than there is room for: what is read is of the ring all the same.
        memory.count(0).store(claimed, Ordering::Release);
        for _ in 0..4 * SIZE {
            assert!(consumer.pop().is_none_or(|entry| entry == WRITTEN), "{claimed} written");
        }
        // Read as far as nothing was written: what had been free is free, and what may have been read since.
        memory.count(1).store(claimed, Ordering::Release);
        let pushed = (0..4 * u64::from(SIZE)).take_while(|entry| producer.push(*entry)).count();
        assert!(pushed <= 2 * SIZE as usize, "{claimed} read: {pushed} entries in {SIZE}");
        assert!(producer.outstanding() <= SIZE);
    }
}

#[test]
fn a_wake_up_is_wanted_when_the_other_side_says_so() {
    let memory = Memory::new(8, 0, 0_u64);
    let producer = memory.producer();
    assert!(!producer.needs_wakeup());
    memory.count(2).store(NEED_WAKEUP, Ordering::Relaxed);
    assert!(producer.needs_wakeup());
}
