//! The body of a full scrape, made while it is sent: only when the client has taken what there was, the store is asked for
//! the next torrents. So it takes the same memory for any number of them, and a slow client holds no lock.
//!
//! It runs on the thread of an HTTP worker, among announces. So it does little at a time, and between two pieces of work
//! lets everything else on that thread run.

use super::coding::{Coding, Encoder};
use super::limits::Place;
use crate::clock::Now;
use crate::info_hash::InfoHash;
use crate::peer_store::{Listing, SwarmCounts};
use crate::scrape_format::{Format, Row};
use crate::state_dump::Calendar;
use crate::tracker::Tracker;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

/// Torrents that are enough for one piece of work. The store gives up to 512 in a step.
const TORRENTS: usize = 128;
/// Steps of the store in one piece of work: each may give next to nothing.
const STEPS: usize = 16;
/// Bytes that are compressed in one piece of work: a third of a millisecond.
const COMPRESSED: usize = 16 << 10;
/// Bytes that are worth being sent on their own.
const WORTH_SENDING: usize = 8 << 10;
/// Seconds for a client to take the whole of it.
const LONGEST_SECS: u32 = 15 * 60;

/// A full scrape on its way to a client.
pub(in crate::http) struct FullScrape {
    tracker: Arc<Tracker>,
    format: Format,
    stage: Stage,
    torrents: Vec<(InfoHash, SwarmCounts)>,
    /// Written, but not compressed from `compressed` on.
    text: Vec<u8>,
    compressed: usize,
    encoder: Encoder,
    /// Everything else on this thread, between two pieces of work.
    others: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// For the format that has times in it.
    calendar: Option<Calendar>,
    cut_off_secs: u32,
    sent: u64,
    place: Place,
}

/// How far it is.
enum Stage {
    Walking(Listing),
    Walked,
    Ended,
}

impl FullScrape {
    /// # Errors
    /// Where there is no memory for the compressor.
    pub(super) fn new(
        tracker: Arc<Tracker>,
        format: Format,
        coding: Coding,
        place: Place,
        now: Now,
    ) -> io::Result<Self> {
        let mut text = Vec::new();
        format.begin(&mut text);
        Ok(Self {
            tracker,
            format,
            stage: Stage::Walking(Listing::default()),
            torrents: Vec::new(),
            text,
            compressed: 0,
            encoder: Encoder::new(coding)?,
            others: None,
            calendar: (format == Format::StateDump).then(|| Calendar::read(now)),
            cut_off_secs: now.seconds().saturating_add(LONGEST_SECS),
            sent: 0,
            place,
        })
    }

    /// Does one piece of work, and returns what has become worth sending by it, if anything has.
    fn work(&mut self) -> io::Result<Option<Bytes>> {
        let rest = self.text.get(self.compressed..).unwrap_or_default();
        if !rest.is_empty() {
            let most = if matches!(self.encoder, Encoder::Identity(_)) { rest.len() } else { COMPRESSED };
            let piece = &rest[..rest.len().min(most)];
            self.encoder.write(piece)?;
            self.compressed += piece.len();
        } else if let Stage::Walking(listing) = &mut self.stage {
            self.text.clear();
            self.compressed = 0;
            let mut more = true;
            for _ in 0..STEPS {
                more = listing.step(self.tracker.store(), &mut self.torrents);
                if !more || self.torrents.len() >= TORRENTS {
                    break;
                }
            }
            let torrents = self.torrents.drain(..);
            for (info_hash, counts) in torrents.filter(|(info_hash, _)| self.tracker.shows(info_hash)) {
                let minute = self.calendar.map_or(0, |calendar| minute(&self.tracker, &info_hash, calendar));
                self.format.torrent(&mut self.text, &Row { info_hash, counts, minute });
            }
            if !more {
                self.format.end(&mut self.text);
                self.stage = Stage::Walked;
            }
        } else {
            self.encoder.finish()?;
            self.stage = Stage::Ended;
        }
        let is_last = matches!(self.stage, Stage::Ended);
        let ready = self.encoder.ready();
        let is_worth_sending = ready.len() >= WORTH_SENDING || is_last && !ready.is_empty();
        Ok(is_worth_sending.then(|| Bytes::from(std::mem::take(ready))))
    }
}

