//! What happened to a packet, and why: one verdict per packet, and each verdict the index of its counter.

/// Declares the verdicts once: variant, name for people and exporters, and meaning.
macro_rules! verdicts {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// The one outcome of one UDP packet. The discriminant is the index of its counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Verdict {
            $($(#[$doc])* $variant,)+
        }

        impl Verdict {
            /// Every verdict, in the order of the counters.
            pub const ALL: &'static [Verdict] = &[$(Verdict::$variant,)+];

            /// The name under which the counter is published.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Verdict::$variant => $name,)+
                }
            }
        }
    };
}

verdicts! {
    /// A connect request, answered with a connection id.
    ConnectAnswered = "connect_answered",
    /// An announce, answered with peers.
    AnnounceAnswered = "announce_answered",
    /// A scrape, answered with its rows.
    ScrapeAnswered = "scrape_answered",
    /// A request whose connection id does not hold, answered with an error because the operator asked for it.
    ConnectionIdRefused = "connection_id_refused",
    /// Dropped: shorter than any request.
    TooShort = "too_short",
    /// Dropped: a connect request without the protocol id of BEP 15.
    WrongProtocolId = "wrong_protocol_id",
    /// Dropped: the connection id is older than its lifetime, or from the future.
    ConnectionIdStale = "connection_id_stale",
    /// Dropped: the connection id was not given to this source address.
    ConnectionIdForged = "connection_id_forged",
    /// Dropped: an announce of fewer than 98 bytes.
    AnnounceTooShort = "announce_too_short",
    /// Dropped: a scrape without one whole info hash.
    ScrapeTooShort = "scrape_too_short",
    /// Dropped: neither connect nor announce nor scrape.
    UnknownAction = "unknown_action",
    /// Dropped: no answer can reach its source (port 0, or an unspecified, broadcast or multicast address).
    UnanswerableSource = "unanswerable_source",
    /// Dropped: its UDP checksum is wrong. Only what comes by AF_XDP is judged by the daemon, all else by the network stack.
    ChecksumWrong = "checksum_wrong",
    /// Dropped: its source lies in a network that the operator blocks.
    SourceBlocked = "source_blocked",
    /// Dropped by the kernel program: a proven source that asks more than its budget.
    SourceOverBudget = "source_over_budget",
    /// Dropped: more connects than the budget of all sources together, which is kept by the kernel program, and is none in
    /// a daemon that drains.
    ConnectOverBudget = "connect_over_budget",
    /// Passed on by the kernel program: an announce whose connection id holds.
    AnnounceProven = "announce_proven",
    /// Passed on by the kernel program: a scrape whose connection id holds.
    ScrapeProven = "scrape_proven",
    /// Handed over by the kernel program to the AF_XDP socket of its queue: an announce whose connection id holds.
    AnnounceRedirected = "announce_redirected",
    /// Handed over by the kernel program to the AF_XDP socket of its queue: a scrape whose connection id holds.
    ScrapeRedirected = "scrape_redirected",
    /// Passed on by the kernel program: a wrong connection id that the operator wants answered.
    ConnectionIdPassed = "connection_id_passed",
    /// Passed on by the kernel program: not UDP over IPv4 or IPv6.
    NotUdp = "not_udp",
    /// Passed on by the kernel program: another address or port than the daemon listens on.
    NotListening = "not_listening",
    /// Passed on by the kernel program: a fragment.
    Fragment = "fragment",
    /// Passed on by the kernel program: IPv4 options, or IPv6 extension headers.
    IpOptions = "ip_options",
    /// Passed on by the kernel program: headers that contradict each other, for the network stack to judge.
    BadHeader = "bad_header",
    /// Passed on by the kernel program: a connect whose UDP checksum only the network stack can judge.
    ChecksumUnsure = "checksum_unsure",
    /// Passed on by the kernel program: the daemon has given no sign of life for too long.
    DaemonSilent = "daemon_silent",
    /// An announce of a torrent that the operator's list forbids, answered with an error.
    TorrentForbidden = "torrent_forbidden",
    /// An announce of a client whose software the operator denies, answered with an error.
    ClientDenied = "client_denied",
    /// An announce from an address that the operator has no peers of, answered with an error.
    AddressRefused = "address_refused",
}

impl Verdict {
    /// How many counters there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The index of this verdict's counter.
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn every_verdict_is_the_index_of_its_own_counter() {
        for (position, verdict) in Verdict::ALL.iter().enumerate() {
            assert_eq!(verdict.index(), position);
        }
    }

    #[test]
    fn no_two_verdicts_share_a_name() {
        for (position, verdict) in Verdict::ALL.iter().enumerate() {
            assert!(Verdict::ALL[..position].iter().all(|earlier| earlier.name() != verdict.name()));
        }
    }
}
