//! Trackers of a cluster for benchmarks: networks of bridges and namespaces, and a node on a host of its own. What a network is
//! made of goes with [`remove_all`](super::xdp::network::remove_all).

use super::child::{Output, PinnedChild};
use super::cpu::Core;
use super::xdp::network::{Host, ip, make_namespace};
use anyhow::{Context, Result};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::process::Command;

/// The port of every node, UDP and TCP.
const PORT: u16 = 6969;
/// So many peers that none is drawn twice, or hardly: an announce of a peer that was there already is no event.
const PEERS: u64 = 1_000_000_000_000;
const TORRENTS: u64 = 1_000_000;

/// A tracker on a host of its own.
pub(super) struct ClusterNode {
    pub(super) child: PinnedChild,
    pub(super) address: SocketAddrV4,
    pub(super) host: Host,
    core: Core,
}

/// What a node is started with.
pub(super) struct NodeSetting<'a> {
    pub(super) daemon: &'a Path,
    pub(super) cores: &'a [Core],
    pub(super) log: &'a Path,
    /// As `--set` has them.
    pub(super) settings: &'a [String],
}

/// Announces of new peers at a node, open loop.
pub(super) struct Load<'a> {
    /// tracker-load.
    pub(super) generator: &'a Path,
    pub(super) cores: &'a [Core],
    pub(super) log: &'a Path,
    pub(super) output: Output,
    /// Announces in a second.
    pub(super) rate: f64,
    pub(super) seconds: u32,
    /// Another one for each node, so that each has peers of its own.
    pub(super) seed: usize,
}

/// Makes a bridge in a namespace of its own.
pub(super) fn make_bridge(hub: &str) -> Result<()> {
    make_namespace(hub)?;
    // Nobody asks for members of groups here: a bridge that snoops would forget them.
    ip(&format!("-n {hub} link add bridge type bridge mcast_snooping 0"))?;
    ip(&format!("-n {hub} link set bridge up"))
}

/// Makes a host.
pub(super) fn make_host(host: &Host) -> Result<()> {
    make_namespace(&host.namespace)?;
    ip(&format!("-n {} link set lo up", host.namespace))
}

/// Lays a cable from a bridge to a namespace, which has the address there.
pub(super) fn attach(hub: &str, namespace: &str, interface: &str, address: Ipv4Addr) -> Result<()> {
    let port = format!("port{}", address.octets()[3]);
    ip(&format!("link add {interface} netns {namespace} type veth peer name {port} netns {hub}"))?;
    ip(&format!("-n {hub} link set {port} master bridge up"))?;
    ip(&format!("-n {namespace} link set {interface} up"))?;
    ip(&format!("-n {namespace} address add {address}/24 dev {interface}"))
}

impl ClusterNode {
    /// Starts a node with this address, through sockets alone, one worker for each protocol.
    pub(super) fn start(host: Host, address: Ipv4Addr, setting: &NodeSetting<'_>) -> Result<Self> {
        let (own, port) = (address.to_string(), PORT.to_string());
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", host.namespace)).arg(setting.daemon);
        command.args(["-i", &own, "-p", &port, "-P", &port, "--udp-workers", "1", "--http-workers", "1"]);
        command.args(["-u", "root", "--mode", "socket"]);
        command.args(setting.settings.iter().flat_map(|setting| ["--set", setting]));
        let child = PinnedChild::spawn_on(&command, setting.cores, setting.log, Output::ToLog)?;
        let core = *setting.cores.first().context("there is no core")?;
        Ok(Self { child, address: SocketAddrV4::new(address, PORT), host, core })
    }

    /// Does something on its host.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.host.run(self.core, work)
    }

    /// Starts to announce to it.
    pub(super) fn put_load(&self, load: &Load<'_>) -> Result<PinnedChild> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.host.namespace)).arg(load.generator);
        command.args(["run", &self.address.to_string(), "--json", "--warm-up", "0"]);
        command.args(["--rate", &load.rate.to_string(), "--duration", &load.seconds.to_string()]);
        command.args(["--connects", "0", "--announces", "1", "--scrapes", "0"]);
        command.args(["--peers", &PEERS.to_string(), "--torrents", &TORRENTS.to_string()]);
        command.args(["--seed", &load.seed.to_string()]);
        PinnedChild::spawn_on(&command, load.cores, load.log, load.output)
    }

    /// Its statistics.
    pub(super) fn stats(&self) -> Result<Value> {
        let address = self.address;
        let answer = self.run(move || {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"GET /stats?format=json HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer has a body")?;
        serde_json::from_str(body).with_context(|| format!("no JSON: {body}"))
    }
}