/// When a torrent was announced last; one that has just been forgotten, when the host was started.
fn minute(tracker: &Tracker, info_hash: &InfoHash, calendar: Calendar) -> u64 {
    calendar.minute(tracker.store().last_announce_secs(info_hash).unwrap_or(0))
}

impl Body for FullScrape {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        loop {
            if let Some(others) = &mut this.others {
                ready!(others.as_mut().poll(context));
                this.others = None;
            }
            if matches!(this.stage, Stage::Ended) {
                return Poll::Ready(None);
            }
            if Now::read().seconds() >= this.cut_off_secs {
                return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
            }
            let worked = this.work();
            // Not a wake-up of its own: the runtime would go on with it before it looks for other requests.
            this.others = Some(Box::pin(tokio::task::yield_now()));
            match worked.transpose() {
                None => {}
                Some(Ok(bytes)) => {
                    this.sent += bytes.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl Drop for FullScrape {
    fn drop(&mut self) {
        let sent = self.place.sent();
        let end = if matches!(self.stage, Stage::Ended) { &sent.whole } else { &sent.cut_off };
        end.fetch_add(1, Ordering::Relaxed);
        sent.bytes.fetch_add(self.sent, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Coding, Format, FullScrape};
    use crate::clock::Now;
    use crate::config::types::{HttpConfig, TrackerConfig};
    use crate::http::full_scrape::FullScrapes;
    use crate::info_hash::InfoHash;
    use crate::peer_store::PeersOut;
    use crate::tracker::{Announce, Event, Protocol, Tracker};
    use hyper::body::Body;
    use std::net::Ipv4Addr;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    /// The scrape of so many torrents, begun this many seconds ago.
    fn scrape(torrents: u32, coding: Coding, since_secs: u32) -> FullScrape {
        let tracker = Arc::new(Tracker::new(TrackerConfig::default(), [1, 2]));
        let (now, mut random) = (Now::read(), fastrand::Rng::with_seed(1));
        for _ in 0..torrents {
            let announce = Announce {
                over: Protocol::Http,
                info_hash: InfoHash(std::array::from_fn(|_| random.u8(..))),
                peer: (Ipv4Addr::LOCALHOST, 1).into(),
                bytes_left: 0,
                event: Event::Ordinary,
                peers_wanted: None,
            };
            tracker.announce(&announce, now, &mut random, &mut PeersOut::new(&mut [], &mut []));
        }
        let place = Arc::new(FullScrapes::new(&HttpConfig::default())).admit([192, 0, 2, 1].into(), now);
        let begun = Now::from_seconds(now.seconds().saturating_sub(since_secs));
        FullScrape::new(tracker, Format::Bencoded, coding, place.unwrap(), begun).unwrap()
    }

    #[test]
    fn between_any_two_pieces_everything_else_on_the_thread_has_its_turn() {
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            let mut body = scrape(20_000, coding, 0);
            let mut context = Context::from_waker(Waker::noop());
            let (mut pieces, mut turns) = (0, 0);
            loop {
                match Pin::new(&mut body).poll_frame(&mut context) {
                    Poll::Pending => turns += 1,
                    Poll::Ready(Some(frame)) => {
                        let length = frame.unwrap().into_data().unwrap().len();
                        assert!(length <= 64 << 10, "{length} bytes at once");
                        pieces += 1;
                        assert!(turns >= pieces - 1, "{pieces} pieces after {turns} turns");
                    }
                    Poll::Ready(None) => break,
                }
            }
            // 20,000 torrents are some 80 bytes each, and no turn has more than 639 of them.
            assert!(pieces >= 20 && turns >= 20_000 / 639, "{pieces} pieces, {turns} turns of {coding:?}");
        }
    }

    #[test]
    fn a_client_that_takes_longer_than_a_quarter_of_an_hour_is_cut_off() {
        let ends_at_once = |since_secs| {
            let mut body = scrape(1, Coding::Identity, since_secs);
            let polled = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
            matches!(polled, Poll::Ready(Some(Err(_))))
        };
        assert!(ends_at_once(900));
        assert!(!ends_at_once(890));
    }
}
