//! What the body of a response is: bytes that are there, or something that is made while it is sent.

use super::full_scrape::FullScrape;
use super::snapshot::SnapshotBody;
use super::stats::Survey;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a response.
pub(super) enum AnswerBody {
    Whole(Full<Bytes>),
    FullScrape(Box<FullScrape>),
    Survey(Box<Survey>),
    Snapshot(SnapshotBody),
    /// That of a HEAD, of which only the headers are sent: how long it would be is not known.
    Unsent,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => {
                Pin::new(body).poll_frame(context).map_err(|never: std::convert::Infallible| match never {})
            }
            Self::FullScrape(body) => Pin::new(body).poll_frame(context),
            Self::Survey(body) => Pin::new(body).poll_frame(context),
            Self::Snapshot(body) => Pin::new(body).poll_frame(context),
            Self::Unsent => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::FullScrape(body) => body.is_end_stream(),
            Self::Survey(body) => body.is_end_stream(),
            Self::Snapshot(body) => body.is_end_stream(),
            Self::Unsent => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::FullScrape(body) => body.size_hint(),
            Self::Survey(body) => body.size_hint(),
            Self::Snapshot(body) => body.size_hint(),
            Self::Unsent => SizeHint::default(),
        }
    }
}
