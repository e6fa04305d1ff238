//! Settings of the tracker itself: who it is, and how it answers announces.

use super::{number, optional, seconds, store};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::values;

/// A day: clients that hear of a longer interval give the tracker up.
pub(super) const MAX_INTERVAL_SECS: u64 = 86_400;
/// Ten times as long: beyond, an interval does more harm than the load.
const MAX_STRETCH_PERCENT: u64 = 1000;
/// With fewer real peers than one in ten, a swarm hardly finds itself.
const MAX_DECOYS_PERCENT: u64 = 90;
/// A week.
const MAX_PEER_TIMEOUT_SECS: u64 = 604_800;
/// A year.
const MAX_TORRENT_TIMEOUT_SECS: u64 = 31_536_000;

/// Every setting under `tracker.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "tracker.user",
        doc: "The user to become once ports are bound; started as root it is nobody, unless this says root.",
        kind: Kind::Text,
        example: "nobody",
        set: |draft, value| store(&mut draft.config.tracker.user, values::text(value, "a user").map(Some)),
        show: |config| optional(config.tracker.user.clone()),
    },
    Setting {
        name: "tracker.rootdir",
        doc: "The directory to lock the tracker into (started as root) or to change to, once ports are bound.",
        kind: Kind::Text,
        example: "/var/lib/opentracker",
        set: |draft, value| {
            let path = values::text(value, "a directory").map(|path| Some(path.into()));
            store(&mut draft.config.tracker.rootdir, path)
        },
        show: |config| optional(config.tracker.rootdir.as_ref().map(|path| path.to_string_lossy().into())),
    },
    Setting {
        name: "tracker.sandbox",
        doc: "Whether the tracker fences itself off from the host once it runs: auto (as far as the kernel can), on (or no start), off.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.tracker.sandbox, values::sandbox(value)),
        show: |config| Shown::Text(config.tracker.sandbox.name().to_owned()),
    },
    Setting {
        name: "tracker.redirect_url",
        doc: "Where a browser that opens the tracker's root page is sent; without it, it gets a 404.",
        kind: Kind::Text,
        example: "https://tracker.example/",
        set: |draft, value| {
            store(&mut draft.config.tracker.redirect_url, values::redirect_url(value).map(Some))
        },
        show: |config| optional(config.tracker.redirect_url.clone()),
    },
    Setting {
        name: "tracker.interval_secs",
        doc: "Seconds after which a client should announce again: longer is less load and staler peers.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.tracker.interval_secs, seconds(value, 1, MAX_INTERVAL_SECS))
        },
        show: |config| number(config.tracker.interval_secs),
    },
    Setting {
        name: "tracker.interval_jitter_secs",
        doc: "The most seconds added to or taken off an interval at random, so that clients spread out.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.tracker.interval_jitter_secs, seconds(value, 0, MAX_INTERVAL_SECS))
        },
        show: |config| number(config.tracker.interval_jitter_secs),
    },
    Setting {
        name: "tracker.interval_stretch_max_percent",
        doc: "The most that an overloaded tracker makes of an interval, in percent; 100 leaves it as it is.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            let percent = values::number(value, "percent", 100..=MAX_STRETCH_PERCENT);
            store(&mut draft.config.tracker.interval_stretch_max_percent, percent)
        },
        show: |config| number(config.tracker.interval_stretch_max_percent),
    },
    Setting {
        name: "tracker.peer_timeout_secs",
        doc: "Seconds after its last announce when a peer is forgotten; longer than any interval.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.tracker.peer_timeout_secs, seconds(value, 1, MAX_PEER_TIMEOUT_SECS))
        },
        show: |config| number(config.tracker.peer_timeout_secs),
    },
    Setting {
        name: "tracker.torrent_timeout_secs",
        doc: "Seconds after its last announce when a torrent without peers loses its completed count.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.tracker.torrent_timeout_secs, seconds(value, 1, MAX_TORRENT_TIMEOUT_SECS))
        },
        show: |config| number(config.tracker.torrent_timeout_secs),
    },
    Setting {
        name: "tracker.peers_wanted_default",
        doc: "Peers in an answer to a client that does not say how many it wants.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.tracker.peers_wanted_default, peers(value, 0)),
        show: |config| number(config.tracker.peers_wanted_default),
    },
    Setting {
        name: "tracker.peers_wanted_max",
        doc: "The most peers in an answer; over UDP also no more than one packet holds.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.tracker.peers_wanted_max, peers(value, 1)),
        show: |config| number(config.tracker.peers_wanted_max),
    },
    Setting {
        name: "tracker.decoy_peers",
        doc: "Of a hundred peers in an answer, how many are made up, so that being listed proves nothing; 0 for none.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            let percent = values::number(value, "percent", 0..=MAX_DECOYS_PERCENT);
            store(&mut draft.config.tracker.decoy_peers_percent, percent)
        },
        show: |config| number(config.tracker.decoy_peers_percent),
    },
];

fn peers(text: &str, least: u64) -> Result<u16, String> {
    values::number(text, "peers", least..=2000)
}
