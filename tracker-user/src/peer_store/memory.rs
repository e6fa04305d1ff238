//! Giving memory back to the kernel that the allocator holds in reserve, after much was forgotten. Beside the packets, never
//! among them.

use super::PeerStore;
use std::hint::black_box;

/// The small sizes of which glibc keeps some freed pieces for each thread: up to 1,032 bytes, in steps of 16.
const SMALL_SIZES: usize = 64;
/// As many pieces as are kept of each size, or more: 7, since glibc 2.42 16.
const KEPT: usize = 16;

impl PeerStore {
    /// Has the allocator give memory back to the kernel that it holds in reserve. Takes milliseconds where there is much of
    /// it, so it is for a time after much was forgotten.
    pub fn give_memory_back() {
        // What moves close together in the first turn lies in gaps between what is given back only then.
        for _ in 0..2 {
            move_kept_pieces_together();
            trim();
        }
    }
}

/// Exchanges the freed pieces that the allocator keeps for this thread: those that it has kept lie wherever the store was, and
/// hold a page each for 24 bytes or more. Others that lie side by side take their places.
fn move_kept_pieces_together() {
    let pieces = || -> Vec<Vec<u8>> {
        let sizes = (0..SMALL_SIZES * KEPT).map(|number| 24 + 16 * (number % SMALL_SIZES));
        sizes.map(|size| black_box(Vec::with_capacity(size))).collect()
    };
    let scattered = pieces();
    let together = pieces();
    // What is freed first is kept.
    drop(together);
    drop(scattered);
}

fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim may be called at any time; it takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
