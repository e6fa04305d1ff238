//! From a request to its endpoint, and from what the endpoint wrote to a response. Every request that arrives whole
//! is counted here, once. It waits for nothing: an answer is made between two bytes.

use super::Service;
use super::announce::{self, AnnounceQuery, Peers};
use super::answer_body::AnswerBody;
use super::client_ip::client_ip;
use super::full_scrape::{self, Begun, Format, TooMany};
use super::refusal::Refusal;
use super::snapshot::{self, NoSnapshot, SnapshotBody};
use super::stats::{Survey, View};
use super::{scrape, stats};
use crate::clock::Now;
use crate::config::types::HttpConfig;
use crate::counters::{HttpCounters, HttpVerdict};
use crate::join;
use crate::peer_store::PeersOut;
use crate::tracker::{Announce, Protocol};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use std::cell::RefCell;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// What one worker answers requests with.
#[derive(Debug)]
pub(super) struct Dispatcher {
    service: Arc<Service>,
    counters: Arc<HttpCounters>,
    scratch: RefCell<Scratch>,
}

/// Used for one request and then for the next, so that a request allocates the body of its answer and no more.
#[derive(Debug)]
struct Scratch {
    random: fastrand::Rng,
    peers_v4: Vec<u8>,
    peers_v6: Vec<u8>,
    body: Vec<u8>,
}

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Announce,
    Scrape,
    FullScrape,
    Stats,
    Snapshot,
    Root,
    Nothing,
}

/// A response but for its body, which lies in the scratch buffer unless it is a stream.
struct Answer {
    verdict: HttpVerdict,
    status: StatusCode,
    content_type: &'static str,
    extra: Option<(HeaderName, HeaderValue)>,
    stream: Option<Stream>,
}

/// A body that is made while it is sent.
enum Stream {
    FullScrape(Box<Begun>),
    /// The headers of one, with its `Content-Encoding`.
    FullScrapeHeaders(Option<HeaderValue>),
    Survey(Box<Survey>),
    Snapshot(SnapshotBody),
}

/// Who asks, and how.
#[derive(Clone, Copy)]
struct Asker<'a> {
    client: IpAddr,
    headers: &'a HeaderMap,
    /// Only the headers of the answer are wanted.
    is_head: bool,
}

impl Answer {
    const fn text(verdict: HttpVerdict, status: StatusCode) -> Self {
        Self { verdict, status, content_type: "text/plain", extra: None, stream: None }
    }
}

impl Dispatcher {
    /// For a worker that moves these counters.
    pub(super) fn new(service: Arc<Service>, counters: Arc<HttpCounters>) -> Self {
        let most_peers = usize::from(service.peers_wanted_max);
        let scratch = Scratch {
            random: fastrand::Rng::new(),
            peers_v4: vec![0; most_peers * PEER_V4_LEN],
            peers_v6: vec![0; most_peers * PEER_V6_LEN],
            body: Vec::new(),
        };
        Self { service, counters, scratch: RefCell::new(scratch) }
    }

    /// The limits of connections.
    pub(super) fn http_config(&self) -> &HttpConfig {
        &self.service.http
    }

    /// Counts a request.
    pub(super) fn count(&self, verdict: HttpVerdict) {
        self.counters.verdicts.add(verdict as usize, 1);
    }

    /// Counts a connection.
    pub(super) fn count_connection(&self) {
        self.counters.connections.add(0, 1);
    }

    /// Counts a connection that was closed for another one.
    pub(super) fn count_closed_for_room(&self) {
        self.counters.closed_for_room.add(0, 1);
    }

    /// Answers a request from this TCP source. A body of the request is not looked at.
    pub(super) fn respond<B>(
        &self,
        source: IpAddr,
        request: &Request<B>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let mut scratch = self.scratch.borrow_mut();
        scratch.body.clear();
        let answer = self.answer(source, request, &mut scratch);
        self.count(answer.verdict);
        let mut response = match answer.stream {
            Some(stream) => streamed(stream),
            None => Response::new(AnswerBody::Whole(Full::new(Bytes::copy_from_slice(&scratch.body)))),
        };
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        if answer.verdict == HttpVerdict::MethodRefused || self.service.tracker.is_draining() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some((name, value)) = answer.extra {
            headers.insert(name, value);
        }
        Ok(response)
    }

