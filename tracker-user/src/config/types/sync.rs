//! What nodes of a cluster tell each other beyond their network, through servers of NATS.

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Keys under `sync.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncConfig {
    /// The servers, one of which is connected to; empty: none.
    pub nats: Vec<NatsServer>,
    /// The name of this node's site; `None`: it is alone there.
    pub site: Option<String>,
    /// What every subject begins with.
    pub subject: String,
    /// Milliseconds for which an event waits for others at most.
    pub interval_ms: u32,
    /// Bytes for events that wait to be told, or can be told again.
    pub max_memory_bytes: u64,
    /// A file with a token and a key to log in with, as `nsc` makes it.
    pub nats_credentials: Option<PathBuf>,
    /// A file of certificates (PEM) that a server's is signed with; `None`: those of the host.
    pub nats_ca: Option<PathBuf>,
    /// A file with a certificate (PEM) of this node.
    pub nats_certificate: Option<PathBuf>,
    /// A file with its key (PEM).
    pub nats_key: Option<PathBuf>,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            nats: Vec::new(),
            site: None,
            subject: "opentracker".to_owned(),
            interval_ms: 200,
            max_memory_bytes: 32 << 20,
            nats_credentials: None,
            nats_ca: None,
            nats_certificate: None,
            nats_key: None,
        }
    }
}

/// A server of NATS, and how to log in there. Its name in messages has no password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsServer {
    text: String,
    address: ServerAddr,
}

/// Text that names no server of NATS. It does not repeat it: there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoServer;

/// How to log in at a server, where its URL says so.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// With a name and a password.
    User(String, String),
    /// With a token alone.
    Token(String),
}

impl FromStr for NatsServer {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, NoServer> {
        let is_known = ["nats://", "tls://"].iter().any(|scheme| text.starts_with(scheme));
        if !is_known || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(NoServer);
        }
        let address: ServerAddr = text.parse().map_err(|_| NoServer)?;
        let url = address.clone().into_inner();
        let has_more = !["", "/"].contains(&url.path()) || url.query().is_some() || url.fragment().is_some();
        if address.host().is_empty() || address.port() == 0 || has_more {
            return Err(NoServer);
        }
        Ok(Self { text: text.to_owned(), address })
    }
}

impl NatsServer {
    /// The URL as it was given, with what is secret in it.
    pub fn url(&self) -> &str {
        &self.text
    }

    /// The address without what is secret.
    pub const fn address(&self) -> &ServerAddr {
        &self.address
    }

    /// Whether the host is a name to be looked up.
    pub fn has_name(&self) -> bool {
        self.address.host().parse::<std::net::IpAddr>().is_err()
    }

    /// How to log in, if the URL says so.
    pub fn login(&self) -> Option<Login> {
        let user = decoded(self.address.username()?);
        Some(match self.address.password() {
            Some(password) => Login::User(user, decoded(password)),
            None => Login::Token(user),
        })
    }
}

impl fmt::Display for NatsServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = (self.address.scheme(), self.address.host(), self.address.port());
        if host.contains(':') {
            write!(out, "{scheme}://[{host}]:{port}")
        } else {
            write!(out, "{scheme}://{host}:{port}")
        }
    }
}

impl fmt::Debug for NatsServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// The text of a part of a URL, in which `%40` stands for `@`.
fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Login, NatsServer, NoServer};

    fn server(text: &str) -> NatsServer {
        text.parse().unwrap()
    }

    #[test]
    fn a_server_has_a_scheme_a_host_and_maybe_a_login_and_a_port() {
        for (text, shown) in [
            ("nats://192.0.2.1", "nats://192.0.2.1:4222"),
            ("tls://nats.example:4333/", "tls://nats.example:4333"),
            ("nats://user:secret@[2001:db8::1]:1", "nats://[2001:db8::1]:1"),
        ] {
            let server = server(text);
            assert_eq!((server.to_string(), server.url()), (shown.to_owned(), text));
            assert_eq!(format!("{server:?}"), shown);
        }
        assert!(!server("nats://192.0.2.1").has_name() && !server("nats://[::1]").has_name());
        assert!(server("nats://localhost").has_name());
        for wrong in [
            "192.0.2.1",
            "http://a",
            "ws://a",
            "nats://",
            "nats://a:b",
            "nats://a/b",
            "nats://a?b",
            "nats://a b",
        ] {
            assert_eq!(wrong.parse::<NatsServer>(), Err(NoServer), "{wrong}");
        }
    }

    #[test]
    fn a_url_says_how_to_log_in() {
        let user = |user: &str, password: &str| Some(Login::User(user.to_owned(), password.to_owned()));
        assert!(server("nats://a").login().is_none());
        assert!(server("nats://me:p%40ss%@a").login() == user("me", "p@ss%"));
        assert!(server("nats://me:@a").login() == Some(Login::Token("me".to_owned())));
        assert!(server("nats://s3cret@a").login() == Some(Login::Token("s3cret".to_owned())));
    }
}
