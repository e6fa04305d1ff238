//! Settings of the HTTP workers.

use super::tracker::MAX_INTERVAL_SECS;
use super::{number, seconds, store, workers};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::values;

/// Every setting under `http.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "http.workers",
        doc: "Threads that answer HTTP; 0 for one per core.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.http.workers, workers(value)),
        show: |config| number(config.http.workers),
    },
    Setting {
        name: "http.interval_secs",
        doc: "Seconds after which a client should announce again over HTTP; 0 for tracker.interval_secs.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.http.interval_secs, seconds(value, 0, MAX_INTERVAL_SECS)),
        show: |config| number(config.http.interval_secs),
    },
    Setting {
        name: "http.max_connections",
        doc: "Connections open at a time; one more closes the oldest.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.http.max_connections, values::number(value, "connections", 1..=1 << 20))
        },
        show: |config| number(config.http.max_connections),
    },
    Setting {
        name: "http.request_timeout_secs",
        doc: "Seconds for a whole request to arrive, and for an open connection to send the next one.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.http.request_timeout_secs, seconds(value, 1, 3600)),
        show: |config| number(config.http.request_timeout_secs),
    },
    Setting {
        name: "http.response_timeout_secs",
        doc: "Seconds for a client to take some bytes of an answer before it is cut off.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.http.response_timeout_secs, seconds(value, 1, 3600)),
        show: |config| number(config.http.response_timeout_secs),
    },
    Setting {
        name: "http.max_request_bytes",
        doc: "The most bytes of a request line and its headers.",
        kind: Kind::Number,
        example: "",
        // hyper's buffer cannot be smaller.
        set: |draft, value| {
            store(&mut draft.config.http.max_request_bytes, values::number(value, "bytes", 8192..=1 << 20))
        },
        show: |config| number(config.http.max_request_bytes),
    },
    Setting {
        name: "http.full_scrape",
        doc: "Whether a list of all torrents is served, to whoever may read the statistics.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.http.full_scrape, values::switch(value)),
        show: |config| Shown::Switch(config.http.full_scrape),
    },
    Setting {
        name: "http.full_scrape_interval_secs",
        doc: "Seconds from one full scrape to the next of the same IPv4 address or IPv6 /64; 0 for no bound.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.http.full_scrape_interval_secs, seconds(value, 0, 86_400))
        },
        show: |config| number(config.http.full_scrape_interval_secs),
    },
    Setting {
        name: "http.full_scrapes_max",
        doc: "Full scrapes that are sent at a time; one more is told to come back.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.http.full_scrapes_max, values::number(value, "full scrapes", 1..=1024))
        },
        show: |config| number(config.http.full_scrapes_max),
    },
];
