//! Statistics that take a walk over all torrents or all peers: the largest swarms (`mode=top10`, `mode=top100`) and where the
//! peers are (`mode=s24s`). Made like a full scrape, in small steps on the thread of an HTTP worker, with everything else on
//! that thread in between; what is kept meanwhile is bounded. The answer is sent when the walk has ended.

use super::Form;
use super::networks::{self, NetworkTable};
use crate::access_list::TorrentList;
use crate::counters::{BusyNetworks, Network};
use crate::info_hash::InfoHash;
use crate::peer_store::{Dump, Listing, Page, SwarmCounts};
use crate::top_torrents::{Rank, Ranking};
use crate::tracker::Tracker;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

/// Walks that run at a time, of all workers.
const MOST: u32 = 4;
/// Networks that are counted at a time, in 16 bytes each. Where there are more, the least of them are lost.
const NETWORKS: usize = 1 << 17;
/// Torrents or peers that are enough for one piece of work: some ten microseconds.
const PIECE: usize = 256;
/// Steps of the store in one piece of work: each may give next to nothing.
const STEPS: usize = 16;

/// What a walk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Walk {
    /// So many torrents with the most peers, seeders, and leechers.
    Top(usize),
    /// Networks with the most peers.
    Networks,
}

/// The walks of all workers.
#[derive(Debug, Default)]
pub(in crate::http) struct Surveys(AtomicU32);

/// The place of one walk among those that run; dropping it makes room.
#[derive(Debug)]
pub(in crate::http) struct Place(Arc<Surveys>);

impl Surveys {
    /// A place for one more walk; none where as many as may are running.
    pub(in crate::http) fn admit(self: &Arc<Self>) -> Option<Place> {
        // Taken first and given back if it was one too many: two that ask at once never both get the last.
        let place = Place(Arc::clone(self));
        (self.0.fetch_add(1, Ordering::Relaxed) < MOST).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A walk on its way.
pub(in crate::http) struct Survey {
    tracker: Arc<Tracker>,
    form: Form,
    stage: Stage,
    /// Everything else on this thread, between two pieces of work.
    others: Option<Pin<Box<dyn Future<Output = ()>>>>,
    _place: Place,
}

/// How far it is.
enum Stage {
    Torrents(Listing, Vec<(InfoHash, SwarmCounts)>, Box<Top>),
    Peers(Dump, Page, BusyNetworks),
    Ended,
}

impl Survey {
    pub(in crate::http) fn new(tracker: Arc<Tracker>, walk: Walk, form: Form, place: Place) -> Self {
        let stage = match walk {
            Walk::Top(most) => Stage::Torrents(Listing::default(), Vec::new(), Box::new(Top::new(most))),
            Walk::Networks => {
                Stage::Peers(Dump::default(), Page::default(), BusyNetworks::with_room_for(NETWORKS))
            }
        };
        Self { tracker, form, stage, others: None, _place: place }
    }

    /// Does one piece of work; returns the answer with the last.
    fn work(&mut self) -> Option<Vec<u8>> {
        let store = self.tracker.store();
        let mut more = true;
        let answer = match &mut self.stage {
            Stage::Torrents(listing, torrents, top) => {
                for _ in 0..STEPS {
                    more = listing.step(store, torrents);
                    if !more || torrents.len() >= PIECE {
                        break;
                    }
                }
                top.add_all(torrents, &self.tracker.torrents());
                (!more).then(|| top.write(self.form))
            }
            Stage::Peers(dump, page, counts) => {
                for _ in 0..STEPS {
                    more = dump.step(store, page);
                    if !more || page.entries() >= PIECE {
                        break;
                    }
                }
                count_networks(page, counts);
                (!more).then(|| write_networks(self.form, counts))
            }
            Stage::Ended => None,
        };
        if !more {
            self.stage = Stage::Ended;
        }
        answer
    }
}

impl Body for Survey {
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
            if let Some(answer) = this.work() {
                return Poll::Ready(Some(Ok(Frame::data(answer.into()))));
            }
            // Not a wake-up of its own: the runtime would go on with it before it looks for other requests.
            this.others = Some(Box::pin(tokio::task::yield_now()));
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }
}

/// The torrents with the most peers, seeders, and leechers.
struct Top {
    most: usize,
    rankings: [(Rank, Ranking); 3],
}

impl Top {
    fn new(most: usize) -> Self {
        Self { most, rankings: Self::empty(most) }
    }

