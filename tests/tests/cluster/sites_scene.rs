//! Sites that have nothing in common but a server of NATS, which is a host on the networks of all of them.

use crate::scene::{Node, PORT as LIVESYNC_PORT, Site, with_sites};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tracker_tests::daemon::DEADLINE;
use tracker_tests::nats_server::{NatsServer, PORT};
use tracker_tests::netns::Namespace;

/// The last byte of the server's addresses.
const SERVER: u8 = 254;

/// The sites, and the host of the server between them.
pub(crate) struct World {
    pub(crate) sites: Vec<Site>,
    pub(crate) between: Namespace,
    program: PathBuf,
}

impl World {
    fn new(program: PathBuf, sites: u8) -> Self {
        let between = Namespace::new();
        between.ip("link set lo up");
        let sites: Vec<_> = (1..=sites).map(Site::new).collect();
        for (index, site) in sites.iter().enumerate() {
            site.attach(&between, &format!("site{index}"), SERVER);
        }
        Self { sites, between, program }
    }

    /// Starts the server.
    pub(crate) fn server(&self, configuration: Option<&Path>) -> NatsServer {
        self.server_on(PORT, configuration)
    }

    /// Starts a server on another port.
    pub(crate) fn server_on(&self, port: u16, configuration: Option<&Path>) -> NatsServer {
        NatsServer::start(&self.program, &self.between, port, configuration)
    }

    /// A node of a site, with these settings beside those of the place.
    pub(crate) fn node(&self, site: usize, host: u8, settings: &[&str]) -> Node {
        let number = site + 1;
        let own = [
            format!("sync.nats=nats://10.96.{number}.{SERVER}:{PORT}"),
            format!("sync.site=site{number}"),
            "sync.interval_ms=50".to_owned(),
            format!("livesync.cluster.listen=10.96.{number}.{host}:{LIVESYNC_PORT}"),
            format!("livesync.cluster.node_ip=10.96.{number}.0/24"),
            "livesync.cluster.delay_ms=50".to_owned(),
        ];
        // Of the servers those count that are given first; of everything else what is given last.
        let all: Vec<&str> = match settings.iter().any(|setting| setting.starts_with("sync.nats=")) {
            true => settings.iter().copied().chain(own[1..].iter().map(|setting| &**setting)).collect(),
            false => own.iter().map(|setting| &**setting).chain(settings.iter().copied()).collect(),
        };
        self.sites[site].node(host, &all)
    }

    /// Two nodes of each of two sites.
    pub(crate) fn nodes(&self, settings: &[&str]) -> [Node; 4] {
        [(0, 1), (0, 2), (1, 1), (1, 2)].map(|(site, host)| self.node(site, host, settings))
    }
}

/// Runs a test as root with the two sites, or says that it is skipped.
pub(crate) fn with_world(test: impl FnOnce(&World) + Send) {
    with_world_of(2, test);
}

/// The same with so many sites.
pub(crate) fn with_world_of(sites: u8, test: impl FnOnce(&World) + Send) {
    if let Some(program) = NatsServer::installed_or_skipped("sites of a cluster") {
        with_sites(|| test(&World::new(program, sites)));
    }
}

/// One of the figures of what goes between sites.
pub(crate) fn nats(node: &Node, name: &str) -> u64 {
    node.figure("nats", name)
}

/// Waits until all nodes hold this many peers.
pub(crate) fn await_peers(nodes: &[Node], expected: u64) {
    let begun = Instant::now();
    loop {
        let peers: Vec<u64> = nodes.iter().map(Node::peers).collect();
        if peers.iter().all(|peers| *peers == expected) {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "the nodes have {peers:?} peers, not {expected} each");
        std::thread::sleep(crate::scene::LOOK_AGAIN);
    }
}
