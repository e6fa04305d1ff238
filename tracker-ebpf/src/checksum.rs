//! Internet checksums (RFC 1071): sums over whole 32-bit words, folded once at the end.
//!
//! One's complement sums do not mind the byte order, so words are added as they lie in memory.

use crate::headers::{Datagram, Ip, Ipv4, Udp};

/// The longest connect whose checksum is judged here; a longer one is left to the network stack.
const MAX_SUMMED: usize = 256;

/// How the UDP checksum of a packet stands to its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is right, or absent where that is allowed.
    Right,
    /// It is wrong, or left to the card by a sender on this host in a form that cannot be told from wrong.
    Unsure,
}

/// A sum of 16-bit words, not yet folded.
#[derive(Clone, Copy)]
pub(crate) struct Sum(u64);

impl Sum {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self(0)
    }

    /// Adds `WORDS` 32-bit words.
    ///
    /// # Safety
    /// As many bytes must be readable at `address`.
    #[inline(always)]
    pub(crate) unsafe fn add_words<const WORDS: usize>(mut self, address: usize) -> Self {
        for word in 0..WORDS {
            // SAFETY: by the contract of this function; the load need not be aligned.
            self.0 += u64::from(unsafe { (address as *const u32).add(word).read_unaligned() });
        }
        self
    }

    /// Adds a 32-bit word as it lies in memory.
    #[inline(always)]
    pub(crate) const fn add_word(self, word: u32) -> Self {
        Self(self.0 + word as u64)
    }

    /// Adds a 16-bit number, given in host byte order.
    #[inline(always)]
    pub(crate) const fn add_u16(self, number: u16) -> Self {
        Self(self.0 + number.to_be() as u64)
    }

    /// The sum in 16 bits, in the byte order in which it lies in memory.
    #[inline(always)]
    pub(crate) const fn folded(self) -> u16 {
        // Of fewer than 2^16 words: below 2^32 + 2^16, below 2^17 - 1, below 2^16.
        let mut sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum as u16
    }
}

/// Whether an IPv4 header without options carries its right checksum.
#[inline(always)]
pub(crate) fn is_ipv4_right(ip: *const Ipv4) -> bool {
    // SAFETY: a header of a `Datagram` lies whole in the packet: 20 bytes.
    unsafe { Sum::new().add_words::<5>(ip as usize) }.folded() == 0xffff
}

/// The sum over addresses, protocol and length that UDP takes into its own.
#[inline(always)]
pub(crate) fn pseudo_header(ip: Ip, udp_len: u16) -> Sum {
    // SAFETY: the header of a `Datagram` lies whole in the packet; source and destination stand side by side.
    let addresses = match ip {
        Ip::V4(ip) => unsafe { Sum::new().add_words::<2>(&raw const (*ip).source as usize) },
        // SAFETY: as above.
        Ip::V6(ip) => unsafe { Sum::new().add_words::<8>(&raw const (*ip).source as usize) },
    };
    addresses.add_u16(17).add_u16(udp_len)
}

/// Judges the UDP checksum.
#[inline(always)]
pub(crate) fn judge(datagram: &Datagram, end: usize) -> Found {
    // SAFETY: the header of a `Datagram` lies whole in the packet.
    let (stored, len) = unsafe { ((*datagram.udp).checksum, (*datagram.udp).len) };
    if stored == [0, 0] {
        return if matches!(datagram.ip, Ip::V4(_)) { Found::Right } else { Found::Unsure };
    }
    let pseudo = pseudo_header(datagram.ip, u16::from_be_bytes(len));
    // A sender on this host leaves the rest to a card that never comes: only the pseudo-header is summed up.
    if pseudo.folded() == u16::from_ne_bytes(stored) {
        return Found::Right;
    }
    match sum_of_datagram(pseudo, datagram, end) {
        Some(sum) if sum.folded() == 0xffff => Found::Right,
        _ => Found::Unsure,
    }
}

/// Adds header and payload; `None` where the payload is longer than is summed up here.
#[inline(always)]
fn sum_of_datagram(pseudo: Sum, datagram: &Datagram, end: usize) -> Option<Sum> {
    // SAFETY: the header and the first 16 bytes of the payload have been found within the packet.
    let sum = unsafe { pseudo.add_words::<{ (size_of::<Udp>() + 16) / 4 }>(datagram.udp as usize) };
    if datagram.payload_len == 16 {
        return Some(sum);
    }
    add_tail(sum.0, datagram.payload + 16, datagram.payload_len - 16, end).map(Sum)
}

/// The rare case of a connect with bytes behind it: kept out of line.
#[inline(never)]
fn add_tail(mut sum: u64, address: usize, len: usize, end: usize) -> Option<u64> {
    if len > MAX_SUMMED {
        return None;
    }
    // The tail begins at a multiple of four bytes of the datagram. Words, because the verifier walks through every turn.
    let (mut at, mut left) = (address, len);
    for _ in 0..MAX_SUMMED / 4 {
        if left < 4 {
            break;
        }
        if at + 4 > end {
            return None;
        }
        // SAFETY: compared with the end of the packet just above; the load need not be aligned.
        sum += u64::from(unsafe { (at as *const u32).read_unaligned() });
        at += 4;
        left -= 4;
    }
    for position in 0..3 {
        if left == 0 {
            break;
        }
        if at + 1 > end {
            return None;
        }
        // SAFETY: as above. In memory, the first byte of a word is its lowest.
        sum += u64::from(unsafe { *(at as *const u8) }) << (8 * position);
        at += 1;
        left -= 1;
    }
    Some(sum)
}
