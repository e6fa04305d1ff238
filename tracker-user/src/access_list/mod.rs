//! Who is served, and which torrents: snapshots that are replaced whole. [`AccessList`] is the only place that says which
//! source is allowed, [`TorrentList`] the only one that says which torrent is.

pub mod bogons;
mod hashes;
mod list_file;
mod refusals;
mod torrents;

pub use list_file::{ListedTorrents, NotAHash, parse_line};
pub use refusals::{ROOM as REFUSALS_AT_A_TIME, Refusal, Refusals};
pub use torrents::{Change, ListKind, NOT_AUTHORIZED, TorrentList};

use crate::config::types::{AccessConfig, StoreConfig};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// By what name a client goes; its first bytes mostly tell which software it is (BEP 20). Shorter ones end in zeros.
pub type PeerId = [u8; PEER_ID_LEN];

const PEER_ID_LEN: usize = 20;

/// What an operator allows and denies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList {
    denied: Networks,
    /// Whose announces are refused.
    refused: Networks,
    refuses_bogons: bool,
    /// What the peer ids of clients begin with that are not served.
    denied_clients: Vec<Box<[u8]>>,
}

/// What a client reads whose software is not served.
pub const CLIENT_NOT_ALLOWED: &str = "This client is not allowed on this tracker.";
/// What a client reads whose address is none that this tracker hands out.
pub const ADDRESS_NOT_ALLOWED: &str = "Peers of this address are not taken in by this tracker.";

impl AccessList {
    /// What is configured.
    pub fn of(config: &AccessConfig) -> Self {
        Self::denying(&config.deny).denying_clients(&config.clients_deny)
    }

    /// Serves everyone but these networks.
    pub fn denying(denied_sources: &[IpNet]) -> Self {
        Self { denied: Networks::of(denied_sources), ..Self::default() }
    }

    /// The same, but takes no peers of addresses that the store is to refuse.
    #[must_use]
    pub fn refusing(self, config: &StoreConfig) -> Self {
        let (refused, refuses_bogons) = (Networks::of(&config.refuse_networks), config.refuse_bogons);
        Self { refused, refuses_bogons, ..self }
    }

    /// The same, but for clients whose peer ids begin with one of these.
    #[must_use]
    pub fn denying_clients(self, prefixes: &[String]) -> Self {
        let denied_clients = prefixes.iter().map(|prefix| prefix.as_bytes().into()).collect();
        Self { denied_clients, ..self }
    }

    /// Whether a client with this peer id is served. A peer id is what the client says, and easily another.
    pub fn allows_client(&self, peer_id: &PeerId) -> bool {
        !self.denied_clients.iter().any(|prefix| peer_id.starts_with(prefix))
    }

    /// Whether a source is served. An IPv4 address mapped into IPv6 is the IPv4 address. Costs a search through sorted
    /// ranges: a long list may be asked about every packet.
    pub fn allows(&self, source: IpAddr) -> bool {
        !self.denied.contain(source)
    }

    /// Whether peers of an address are taken in. A source that is served may still be none for others to connect to.
    pub fn takes_peers_of(&self, address: IpAddr) -> bool {
        let is_refused = self.refuses_bogons && bogons::is_bogon(address) || self.refused.contain(address);
        !is_refused
    }

    /// Whether a peer of which somebody else tells, a snapshot or another node, may be handed out: its address is served and
    /// none that is refused.
    pub fn takes_word_of(&self, address: IpAddr) -> bool {
        self.allows(address) && self.takes_peers_of(address)
    }
}

/// Networks of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Networks {
    v4: Ranges<Ipv4Addr>,
    v6: Ranges<Ipv6Addr>,
}

impl Networks {
    fn of(networks: &[IpNet]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(network) => v4.push((network.network(), network.broadcast())),
                IpNet::V6(network) => v6.push((network.network(), network.broadcast())),
            }
        }
        Self { v4: Ranges::of(v4), v6: Ranges::of(v6) }
    }

    fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contain(address),
            IpAddr::V6(address) => self.v6.contain(address),
        }
    }
}

