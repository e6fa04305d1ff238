//! Full scrapes: `/scrape` without a query, and `/stats?mode=tpbs`. Every torrent there is, in a stream that is made as it
//! is sent: `limits` says who gets one, `body` makes it, in a [`Format`] and a `coding`.

mod body;
mod coding;
mod limits;

pub(super) use body::FullScrape;
pub(super) use limits::{FullScrapes, TooMany};

use super::query;
use crate::clock::Now;
pub(super) use crate::scrape_format::Format;
use crate::tracker::Tracker;
use coding::Coding;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use std::net::IpAddr;
use std::sync::Arc;

/// The format that a query names with `format=`.
pub(super) fn format_named(value: &[u8]) -> Option<Format> {
    Format::SCRAPES.into_iter().find(|format| query::is(value, format.name().as_bytes()) == Ok(true))
}

/// A full scrape that may begin, and how it is coded.
pub(super) struct Begun {
    pub(super) body: FullScrape,
    /// The value of `Content-Encoding`.
    pub(super) coding: Option<HeaderValue>,
}

/// Begins a full scrape for a client with these headers, unless it must wait.
pub(super) fn begin(
    scrapes: &Arc<FullScrapes>,
    tracker: &Arc<Tracker>,
    client: IpAddr,
    format: Format,
    headers: &HeaderMap,
) -> Result<Begun, TooMany> {
    let now = Now::read();
    let place = scrapes.admit(client, now)?;
    let coding = Coding::wanted(headers);
    // Without memory for a compressor there is none for anything else either; later there may be.
    let body =
        FullScrape::new(Arc::clone(tracker), format, coding, place, now).map_err(|_| TooMany::AtOnce)?;
    Ok(Begun { body, coding: coding.name() })
}

/// The value of `Content-Encoding` that a full scrape for a client with these headers would have.
pub(super) fn coding_for(headers: &HeaderMap) -> Option<HeaderValue> {
    Coding::wanted(headers).name()
}

#[cfg(test)]
mod tests {
    use super::{Format, format_named};

    #[test]
    fn formats_are_named_as_in_opentracker() {
        assert_eq!(format_named(b"txtp"), Some(Format::TextWithDownloads));
        assert_eq!(format_named(b"%74xt"), Some(Format::Text));
        assert_eq!(format_named(b"xml"), None);
        assert_eq!(format_named(b"statedump"), None);
        assert_eq!(format_named(b""), None);
    }
}