    fn empty(most: usize) -> [(Rank, Ranking); 3] {
        [Rank::Peers, Rank::Seeders, Rank::Leechers].map(|rank| (rank, Ranking::new(most, rank)))
    }

    /// Takes in torrents, but those that are hidden, and empties their list.
    fn add_all(&mut self, torrents: &mut Vec<(InfoHash, SwarmCounts)>, list: &TorrentList) {
        for (info_hash, counts) in torrents.drain(..).filter(|(info_hash, _)| list.shows(info_hash)) {
            self.rankings.iter_mut().for_each(|(_, ranking)| ranking.consider(info_hash, counts));
        }
    }

    fn write(&mut self, form: Form) -> Vec<u8> {
        let most = self.most;
        let ranked = std::mem::replace(&mut self.rankings, Self::empty(most)).map(|(rank, ranking)| {
            let sizes = ranking.found().into_iter().map(|(info_hash, counts)| (info_hash, rank.of(&counts)));
            sizes.collect::<Vec<_>>()
        });
        let named = ["peers", "seeds", "leechers"].into_iter().zip(ranked);
        match form {
            Form::Text => {
                let mut out = String::new();
                for (name, ranked) in named {
                    // Writing to a String cannot fail.
                    let _ = writeln!(out, "Top {most} torrents by {name}:");
                    for (info_hash, count) in ranked {
                        let _ = writeln!(out, "\t{count}\t{}", hex(&info_hash));
                    }
                }
                out.into_bytes()
            }
            Form::Json => {
                let rows = |ranked: Vec<(InfoHash, u64)>| {
                    let rows = ranked.into_iter();
                    rows.map(|(info_hash, count)| json!({ "info_hash": hex(&info_hash), "count": count }))
                        .collect::<Vec<_>>()
                };
                let tables: HashMap<_, _> = named.map(|(name, ranked)| (name, rows(ranked))).collect();
                json!(tables).to_string().into_bytes()
            }
        }
    }
}

fn hex(info_hash: &InfoHash) -> String {
    let mut hex = String::with_capacity(40);
    for byte in info_hash.0 {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02X}");
    }
    hex
}

/// Counts the peers of a page, each once, and empties it.
fn count_networks(page: &mut Page, counts: &BusyNetworks) {
    let v4 = page.v4.iter().map(|peer| {
        let [a, b, c, d, ..] = peer.entry;
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    });
    let v6 = page.v6.iter().filter_map(|peer| {
        let (address, _) = peer.entry.split_first_chunk::<16>()?;
        Some(IpAddr::V6(Ipv6Addr::from(*address)))
    });
    // All at one time: they are counted, not aged.
    v4.chain(v6).for_each(|address| counts.note(Network::of(address), 0));
    page.clear();
}

