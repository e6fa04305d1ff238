//! SipHash-2-4 over exactly 24 bytes: the one keyed hash of connection ids, shards and tables.
//!
//! A fixed length lets the verifier of the kernel follow it and costs a connect about 20 ns. The crates that
//! offer SipHash take slices of any length through `Hasher`, which the verifier does not accept.

/// A 128-bit key as two words.
pub type Key = [u64; 2];

/// SipHash-2-4 (Aumasson, Bernstein, 2012) of three little-endian words.
#[inline(always)]
pub const fn siphash24(key: Key, words: [u64; 3]) -> u64 {
    let mut state = State {
        v0: key[0] ^ 0x736f_6d65_7073_6575,
        v1: key[1] ^ 0x646f_7261_6e64_6f6d,
        v2: key[0] ^ 0x6c79_6765_6e65_7261,
        v3: key[1] ^ 0x7465_6462_7974_6573,
    };
    state = state.absorb(words[0]).absorb(words[1]).absorb(words[2]);
    // The last word carries the length of the message in its top byte.
    state = state.absorb(24 << 56);
    state.v2 ^= 0xff;
    state = state.round().round().round().round();
    state.v0 ^ state.v1 ^ state.v2 ^ state.v3
}

#[derive(Clone, Copy)]
struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    #[inline(always)]
    const fn absorb(mut self, word: u64) -> Self {
        self.v3 ^= word;
        self = self.round().round();
        self.v0 ^= word;
        self
    }

    #[inline(always)]
    const fn round(mut self) -> Self {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::siphash24;
    use core::hash::Hasher;
    use siphasher::sip::SipHasher24;

    #[test]
    fn agrees_with_an_independent_implementation() {
        let mut word = 1_u64;
        let mut next = || {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word
        };
        for _ in 0..1000 {
            let (key, words) = ([next(), next()], [next(), next(), next()]);
            let mut independent = SipHasher24::new_with_keys(key[0], key[1]);
            for part in words {
                independent.write(&part.to_le_bytes());
            }
            assert_eq!(siphash24(key, words), independent.finish());
        }
    }
}
