//! Who is let in at a server, and what is believed of it: TLS with certificates of one's own, names and passwords, sealed messages.

use crate::scene::{Node, Site, leecher};
use crate::sites_scene::{World, nats, with_world};
use std::path::{Path, PathBuf};
use std::process::Command;
use tracker_tests::daemon::Daemon;
use tracker_tests::nats_server::publish;
use tracker_tests::skip::skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;

/// Certificates of a CA of the test's own.
struct Certificates {
    directory: TemporaryDirectory,
}

impl Certificates {
    /// Of a server at the addresses of the two sites, and of a node.
    fn make_or_skip() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skipped("TLS between sites: needs openssl");
            return None;
        }
        let made = Self { directory: TemporaryDirectory::new() };
        made.openssl("req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem");
        made.certificate("server", "subjectAltName=IP:10.96.1.254,IP:10.96.2.254");
        made.certificate("node", "subjectAltName=DNS:node");
        Some(made)
    }

    fn certificate(&self, name: &str, extension: &str) {
        std::fs::write(self.path("extension"), extension).expect("the directory is ours");
        self.openssl(&format!(
            "req -newkey ed25519 -nodes -subj /CN={name} -keyout {name}.key -out {name}.request"
        ));
        self.openssl(&format!(
            "x509 -req -days 2 -in {name}.request -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extension -out {name}.pem"
        ));
    }

    fn openssl(&self, arguments: &str) {
        let output =
            Command::new("openssl").args(arguments.split(' ')).current_dir(self.directory.path()).output();
        let output = output.expect("it is installed");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn setting(&self, name: &str, file: &str) -> String {
        format!("{name}={}", self.path(file).display())
    }

    /// A server that takes nodes with a certificate alone.
    fn configuration(&self) -> PathBuf {
        let path = |name| self.path(name).display().to_string();
        let text = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}\n",
            path("server.pem"),
            path("server.key"),
            path("ca.pem")
        );
        self.write("server.conf", &text)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).expect("the directory is ours");
        self.path(name)
    }
}

#[test]
fn over_tls_the_server_is_believed_by_our_ca_alone_and_asks_for_our_certificate() {
    with_world(|world| {
        let Some(certificates) = Certificates::make_or_skip() else { return };
        let _server = world.server(Some(&certificates.configuration()));
        let ca = certificates.setting("sync.nats_ca", "ca.pem");
        let own = [
            certificates.setting("sync.nats_certificate", "node.pem"),
            certificates.setting("sync.nats_key", "node.key"),
        ];
        let node = |site: usize, host, settings: &[&str]| {
            let server = format!("sync.nats=tls://10.96.{}.254:4222", site + 1);
            world.node(site, host, &[&[&*server][..], settings].concat())
        };
        let all = [&*ca, &*own[0], &*own[1]];
        let [here, there] = [node(0, 1, &all), node(1, 1, &all)];
        here.announce(&leecher(1, 6881));
        there.await_counts(1, (0, 0, 1));
        for wrong in [&all[1..], &all[..1]] {
            let stranger = node(0, 2, wrong);
            stranger.await_figure("nats", "failed_connections", 2);
            assert_eq!(nats(&stranger, "connections"), 0);
            // Those of the host can be read, and none of them has signed it.
            let reason = if wrong.len() == 2 { "UnknownIssuer" } else { "no connection to tls://" };
            stranger.daemon.await_log_line(reason);
        }
    });
}

/// A server where `tracker` logs in with a password, and a site may speak for itself alone.
const WITH_PASSWORD: &str = "authorization { users = [ { user: tracker, password: \"s3cret\", permissions: { \
     publish: [\"opentracker.site1.>\", \"opentracker.site2.>\"], subscribe: [\"opentracker.>\"] } } ] }\n";

fn with_login(world: &World, site: usize, login: &str) -> Node {
    let server = format!("sync.nats=nats://{login}10.96.{}.254:4222", site + 1);
    world.node(site, 1, &[&server])
}

