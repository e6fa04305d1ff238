//! Announce and scrape, the same for both protocols: no sockets, no clock, no bytes of a protocol.

mod decoys;
mod intervals;

use crate::access_list::{AccessList, PeerId, Refusal, Refusals, TorrentList};
use crate::clock::Now;
use crate::config::types::{Config, TrackerConfig};
use crate::counters::Noted;
use crate::events::{EventQueue, PeerEvent};
use crate::info_hash::InfoHash;
use crate::peer_store::{
    Limits, PeerStore, PeersOut, Standing, StoreConfig, SwarmCounts, Taken, Timeouts, Update,
};
use arc_swap::{ArcSwap, Guard};
use decoys::{Asked, Decoys};
use intervals::Intervals;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use tracker_common::siphash::Key;

/// What a peer says has happened (BEP 3). Any other event is an ordinary announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing, `started`, `paused` (BEP 21) or an unknown event.
    Ordinary,
    /// The download has finished.
    Completed,
    /// The peer leaves the swarm.
    Stopped,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// BEP 15.
    Udp,
    /// BEP 3.
    Http,
}

/// One announce, proven to come from its address.
#[derive(Clone, Copy, Debug)]
pub struct Announce {
    /// What the client speaks: that may have an interval of its own.
    pub over: Protocol,
    /// The torrent.
    pub info_hash: InfoHash,
    /// Where other peers reach this one: the source address with the announced port. Port 0 is never stored.
    pub peer: SocketAddr,
    /// Bytes left to download; 0 makes a seeder.
    pub bytes_left: u64,
    /// What has happened.
    pub event: Event,
    /// Peers wanted; `None` leaves it to the tracker.
    pub peers_wanted: Option<u32>,
}

/// The answer to an announce, beside the peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// The swarm with the announcer in it.
    pub counts: SwarmCounts,
    /// Seconds until the client should announce again, jitter included.
    pub interval_secs: u32,
    /// Seconds since this peer's announce before this one; `None`: it was not known.
    pub renewed_after_secs: Option<u32>,
    /// Whether this peer says for the first time that its download has finished.
    pub first_completion: bool,
}

impl Announced {
    /// Seconds before which the client should not announce again (BEP 3, `min interval`).
    pub const fn min_interval_secs(&self) -> u32 {
        self.interval_secs / 2
    }
}

/// What became of another node's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenIn {
    /// It is in the store.
    Stored,
    /// This node has later word of the peer, or the peer has timed out since.
    Older,
    /// The store is full, or the peer's source has had its share.
    NoRoom,
    /// Its torrent or its network is not served here, or the peer cannot be reached.
    NotServed,
}

/// The tracker: the rules of announce and scrape over the store of peers.
#[derive(Debug)]
pub struct Tracker {
    store: PeerStore,
    config: TrackerConfig,
    limits: Limits,
    intervals: Intervals,
    decoys: Decoys,
    access: ArcSwap<AccessList>,
    torrents: ArcSwap<TorrentList>,
    refusals: OnceLock<Arc<Refusals>>,
    others: OnceLock<Arc<EventQueue>>,
    /// The moment of the latest state that was taken back, in seconds of [`Now`].
    known_until_secs: AtomicU32,
    is_draining: AtomicBool,
}

impl Tracker {
    /// An empty tracker with these settings, and the defaults of all others. `key` is secret and random, see
    /// [`PeerStore::new`].
    pub fn new(config: TrackerConfig, key: Key) -> Self {
        Self::of(&Config { tracker: config, ..Config::default() }, key)
    }

    /// An empty tracker as it is configured, but for whom it serves and which torrents.
    pub fn of(config: &Config, key: Key) -> Self {
        let TrackerConfig { peer_timeout_secs: peer_secs, torrent_timeout_secs: torrent_secs, .. } =
            config.tracker;
        let limits = config.store.limits;
        let store = StoreConfig { timeouts: Timeouts { peer_secs, torrent_secs }, limits };
        Self {
            store: PeerStore::new(key, store),
            limits,
            intervals: Intervals::of(config),
            decoys: Decoys::new(config.tracker.decoy_peers_percent, key),
            config: config.tracker.clone(),
            access: ArcSwap::default(),
            torrents: ArcSwap::default(),
            refusals: OnceLock::new(),
            others: OnceLock::new(),
            known_until_secs: AtomicU32::new(0),
            is_draining: AtomicBool::new(false),
        }
    }

