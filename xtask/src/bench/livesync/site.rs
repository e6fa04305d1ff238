//! Three nodes and the bridge between them, each in a network namespace of its own, gone when the benchmark ends.

use super::Envelope;
use super::round::Setting;
use crate::bench::child::{Output, PinnedChild};
use crate::bench::contender::write;
use crate::bench::xdp::network::{Host, ip, make_namespace, remove_all};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// How many nodes there are.
pub(super) const NODES: usize = 3;
const PORT: u16 = 6969;
const GROUP_PORT: u16 = 9696;
/// For how long an event waits for others, in milliseconds: what the last ones take to go out.
const DELAY_MS: u32 = 1000;
/// For how long a node may start.
const START_LIMIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The nodes; dropping it ends them and removes the network.
pub(super) struct Site {
    pub(super) nodes: Vec<Node>,
}

/// A tracker on a host of its own.
pub(super) struct Node {
    pub(super) child: PinnedChild,
    pub(super) address: SocketAddrV4,
    pub(super) host: Host,
    core: u32,
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
        make_namespace(&hub)?;
        // Nobody asks for members of groups here: a bridge that snoops would forget them.
        ip(&format!("-n {hub} link add bridge type bridge mcast_snooping 0"))?;
        ip(&format!("-n {hub} link set bridge up"))?;
        let mut site = Self { nodes: Vec::new() };
        for number in 1..=NODES {
            let host = add_host(&hub, number)?;
            site.nodes.push(start(setting, envelope, host, number)?);
        }
        for node in &mut site.nodes {
            node.await_start()?;
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
    let Host { namespace, interface } = &host;
    make_namespace(namespace)?;
    ip(&format!("link add {interface} netns {namespace} type veth peer name port{number} netns {hub}"))?;
    ip(&format!("-n {hub} link set port{number} master bridge up"))?;
    ip(&format!("-n {namespace} link set lo up"))?;
    ip(&format!("-n {namespace} link set {interface} up"))?;
    ip(&format!("-n {namespace} address add {}/24 dev {interface}", address(number)))?;
    Ok(host)
}

/// The address of a node.
fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number as u8)
}

fn start(setting: &Setting, envelope: Envelope, host: Host, number: usize) -> Result<Node> {
    let address = SocketAddrV4::new(address(number), PORT);
    let (own, port) = (address.ip().to_string(), PORT.to_string());
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{}", host.namespace)).arg(&setting.daemon);
    command.args(["-i", &own, "-p", &port, "-P", &port, "--udp-workers", "1", "--http-workers", "1"]);
    command.args(["-u", "root", "--mode", "socket"]);
    let mut set = vec![
        format!("livesync.cluster.listen={own}:{GROUP_PORT}"),
        format!("livesync.cluster.delay_ms={DELAY_MS}"),
    ];
    match envelope {
        Envelope::Classic => set.push("livesync.cluster.node_ip=192.0.2.0/24".to_owned()),
        Envelope::Sealed => {
            let keys = setting.directory.join("livesync.keys");
            write(&keys, &format!("{}\n", "5a".repeat(32)))?;
            set.push(format!("livesync.cluster.key_file={}", keys.display()));
        }
    }
    command.args(set.iter().flat_map(|setting| ["--set", setting]));
    let log = setting.directory.join(format!("livesync-{number}.log"));
    let child = PinnedChild::spawn_on(&command, &setting.cores, &log, Output::ToLog)?;
    let core = *setting.cores.first().context("there is no core")?;
    Ok(Node { child, address, host, core })
}

impl Node {
    fn await_start(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < START_LIMIT {
            self.child.check_running()?;
            if self.figures().is_ok() {
                return Ok(());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        bail!("the node at {} does not answer within {} s", self.address, START_LIMIT.as_secs())
    }

    /// What it has told and heard.
    pub(super) fn figures(&self) -> Result<Figures> {
        let address = self.address;
        let answer = self.host.run(self.core, move || {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"GET /stats?format=json HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer has a body")?;
        let stats: Value = serde_json::from_str(body).with_context(|| format!("no JSON: {body}"))?;
        Figures::read(&stats["livesync"])
    }
}

impl Figures {
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
