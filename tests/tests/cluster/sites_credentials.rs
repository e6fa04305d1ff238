//! Logging in with a token and a key, as `nsc` makes them, at a server that knows operator and account alone. The file is read
//! by a tracker that is root no more.

use crate::scene::{Node, Site, leecher};
use crate::sites_scene::{World, nats, with_world};
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tracker_tests::daemon::Daemon;
use tracker_tests::temporary_directory::TemporaryDirectory;

/// A token of the second version, as `github.com/nats-io/jwt` has it: header and claims, signed together.
fn token(issuer: &KeyPair, subject: &KeyPair, claims: &Value) -> String {
    let issued = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs();
    let claims = json!({
        "jti": subject.public_key(), "iat": issued, "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": "a test", "nats": claims,
    });
    let [header, claims] = [r#"{"typ":"JWT","alg":"ed25519-nkey"}"#, &claims.to_string()]
        .map(|part| BASE64URL_NOPAD.encode(part.as_bytes()));
    let signed = format!("{header}.{claims}");
    let signature = issuer.sign(signed.as_bytes()).expect("the pair was made with its seed");
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// A user of an account; -1 is no limit.
fn user(account: &KeyPair) -> (KeyPair, String) {
    let user = KeyPair::new_user();
    let claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let token = token(account, &user, &claims);
    (user, token)
}

/// An account, and a directory that `nobody` may look into.
struct Credentials {
    directory: TemporaryDirectory,
    account: KeyPair,
}

impl Credentials {
    fn make() -> Self {
        let directory = TemporaryDirectory::new();
        give_to_nobody(directory.path());
        Self { directory, account: KeyPair::new_account() }
    }

    /// A server that lets in users of the account.
    fn server_configuration(&self) -> PathBuf {
        let operator = KeyPair::new_operator();
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        });
        let account =
            token(&operator, &self.account, &json!({ "type": "account", "version": 2, "limits": limits }));
        let operator = token(&operator, &operator, &json!({ "type": "operator", "version": 2 }));
        let key = self.account.public_key();
        let path = self.directory.path().join("server.conf");
        let text =
            format!("operator: {operator}\nresolver: MEMORY\nresolver_preload: {{ {key}: {account} }}\n");
        std::fs::write(&path, text).expect("the directory is ours");
        path
    }

    /// Writes the file of a new user of an account, and returns the user's secret.
    fn write(&self, name: &str, account: &KeyPair) -> String {
        let (user, token) = user(account);
        let seed = user.seed().expect("the pair was made with it");
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let path = self.path(name);
        std::fs::write(&path, text).expect("the directory is ours");
        set_permissions(&path, Permissions::from_mode(0o600)).expect("the file is ours");
        seed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A node that runs as `nobody`.
    fn node(&self, world: &World, site: usize, host: u8, name: &str) -> Node {
        give_to_nobody(&self.path(name));
        world.node(site, host, &["tracker.user=nobody", &self.setting(name)])
    }

    fn setting(&self, name: &str) -> String {
        format!("sync.nats_credentials={}", self.path(name).display())
    }
}

fn give_to_nobody(path: &Path) {
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten().expect("every Linux has nobody");
    chown(path, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).expect("the test is root");
}

#[test]
fn with_credentials_nodes_log_in_and_one_that_the_account_does_not_know_is_told_where_to_mend_it() {
    with_world(|world| {
        let credentials = Credentials::make();
        let _server = world.server(Some(&credentials.server_configuration()));
        let nodes = ["here.creds", "there.creds"].map(|name| credentials.write(name, &credentials.account));
        let here = credentials.node(world, 0, 1, "here.creds");
        let there = credentials.node(world, 1, 1, "there.creds");
        here.announce(&leecher(1, 6881));
        there.await_counts(1, (0, 0, 1));
        there.announce(&leecher(2, 6881));
        here.await_counts(2, (0, 0, 1));
        for (node, secret) in [&here, &there].into_iter().zip(&nodes) {
            assert_eq!(["failed_connections", "server_errors"].map(|name| nats(node, name)), [0, 0]);
            assert!(!node.daemon.log().contains(&**secret), "{}", node.daemon.log());
            assert!(!node.daemon.proc_status().contains("Uid:\t0\t"), "it is root no more");
        }

        let secret = credentials.write("stranger.creds", &KeyPair::new_account());
        let stranger = credentials.node(world, 1, 2, "stranger.creds");
        stranger.await_figure("nats", "failed_connections", 1);
        assert_eq!(nats(&stranger, "connections"), 0);
        let line = stranger.daemon.await_log_line("authorization violation");
        let remedy = format!("sync.nats_credentials {:?}", credentials.path("stranger.creds"));
        assert!(line.contains(&remedy), "{line}");
        assert!(!stranger.daemon.log().contains(&secret));
        // The file is read for each connection.
        credentials.write("stranger.creds", &credentials.account);
        stranger.await_counts(1, (0, 0, 1));
    });
}

#[test]
fn credentials_that_root_alone_may_read_are_refused_at_the_start() {
    with_world(|_| {
        let (host, credentials) = (Site::new(3).host(1), Credentials::make());
        credentials.write("roots.creds", &credentials.account);
        let listen = ["--mode", "socket", "-i", "10.96.3.1", "-p", "0", "-P", "0", "-u", "nobody"];
        let server = ["--set", "sync.nats=nats://10.96.3.254", "--set", &credentials.setting("roots.creds")];
        let ended = host.namespace.run(|| Daemon::start_refused(&[&listen[..], &server].concat()));
        assert!(!ended.status.success());
        assert!(ended.log.contains("as the user that the tracker runs as"), "{}", ended.log);
    });
}
