//! Addresses that are made up and mixed into answers, so that being listed by this tracker proves nothing. The last thing that
//! is done to an answer: they are in no store, no count and no word to other nodes.
//!
//! Threat: somebody who asks often, from many places, and compares. A decoy drawn anew each time would never come again, as
//! real peers do. So each torrent has as many decoys as the share calls for beside its peers, and an answer gets some that
//! stand next to each other, as it gets peers. A decoy is a keyed hash of its torrent, its number and a time that changes
//! for each at a moment of its own: it is found again for some hours and then gone, without being kept anywhere.

use crate::access_list::bogons::{ALLOCATED_V6_NETWORKS, GLOBAL_V4, allocated_v6, global_v4};
use crate::info_hash::InfoHash;
use crate::peer_store::{Family, PeersOut};
use tracker_common::siphash::{Key, siphash24};
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// Seconds for which a decoy is in its torrent: about as long as people leave a client running.
const LIFE_SECS: u64 = 5 * 60 * 60;
/// Spreads consecutive numbers over all 64 bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is to be known of an announce.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The torrent.
    pub(super) info_hash: InfoHash,
    /// The most peers to hand out, decoys included.
    pub(super) peers_wanted: usize,
    /// When it was asked, in seconds of [`Now`](crate::clock::Now).
    pub(super) now_secs: u32,
    /// Peers of the torrent.
    pub(super) known: u64,
}

/// What makes decoys. Not `Debug` in full: whoever has the key can tell decoys from peers.
pub(super) struct Decoys {
    /// Of a hundred peers, how many are made up.
    percent: usize,
    key: Key,
}

impl std::fmt::Debug for Decoys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Decoys").field("percent", &self.percent).finish_non_exhaustive()
    }
}

impl Decoys {
    /// This share of decoys, made with a key of their own out of a secret one.
    pub(super) fn new(percent: u8, secret: Key) -> Self {
        let key = [1, 2].map(|number| siphash24(secret, [number, 0, 0]));
        Self { percent: usize::from(percent), key }
    }

    /// Mixes decoys into what was drawn. Who gets no peers gets no decoys.
    pub(super) fn mix(&self, asked: &Asked, random: &mut fastrand::Rng, peers: &mut PeersOut<'_>) {
        if self.percent == 0 {
            return;
        }
        let (mut v4, mut v6) = peers.families();
        let (real_v4, real) = (*v4.count, *v4.count + *v6.count);
        let wanted = asked.peers_wanted.min(v4.room.len() + v6.room.len());
        let decoys = self.number(real, wanted, random);
        if decoys == 0 {
            return;
        }
        let mut thinning = Thinning { kept: real.min(wanted - decoys), of: real };
        thinning.thin(&mut v4, random);
        thinning.thin(&mut v6, random);
        let decoys_v4 = rounded(decoys * real_v4, real, random);
        let torrent = Torrent::of(self.key, asked, self.pool(asked, decoys));
        spread(&mut v4, decoys_v4, torrent.from(random), random, |number| torrent.v4(number));
        spread(&mut v6, decoys - decoys_v4, torrent.from(random), random, |number| torrent.v6(number));
    }

    /// How many decoys an answer gets that has so many peers and may have so many of both: this share of it on average, also
    /// where that is less than one.
    fn number(&self, real: usize, wanted: usize, random: &mut fastrand::Rng) -> usize {
        let (decoys, others) = (self.percent, 100 - self.percent);
        if real * 100 <= wanted * others {
            // All peers stay, and decoys are added.
            rounded(real * decoys, others, random)
        } else {
            rounded(wanted.min(real * 100) * decoys, 100, random)
        }
    }

    /// How many decoys the torrent has: the same share as in an answer.
    fn pool(&self, asked: &Asked, decoys: usize) -> u64 {
        let share = asked.known.saturating_mul(self.percent as u64) / (100 - self.percent as u64);
        share.max(decoys as u64)
    }
}

/// A fraction, rounded at random so that it is exact on average.
fn rounded(dividend: usize, divisor: usize, random: &mut fastrand::Rng) -> usize {
    (dividend + random.usize(0..divisor.max(1))) / divisor.max(1)
}

/// Which of the peers that were drawn stay: each is as likely.
struct Thinning {
    kept: usize,
    of: usize,
}

