//! Livesync with keys: a datagram from a node's address is worth nothing without a seal, and a sealed one is worth it once.

use crate::scene::{GROUP, Node, PORT, Site, leecher, with_sites};
use nix::sys::signal::Signal;
use std::path::Path;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::receive_from;

fn node(site: &Site, host: u8, keys: &Path) -> Node {
    let listen = format!("livesync.cluster.listen=10.96.1.{host}:{PORT}");
    let keys = format!("livesync.cluster.key_file={}", keys.display());
    site.node(
        host,
        &[&listen, &keys, "livesync.cluster.delay_ms=50", "livesync.cluster.node_ip=10.96.1.0/24"],
    )
}

fn write_keys(path: &Path, keys: &[u8]) {
    let lines: String = keys.iter().map(|key| format!("{}\n", format!("{key:02x}").repeat(32))).collect();
    std::fs::write(path, lines).expect("the directory is ours");
}

#[test]
fn with_a_key_forged_and_replayed_datagrams_are_refused() {
    with_sites(|| {
        let (site, directory) = (Site::new(1), TemporaryDirectory::new());
        let (ours, theirs) = (directory.path().join("ours"), directory.path().join("theirs"));
        write_keys(&ours, &[0xaa]);
        write_keys(&theirs, &[0xbb]);
        let group = site.host(9).in_group();
        let [first, second] = [1, 2].map(|host| node(&site, host, &ours));
        first.announce(&leecher(1, 6881));
        second.await_counts(1, (0, 0, 1));
        let (sealed, _) = receive_from(&group);
        // From the address of a node: once as opentracker would, once as the node itself did.
        let forged = [&b"node\0\0\0\0"[..], &[5; 20], &[192, 0, 2, 1, 0x1a, 0xe1, 0x80, 0]].concat();
        group.send_to(&forged, (GROUP, PORT)).unwrap();
        second.await_figure("livesync", "malformed", 1);
        group.send_to(&sealed, (GROUP, PORT)).unwrap();
        second.await_figure("livesync", "replayed", 1);
        // What was changed on its way, and what another key sealed.
        let mut changed = sealed.clone();
        changed[40] ^= 1;
        group.send_to(&changed, (GROUP, PORT)).unwrap();
        second.await_figure("livesync", "forged", 1);
        let stranger = node(&site, 3, &theirs);
        stranger.announce(&leecher(6, 6881));
        second.await_figure("livesync", "forged", 2);
        assert_eq!((second.counts(5), second.counts(6)), ((0, 0, 0), (0, 0, 0)));
        assert_eq!(second.figure("livesync", "received_events"), 1);
    });
}

#[test]
fn keys_change_while_nodes_run_without_a_datagram_lost() {
    with_sites(|| {
        let (site, directory) = (Site::new(1), TemporaryDirectory::new());
        let files = [1, 2].map(|host| directory.path().join(format!("keys{host}")));
        files.iter().for_each(|file| write_keys(file, &[0xaa]));
        let nodes = [node(&site, 1, &files[0]), node(&site, 2, &files[1])];
        // First all know the new key, then all seal with it, then the old one goes.
        let mut torrent = 1;
        for keys in [&[0xaa, 0xbb][..], &[0xbb, 0xaa], &[0xbb]] {
            for (at, file) in files.iter().enumerate() {
                write_keys(file, keys);
                let seen = nodes[at].daemon.log_lines();
                nodes[at].daemon.signal(Signal::SIGHUP);
                nodes[at].daemon.await_log_line_after(seen, "livesync: keys read again");
                for (teller, listener) in [(0, 1), (1, 0)] {
                    nodes[teller].announce(&leecher(torrent, 6881));
                    nodes[listener].await_counts(torrent, (0, 0, 1));
                    torrent += 1;
                }
            }
        }
        assert!(nodes.iter().all(|node| node.figure("livesync", "forged") == 0));
        // A file that is wrong leaves the keys as they are.
        std::fs::write(&files[0], "nonsense\n").unwrap();
        let seen = nodes[0].daemon.log_lines();
        nodes[0].daemon.signal(Signal::SIGHUP);
        nodes[0].daemon.await_log_line_after(seen, "goes on with the keys of before");
        nodes[0].announce(&leecher(torrent, 6881));
        nodes[1].await_counts(torrent, (0, 0, 1));
    });
}