fn write_networks(form: Form, counts: &BusyNetworks) -> Vec<u8> {
    let tables: Vec<NetworkTable> = networks::rank(counts.counts(0).into_iter().collect());
    let mut out = Vec::new();
    match form {
        Form::Text => tables.iter().for_each(|table| networks::write(&mut out, table)),
        Form::Json => {
            // Writing to memory cannot fail.
            let _ = write!(out, "{}", json!({ "tables": tables }));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Form, MOST, Survey, Surveys, Walk};
    use crate::clock::Now;
    use crate::config::types::TrackerConfig;
    use crate::info_hash::InfoHash;
    use crate::peer_store::PeersOut;
    use crate::tracker::{Announce, Event, Protocol, Tracker};
    use hyper::body::Body;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    fn announce(tracker: &Tracker, info_hash: [u8; 20], peer: SocketAddr, bytes_left: u64) {
        let announce = Announce {
            over: Protocol::Udp,
            info_hash: InfoHash(info_hash),
            peer,
            bytes_left,
            event: Event::Ordinary,
            peers_wanted: None,
        };
        let peers = &mut PeersOut::new(&mut [], &mut []);
        tracker.announce(&announce, Now::read(), &mut fastrand::Rng::with_seed(1), peers);
    }

    /// The answer of a walk, and how often everything else had its turn meanwhile.
    fn walked(tracker: &Arc<Tracker>, walk: Walk, form: Form) -> (String, u32) {
        let place = Arc::new(Surveys::default()).admit().unwrap();
        let mut survey = Survey::new(Arc::clone(tracker), walk, form, place);
        let mut context = Context::from_waker(Waker::noop());
        let (mut answer, mut turns) = (Vec::new(), 0);
        loop {
            match Pin::new(&mut survey).poll_frame(&mut context) {
                Poll::Pending => turns += 1,
                Poll::Ready(Some(frame)) => answer.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                Poll::Ready(None) => return (String::from_utf8(answer).unwrap(), turns),
            }
        }
    }

    fn tracker() -> Arc<Tracker> {
        Arc::new(Tracker::new(TrackerConfig::default(), [1, 2]))
    }

    #[test]
    fn the_largest_swarms_are_ranked_by_peers_seeders_and_leechers() {
        let tracker = tracker();
        // Torrent n has n leechers, and 20 - n seeders where n is even.
        for torrent in 1..20_u8 {
            for peer in 0..u16::from(torrent) {
                announce(&tracker, [torrent; 20], ([192, 0, 2, 1], 1 + peer).into(), 1);
            }
            for peer in 0..u16::from(20 - torrent) * u16::from(torrent % 2 == 0) {
                announce(&tracker, [torrent; 20], ([192, 0, 2, 2], 1 + peer).into(), 0);
            }
        }
        let line = |count: u32, torrent: u8| format!("\t{count}\t{}\n", format!("{torrent:02X}").repeat(20));
        let lines = |rows: [(u32, u8); 3]| rows.map(|(count, torrent)| line(count, torrent)).concat();
        let expected = format!(
            "Top 3 torrents by peers:\n{}Top 3 torrents by seeds:\n{}Top 3 torrents by leechers:\n{}",
            lines([(20, 2), (20, 4), (20, 6)]),
            lines([(18, 2), (16, 4), (14, 6)]),
            lines([(19, 19), (18, 18), (17, 17)]),
        );
        assert_eq!(walked(&tracker, Walk::Top(3), Form::Text).0, expected);
        let json: serde_json::Value =
            serde_json::from_str(&walked(&tracker, Walk::Top(3), Form::Json).0).unwrap();
        assert_eq!(json["leechers"][0]["count"], 19);
        assert_eq!(json["seeds"][2]["info_hash"], "06".repeat(20));
    }

    #[test]
    fn networks_are_ranked_by_their_peers() {
        let tracker = tracker();
        for (torrent, address, port) in [
            (1, "192.0.2.1", 1),
            (1, "192.0.2.1", 2),
            (2, "192.0.2.15", 1),
            (2, "192.0.2.16", 1),
            (1, "2001:db8::1", 1),
        ] {
            announce(&tracker, [torrent; 20], (address.parse::<std::net::IpAddr>().unwrap(), port).into(), 0);
        }
        let expected = "Networks, limit /28:\n00000003: 192.0.2.0\n00000001: 192.0.2.16\n\n\
                        Networks, limit /24:\n00000004: 192.0.2.0\n\nNetworks, limit /48:\n00000001: 2001:db8::\n\n";
        assert_eq!(walked(&tracker, Walk::Networks, Form::Text).0, expected);
        let json: serde_json::Value =
            serde_json::from_str(&walked(&tracker, Walk::Networks, Form::Json).0).unwrap();
        assert_eq!(json["tables"][1]["networks"][0]["count"], 4);
        assert_eq!(json["tables"][1]["networks"][0]["first_address"], "192.0.2.0");
    }

    #[test]
    fn between_any_two_pieces_everything_else_on_the_thread_has_its_turn() {
        let (tracker, mut random) = (tracker(), fastrand::Rng::with_seed(1));
        for _ in 0..20_000 {
            announce(&tracker, std::array::from_fn(|_| random.u8(..)), ([192, 0, 2, 1], 1).into(), 0);
        }
        for walk in [Walk::Top(10), Walk::Networks] {
            let (_, turns) = walked(&tracker, walk, Form::Text);
            // No piece has more than one less than is enough, and a step of the store.
            assert!(turns >= 20_000 / (256 + 512), "{turns} turns of {walk:?}");
        }
    }

    #[test]
    fn so_many_walks_run_at_once_and_no_more() {
        let surveys = Arc::new(Surveys::default());
        let mut running: Vec<_> = (0..MOST).map(|_| surveys.admit().unwrap()).collect();
        assert!(surveys.admit().is_none());
        running.pop();
        running.push(surveys.admit().unwrap());
        assert!(surveys.admit().is_none());
    }
}