/// First and last addresses of networks, in order. Networks lie in each other or apart, so of those that lie in another
/// none is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranges<A>(Vec<(A, A)>);

impl<A> Default for Ranges<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A: Ord + Copy> Ranges<A> {
    fn of(mut networks: Vec<(A, A)>) -> Self {
        // Of networks with the same first address the longest comes first.
        networks.sort_unstable_by(|one, other| one.0.cmp(&other.0).then(other.1.cmp(&one.1)));
        networks.dedup_by(|next, kept| next.1 <= kept.1);
        Self(networks)
    }

    fn contain(&self, address: A) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= address);
        behind.checked_sub(1).is_some_and(|position| address <= self.0[position].1)
    }
}

#[cfg(test)]
mod tests {
    use super::AccessList;
    use crate::config::types::StoreConfig;
    use ipnet::{IpNet, Ipv4Net};
    use std::net::IpAddr;

    #[test]
    fn a_denied_network_is_denied_in_both_forms_of_its_addresses() {
        let list =
            AccessList::denying(&["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        for (source, allowed) in [
            ("203.0.113.9", false),
            ("::ffff:203.0.113.9", false),
            ("203.0.114.9", true),
            ("2001:db8:1::1", false),
            ("2001:db9::1", true),
        ] {
            assert_eq!(list.allows(source.parse().unwrap()), allowed, "{source}");
        }
        assert!(AccessList::default().allows("203.0.113.9".parse().unwrap()));
    }

    #[test]
    fn a_denied_client_is_known_by_the_beginning_of_its_peer_id() {
        let list =
            AccessList::default().denying_clients(&["-XL".to_owned(), "M7-9-2--Abcdefghijkl".to_owned()]);
        for (peer_id, allowed) in [
            (b"-XL0012-abcdefghijkl", false),
            (b"-X\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", true),
            (b"--XL012-abcdefghijkl", true),
            (b"-xl0012-abcdefghijkl", true),
            (b"M7-9-2--Abcdefghijkl", false),
            (b"M7-9-2--Abcdefghijkx", true),
            (&[0; 20], true),
        ] {
            assert_eq!(list.allows_client(peer_id), allowed, "{}", peer_id.escape_ascii());
        }
        assert!(AccessList::default().allows_client(b"-XL0012-abcdefghijkl"));
    }

    #[test]
    fn the_ranges_deny_what_the_networks_contain() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..200 {
            let networks: Vec<IpNet> = (0..random.usize(0..8))
                .map(|_| {
                    Ipv4Net::new_assert(random.u32(0..1 << 12).into(), random.u8(20..=32)).trunc().into()
                })
                .collect();
            let list = AccessList::denying(&networks);
            for _ in 0..200 {
                let source = IpAddr::V4(random.u32(0..1 << 13).into());
                let denied = networks.iter().any(|network| network.contains(&source));
                assert_eq!(list.allows(source), !denied, "{source} with {networks:?}");
            }
        }
    }

    #[test]
    fn peers_of_refused_addresses_are_not_taken_though_their_source_is_served() {
        let config =
            StoreConfig { refuse_networks: vec!["11.0.0.0/8".parse().unwrap()], ..StoreConfig::default() };
        let own = AccessList::default().refusing(&config);
        let takes = |list: &AccessList, address: &str| list.takes_peers_of(address.parse().unwrap());
        assert!(!takes(&own, "11.1.2.3") && !takes(&own, "::ffff:11.1.2.3") && takes(&own, "10.0.0.1"));
        assert!(own.allows("11.1.2.3".parse().unwrap()));
        let bogons = AccessList::default().refusing(&StoreConfig { refuse_bogons: true, ..config });
        assert!(!takes(&bogons, "11.1.2.3") && !takes(&bogons, "10.0.0.1") && !takes(&bogons, "fe80::1"));
        assert!(takes(&bogons, "12.0.0.1") && takes(&bogons, "2600::1"));
        assert!(takes(&AccessList::default(), "127.0.0.1"));
    }
}
