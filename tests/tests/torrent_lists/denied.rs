//! Networks that `access.deny` names, as the daemon itself meets them: over UDP, over HTTP and behind a proxy. The XDP program
//! has tests of its own.

use crate::scene::{LISTED, LOOPBACK};
use nix::sys::signal::Signal;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;
use tracker_tests::daemon::Daemon;
use tracker_tests::http;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient, connect_request};

const DENIED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
const NEIGHBOUR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4));
const DENY: &str = "access.deny 127.0.0.2/32\n";
const BELIEVE: &str = "access.proxy 127.0.0.3/32\n";

/// A daemon with a configuration that is read again.
struct Configured {
    daemon: Daemon,
    path: PathBuf,
    _directory: TemporaryDirectory,
}

impl Configured {
    fn start(text: &str) -> Self {
        let directory = TemporaryDirectory::new();
        let path = directory.path().join("opentracker.conf");
        std::fs::write(&path, text).expect("the directory is ours");
        let file = path.to_str().expect("the path is text");
        // One worker, so that packets are handled in their order.
        let daemon = Daemon::start(&[LOOPBACK, &["--udp-workers", "1", "-f", file]].concat());
        Self { daemon, path, _directory: directory }
    }

    fn reload(&self, text: &str) {
        std::fs::write(&self.path, text).expect("the directory is ours");
        let seen_lines = self.daemon.log_lines();
        self.daemon.signal(Signal::SIGHUP);
        self.daemon.await_log_line_after(seen_lines, "reloaded access.deny");
    }

    fn client(&self, address: IpAddr) -> UdpClient {
        UdpClient::new(address, self.daemon.udp_v4())
    }

    /// Sends a payload that must not be answered.
    fn expect_silence(&self, client: &UdpClient, payload: &[u8]) {
        client.send(payload);
        // By the time of this answer, one to what came before would be in the client's socket.
        self.client(NEIGHBOUR).connect();
        assert_eq!(client.receive_within(Duration::from_millis(1)), None);
    }

    /// The status of the answer to an announce from this address with these headers.
    fn announce(&self, source: IpAddr, headers: &str) -> u16 {
        let hash = http::percent_encoded(&LISTED);
        let path = format!("/announce?info_hash={hash}&port=6881&left=0");
        http::get_as(source, headers, self.daemon.tcp_v4(), &path).status
    }
}

#[test]
fn a_denied_network_gets_no_answer_over_udp_until_a_reload_allows_it() {
    let configured = Configured::start("");
    let mut client = configured.client(DENIED);
    let announce = AnnounceRequest::new(client.connect(), 6881);
    assert_eq!(client.announce(&announce).leechers, 1);
    configured.reload(DENY);
    configured.expect_silence(&client, &connect_request(1));
    // Nor is an id worth anything that was given before.
    configured.expect_silence(&client, &AnnounceRequest { port: 6882, ..announce.clone() }.payload());
    let stats = configured.daemon.stats();
    let counted = (&stats["udp"]["source_blocked"], &stats["udp"]["announce_answered"], &stats["peers"]);
    assert_eq!(counted, (&2.into(), &1.into(), &1.into()), "{stats}");
    configured.reload("");
    assert_eq!(client.announce(&announce).leechers, 1);
    client.connect();
    assert_eq!(configured.daemon.stats()["udp"]["source_blocked"], 2);
}

#[test]
fn a_denied_network_gets_403_over_http_until_a_reload_allows_it() {
    let configured = Configured::start(DENY);
    assert_eq!(configured.announce(DENIED, ""), 403);
    assert_eq!(http::get_as(DENIED, "", configured.daemon.tcp_v4(), "/stats").status, 403);
    assert_eq!(configured.announce(NEIGHBOUR, ""), 200);
    let stats = configured.daemon.stats();
    let counted = (&stats["http"]["source_denied"], &stats["http"]["announce_answered"], &stats["peers"]);
    assert_eq!(counted, (&2.into(), &1.into(), &1.into()), "{stats}");
    configured.reload("");
    assert_eq!(configured.announce(DENIED, ""), 200);
    configured.reload(DENY);
    assert_eq!(configured.announce(DENIED, ""), 403);
}

#[test]
fn a_denied_client_behind_a_proxy_gets_403_and_whoever_poses_as_one_does_not() {
    let configured = Configured::start(&(DENY.to_owned() + BELIEVE));
    let (denied, other) = ("X-Forwarded-For: 127.0.0.2\r\n", "X-Forwarded-For: 127.0.0.4\r\n");
    assert_eq!(configured.announce(PROXY, denied), 403);
    assert_eq!(configured.announce(PROXY, other), 200);
    // Nobody else is believed, neither to be denied nor to be let in.
    assert_eq!(configured.announce(NEIGHBOUR, denied), 200);
    assert_eq!(configured.announce(DENIED, other), 403);
    assert_eq!(configured.daemon.stats()["http"]["source_denied"], 2);
    configured.reload(BELIEVE);
    assert_eq!(configured.announce(PROXY, denied), 200);
}