    /// Whether anything is answered to this source. Asked before a request is looked at.
    pub fn allows(&self, source: IpAddr) -> bool {
        self.access.load().allows(source)
    }

    /// Whether announces of a client with this peer id are taken in.
    pub fn allows_client(&self, peer_id: &PeerId) -> bool {
        self.access.load().allows_client(peer_id)
    }

    /// Whether peers of this address are taken in. Asked before [`Tracker::announce`], by whoever refuses the others.
    pub fn takes_peers_of(&self, address: IpAddr) -> bool {
        self.access.load().takes_peers_of(address)
    }

    /// Who is served now. Not to be kept.
    pub fn access(&self) -> Guard<Arc<AccessList>> {
        self.access.load()
    }

    /// Replaces who is served, whole and at once. Returns what was before: whoever replaces it lets go of it last, so that no
    /// worker has to free its memory.
    pub fn replace_access(&self, access: Arc<AccessList>) -> Arc<AccessList> {
        self.access.swap(access)
    }

    /// Takes in no new clients from now on: the daemon is about to end.
    pub fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Whether new clients are turned away, since the daemon is about to end.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Whether this client's announces of this torrent are taken in. Asked before [`Tracker::announce`], by whoever refuses
    /// the others; a refusal is noted for the log where there is one.
    pub fn permits(&self, info_hash: &InfoHash, client: IpAddr) -> bool {
        let is_permitted = self.torrents.load().permits(info_hash);
        if !is_permitted && let Some(refusals) = self.refusals.get() {
            refusals.note(Refusal { info_hash: *info_hash, client });
        }
        is_permitted
    }

    /// Has refusals noted from now on; of several calls the first counts.
    pub fn note_refusals(&self, refusals: Arc<Refusals>) {
        // Set only once, before anything is served.
        let _ = self.refusals.set(refusals);
    }

    /// Has other nodes told of peers from now on; of several calls the first counts.
    pub fn tell_others(&self, events: Arc<EventQueue>) {
        // Set only once, before anything is served.
        let _ = self.others.set(events);
    }

    /// What other nodes are told by, where there are any.
    pub fn others(&self) -> Option<&EventQueue> {
        self.others.get().map(|events| &**events)
    }

    /// Which torrents are served now. Not to be kept: it holds the list in memory, however many follow it.
    pub fn torrents(&self) -> Guard<Arc<TorrentList>> {
        self.torrents.load()
    }

    /// Whether scrapes tell of this torrent, if it is known.
    pub fn shows(&self, info_hash: &InfoHash) -> bool {
        self.torrents.load().shows(info_hash)
    }

    /// Replaces which torrents are served, whole and at once. Returns the list of before: whoever replaces it lets go of
    /// it last, so that no worker has to free its memory.
    pub fn replace_torrents(&self, torrents: Arc<TorrentList>) -> Arc<TorrentList> {
        self.torrents.swap(torrents)
    }

    /// Takes an announce in and draws peers into `peers`, none for a peer that stops.
    pub fn announce(
        &self,
        announce: &Announce,
        now: Now,
        random: &mut fastrand::Rng,
        peers: &mut PeersOut<'_>,
    ) -> Announced {
        let standing = match (announce.event, announce.bytes_left) {
            (Event::Stopped, _) => Standing::Stopped,
            (_, 0) => Standing::Seeder,
            _ => Standing::Leecher,
        };
        let update = Update {
            info_hash: announce.info_hash,
            peer: announce.peer,
            standing,
            completed: announce.event == Event::Completed,
            peers_wanted: self.peers_wanted(announce.peers_wanted),
            now_secs: now.seconds(),
        };
        let taken = self.store.announce(&update, random, peers);
        if let Some(others) = self.others.get() {
            tell(others, &update, &taken);
        }
        let Taken { counts, renewed_after_secs, first_completion, .. } = taken;
        let Update { info_hash, peers_wanted, now_secs, .. } = update;
        // The last thing before the answer: nobody else learns of them.
        self.decoys.mix(&Asked { info_hash, peers_wanted, now_secs, known: counts.peers() }, random, peers);
        let interval_secs = self.intervals.draw(announce.over, random);
        Announced { counts, interval_secs, renewed_after_secs, first_completion }
    }

