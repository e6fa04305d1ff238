//! Why a tracker request cannot be served, as clients read it. Most of it is the request's own fault and stays so.

use super::query::{BadEncoding, BadInfoHash};
use crate::access_list::{ADDRESS_NOT_ALLOWED, CLIENT_NOT_ALLOWED, NOT_AUTHORIZED};
use crate::bencode::Writer;

/// Minutes after which a client may find the tracker again that was about to end.
const RETRY_MINUTES: &[u8] = b"5";

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A `%` without two hexadecimal digits, in a key that counts.
    BadEncoding,
    /// No torrent is named.
    InfoHashMissing,
    /// A torrent's name is not 20 bytes.
    InfoHashLength,
    /// An announce names two torrents.
    InfoHashRepeated,
    /// No port, or none that can be connected to.
    PortInvalid,
    /// The operator does not serve this torrent.
    TorrentForbidden,
    /// The operator does not serve this client's software.
    ClientDenied,
    /// The operator takes no peers of this address.
    AddressRefused,
    /// The tracker is about to end.
    Draining,
}

impl Refusal {
    /// The words that a client shows.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::BadEncoding => "malformed percent-encoding",
            Self::InfoHashMissing => "info_hash is missing",
            Self::InfoHashLength => "info_hash must be 20 bytes",
            Self::InfoHashRepeated => "info_hash is given more than once",
            Self::PortInvalid => "port must be a number from 1 to 65535",
            Self::TorrentForbidden => NOT_AUTHORIZED,
            Self::ClientDenied => CLIENT_NOT_ALLOWED,
            Self::AddressRefused => ADDRESS_NOT_ALLOWED,
            Self::Draining => "this tracker is about to stop",
        }
    }

    /// Writes the failure; `retry in` is `never` (BEP 31) where the same request fails for ever, and else in minutes.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer.dictionary();
        writer.entry_bytes("failure reason", self.reason().as_bytes());
        match self {
            // A list changes. Without the word it is also byte for byte what opentracker says.
            Self::TorrentForbidden => {}
            Self::Draining => writer.entry_bytes("retry in", RETRY_MINUTES),
            _ => writer.entry_bytes("retry in", b"never"),
        }
        writer.end();
    }
}

impl From<BadEncoding> for Refusal {
    fn from(BadEncoding: BadEncoding) -> Self {
        Self::BadEncoding
    }
}

impl From<BadInfoHash> for Refusal {
    fn from(bad: BadInfoHash) -> Self {
        match bad {
            BadInfoHash::Encoding => Self::BadEncoding,
            BadInfoHash::Length => Self::InfoHashLength,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn a_refusal_has_its_literal_bytes() {
        let mut out = Vec::new();
        Refusal::InfoHashMissing.write(&mut out);
        assert_eq!(out, b"d14:failure reason20:info_hash is missing8:retry in5:nevere");
        out.clear();
        Refusal::Draining.write(&mut out);
        assert_eq!(out, b"d14:failure reason29:this tracker is about to stop8:retry in1:5e");
        out.clear();
        Refusal::TorrentForbidden.write(&mut out);
        let expected =
            b"d14:failure reason63:Requested download is not authorized for use with this tracker.e";
        assert_eq!(out, expected);
    }
}
