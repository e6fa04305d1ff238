//! Which networks are heard of most, in a table of fixed size: one thread writes it while it answers announces, any thread
//! reads it. It costs a worker one line of its cache per note, and never grows, however many networks there are.
//!
//! A place of the table holds four networks. A fifth takes from the least of them until that is gone. So a count is never too
//! high, those of networks that stand out are nearly right, and those of many that are heard of once come and go.
//! Counts are halved every ten minutes: a table tells of the last half hour, not of the last year.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Networks in one place of the table, which is one line of the cache.
const WAYS: usize = 4;
/// Seconds after which what was counted counts half.
const HALF_LIFE_SECS: u32 = 600;
/// Set in the word of every IPv4 network.
const V4: u64 = 1 << 63;
/// Set in the word of every IPv6 network.
const V6: u64 = 1 << 62;

/// A network as it is counted: an IPv4 /28, or an IPv6 /48, which is what a site is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The first address of a /28, as a number.
    V4(u32),
    /// The first 48 bits of an address, as a number.
    V6(u64),
}

impl Network {
    /// Bits that IPv4 addresses of one network have in common.
    pub const V4_BITS: u32 = 28;
    /// Bits that IPv6 addresses of one network have in common.
    pub const V6_BITS: u32 = 48;

    /// The network of an address; a mapped one is the IPv4 address that it is.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits() & (!0 << (32 - Self::V4_BITS))),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> (128 - Self::V6_BITS)) as u64),
        }
    }

    /// Its first address.
    pub fn first_address(self) -> IpAddr {
        match self {
            Self::V4(bits) => Ipv4Addr::from_bits(bits).into(),
            Self::V6(bits) => Ipv6Addr::from_bits(u128::from(bits) << (128 - Self::V6_BITS)).into(),
        }
    }

    /// A word that is never 0.
    const fn word(self) -> u64 {
        match self {
            Self::V4(bits) => V4 | bits as u64,
            Self::V6(bits) => V6 | bits,
        }
    }

    const fn of_word(word: u64) -> Option<Self> {
        if word & V4 != 0 {
            Some(Self::V4(word as u32))
        } else if word & V6 != 0 {
            Some(Self::V6(word & !V6))
        } else {
            None
        }
    }
}

/// The table. Only the thread that owns it may note anything; it does so without a locked instruction.
#[derive(Debug)]
pub struct BusyNetworks {
    places: Box<[Place]>,
    /// The last ten minutes to which the counts have been halved, counted like [`crate::clock::Now::seconds`].
    period: AtomicU32,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Place([Entry; WAYS]);

/// A network and its count; both 0 where there is none.
#[derive(Debug, Default)]
struct Entry {
    network: AtomicU64,
    count: AtomicU64,
}

impl Default for BusyNetworks {
    /// For one worker: 4,096 networks in 64 KiB.
    fn default() -> Self {
        Self::with_room_for(4096)
    }
}

impl BusyNetworks {
    /// A table of 16 bytes for each of so many networks, rounded up to a power of two.
    pub fn with_room_for(networks: usize) -> Self {
        let places = networks.div_ceil(WAYS).next_power_of_two();
        Self { places: (0..places).map(|_| Place::default()).collect(), period: AtomicU32::new(0) }
    }

    /// Counts a network once.
    pub fn note(&self, network: Network, now_secs: u32) {
        self.halve(now_secs / HALF_LIFE_SECS);
        let word = network.word();
        let Some(Place(entries)) = self.places.get(self.place(word)) else { return };
        let mut least: Option<(&Entry, u64)> = None;
        for entry in entries {
            let count = entry.count.load(Ordering::Relaxed);
            if entry.network.load(Ordering::Relaxed) == word {
                entry.count.store(count.saturating_add(1), Ordering::Relaxed);
                return;
            }
            if least.is_none_or(|(_, fewest)| count < fewest) {
                least = Some((entry, count));
            }
        }
        match least {
            // Whoever reads sees the count of a new network not before the network itself is new, or a little too few.
            Some((entry, 0)) => {
                entry.count.store(1, Ordering::Relaxed);
                entry.network.store(word, Ordering::Release);
            }
            Some((entry, count)) => entry.count.store(count - 1, Ordering::Relaxed),
            None => {}
        }
    }

