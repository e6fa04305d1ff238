//! What an operator's requests mean. What only reads is answered here, in steps that leave the runtime to others; what
//! changes the daemon is ordered from whoever owns what is changed.

use super::super::{Lists, Wanted};
use crate::clock::Now;
use crate::config::types::{Config, Transport};
use crate::ctl::{Request, TORRENTS_OF_A_REQUEST};
use crate::http;
use crate::info_hash::InfoHash;
use crate::logging;
use crate::peer_store::SwarmCounts;
use crate::top_torrents::{Rank, TopTorrents};
use crate::tracker::Tracker;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{spawn_blocking, yield_now};

/// Torrents in one answer to `list`.
const PAGE: usize = 1024;
/// The most swarms that `top` shows.
const MOST_OF_TOP: u16 = 1000;

/// What the control loop is told to do.
#[derive(Debug)]
pub enum Order {
    /// Read the configuration and the lists again.
    Reload(oneshot::Sender<Reloaded>),
    /// Take in no new clients, and end once the others are served, after this time at the latest.
    Drain(Duration, oneshot::Sender<()>),
}

/// What came of a reload: of the configuration at once, of the lists once they are read.
#[derive(Debug)]
pub struct Reloaded {
    /// Everything that is wrong with the configuration, where that is why it is not reloaded.
    pub configuration: Result<(), Vec<String>>,
    /// Why other parts go on as before: keys, the XDP program.
    pub failed: Vec<String>,
    /// What list is in force, if one is, or why that of before still is.
    pub lists: oneshot::Receiver<Result<Option<String>, String>>,
}

/// Everything that answers are made of.
#[derive(Debug)]
pub struct Desk {
    tracker: Arc<Tracker>,
    service: Arc<http::Service>,
    lists: Arc<Lists>,
    config: Config,
    addresses: Vec<(Transport, SocketAddr)>,
    orders: mpsc::Sender<Order>,
}

impl Desk {
    /// Of a daemon that was started with this configuration and serves these addresses, with the ports that the kernel
    /// chose; orders go to its control loop.
    pub fn new(
        config: &Config,
        addresses: &[(Transport, SocketAddr)],
        service: Arc<http::Service>,
        lists: Arc<Lists>,
        orders: mpsc::Sender<Order>,
    ) -> Self {
        let tracker = Arc::clone(service.tracker());
        Self { tracker, service, lists, config: config.clone(), addresses: addresses.to_vec(), orders }
    }

    /// Does what is asked by a user, or says why not.
    pub(super) async fn answer(&self, request: Request, user: u32) -> Result<Value, String> {
        match request {
            Request::Status => Ok(self.status()),
            Request::Stats => serde_json::from_slice(&self.service.statistics(Now::read()))
                .map_err(|error| error.to_string()),
            Request::Reload => {
                log::info!("reload, asked for by user {user}");
                self.reload().await
            }
            Request::Allow { torrents } => self.change(torrents, Wanted::Allow, user).await,
            Request::Deny { torrents } => self.change(torrents, Wanted::Deny, user).await,
            Request::List { after } => self.list(after),
            Request::Top { count } => self.top(count).await,
            Request::Torrent { torrent } => self.torrent(torrent).await,
            Request::Drain { within_secs, .. } => {
                log::info!("drain within {within_secs} s, asked for by user {user}");
                let within = Duration::from_secs(within_secs.into());
                self.order(|done| Order::Drain(within, done)).await?;
                Ok(json!({ "state": "draining", "within_secs": within_secs }))
            }
            Request::Log { level } => {
                let before = logging::level();
                logging::set_level(level);
                log::info!("log.level is {} now, asked for by user {user}", level.name());
                Ok(json!({ "level": level, "before": before }))
            }
        }
    }

    fn status(&self) -> Value {
        let totals = self.tracker.store().totals();
        let listening = self.addresses.iter().map(|(transport, at)| format!("{} {at}", transport.name()));
        let list = self.tracker.torrents();
        let file = list.file().map(|file| file.display().to_string());
        json!({
            "state": if self.tracker.is_draining() { "draining" } else { "serving" },
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime_secs": self.service.uptime_secs(Now::read()),
            "listening": listening.collect::<Vec<_>>(),
            "mode": self.config.xdp.mode.name(),
            "torrents": totals.torrents,
            "peers": totals.peers,
            "seeders": totals.seeders,
            "store": self.service.store_figures(),
            "interval_stretch_percent": self.tracker.interval_stretch_percent(),
            "list": list.kind().map(|kind| json!({ "kind": kind.name(), "torrents": list.len(), "file": file })),
            "log_level": logging::level(),
        })
    }

