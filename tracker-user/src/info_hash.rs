//! The name of a torrent.

use std::fmt;
use tracker_common::wire::INFO_HASH_LEN;

/// The 20 bytes by which a torrent is known (BEP 3; BEP 52 truncates to as many).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash(pub [u8; INFO_HASH_LEN]);

impl fmt::Debug for InfoHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02X}"))
    }
}