    fn answer<B>(&self, source: IpAddr, request: &Request<B>, scratch: &mut Scratch) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            scratch.body.extend_from_slice(b"only GET and HEAD are served here\n");
            let allow = (header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            let answer = Answer::text(HttpVerdict::MethodRefused, StatusCode::METHOD_NOT_ALLOWED);
            return Answer { extra: Some(allow), ..answer };
        }
        let client = client_ip(source, request.headers(), &self.service.access.proxy);
        if !self.service.tracker.allows(client) {
            scratch.body.extend_from_slice(b"this address is not served\n");
            return Answer::text(HttpVerdict::SourceDenied, StatusCode::FORBIDDEN);
        }
        let asker = Asker { client, headers: request.headers(), is_head: request.method() == Method::HEAD };
        let query = request.uri().query().unwrap_or_default().as_bytes();
        match endpoint(request.uri(), &self.service.access.stats_path) {
            Endpoint::Announce | Endpoint::Scrape | Endpoint::FullScrape
                if self.service.tracker.is_draining() =>
            {
                refuse(Refusal::Draining, HttpVerdict::TurnedAway, scratch)
            }
            Endpoint::Announce => self.announce(client, query, scratch),
            Endpoint::FullScrape if self.service.http.full_scrape => {
                self.full_scrape(asker, Format::Bencoded, scratch)
            }
            Endpoint::Scrape | Endpoint::FullScrape => self.scrape(query, scratch),
            Endpoint::Stats => self.stats(asker, query, scratch),
            Endpoint::Snapshot => self.snapshot(source, query, scratch),
            Endpoint::Root => self.root(scratch),
            Endpoint::Nothing => not_found(scratch),
        }
    }

    fn announce(&self, client: IpAddr, query: &[u8], scratch: &mut Scratch) -> Answer {
        let query = match AnnounceQuery::parse(query) {
            Ok(query) => query,
            Err(refusal) => return refuse(refusal, HttpVerdict::AnnounceRefused, scratch),
        };
        if !self.service.tracker.takes_peers_of(client) {
            return refuse(Refusal::AddressRefused, HttpVerdict::AddressRefused, scratch);
        }
        if !self.service.tracker.allows_client(&query.peer_id) {
            return refuse(Refusal::ClientDenied, HttpVerdict::ClientDenied, scratch);
        }
        if !self.service.tracker.permits(&query.info_hash, client) {
            return refuse(Refusal::TorrentForbidden, HttpVerdict::TorrentForbidden, scratch);
        }
        let announce = Announce {
            over: Protocol::Http,
            info_hash: query.info_hash,
            peer: SocketAddr::new(client, query.port),
            bytes_left: query.bytes_left,
            event: query.event,
            peers_wanted: query.peers_wanted,
        };
        let Scratch { random, peers_v4, peers_v6, body } = scratch;
        let mut peers = PeersOut::new(peers_v4, peers_v6);
        let (tracker, now) = (&self.service.tracker, Now::read());
        let announced = tracker.announce(&announce, now, random, &mut peers);
        self.counters.announces.note(&tracker.noted(&announce, &announced), now);
        let peers = Peers { v4: peers.v4(), v6: peers.v6(), form: query.peer_form };
        announce::write_answer(body, client, &announced, peers);
        Answer::text(HttpVerdict::AnnounceAnswered, StatusCode::OK)
    }

    fn scrape(&self, query: &[u8], scratch: &mut Scratch) -> Answer {
        match scrape::parse(query) {
            Ok(info_hashes) => {
                let tracker = &self.service.tracker;
                scrape::write_answer(&mut scratch.body, &info_hashes, |info_hash| tracker.scrape(info_hash));
                Answer::text(HttpVerdict::ScrapeAnswered, StatusCode::OK)
            }
            Err(refusal) => refuse(refusal, HttpVerdict::ScrapeRefused, scratch),
        }
    }

    fn stats(&self, asker: Asker<'_>, query: &[u8], scratch: &mut Scratch) -> Answer {
        if !stats::allows(&self.service.access.stats, asker.client) {
            return stats_forbidden(scratch);
        }
        match stats::parse(query) {
            Ok(View::FullScrape(_)) if !self.service.http.full_scrape => {
                scratch.body.extend_from_slice(b"full scrapes are not served here\n");
                Answer::text(HttpVerdict::NotFound, StatusCode::NOT_FOUND)
            }
            Ok(View::FullScrape(format)) => self.full_scrape(asker, format, scratch),
            Ok(View::Page(mode, form)) => {
                stats::write(&mut scratch.body, mode, form, &self.service, Now::read());
                let content_type = form.content_type();
                Answer { content_type, ..Answer::text(HttpVerdict::StatsShown, StatusCode::OK) }
            }
            Ok(View::Survey(walk, form)) => match self.service.surveys.admit() {
                Some(place) => {
                    let survey = Survey::new(Arc::clone(&self.service.tracker), walk, form, place);
                    let (content_type, stream) =
                        (form.content_type(), Some(Stream::Survey(Box::new(survey))));
                    Answer { content_type, stream, ..Answer::text(HttpVerdict::StatsShown, StatusCode::OK) }
                }
                None => {
                    scratch.body.extend_from_slice(
                        b"as many walks over all torrents as may are running; try again\n",
                    );
                    Answer::text(HttpVerdict::StatsRefused, StatusCode::SERVICE_UNAVAILABLE)
                }
            },
            Err(unknown) => {
                scratch.body.extend_from_slice(unknown.explanation().as_bytes());
                Answer::text(HttpVerdict::StatsRefused, StatusCode::BAD_REQUEST)
            }
        }
    }

    fn full_scrape(&self, asker: Asker<'_>, format: Format, scratch: &mut Scratch) -> Answer {
        let Asker { client, headers, is_head } = asker;
        if !stats::allows(&self.service.access.stats, client) {
            return stats_forbidden(scratch);
        }
        if is_head {
            // Its headers alone, and no place taken for a body that nobody gets.
            let stream = Some(Stream::FullScrapeHeaders(full_scrape::coding_for(headers)));
            return Answer { stream, ..Answer::text(HttpVerdict::StatsShown, StatusCode::OK) };
        }
        let Service { full_scrapes, tracker, .. } = &*self.service;
        match full_scrape::begin(full_scrapes, tracker, client, format, headers) {
            Ok(begun) => {
                let stream = Some(Stream::FullScrape(Box::new(begun)));
                Answer { stream, ..Answer::text(HttpVerdict::FullScrapeBegun, StatusCode::OK) }
            }
            Err(too_many) => {
                let status = match too_many {
                    TooMany::FromAddress(_) => StatusCode::TOO_MANY_REQUESTS,
                    TooMany::AtOnce => StatusCode::SERVICE_UNAVAILABLE,
                };
                scratch.body.extend_from_slice(b"no full scrape now; Retry-After says in how many seconds\n");
                let retry_after = (header::RETRY_AFTER, HeaderValue::from(too_many.retry_secs()));
                Answer { extra: Some(retry_after), ..Answer::text(HttpVerdict::FullScrapeRefused, status) }
            }
        }
    }

    fn snapshot(&self, source: IpAddr, query: &[u8], scratch: &mut Scratch) -> Answer {
        let Service { snapshots: Some(snapshots), tracker, .. } = &*self.service else {
            return not_found(scratch);
        };
        let (explanation, status): (&[u8], _) = match snapshots.begin(tracker, source, snapshot::from(query))
        {
            Ok(body) => {
                let (content_type, stream) = ("application/octet-stream", Some(Stream::Snapshot(body)));
                return Answer {
                    content_type,
                    stream,
                    ..Answer::text(HttpVerdict::SnapshotBegun, StatusCode::OK)
                };
            }
            Err(NoSnapshot::Forbidden) => (
                b"batchsync.cluster.admin_ip does not have this address, or it is that of a proxy\n",
                StatusCode::FORBIDDEN,
            ),
            Err(NoSnapshot::Busy) => {
                (b"as many snapshots as may are being made; try again\n", StatusCode::SERVICE_UNAVAILABLE)
            }
        };
        scratch.body.extend_from_slice(explanation);
        Answer::text(HttpVerdict::SnapshotRefused, status)
    }

    fn root(&self, scratch: &mut Scratch) -> Answer {
        let Some(url) = &self.service.redirect else { return not_found(scratch) };
        let location = (header::LOCATION, url.clone());
        Answer { extra: Some(location), ..Answer::text(HttpVerdict::Redirected, StatusCode::FOUND) }
    }
}

