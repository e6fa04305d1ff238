//! Settings of what nodes of a cluster tell each other beyond their network.

use super::{number, optional, path, store};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::values;
use std::path::PathBuf;

/// Every setting under `sync.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "sync.nats",
        doc: "A NATS server: nats:// or tls://, maybe USER:PASSWORD@ or TOKEN@, HOST:PORT; repeatable, for when one fails.",
        kind: Kind::List,
        example: "nats://192.0.2.9:4222",
        set: |draft, value| {
            draft.config.sync.nats.push(values::nats_server(value)?);
            Ok(())
        },
        show: |config| Shown::List(config.sync.nats.iter().map(|server| server.url().to_owned()).collect()),
    },
    Setting {
        name: "sync.site",
        doc: "The name of this node's site; nodes that hear each other by livesync have the same, and no others.",
        kind: Kind::Text,
        example: "berlin",
        set: |draft, value| store(&mut draft.config.sync.site, values::site(value).map(Some)),
        show: |config| optional(config.sync.site.clone()),
    },
    Setting {
        name: "sync.subject",
        doc: "What the subjects of all messages begin with; a cluster's own, where several share a server.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.sync.subject, values::subject(value)),
        show: |config| Shown::Text(config.sync.subject.clone()),
    },
    Setting {
        name: "sync.interval_ms",
        doc: "Milliseconds for which a peer waits for others to fill a message with.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.sync.interval_ms, values::number(value, "milliseconds", 0..=10_000))
        },
        show: |config| number(config.sync.interval_ms),
    },
    Setting {
        name: "sync.max_memory",
        doc: "Memory for what is told once a server is back, or again to who missed it; the oldest makes room.",
        kind: Kind::Bytes,
        example: "",
        set: |draft, value| store(&mut draft.config.sync.max_memory_bytes, values::sync_memory(value)),
        show: |config| number(config.sync.max_memory_bytes),
    },
    Setting {
        name: "sync.nats_credentials",
        doc: "A file to log in with, of a token and a key, as nsc makes it (.creds).",
        kind: Kind::Text,
        example: "tracker.creds",
        set: |draft, value| store(&mut draft.config.sync.nats_credentials, file(value)),
        show: |config| path(config.sync.nats_credentials.as_deref()),
    },
    Setting {
        name: "sync.nats_ca",
        doc: "A file of certificates (PEM) that signed the server's; without it, those of the host.",
        kind: Kind::Text,
        example: "nats-ca.pem",
        set: |draft, value| store(&mut draft.config.sync.nats_ca, file(value)),
        show: |config| path(config.sync.nats_ca.as_deref()),
    },
    Setting {
        name: "sync.nats_certificate",
        doc: "A file with a certificate (PEM) of this node, for a server that asks for one.",
        kind: Kind::Text,
        example: "tracker.pem",
        set: |draft, value| store(&mut draft.config.sync.nats_certificate, file(value)),
        show: |config| path(config.sync.nats_certificate.as_deref()),
    },
    Setting {
        name: "sync.nats_key",
        doc: "A file with the key (PEM) of that certificate.",
        kind: Kind::Text,
        example: "tracker.key",
        set: |draft, value| store(&mut draft.config.sync.nats_key, file(value)),
        show: |config| path(config.sync.nats_key.as_deref()),
    },
];

fn file(value: &str) -> Result<Option<PathBuf>, String> {
    values::text(value, "a file").map(|path| Some(path.into()))
}
