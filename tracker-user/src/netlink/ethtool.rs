//! What drivers say of themselves over the family `ethtool` (linux/ethtool_netlink.h), Linux 5.6: queues, rings, offloads.

use super::{Extent, GenericFamily, Request, attribute, attributes, number, text};
use std::collections::BTreeSet;
use std::io::Result;

const GET_FEATURES: u8 = 11;
const GET_RINGS: u8 = 15;
const GET_CHANNELS: u8 = 17;
/// In every request: a nest with the interface in it.
const HEADER: u16 = 1;
const HEADER_INDEX: u16 = 1;
/// In the answer to [`GET_FEATURES`].
const ACTIVE: u16 = 4;
const BITS: u16 = 3;
const BIT: u16 = 1;
const BIT_NAME: u16 = 2;
/// In the answer to [`GET_CHANNELS`].
const RECEIVE_COUNT: u16 = 6;
const TRANSMIT_COUNT: u16 = 7;
const COMBINED_COUNT: u16 = 9;
/// In the answer to [`GET_RINGS`].
const RECEIVE_MAX: u16 = 2;
const TRANSMIT_MAX: u16 = 5;
const RECEIVE: u16 = 6;
const TRANSMIT: u16 = 9;

/// The family, of which one interface after the other is asked.
#[derive(Debug)]
pub(crate) struct Ethtool(GenericFamily);

/// Queues in use; a combined one counts for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channels {
    pub(crate) receive: u32,
    pub(crate) transmit: u32,
}

/// Packets that a queue of the card holds, now and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CardRings {
    pub(crate) receive: u32,
    pub(crate) receive_max: u32,
    pub(crate) transmit: u32,
    pub(crate) transmit_max: u32,
}

impl Ethtool {
    /// Finds the family.
    ///
    /// # Errors
    /// `ENOENT` where this kernel does not have it.
    pub(crate) fn new() -> Result<Self> {
        GenericFamily::named("ethtool").map(Self)
    }

    /// The answer about one interface; `None` where its driver has none.
    fn ask(&self, command: u8, index: u32) -> Option<Vec<u8>> {
        let header = Request::default().with(HEADER_INDEX, &index.to_ne_bytes());
        let request = Request::default().with_nested(HEADER, &header);
        self.0.ask(command, Extent::One, &request).ok()?.into_iter().next()
    }

    /// Its queues; `None` where the driver does not say.
    pub(crate) fn channels(&self, index: u32) -> Option<Channels> {
        let answer = self.ask(GET_CHANNELS, index)?;
        let count = |kind| attribute(&answer, kind).and_then(number).unwrap_or_default();
        let combined = count(COMBINED_COUNT);
        Some(Channels {
            receive: count(RECEIVE_COUNT) + combined,
            transmit: count(TRANSMIT_COUNT) + combined,
        })
    }

    /// Its rings; `None` where the driver does not say, or has none.
    pub(crate) fn rings(&self, index: u32) -> Option<CardRings> {
        let answer = self.ask(GET_RINGS, index)?;
        let count = |kind| attribute(&answer, kind).and_then(number);
        Some(CardRings {
            receive: count(RECEIVE)?,
            receive_max: count(RECEIVE_MAX).unwrap_or_default(),
            transmit: count(TRANSMIT)?,
            transmit_max: count(TRANSMIT_MAX).unwrap_or_default(),
        })
    }

    /// The names of the offloads that are on, such as `rx-gro`; `None` where the kernel does not say.
    pub(crate) fn active_offloads(&self, index: u32) -> Option<BTreeSet<String>> {
        let answer = self.ask(GET_FEATURES, index)?;
        let bits = attribute(attribute(&answer, ACTIVE)?, BITS)?;
        let bits = attributes(bits).filter(|(kind, _)| *kind == BIT);
        Some(bits.filter_map(|(_, bit)| attribute(bit, BIT_NAME)).map(text).collect())
    }
}
