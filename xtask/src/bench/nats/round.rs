//! One measurement. In every node's messages the order is that of the announces, and others take them in that order: once a peer
//! that was announced just before the server's return is known everywhere, so is all that was announced before it.

use super::client::Client;
use super::world::{Node, World};
use crate::bench::child::{Output, PinnedChild};
use crate::bench::cluster_node::Load;
use crate::bench::cpu::Core;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Seconds under load before the server goes, and behind its return.
const BEFORE_SECS: u32 = 5;
const AFTER_SECS: u32 = 8;
/// The shards of torrents, in each of which every node announces a peer at the server's return.
const SHARDS: u8 = 16;

/// What all measurements share.
pub(super) struct Setting {
    pub(super) daemon: PathBuf,
    /// tracker-load.
    pub(super) generator: PathBuf,
    /// nats-server.
    pub(super) server: PathBuf,
    /// For logs.
    pub(super) directory: PathBuf,
    /// All of them, for everything.
    pub(super) cores: Vec<Core>,
    pub(super) rate: u32,
    pub(super) away_secs: u32,
    pub(super) memory: String,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// From the server's return until all nodes know what was announced before it.
    pub(super) convergence_secs: f64,
    /// Of all nodes.
    pub(super) told_events: u64,
    /// Of the node that keeps most, when the server returns.
    pub(super) kept_bytes: u64,
    /// Of the node that has grown most while the server was away: what it keeps, and the peers that it stored meanwhile.
    pub(super) rss_growth_bytes: f64,
    /// Peers that it stored meanwhile.
    pub(super) peers_growth: f64,
    /// Given up for want of memory.
    pub(super) lost_events: u64,
    /// Told and not heard by some node of the other site, in the end.
    pub(super) missing_events: u64,
}

impl Sample {
    pub(super) fn bytes_per_peer(&self) -> f64 {
        self.rss_growth_bytes / self.peers_growth.max(1.0)
    }

    /// As it is made.
    pub(super) fn line(&self) -> String {
        format!(
            "converged after {:.2} s  kept {} KiB  grew {:.1} MiB for {:.0} peers  told {}  lost {}  missing {}",
            self.convergence_secs,
            self.kept_bytes >> 10,
            self.rss_growth_bytes / f64::from(1 << 20),
            self.peers_growth,
            self.told_events,
            self.lost_events,
            self.missing_events,
        )
    }
}

/// A node's memory at a time.
#[derive(Clone, Copy)]
struct Held {
    rss: u64,
    peers: u64,
    kept: u64,
}

impl Held {
    fn of(node: &Node) -> Result<Self> {
        let stats = node.tracker.stats()?;
        let kept = stats["nats"]["kept_bytes"].as_u64().context("no kept_bytes")?;
        Ok(Self { rss: node.resident_bytes()?, peers: stats["peers"].as_u64().context("no peers")?, kept })
    }
}

impl Setting {
    /// Puts load on all nodes, kills the server and starts it again, and waits until all know of everything.
    pub(super) fn measure(&self) -> Result<Sample> {
        let mut world = World::new(self)?;
        let clients = world.nodes.iter().map(Node::client).collect::<Result<Vec<_>>>()?;
        let loads: Vec<PinnedChild> = world
            .nodes
            .iter()
            .enumerate()
            .map(|(number, node)| self.put_load(node, number))
            .collect::<Result<_>>()?;
        thread::sleep(Duration::from_secs(BEFORE_SECS.into()));
        world.kill_server();
        let before = world.nodes.iter().map(Held::of).collect::<Result<Vec<_>>>()?;
        thread::sleep(Duration::from_secs(self.away_secs.into()));
        let after = world.nodes.iter().map(Held::of).collect::<Result<Vec<_>>>()?;
        announce_marks(&clients)?;
        world.start_server(self)?;
        let convergence = await_marks(&world, &clients)?;
        let mut loads = loads;
        for load in &mut loads {
            load.await_failure()?;
        }
        let told = |world: &World| {
            world.nodes.iter().map(|node| node.figure("nats", "sent_events")).sum::<Result<u64>>()
        };
        // What was told last arrives within a second or two; what does not is missing.
        thread::sleep(Duration::from_secs(3));
        let grown = |(before, after): (&Held, &Held)| {
            (after.rss as f64 - before.rss as f64, (after.peers - before.peers) as f64)
        };
        let growth = before.iter().zip(&after).map(grown).max_by(|one, other| one.0.total_cmp(&other.0));
        let (rss_growth_bytes, peers_growth) = growth.context("there are nodes")?;
        Ok(Sample {
            convergence_secs: convergence.as_secs_f64(),
            told_events: told(&world)?,
            kept_bytes: after.iter().map(|held| held.kept).max().unwrap_or_default(),
            rss_growth_bytes,
            peers_growth,
            lost_events: world
                .nodes
                .iter()
                .map(|node| node.figure("nats", "lost_events"))
                .sum::<Result<u64>>()?,
            missing_events: missing(&world)?,
        })
    }

    fn put_load(&self, node: &Node, number: usize) -> Result<PinnedChild> {
        let log = self.directory.join(format!("nats-load-{}.log", number + 1));
        node.tracker.put_load(&Load {
            generator: &self.generator,
            cores: &self.cores,
            log: &log,
            output: Output::ToLog,
            rate: f64::from(self.rate / 4),
            seconds: BEFORE_SECS + self.away_secs + AFTER_SECS,
            seed: number + 1,
        })
    }
}

/// The torrent of a shard in which nodes announce their marks.
const fn mark(shard: u8) -> u8 {
    shard << 4 | 7
}

fn announce_marks(clients: &[Client]) -> Result<()> {
    for client in clients {
        (0..SHARDS).try_for_each(|shard| client.announce(mark(shard), 9))?;
    }
    Ok(())
}

/// Waits until every node knows the marks of all.
fn await_marks(world: &World, clients: &[Client]) -> Result<Duration> {
    let begun = Instant::now();
    for (client, node) in clients.iter().zip(&world.nodes) {
        for shard in 0..SHARDS {
            while client.leechers(mark(shard))? < world.nodes.len() as u32 {
                if begun.elapsed() > Duration::from_secs(60) {
                    anyhow::bail!("{} does not know of everything after 60 s", node.tracker.address);
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
    Ok(begun.elapsed())
}

/// Events that were told and that some node of the other site has not heard.
fn missing(world: &World) -> Result<u64> {
    let mut missing = 0;
    for node in &world.nodes {
        let others = world.nodes.iter().filter(|other| other.site != node.site);
        let told: u64 = others.map(|other| other.figure("nats", "sent_events")).sum::<Result<u64>>()?;
        missing += told.saturating_sub(node.figure("nats", "received_events")?);
    }
    Ok(missing)
}
