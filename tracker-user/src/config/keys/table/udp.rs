//! Settings of the UDP workers.

use super::tracker::MAX_INTERVAL_SECS;
use super::{number, path, seconds, store, workers};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::values;

/// 63 slots of 2^34 ns are 1,082.3 s; see `tracker_common::connection_id::MAX_LIFETIME_SLOTS`.
const MAX_CONNECTION_ID_LIFETIME_SECS: u64 = 1082;

/// Every setting under `udp.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "udp.workers",
        doc: "Threads that answer UDP; 0 for one per core.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.udp.workers, workers(value)),
        show: |config| number(config.udp.workers),
    },
    Setting {
        name: "udp.receive_buffer_bytes",
        doc: "Room for packets that wait for a worker (SO_RCVBUF of each socket); 0 for the kernel's default.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.udp.receive_buffer_bytes, values::number(value, "bytes", 0..=1 << 30))
        },
        show: |config| number(config.udp.receive_buffer_bytes),
    },
    Setting {
        name: "udp.interval_secs",
        doc: "Seconds after which a client should announce again over UDP; 0 for tracker.interval_secs.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.udp.interval_secs, seconds(value, 0, MAX_INTERVAL_SECS)),
        show: |config| number(config.udp.interval_secs),
    },
    Setting {
        name: "udp.lenient",
        doc: "Whether a wrong connection id is answered with an error: for debugging, as its source may be forged.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.udp.lenient, values::switch(value)),
        show: |config| Shown::Switch(config.udp.lenient),
    },
    Setting {
        name: "udp.connection_id_lifetime_secs",
        doc: "Seconds for which a connection id holds: some clients keep one for over five minutes.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            let lifetime = seconds(value, 1, MAX_CONNECTION_ID_LIFETIME_SECS);
            store(&mut draft.config.udp.connection_id_lifetime_secs, lifetime)
        },
        show: |config| number(config.udp.connection_id_lifetime_secs),
    },
    Setting {
        name: "udp.connection_id_rotation_secs",
        doc: "Seconds between new keys of the connection ids; at least the lifetime of an id.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.udp.connection_id_rotation_secs, seconds(value, 1, 604_800))
        },
        show: |config| number(config.udp.connection_id_rotation_secs),
    },
    Setting {
        name: "udp.connection_id_key_file",
        doc: "A file of secrets that nodes behind one address share, so that they take each other's ids: 32 hexadecimal digits a line.",
        kind: Kind::Text,
        example: "ids.keys",
        set: |draft, value| {
            let path = values::text(value, "a file").map(|path| Some(path.into()));
            store(&mut draft.config.udp.connection_id_key_file, path)
        },
        show: |config| path(config.udp.connection_id_key_file.as_deref()),
    },
];
