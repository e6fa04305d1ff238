//! How a server is connected to: who this node is there, and which servers it believes. Files are read for each connection,
//! so that what is renewed is taken; at the start all are read once, so that a mistake is found then.

use crate::config::types::{Login, NatsServer, SyncConfig};
use crate::secret_file;
use async_nats::ConnectOptions;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use thiserror::Error;

/// A server that says nothing is asked after this time, and is gone when it has been asked twice.
const PING: Duration = Duration::from_secs(2);
/// How long a server may take from the first packet to its greeting.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longer than any connection is waited for: the next one is made by this daemon, and not by the library.
const NEVER: Duration = Duration::from_secs(1 << 20);
/// Messages of a subscription that may wait for this node to take them. The library reads at most 128 times, this much at a time,
/// before this node has its turn and takes all of them: however short the messages of nodes are, they find room.
const RECEIVED: usize = 64 << 10;
/// Bytes that are read from a server at a time.
const READ: u16 = 32 << 10;
/// Messages that may wait for a server to take them: few, for they are kept elsewhere.
const SENT: usize = 32;

/// A file cannot be used.
#[derive(Debug, Error)]
pub enum AccessError {
    /// It cannot be read.
    #[error(
        "{0} {1:?} cannot be read: {2}; it is looked for below tracker.rootdir, as the user that the tracker runs as"
    )]
    Unreadable(&'static str, PathBuf, io::Error),
    /// It has something else in it. What, is not said: there may be a key.
    #[error("{0} {1:?} has no {2} in it")]
    NotThis(&'static str, PathBuf, &'static str),
}

/// Reads every file once.
///
/// # Errors
/// Where one cannot be used.
pub(super) fn check(config: &SyncConfig) -> Result<(), AccessError> {
    credentials(config, secret_file::text)?;
    for (name, path) in
        [("sync.nats_ca", &config.nats_ca), ("sync.nats_certificate", &config.nats_certificate)]
    {
        if let Some(path) = path {
            let pem = read(name, path, plain)?;
            let is_good =
                CertificateDer::pem_slice_iter(pem.as_bytes()).next().is_some_and(|read| read.is_ok());
            if !is_good {
                return Err(AccessError::NotThis(name, path.clone(), "certificate (PEM)"));
            }
        }
    }
    if let Some(path) = &config.nats_key {
        let pem = read("sync.nats_key", path, secret_file::text)?;
        PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| AccessError::NotThis("sync.nats_key", path.clone(), "key (PEM)"))?;
    }
    Ok(())
}

/// How to connect to a server.
///
/// # Errors
/// Where the file of credentials cannot be used.
pub(super) fn options(config: &SyncConfig, server: &NatsServer) -> Result<ConnectOptions, AccessError> {
    // What the operator was warned of at the start is not said for every connection.
    let mut options = credentials(config, plain)?.unwrap_or_default();
    options = match server.login() {
        Some(Login::User(user, password)) => options.user_and_password(user, password),
        Some(Login::Token(token)) => options.token(token),
        None => options,
    };
    if let Some(ca) = &config.nats_ca {
        options = options.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let (Some(certificate), Some(key)) = (&config.nats_certificate, &config.nats_key) {
        options = options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    let has_tried = Arc::new(AtomicBool::new(false));
    let wait = move |_| if has_tried.swap(true, Ordering::Relaxed) { NEVER } else { Duration::ZERO };
    let options = options.name("opentracker-xdp").no_echo().ping_interval(PING).connection_timeout(PATIENCE);
    let options = options.subscription_capacity(RECEIVED).client_capacity(SENT).read_buffer_capacity(READ);
    Ok(options.ignore_discovered_servers().reconnect_delay_callback(wait))
}

/// What to do about a server that does not let this node in.
pub(super) fn remedy(config: &SyncConfig, server: &NatsServer) -> String {
    match (&config.nats_credentials, server.login()) {
        (Some(path), _) => format!(
            "; it does not take the token in sync.nats_credentials {path:?}: it must be of a user of an account that the server \
             knows, and not have expired"
        ),
        (None, Some(_)) => "; it takes whom it knows, and not the user, password or token of sync.nats".to_owned(),
        (None, None) => {
            "; it asks for a login: give one in sync.nats (USER:PASSWORD@ or TOKEN@), or set sync.nats_credentials"
                .to_owned()
        }
    }
}

fn credentials(
    config: &SyncConfig,
    reader: fn(&Path) -> io::Result<String>,
) -> Result<Option<ConnectOptions>, AccessError> {
    const NAME: &str = "sync.nats_credentials";
    let Some(path) = &config.nats_credentials else { return Ok(None) };
    let text = read(NAME, path, reader)?;
    let options = ConnectOptions::with_credentials(&text);
    options
        .map(Some)
        .map_err(|_| AccessError::NotThis(NAME, path.clone(), "token and key, as nsc writes them,"))
}

fn read(
    name: &'static str,
    path: &Path,
    reader: fn(&Path) -> io::Result<String>,
) -> Result<String, AccessError> {
    reader(path).map_err(|error| AccessError::Unreadable(name, path.to_owned(), error))
}

fn plain(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::{AccessError, check};
    use crate::config::types::SyncConfig;
    use std::path::PathBuf;

    fn file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tracker-user-{}-nats-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_its_secrets_are_not() {
        let wrong = file("wrong", "SECRET");
        type Set = fn(&mut SyncConfig, PathBuf);
        let settings: [(&str, Set); 4] = [
            ("sync.nats_credentials", |config, path| config.nats_credentials = Some(path)),
            ("sync.nats_ca", |config, path| config.nats_ca = Some(path)),
            ("sync.nats_certificate", |config, path| config.nats_certificate = Some(path)),
            ("sync.nats_key", |config, path| config.nats_key = Some(path)),
        ];
        for (name, set) in settings {
            let mut config = SyncConfig::default();
            set(&mut config, wrong.clone());
            let error = check(&config).unwrap_err();
            assert!(matches!(error, AccessError::NotThis(..)), "{error}");
            assert!(error.to_string().starts_with(name) && !error.to_string().contains("SECRET"), "{error}");
            set(&mut config, "/nonexistent/file".into());
            assert!(matches!(check(&config), Err(AccessError::Unreadable(..))));
        }
        std::fs::remove_file(wrong).unwrap();
        assert!(check(&SyncConfig::default()).is_ok());
    }
}