    /// Every network of the table with its count, in no order.
    pub fn counts(&self, now_secs: u32) -> Vec<(Network, u64)> {
        // What nobody has halved yet, because nothing came in, has aged all the same.
        let periods = (now_secs / HALF_LIFE_SECS).saturating_sub(self.period.load(Ordering::Relaxed));
        let entries = self.places.iter().flat_map(|Place(entries)| entries);
        let counted = entries.filter_map(|entry| {
            let network = Network::of_word(entry.network.load(Ordering::Acquire))?;
            Some((network, entry.count.load(Ordering::Relaxed).checked_shr(periods).unwrap_or(0)))
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn halve(&self, period: u32) {
        let before = self.period.load(Ordering::Relaxed);
        if period <= before {
            return;
        }
        self.period.store(period, Ordering::Relaxed);
        for Place(entries) in &self.places {
            for Entry { count, .. } in entries {
                let halved = count.load(Ordering::Relaxed).checked_shr(period - before).unwrap_or(0);
                count.store(halved, Ordering::Relaxed);
            }
        }
    }

    /// The place of a network, by a multiplication that spreads neighbours over the table.
    const fn place(&self, word: u64) -> usize {
        let spread = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> 32) as usize & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{BusyNetworks, HALF_LIFE_SECS, Network, WAYS};
    use std::collections::HashMap;

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    fn counts(table: &BusyNetworks, now_secs: u32) -> HashMap<Network, u64> {
        table.counts(now_secs).into_iter().collect()
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let table = BusyNetworks::default();
        let addresses = ["192.0.2.16", "192.0.2.31", "::ffff:192.0.2.17", "192.0.2.32", "0.0.0.1"];
        for address in addresses.into_iter().chain(["2001:db8:0:1::1", "2001:db8:0:ffff::", "2001:db8:1::"]) {
            table.note(network(address), 1);
        }
        let expected = [("192.0.2.16", 3), ("192.0.2.32", 1), ("0.0.0.0", 1)];
        let expected = expected.into_iter().chain([("2001:db8::", 2), ("2001:db8:1::", 1)]);
        assert_eq!(counts(&table, 1), expected.map(|(first, count)| (network(first), count)).collect());
        for (network, _) in table.counts(1) {
            assert_eq!(Network::of(network.first_address()), network);
        }
    }

    #[test]
    fn a_network_that_stands_out_is_counted_nearly_right_among_any_number_of_others() {
        let (table, mut random) = (BusyNetworks::default(), fastrand::Rng::with_seed(1));
        let busy = network("192.0.2.1");
        for _ in 0..20_000 {
            table.note(busy, 1);
            for _ in 0..20 {
                table.note(Network::V4(random.u32(..) & !15), 1);
            }
        }
        let counted = counts(&table, 1)[&busy];
        assert!((19_900..=20_000).contains(&counted), "{counted}");
        assert!(table.counts(1).len() <= 4096);
    }

    #[test]
    fn no_count_is_too_high_in_a_table_that_is_far_too_small() {
        let (table, mut random) = (BusyNetworks::with_room_for(WAYS), fastrand::Rng::with_seed(2));
        let mut noted = HashMap::new();
        for _ in 0..10_000 {
            let network = Network::V6(random.u64(0..10).min(random.u64(0..10)));
            table.note(network, 1);
            *noted.entry(network).or_insert(0) += 1;
        }
        let counted = table.counts(1);
        assert!((1..=WAYS).contains(&counted.len()), "{counted:?}");
        for (network, count) in counted {
            assert!(count <= noted[&network], "{network:?}: {count} of {}", noted[&network]);
        }
    }

    #[test]
    fn counts_are_halved_by_time_whether_anything_comes_in_or_not() {
        let (table, one, other) = (BusyNetworks::default(), network("192.0.2.1"), network("198.51.100.1"));
        for _ in 0..8 {
            table.note(one, HALF_LIFE_SECS);
        }
        let later = 3 * HALF_LIFE_SECS;
        assert_eq!(counts(&table, later), [(one, 2)].into());
        table.note(other, later);
        assert_eq!(counts(&table, later), [(one, 2), (other, 1)].into());
        assert_eq!(counts(&table, later + 200 * HALF_LIFE_SECS), [].into());
        table.note(one, later + 200 * HALF_LIFE_SECS);
        assert_eq!(counts(&table, later + 200 * HALF_LIFE_SECS), [(one, 1)].into());
    }
}