#[test]
fn a_wrong_password_is_tried_again_and_counted_and_never_logged() {
    with_world(|world| {
        let directory = TemporaryDirectory::new();
        let path = directory.path().join("server.conf");
        std::fs::write(&path, WITH_PASSWORD.replace("s3cret", "0ther")).expect("the directory is ours");
        let mut server = world.server(Some(&path));
        let [here, there] = [0, 1].map(|site| with_login(world, site, "tracker:s3cret@"));
        for node in [&here, &there] {
            node.await_figure("nats", "failed_connections", 2);
            assert_eq!(nats(node, "connections"), 0);
            node.daemon.await_log_line("authorization violation");
            node.daemon.await_log_line("not the user, password or token of sync.nats");
        }
        server.kill();
        std::fs::write(&path, WITH_PASSWORD).expect("the directory is ours");
        let _server = world.server(Some(&path));
        here.announce(&leecher(1, 6881));
        there.await_counts(1, (0, 0, 1));
        assert_eq!(nats(&here, "server_errors"), 0);
        for node in [&here, &there] {
            assert!(!node.daemon.log().contains("s3cret"), "{}", node.daemon.log());
        }
    });
}

#[test]
fn a_token_logs_in_as_well_and_the_next_server_is_taken_where_one_is_not_there() {
    with_world(|world| {
        let directory = TemporaryDirectory::new();
        let path = directory.path().join("server.conf");
        std::fs::write(&path, "authorization { token: \"s3cret\" }\n").expect("the directory is ours");
        let nodes = [0, 1].map(|site: usize| {
            let servers =
                [4333, 4222].map(|port| format!("sync.nats=nats://s3cret@10.96.{}.254:{port}", site + 1));
            world.node(site, 1, &[&servers[0], &servers[1]])
        });
        nodes[0].await_figure("nats", "failed_connections", 2);
        nodes[0].announce(&leecher(1, 6881));
        let _server = world.server(Some(&path));
        nodes[1].await_counts(1, (0, 0, 1));
    });
}

fn with_key(world: &World, directory: &Path, site: usize, key: &str) -> Node {
    let path = directory.join(format!("keys{key}"));
    std::fs::write(&path, format!("{}\n", key.repeat(32))).expect("the directory is ours");
    world.node(site, 1, &[&format!("livesync.cluster.key_file={}", path.display())])
}

#[test]
fn with_the_clusters_key_messages_are_sealed_and_others_are_worth_nothing() {
    with_world(|world| {
        let (_server, directory) = (world.server(None), TemporaryDirectory::new());
        let [here, there] = [0, 1].map(|site| with_key(world, directory.path(), site, "aa"));
        here.announce(&leecher(1, 6881));
        there.await_counts(1, (0, 0, 1));
        let plain =
            [&b"OTX1\x01nodenode\0\0\0\0\0\0\0\x01\0\0\0\0\x80"[..], &[5; 20], &[192, 0, 2, 1, 0x1a, 0xe1]];
        world.between.run(|| publish("opentracker.site9.0", &plain.concat()));
        there.await_figure("nats", "malformed", 1);
        drop(here);
        let _stranger = with_key(world, directory.path(), 0, "bb");
        there.await_figure("nats", "forged", 1);
        assert_eq!(there.counts(5), (0, 0, 0));
    });
}

#[test]
fn a_server_is_found_by_its_name() {
    with_world(|world| {
        let _server = world.server(None);
        let listen = ["--mode", "socket", "-i", "127.0.0.1", "-p", "0", "-P", "0"];
        let server = ["--set", "sync.nats=nats://localhost:4222"];
        let daemon = world.between.run(|| Daemon::start(&[&listen[..], &server].concat()));
        daemon.await_log_line("connected to nats://localhost:4222");
    });
}

#[test]
fn a_tracker_does_not_wait_for_a_server_and_serves_without() {
    with_world(|world| {
        let node = world.node(0, 1, &[]);
        node.announce(&leecher(1, 6881));
        assert_eq!(node.counts(1), (0, 0, 1));
        node.await_figure("nats", "failed_connections", 1);
        assert_eq!(nats(&node, "connected"), 0);
        node.daemon.await_log_line("no connection to nats://10.96.1.254:4222");
    });
}

#[test]
fn a_file_that_cannot_be_used_is_named_at_the_start() {
    with_world(|_| {
        let host = Site::new(3).host(1);
        let arguments =
            ["--set", "sync.nats=nats://10.96.3.254", "--set", "sync.nats_ca=/nonexistent/ca.pem"];
        let listen = ["--mode", "socket", "-i", "10.96.3.1", "-p", "0", "-P", "0"];
        let ended = host.namespace.run(|| Daemon::start_refused(&[&listen[..], &arguments].concat()));
        assert!(
            !ended.status.success()
                && ended.log.contains("sync.nats_ca \"/nonexistent/ca.pem\" cannot be read")
        );
    });
}
