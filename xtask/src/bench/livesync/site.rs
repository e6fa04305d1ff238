//! Three nodes and the bridge between them, each in a network namespace of its own, gone when the benchmark ends.

use super::Envelope;
use super::round::Setting;
use crate::bench::cluster_node::{ClusterNode, NodeSetting, attach, make_bridge, make_host};
use crate::bench::contender::write;
use crate::bench::xdp::network::{Host, remove_all};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How many nodes there are.
pub(super) const NODES: usize = 3;
const GROUP_PORT: u16 = 9696;
/// For how long an event waits for others, in milliseconds: what the last ones take to go out.
const DELAY_MS: u32 = 1000;
/// For how long a node may start.
const START_LIMIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The nodes; dropping it ends them and removes the network.
pub(super) struct Site {
    pub(super) nodes: Vec<ClusterNode>,
}

/// What a node has told and heard since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Datagrams sent.
    pub(super) sent_datagrams: u64,
    /// Events in them.
    pub(super) sent_events: u64,
    /// Events that were to be told and were not: the queue was full, or the kernel refused the datagram.
    pub(super) untold_events: u64,
    /// Events of other nodes.
    pub(super) received_events: u64,
    /// Datagrams of other nodes that were refused.
    pub(super) refused_datagrams: u64,
}

impl Site {
    /// Makes the network, starts all nodes, and waits until they are ready.
    pub(super) fn new(setting: &Setting, envelope: Envelope) -> Result<Self> {
        let id = std::process::id();
        let hub = format!("otx-bench-hub-{id}");
        make_bridge(&hub)?;
        let mut site = Self { nodes: Vec::new() };
        for number in 1..=NODES {
            let host = add_host(&hub, number)?;
            site.nodes.push(start(setting, envelope, host, number)?);
        }
        for node in &mut site.nodes {
            await_start(node)?;
        }
        Ok(site)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.nodes.clear();
        remove_all();
    }
}

fn add_host(hub: &str, number: usize) -> Result<Host> {
    let id = std::process::id();
    let host = Host { namespace: format!("otx-bench-l{number}-{id}"), interface: format!("otxl{number}") };
    make_host(&host)?;
    attach(hub, &host.namespace, &host.interface, address(number))?;
    Ok(host)
}

/// The address of a node.
fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number as u8)
}

fn start(setting: &Setting, envelope: Envelope, host: Host, number: usize) -> Result<ClusterNode> {
    let own = address(number);
    let mut settings = vec![
        format!("livesync.cluster.listen={own}:{GROUP_PORT}"),
        format!("livesync.cluster.delay_ms={DELAY_MS}"),
    ];
    match envelope {
        Envelope::Classic => settings.push("livesync.cluster.node_ip=192.0.2.0/24".to_owned()),
        Envelope::Sealed => {
            let keys = setting.directory.join("livesync.keys");
            write(&keys, &format!("{}\n", "5a".repeat(32)))?;
            settings.push(format!("livesync.cluster.key_file={}", keys.display()));
        }
    }
    let log = setting.directory.join(format!("livesync-{number}.log"));
    let setting =
        NodeSetting { daemon: &setting.daemon, cores: &setting.cores, log: &log, settings: &settings };
    ClusterNode::start(host, own, &setting)
}

fn await_start(node: &mut ClusterNode) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < START_LIMIT {
        node.child.check_running()?;
        if Figures::of(node).is_ok() {
            return Ok(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    bail!("the node at {} does not answer within {} s", node.address, START_LIMIT.as_secs())
}

impl Figures {
    /// What a node has told and heard.
    pub(super) fn of(node: &ClusterNode) -> Result<Self> {
        Self::read(&node.stats()?["livesync"])
    }

    fn read(livesync: &Value) -> Result<Self> {
        let sum = |names: &[&str]| -> Result<u64> {
            let figures = names.iter().map(|name| {
                livesync[name].as_u64().with_context(|| format!("no figure {name} in {livesync}"))
            });
            figures.sum()
        };
        Ok(Self {
            sent_datagrams: sum(&["sent_datagrams"])?,
            sent_events: sum(&["sent_events"])?,
            untold_events: sum(&["lost_events", "unsent_events"])?,
            received_events: sum(&["received_events", "received_events_not_served"])?,
            refused_datagrams: sum(&["not_of_cluster", "malformed", "forged", "replayed", "stale"])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;
    use serde_json::json;

    #[test]
    fn figures_are_read_or_missed() {
        let mut stats = json!({
            "sent_datagrams": 1, "sent_events": 2, "unsent_events": 3, "lost_events": 4, "received_datagrams": 5,
            "received_events": 6, "received_events_not_served": 7, "own": 8, "not_of_cluster": 9, "malformed": 10,
            "forged": 11, "replayed": 12, "stale": 13
        });
        let read = Figures::read(&stats).unwrap();
        let expected = Figures {
            sent_datagrams: 1,
            sent_events: 2,
            untold_events: 7,
            received_events: 13,
            refused_datagrams: 55,
        };
        assert_eq!(read, expected);
        stats["stale"] = json!(null);
        assert!(Figures::read(&stats).is_err());
    }
}