    /// What is to be noted of an announce. A peer that stops does not come back by that.
    pub fn noted(&self, announce: &Announce, announced: &Announced) -> Noted {
        let Announced { renewed_after_secs, first_completion, .. } = *announced;
        let renewed_after_secs = renewed_after_secs.filter(|_| announce.event != Event::Stopped);
        // The earliest that anyone of them is told. Within a minute of the announce before, a peer rather has something new
        // to say.
        let too_early = 60..self.intervals.earliest_secs(announce.over) / 2;
        Noted {
            client: announce.peer.ip(),
            peers_wanted: self.peers_wanted(announce.peers_wanted),
            renewed_after_secs,
            too_early: renewed_after_secs.is_some_and(|secs| too_early.contains(&secs)),
            first_completion,
        }
    }

    /// A state has been taken back that knows of all downloads completed until then, in seconds of [`Now`].
    pub fn knows_downloads_until(&self, secs: u32) {
        self.known_until_secs.fetch_max(secs, Ordering::Relaxed);
    }

    /// Takes in what another node has heard, unless this one has later word of that peer. Nobody is told of it.
    pub fn take_in(&self, event: &PeerEvent, now: Now, random: &mut fastrand::Rng) -> TakenIn {
        let PeerEvent { info_hash, peer, standing, completed, heard_secs } = *event;
        let takes = self.access.load().takes_word_of(peer.ip());
        let is_served = takes && self.torrents.load().permits(&info_hash);
        if !is_served || peer.port() == 0 {
            return TakenIn::NotServed;
        }
        let now_secs = heard_secs.min(now.seconds());
        let behind_secs = now.seconds() - now_secs;
        if behind_secs >= self.config.peer_timeout_secs {
            return TakenIn::Older;
        }
        // The store knows ages by a hundredth of the timeout: of what is said within that, what arrives last counts.
        let unsure_secs = self.config.peer_timeout_secs.div_ceil(100);
        if behind_secs > unsure_secs {
            let age_secs = self.store.age_secs(&info_hash, peer, now.seconds());
            if age_secs.is_some_and(|age_secs| age_secs + unsure_secs < behind_secs) {
                return TakenIn::Older;
            }
        }
        // Told again after a start: it is counted in the state that was taken back, even where the peer has left since.
        let completed = completed && now_secs > self.known_until_secs.load(Ordering::Relaxed);
        let update = Update { info_hash, peer, standing, completed, peers_wanted: 0, now_secs };
        let taken = self.store.announce(&update, random, &mut PeersOut::new(&mut [], &mut []));
        // Who stops needs no room.
        if taken.is_stored || standing == Standing::Stopped { TakenIn::Stored } else { TakenIn::NoRoom }
    }

    /// The counts of a torrent, zeros where it is unknown or hidden.
    pub fn scrape(&self, info_hash: &InfoHash) -> SwarmCounts {
        if !self.shows(info_hash) {
            return SwarmCounts::default();
        }
        self.store.scrape(info_hash).unwrap_or_default()
    }

    /// Begins to load what announces and scrapes of these torrents will touch.
    pub fn prefetch(&self, info_hashes: &[InfoHash]) {
        self.store.prefetch(info_hashes);
    }

    /// The store, for those who sweep it and those who count it.
    pub fn store(&self) -> &PeerStore {
        &self.store
    }

    /// What the store may hold.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Seconds until clients are told to come back now, before jitter.
    pub fn interval_secs(&self, over: Protocol) -> u32 {
        self.intervals.secs(over)
    }

    /// By how much intervals are stretched, in percent; 100: not at all.
    pub fn interval_stretch_percent(&self) -> u32 {
        self.intervals.stretch_percent()
    }

    /// Stretches intervals from now on.
    pub fn stretch_intervals(&self, percent: u32) {
        self.intervals.set_stretch(percent);
    }

    fn peers_wanted(&self, wanted: Option<u32>) -> usize {
        let most = usize::from(self.config.peers_wanted_max);
        match wanted {
            Some(wanted) => most.min(wanted as usize),
            None => most.min(usize::from(self.config.peers_wanted_default)),
        }
    }
}

/// Tells other nodes of an announce, if it is news to them.
fn tell(others: &EventQueue, update: &Update, taken: &Taken) {
    let Update { info_hash, peer, standing, completed, now_secs: heard_secs, .. } = *update;
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let event = PeerEvent { info_hash, peer, standing, completed, heard_secs };
    if peer.port() != 0 && event.is_news(taken) {
        others.push(event);
    }
}

#[cfg(test)]
mod tests;
