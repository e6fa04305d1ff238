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