fn streamed(stream: Stream) -> Response<AnswerBody> {
    let (body, coding) = match stream {
        Stream::Survey(survey) => return Response::new(AnswerBody::Survey(survey)),
        Stream::Snapshot(body) => return Response::new(AnswerBody::Snapshot(body)),
        Stream::FullScrape(begun) => {
            let Begun { body, coding } = *begun;
            (AnswerBody::FullScrape(Box::new(body)), coding)
        }
        Stream::FullScrapeHeaders(coding) => (AnswerBody::Unsent, coding),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, coding);
    }
    response
}

fn stats_forbidden(scratch: &mut Scratch) -> Answer {
    scratch.body.extend_from_slice(b"statistics are not shown to this address\n");
    Answer::text(HttpVerdict::StatsForbidden, StatusCode::FORBIDDEN)
}

fn refuse(refusal: Refusal, verdict: HttpVerdict, scratch: &mut Scratch) -> Answer {
    refusal.write(&mut scratch.body);
    // Clients read the reason only where the status is 200.
    Answer::text(verdict, StatusCode::OK)
}

fn not_found(scratch: &mut Scratch) -> Answer {
    scratch.body.extend_from_slice(b"nothing is served at this path\n");
    Answer::text(HttpVerdict::NotFound, StatusCode::NOT_FOUND)
}

