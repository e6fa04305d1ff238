//! Asking the processor for memory before it is needed: a batch of requests then waits for all its cache misses at
//! once, not for one after the other.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Begins to load what a reference points to. Has no effect but on time.
pub(super) fn read<T>(target: &T) {
    let start = (&raw const *target).cast::<u8>();
    for offset in (0..size_of::<T>().max(1)).step_by(LINE) {
        line(start.wrapping_add(offset));
    }
}

/// Begins to load the first two lines of what a reference points to, to be written to: another core lets go of them.
pub(super) fn write_front<T>(target: &T) {
    let start = (&raw const *target).cast::<u8>();
    for offset in [0, LINE] {
        line_to_write(start.wrapping_add(offset));
    }
}

#[cfg(target_arch = "x86_64")]
fn line_to_write(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing: any address is allowed.
    unsafe { _mm_prefetch::<_MM_HINT_ET0>(address.cast()) };
}

#[cfg(target_arch = "aarch64")]
fn line_to_write(address: *const u8) {
    // SAFETY: a prefetch reads nothing: any address is allowed.
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags))
    };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn line_to_write(_address: *const u8) {}

#[cfg(target_arch = "x86_64")]
fn line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing: any address is allowed.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

#[cfg(target_arch = "aarch64")]
fn line(address: *const u8) {
    // SAFETY: a prefetch reads nothing: any address is allowed.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags))
    };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn line(_address: *const u8) {}
