//! The tracker over HTTP (BEP 3): sockets, HTTP and bencode around [`crate::tracker`], which decides. A request
//! travels listener → connection → dispatch → one of the endpoints; what is read of it lies in `query` and
//! `client_ip`, what is written in [`crate::bencode`]. Nothing here keeps anything beyond the request, but for counters.
//!
//! Answers hold no peer ids: see `docs/adr/0001-no-peer-ids.md`.
//!
//! One form that a few broken clients send is not served: a blank before the `?` as it is (`GET /announce
//! ?info_hash=… HTTP/1.1`). It makes a request line of four words, which the HTTP library takes for malformed.
//! The encoded blank (`/announce%20?…`) is served.

mod announce;
mod answer_body;
mod client_ip;
mod connection;
mod dispatch;
mod full_scrape;
mod listener;
mod query;
mod refusal;
mod scrape;
mod snapshot;
mod socket;
mod stats;

pub use listener::{WorkerSettings, run_worker};

use crate::clock::Now;
use crate::config::types::{AccessConfig, Config, HttpConfig};
use crate::counters::Counters;
use crate::state::snapshot::writer::Origin;
use crate::tracker::Tracker;
use full_scrape::FullScrapes;
use hyper::header::HeaderValue;
use ipnet::IpNet;
use snapshot::Snapshots;
use stats::Surveys;
use stats::condition::StoreFigures;
use std::sync::Arc;

/// What all HTTP workers share.
#[derive(Debug)]
pub struct Service {
    tracker: Arc<Tracker>,
    counters: Arc<Counters>,
    access: AccessConfig,
    http: HttpConfig,
    redirect: Option<HeaderValue>,
    peers_wanted_max: u16,
    full_scrapes: Arc<FullScrapes>,
    surveys: Arc<Surveys>,
    /// Where nodes may fetch any.
    snapshots: Option<Snapshots>,
    /// Whether nodes of this network hear of peers, and those of other sites.
    has_livesync: bool,
    has_sites: bool,
    started: Now,
    /// Names this run, for whoever counts across restarts.
    id: u32,
}

/// `tracker.redirect_url` holds characters that no HTTP header may carry.
#[derive(Debug, thiserror::Error)]
#[error("tracker.redirect_url {0:?} holds characters that HTTP does not allow; percent-encode them")]
pub struct BadRedirectUrl(String);

impl Service {
    /// What the workers need of the configuration; `started` is when the daemon did, for its uptime.
    ///
    /// # Errors
    /// If the redirect cannot be sent as it is.
    pub fn new(
        tracker: Arc<Tracker>,
        counters: Arc<Counters>,
        config: &Config,
        started: Now,
    ) -> Result<Self, BadRedirectUrl> {
        let redirect = config
            .tracker
            .redirect_url
            .as_ref()
            .map(|url| HeaderValue::from_str(url).map_err(|_| BadRedirectUrl(url.clone())))
            .transpose()?;
        Ok(Self {
            tracker,
            counters,
            access: config.access.clone(),
            http: config.http.clone(),
            redirect,
            peers_wanted_max: config.tracker.peers_wanted_max,
            full_scrapes: Arc::new(FullScrapes::new(&config.http)),
            surveys: Arc::default(),
            snapshots: None,
            has_livesync: config.livesync.listen.is_some(),
            has_sites: !config.sync.nats.is_empty(),
            started,
            id: fastrand::u32(..),
        })
    }

    /// The same with snapshots for the nodes of these networks; without any, there are none.
    #[must_use]
    pub fn with_snapshots(self, origin: Origin, may_fetch: &[IpNet]) -> Self {
        let proxies = self.access.proxy.clone();
        let snapshots = (!may_fetch.is_empty()).then(|| Snapshots::new(origin, may_fetch.to_vec(), proxies));
        Self { snapshots, ..self }
    }

    /// Every worker's counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The tracker behind it.
    pub const fn tracker(&self) -> &Arc<Tracker> {
        &self.tracker
    }

    /// Everything that the statistics have, as one JSON object, for whoever asks by another way than HTTP.
    pub fn statistics(&self, now: Now) -> Vec<u8> {
        let mut json = Vec::new();
        stats::write(&mut json, stats::Mode::Everything, stats::Form::Json, self, now);
        json
    }

    /// What the store holds of what it may, as a JSON object, for whoever asks by another way than HTTP.
    pub fn store_figures(&self) -> impl serde::Serialize + use<> {
        StoreFigures::of(&self.tracker)
    }

    /// Seconds since the daemon was started.
    pub const fn uptime_secs(&self, now: Now) -> u32 {
        now.seconds().saturating_sub(self.started.seconds())
    }

    /// Long answers that are being sent: full scrapes, and snapshots for nodes that join.
    pub fn streams_running(&self) -> u64 {
        let [full_scrapes, ..] = self.full_scrapes.figures();
        full_scrapes + self.snapshots.as_ref().map_or(0, Snapshots::running)
    }

    /// The open connections that one worker may have: its part of the whole.
    fn max_connections_of_a_worker(&self) -> usize {
        let workers = self.counters.http_workers().len().max(1);
        (self.http.max_connections as usize / workers).max(1)
    }
}
