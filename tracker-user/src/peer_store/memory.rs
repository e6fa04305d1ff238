//! Giving memory back to the kernel that the allocator holds in reserve, after much was forgotten. Beside the packets, never
//! among them.

use super::PeerStore;
use std::hint::black_box;
use std::thread;

/// The small sizes of which glibc keeps some freed pieces for each thread: up to 1,032 bytes, in steps of 16.
const SMALL_SIZES: usize = 64;
/// As many pieces as are kept of each size, or more: 7, since glibc 2.42 16.
const KEPT: usize = 16;

impl PeerStore {
    /// Has the allocator give memory back to the kernel that it holds in reserve. Takes milliseconds where there is much of
    /// it, so it is for a time after much was forgotten.
    pub fn give_memory_back() {
        give_kept_pieces_back();
        trim();
    }
}

/// Takes the freed pieces that the allocator keeps for this thread: they lie wherever the store was, and hold a page each for 24
/// bytes or more. Another thread frees them, and what is kept for a thread goes back when it ends.
fn give_kept_pieces_back() {
    let sizes = (0..SMALL_SIZES * KEPT).map(|number| 24 + 16 * (number % SMALL_SIZES));
    let pieces: Vec<Vec<u8>> = sizes.map(|size| black_box(Vec::with_capacity(size))).collect();
    let freeing = thread::Builder::new().name("freeing".to_owned()).spawn(move || drop(pieces));
    if let Ok(freeing) = freeing {
        // It cannot panic, and nothing depends on it.
        drop(freeing.join());
    }
}

fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim may be called at any time; it takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
