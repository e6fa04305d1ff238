//! One node's state over HTTP, taken back while it comes in.

use super::PATH;
use crate::clock::Now;
use crate::peer_store::Timeouts;
use crate::state::snapshot::format::{Contents, Damage, Header};
use crate::state::snapshot::parser::{Item, Parser};
use crate::state::snapshot::restorer::{Restorer, Terms};
use crate::tracker::Tracker;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{error::Elapsed, timeout};

/// How long a node may take to answer: it has the first bytes at once.
const ANSWER: Duration = Duration::from_secs(5);
/// How long it may take for some more bytes.
const SILENCE: Duration = Duration::from_secs(10);

/// Why a node has not given its state.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// There is no connection.
    #[error("it cannot be reached: {0}")]
    Unreachable(io::Error),
    /// There is one, and no answer.
    #[error("it does not answer; it may be starting itself")]
    Silent,
    /// It gives its state to as many nodes as it can, or is about to end.
    #[error("it answers 503: it gives its state to others at the moment, or is about to end")]
    Busy,
    /// It does not give its state to this node.
    #[error("it answers {0}; its batchsync.cluster.admin_ip says who may have it")]
    Refused(StatusCode),
    /// No tracker answers so.
    #[error("it answers {0}, which no tracker does; is it the address of one that serves HTTP?")]
    Unexpected(StatusCode),
    /// It is no longer the one that it was.
    #[error("it has been restarted meanwhile")]
    Restarted,
    /// The connection broke.
    #[error("it is broken off: {0}")]
    BrokenOff(String),
    /// Not what was written came in.
    #[error("{0}")]
    Damaged(Damage),
}

impl From<Damage> for Failure {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::BrokenOff(error.to_string())
    }
}

impl From<Elapsed> for Failure {
    fn from(_: Elapsed) -> Self {
        Self::BrokenOff(format!("nothing came for {} s", SILENCE.as_secs()))
    }
}

/// Where a node stands that is asked for its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is there, and will give the rest of its state later.
    Awaited,
    /// It may be there later, and may not.
    Away,
    /// It has given everything.
    Given,
    /// It will give nothing.
    Refused,
}

/// A node that may give its state, and how much of it there is.
pub(super) struct Donor {
    address: SocketAddr,
    standing: Standing,
    /// Parts of its store that have been taken back whole, and the number of that store.
    parts_done: u32,
    store_id: Option<u64>,
    bytes: u64,
    /// Rows of torrents that it has given.
    rows: u64,
}