    async fn reload(&self) -> Result<Value, String> {
        let Reloaded { configuration, mut failed, lists } = self.order(Order::Reload).await?;
        let lists = lists.await.map_err(|_| "the thread of the lists has ended".to_owned())?;
        let list = lists.unwrap_or_else(|why| {
            failed.push(why);
            None
        });
        match configuration {
            Ok(()) if failed.is_empty() => Ok(json!({ "configuration": "reloaded", "list": list })),
            Ok(()) => Err(format!("the configuration is reloaded, but {}", failed.join("\n"))),
            Err(mut lines) => {
                lines.push("the configuration is not reloaded: mend it first".to_owned());
                lines.extend(failed.into_iter().chain(list));
                Err(lines.join("\n"))
            }
        }
    }

    async fn change(&self, torrents: Vec<InfoHash>, wanted: Wanted, user: u32) -> Result<Value, String> {
        if torrents.len() > TORRENTS_OF_A_REQUEST {
            return Err(format!("one request names {TORRENTS_OF_A_REQUEST} torrents at most"));
        }
        let count = torrents.len();
        let outcome = self.lists.change(torrents, wanted).await;
        let changed = outcome.map_err(|_| "the thread of the lists has ended".to_owned())?;
        let changed = changed.map_err(|no_list| no_list.to_string())?;
        let verb = if wanted == Wanted::Allow { "allowed" } else { "denied" };
        let (kind, changed) = (changed.kind.name(), changed.changed);
        log::info!("{changed} of {count} torrents {verb} by user {user}, the others were before");
        Ok(json!({ "list": kind, "torrents": count, "changed": changed }))
    }

    fn list(&self, after: Option<InfoHash>) -> Result<Value, String> {
        let list = self.tracker.torrents();
        let Some(kind) = list.kind() else {
            return Err("no list is in force: every torrent is served".to_owned());
        };
        let page = list.page(after.as_ref(), PAGE);
        let has_more = page.len() == PAGE;
        Ok(json!({
            "kind": kind.name(),
            "total": list.len(),
            "revision": list.revision(),
            "torrents": page,
            "more": has_more,
        }))
    }

    async fn top(&self, count: u16) -> Result<Value, String> {
        if count > MOST_OF_TOP {
            return Err(format!("at most {MOST_OF_TOP} are shown"));
        }
        let mut top = TopTorrents::new(count.into(), Rank::Peers);
        while top.step(self.tracker.store()) {
            yield_now().await;
        }
        let rows = top.found().into_iter().map(|(torrent, counts)| row(torrent, counts));
        Ok(json!({ "torrents": rows.collect::<Vec<_>>() }))
    }

    async fn torrent(&self, torrent: InfoHash) -> Result<Value, String> {
        let store = self.tracker.store();
        let (is_served, is_listed, kind) = {
            let list = self.tracker.torrents();
            (list.permits(&torrent), list.lists(&torrent), list.kind())
        };
        // One that is denied has no peers, and a reason all the same.
        let counts = store.scrape(&torrent).or_else(|| is_listed.then(SwarmCounts::default));
        let Some(counts) = counts else {
            let what = if is_served { "served" } else { "not served" };
            return Err(format!("{torrent} is neither known nor listed; announces of it are {what}"));
        };
        let last_announce = store.last_announce_secs(&torrent);
        let since = last_announce.map(|last| Now::read().seconds().saturating_sub(last));
        // It is read from the list's file, for which nobody waits here.
        let tracker = Arc::clone(&self.tracker);
        let note = match kind {
            Some(_) => spawn_blocking(move || tracker.torrents().note(&torrent)).await.ok().flatten(),
            None => None,
        };
        let mut answer = row(torrent, counts);
        answer["seconds_since_announce"] = since.into();
        answer["served"] = is_served.into();
        answer["note"] = note.into();
        Ok(answer)
    }

    /// Gives the control loop an order, and waits for its first answer.
    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, String> {
        let stopping = || "the tracker is stopping".to_owned();
        let (done, outcome) = oneshot::channel();
        self.orders.send(order(done)).await.map_err(|_| stopping())?;
        outcome.await.map_err(|_| stopping())
    }
}

fn row(torrent: InfoHash, counts: SwarmCounts) -> Value {
    json!({
        "torrent": torrent,
        "peers": counts.peers(),
        "seeders": counts.seeders,
        "leechers": counts.leechers,
        "completed": counts.completed,
    })
}
