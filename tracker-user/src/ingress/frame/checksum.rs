//! Internet checksums (RFC 1071), in the byte order in which they lie in memory: sums do not mind it.

/// A sum of 16-bit words, not yet folded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// Adds bytes; all but the last that are added must be even in number.
    pub(super) fn add(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        let sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Self(self.0 + sum + u64::from(u32::from_ne_bytes(last)))
    }

    /// Adds a number in host byte order.
    pub(super) const fn add_number(self, number: u16) -> Self {
        Self(self.0 + number.to_be() as u64)
    }

    /// The sum of both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The sum in 16 bits.
    pub(super) const fn folded(self) -> [u8; 2] {
        // Of a packet's words: below 2^48, below 2^32 + 2^16, below 2^17, below 2^16.
        let mut sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        (sum as u16).to_ne_bytes()
    }

    /// What makes the sum come out right where it is written as a checksum.
    pub(super) const fn checksum(self) -> [u8; 2] {
        let [first, second] = self.folded();
        [!first, !second]
    }
}

/// Whether words with their checksum among them sum up to what they should.
pub(super) const fn is_right(sum: Sum) -> bool {
    matches!(sum.folded(), [0xff, 0xff])
}
