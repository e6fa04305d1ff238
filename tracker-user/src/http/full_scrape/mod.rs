//! Full scrapes: `/scrape` without a query, and `/stats?mode=tpbs`. Every torrent there is, in a stream that is made as it
//! is sent: `limits` says who gets one, `body` makes it, in a `format` and a `coding`.

mod body;
mod coding;
mod format;
mod limits;

pub(super) use body::FullScrape;
pub(super) use format::Format;
pub(super) use limits::{FullScrapes, TooMany};

use crate::clock::Now;
use crate::tracker::Tracker;
use coding::Coding;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use std::net::IpAddr;
use std::sync::Arc;

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