impl Donor {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self { address, standing: Standing::Away, parts_done: 0, store_id: None, bytes: 0, rows: 0 }
    }

    /// Where it stands since it was asked last.
    pub(super) const fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether it has given all that it knows, and knows anything.
    pub(super) fn has_enriched(&self) -> bool {
        self.standing == Standing::Given && self.rows > 0
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that it has given so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Parts of its store that have been taken back whole.
    pub(super) const fn parts_done(&self) -> u32 {
        self.parts_done
    }

    /// Asks for what is missing, and takes it back.
    pub(super) async fn fetch(&mut self, tracker: &Arc<Tracker>, timeouts: Timeouts) -> Result<(), Failure> {
        let fetched = self.fetch_rest(tracker, timeouts).await;
        self.standing = match &fetched {
            Ok(()) => Standing::Given,
            Err(Failure::Refused(_)) => Standing::Refused,
            Err(Failure::Busy | Failure::Restarted) => Standing::Awaited,
            Err(Failure::BrokenOff(_) | Failure::Damaged(_)) if self.bytes > 0 => Standing::Awaited,
            Err(_) => Standing::Away,
        };
        fetched
    }

    async fn fetch_rest(&mut self, tracker: &Arc<Tracker>, timeouts: Timeouts) -> Result<(), Failure> {
        let mut body = self.ask().await?;
        let mut intake = Intake::new(tracker, timeouts);
        let received = self.receive(&mut body, &mut intake).await;
        // Whatever came in whole is stored, and its parts need not come again.
        let Stored { parts_done, rows } = intake.finish()?;
        self.parts_done = self.parts_done.max(parts_done);
        self.rows += rows;
        received
    }

    /// The body of its answer.
    async fn ask(&self) -> Result<Incoming, Failure> {
        let connecting =
            timeout(ANSWER, TcpStream::connect(self.address)).await.map_err(|_| Failure::Silent)?;
        let stream = connecting.map_err(Failure::Unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the body or the sender, whichever goes last; its error is the body's as well.
        tokio::spawn(connection);
        let request = Request::get(format!("{PATH}?from={}", self.parts_done))
            .header(header::HOST, self.address.to_string())
            .body(Empty::<Bytes>::new())
            .map_err(|error| Failure::BrokenOff(error.to_string()))?;
        let answer = timeout(ANSWER, sender.send_request(request)).await.map_err(|_| Failure::Silent)??;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            StatusCode::SERVICE_UNAVAILABLE => Err(Failure::Busy),
            status @ (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => Err(Failure::Refused(status)),
            status => Err(Failure::Unexpected(status)),
        }
    }

    async fn receive(&mut self, body: &mut Incoming, intake: &mut Intake<'_>) -> Result<(), Failure> {
        while let Some(frame) = timeout(SILENCE, body.frame()).await? {
            let Ok(bytes) = frame?.into_data() else { continue };
            self.bytes += bytes.len() as u64;
            intake.parser.push(&bytes);
            while let Some(item) = intake.parser.next_item()? {
                match item {
                    Item::Header(header) => {
                        self.check(&header)?;
                        intake.begin()?;
                    }
                    Item::Torrents(block) => {
                        intake.parts_done = block.parts_done;
                        if let Some(restorer) = &intake.restorer {
                            restorer.put(block);
                        }
                    }
                    Item::End(contents) => intake.end = Some(contents),
                }
            }
        }
        intake.parser.finish().map_err(|_| Failure::BrokenOff("it ends before its end".to_owned()))
    }

    /// Whether this goes on where the last answer ended.
    fn check(&mut self, header: &Header) -> Result<(), Failure> {
        let is_same = self.store_id.is_none_or(|store_id| store_id == header.store_id);
        if !is_same || header.first_part != self.parts_done {
            // Its parts are others than before.
            (self.parts_done, self.store_id) = (0, None);
            return Err(Failure::Restarted);
        }
        self.store_id = Some(header.store_id);
        Ok(())
    }
}

/// What one answer brings.
struct Intake<'a> {
    tracker: &'a Arc<Tracker>,
    timeouts: Timeouts,
    parser: Parser,
    restorer: Option<Restorer>,
    parts_done: u32,
    end: Option<Contents>,
}

/// What has been taken back of an answer.
#[derive(Default)]
struct Stored {
    /// The parts that are there whole, counted from the first of all; 0 where none of them came.
    parts_done: u32,
    rows: u64,
}

impl<'a> Intake<'a> {
    fn new(tracker: &'a Arc<Tracker>, timeouts: Timeouts) -> Self {
        Self { tracker, timeouts, parser: Parser::default(), restorer: None, parts_done: 0, end: None }
    }

    /// From here on torrents come. The clocks of two hosts differ: ages are as of this moment, in which they were made.
    fn begin(&mut self) -> Result<(), Failure> {
        let now_secs = Now::read().seconds();
        let terms = Terms { begun_secs: now_secs, now_secs, timeouts: self.timeouts };
        let started = Restorer::start(self.tracker, terms);
        self.restorer =
            Some(started.map_err(|error| Failure::BrokenOff(format!("no threads here: {error}")))?);
        Ok(())
    }

    /// Waits until everything is stored, and says how much that is.
    fn finish(&mut self) -> Result<Stored, Damage> {
        let Some(restorer) = self.restorer.take() else { return Ok(Stored::default()) };
        let begun_secs = restorer.begun_secs();
        let restored = restorer.finish()?;
        match self.end {
            Some(end) if end != restored.contents => return Err(Damage::Missing),
            // Who knows nothing has just started as well.
            Some(end) if end.rows > 0 => self.tracker.knows_downloads_until(begun_secs),
            _ => {}
        }
        Ok(Stored { parts_done: self.parts_done, rows: restored.contents.rows })
    }
}