impl Thinning {
    /// Moves those that stay to the front, in their order.
    fn thin<const N: usize>(&mut self, family: &mut Family<'_, N>, random: &mut fastrand::Rng) {
        let mut kept = 0;
        for position in 0..*family.count {
            if random.usize(0..self.of.max(1)) < self.kept {
                family.room[kept] = family.room[position];
                (kept, self.kept) = (kept + 1, self.kept - 1);
            }
            self.of = self.of.saturating_sub(1);
        }
        *family.count = kept;
    }
}

/// Puts decoys between the peers of a family, in random places; the peers stay in their order.
fn spread<const N: usize>(
    family: &mut Family<'_, N>,
    decoys: usize,
    first: u64,
    random: &mut fastrand::Rng,
    decoy: impl Fn(u64) -> [u8; N],
) {
    let mut peers_left = *family.count;
    let count = (peers_left + decoys).min(family.room.len());
    let mut number = first;
    for position in (0..count).rev() {
        let decoys_left = position + 1 - peers_left;
        if random.usize(0..=position) < decoys_left {
            family.room[position] = decoy(number);
            number += 1;
        } else {
            peers_left -= 1;
            family.room[position] = family.room[peers_left];
        }
    }
    *family.count = count;
}

/// One torrent's decoys, by their numbers.
struct Torrent {
    key: Key,
    secret: u64,
    now_secs: u64,
    pool: u64,
}

impl Torrent {
    fn of(key: Key, asked: &Asked, pool: u64) -> Self {
        let mut words = [[0_u8; 8]; 3];
        words.as_flattened_mut()[..asked.info_hash.0.len()].copy_from_slice(&asked.info_hash.0);
        let secret = siphash24(key, words.map(u64::from_le_bytes));
        Self { key, secret, now_secs: u64::from(asked.now_secs), pool }
    }

    /// The number of the first decoy of an answer.
    fn from(&self, random: &mut fastrand::Rng) -> u64 {
        random.u64(0..self.pool.max(1))
    }

    /// What a decoy is made of. Numbers begin again behind the last.
    fn bits(&self, number: u64, purpose: u64) -> u64 {
        let number = number % self.pool.max(1);
        // Each is replaced at a moment of its own, or all of them would change at once.
        let begins_at = (self.secret.wrapping_add(number.wrapping_mul(SPREAD)) >> 32) % LIFE_SECS;
        let life = (self.now_secs + begins_at) / LIFE_SECS;
        siphash24(self.key, [self.secret ^ purpose, number, life])
    }

    fn v4(&self, number: u64) -> [u8; PEER_V4_LEN] {
        let bits = self.bits(number, 4);
        let [a, b, c, d] = global_v4(scaled(bits as u32, GLOBAL_V4)).octets();
        let [p, q] = port((bits >> 32) as u32).to_be_bytes();
        [a, b, c, d, p, q]
    }

    /// An interface's own 64 bits are random with most clients (RFC 8981).
    fn v6(&self, number: u64) -> [u8; PEER_V6_LEN] {
        let (network, interface) = (self.bits(number, 6), self.bits(number, 66));
        let provider = allocated_v6(scaled(network as u32, ALLOCATED_V6_NETWORKS));
        let port = port(self.bits(number, 666) as u32);
        let mut peer = [0; PEER_V6_LEN];
        peer[..4].copy_from_slice(&provider.to_be_bytes());
        peer[4..8].copy_from_slice(&((network >> 32) as u32).to_be_bytes());
        peer[8..16].copy_from_slice(&interface.to_be_bytes());
        peer[16..].copy_from_slice(&port.to_be_bytes());
        peer
    }
}

/// A number below a bound, from 32 random bits.
fn scaled(bits: u32, bound: u32) -> u32 {
    ((u64::from(bits) * u64::from(bound)) >> 32) as u32
}

/// A port as clients have them: often one that a program comes with, else any that a program may choose.
fn port(bits: u32) -> u16 {
    let [which, .., high, low] = bits.to_be_bytes();
    let any = u16::from_be_bytes([high, low]);
    let between =
        |first: u16, last: u16| first + scaled(u32::from(any) << 16, u32::from(last - first) + 1) as u16;
    match which {
        0..40 => 6881,
        40..64 => between(6882, 6889),
        64..88 => 51413,
        88..96 => 8999,
        96..112 => between(1024, 9999),
        _ => between(10_000, u16::MAX),
    }
}

#[cfg(test)]
mod tests;