/// What lives at a path. Beside `/announce` and `/scrape` every path that begins like them, with as many slashes as
/// the client likes, and the root with a query: announce URLs in the wild are mistyped, and always have been served.
fn endpoint(uri: &Uri, stats_path: &str) -> Endpoint {
    let (path, query) = (uri.path(), uri.query());
    if path.strip_prefix('/') == Some(stats_path) {
        return Endpoint::Stats;
    }
    if path == join::PATH {
        return Endpoint::Snapshot;
    }
    match path.trim_start_matches('/') {
        "" if query.is_none_or(str::is_empty) => Endpoint::Root,
        "" => Endpoint::Announce,
        path if path.starts_with('a') => Endpoint::Announce,
        "scrape" if query.is_none() => Endpoint::FullScrape,
        path if path.starts_with("sc") => Endpoint::Scrape,
        _ => Endpoint::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, endpoint};
    use hyper::Uri;

    #[test]
    fn every_path_has_its_endpoint() {
        for (target, expected) in [
            ("/announce?x", Endpoint::Announce),
            ("/announce", Endpoint::Announce),
            ("/announce.php?x", Endpoint::Announce),
            ("//announce?x", Endpoint::Announce),
            ("/a?x", Endpoint::Announce),
            ("/announce%20?x", Endpoint::Announce),
            ("/?info_hash=x", Endpoint::Announce),
            ("/scrape?x", Endpoint::Scrape),
            ("/scrape?", Endpoint::Scrape),
            ("/scrape", Endpoint::FullScrape),
            ("//scrape", Endpoint::FullScrape),
            ("/sc?x", Endpoint::Scrape),
            ("/sc", Endpoint::Scrape),
            ("/stats", Endpoint::Stats),
            ("/stats?mode=peer", Endpoint::Stats),
            ("//stats", Endpoint::Nothing),
            ("/stats/", Endpoint::Nothing),
            ("/", Endpoint::Root),
            ("/?", Endpoint::Root),
            ("/favicon.ico", Endpoint::Nothing),
            ("/s?x", Endpoint::Nothing),
            ("/cluster/snapshot?from=1", Endpoint::Snapshot),
            ("/cluster/snapshots", Endpoint::Nothing),
            ("/Announce?x", Endpoint::Nothing),
            ("*", Endpoint::Nothing),
        ] {
            assert_eq!(endpoint(&target.parse().unwrap(), "stats"), expected, "{target}");
        }
    }

    #[test]
    fn a_path_of_the_statistics_that_begins_like_an_announce_is_theirs() {
        assert_eq!(endpoint(&Uri::from_static("/admin"), "admin"), Endpoint::Stats);
        assert_eq!(endpoint(&Uri::from_static("/stats"), "admin"), Endpoint::Nothing);
    }
}
