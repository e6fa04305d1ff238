//! Two sites of two nodes each: a bridge for each site, and between them a host with the server, all in namespaces of their own.

use super::client::Client;
use super::round::Setting;
use crate::bench::child::{Output, PinnedChild};
use crate::bench::cluster_node::{ClusterNode, NodeSetting, attach, make_bridge, make_host};
use crate::bench::xdp::network::{Host, remove_all};
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const SERVER_PORT: u16 = 4222;
/// The last byte of the server's addresses.
const SERVER: u8 = 254;
/// For how long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The nodes and the host of the server; dropping it ends them and removes the networks.
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    between: Host,
    server: Option<PinnedChild>,
}

/// A tracker of a site.
pub(super) struct Node {
    pub(super) tracker: ClusterNode,
    pub(super) site: u8,
}

impl World {
    /// Makes the networks, starts the server and the nodes, and waits until all are connected.
    pub(super) fn new(setting: &Setting) -> Result<Self> {
        let id = std::process::id();
        let host =
            |name: &str| Host { namespace: format!("otx-bench-{name}-{id}"), interface: "net".to_owned() };
        let between = host("nats");
        make_host(&between)?;
        let mut world = Self { nodes: Vec::new(), between, server: None };
        for site in 1..=2 {
            let hub = format!("otx-bench-hub{site}-{id}");
            make_bridge(&hub)?;
            attach(&hub, &world.between.namespace, &format!("site{site}"), address(site, SERVER))?;
            for number in 1..=2 {
                let host = host(&format!("s{site}n{number}"));
                make_host(&host)?;
                attach(&hub, &host.namespace, &host.interface, address(site, number))?;
                world.nodes.push(start(setting, host, site, number)?);
            }
        }
        world.start_server(setting)?;
        world.await_all("connected nodes", |node| Ok(node.figure("nats", "connected")? == 1))?;
        Ok(world)
    }

    /// Starts the server, and waits until it listens.
    pub(super) fn start_server(&mut self, setting: &Setting) -> Result<()> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.between.namespace)).arg(&setting.server);
        command.args(["--addr", "0.0.0.0", "--port", &SERVER_PORT.to_string()]);
        let log = setting.directory.join("nats-server.log");
        self.server = Some(PinnedChild::spawn_on(&command, &setting.cores, &log, Output::ToLog)?);
        let core = *setting.cores.first().context("there is no core")?;
        let begun = Instant::now();
        let listens = || Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, SERVER_PORT)).is_ok());
        while !self.between.run(core, listens)? {
            if begun.elapsed() > LIMIT {
                bail!("the server of NATS does not listen");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Kills the server.
    pub(super) fn kill_server(&mut self) {
        self.server = None;
    }

    /// Waits until something holds for all nodes, and returns how long that took.
    pub(super) fn await_all(
        &mut self,
        what: &str,
        holds: impl Fn(&Node) -> Result<bool>,
    ) -> Result<Duration> {
        let begun = Instant::now();
        for node in &mut self.nodes {
            // A node that starts does not answer yet.
            while !holds(node).unwrap_or(false) {
                node.tracker.child.check_running()?;
                if begun.elapsed() > LIMIT {
                    bail!("no {what} within {} s at {}", LIMIT.as_secs(), node.tracker.address);
                }
                thread::sleep(LOOK_AGAIN);
            }
        }
        Ok(begun.elapsed())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.nodes.clear();
        self.server = None;
        remove_all();
    }
}

fn address(site: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 96, site, host)
}

fn start(setting: &Setting, host: Host, site: u8, number: u8) -> Result<Node> {
    let own = address(site, number);
    let settings = [
        format!("livesync.cluster.listen={own}:9696"),
        format!("livesync.cluster.node_ip=10.96.{site}.0/24"),
        "livesync.cluster.delay_ms=200".to_owned(),
        format!("sync.nats=nats://10.96.{site}.{SERVER}:{SERVER_PORT}"),
        format!("sync.site=site{site}"),
        format!("sync.max_memory={}", setting.memory),
    ];
    let log = setting.directory.join(format!("nats-{site}-{number}.log"));
    let setting =
        NodeSetting { daemon: &setting.daemon, cores: &setting.cores, log: &log, settings: &settings };
    Ok(Node { tracker: ClusterNode::start(host, own, &setting)?, site })
}

impl Node {
    /// One of the figures under `group`.
    pub(super) fn figure(&self, group: &str, name: &str) -> Result<u64> {
        let stats = self.tracker.stats()?;
        stats[group][name].as_u64().with_context(|| format!("no {group}.{name} in the statistics"))
    }

    /// A client of it on its own host.
    pub(super) fn client(&self) -> Result<Client> {
        self.tracker.run(|| Client::new(self.tracker.address))
    }

    /// Bytes of memory that it holds.
    pub(super) fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.tracker.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: u64 = line.split_whitespace().next().context("no VmRSS")?.parse()?;
        Ok(kibibytes << 10)
    }
}
