//! Settings of the store of peers: what it may hold, and whom it takes in.

use super::{networks, number, store};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::values;

/// More peers or torrents than any host has memory for.
const MOST: u64 = 1_000_000_000_000;

/// Every setting under `store.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "store.max_memory",
        doc: "Memory for torrents and peers, in bytes or as 512M or 4G; then the stalest make room; 0 for no bound.",
        kind: Kind::Bytes,
        example: "",
        set: |draft, value| store(&mut draft.config.store.limits.max_memory_bytes, values::memory(value)),
        show: |config| number(config.store.limits.max_memory_bytes),
    },
    Setting {
        name: "store.max_peers",
        doc: "Peers in all torrents together; for one more the stalest make room; 0 for no bound.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.store.limits.max_peers, values::number(value, "peers", 0..=MOST))
        },
        show: |config| number(config.store.limits.max_peers),
    },
    Setting {
        name: "store.max_torrents",
        doc: "Torrents; for one more those make room that were announced least lately; 0 for no bound.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.store.limits.max_torrents, values::number(value, "torrents", 0..=MOST))
        },
        show: |config| number(config.store.limits.max_torrents),
    },
    Setting {
        name: "store.torrents_per_source",
        doc: "Torrents in which one IPv4 address or IPv6 /64 is stored; takes 32 MiB or more; 0 for no bound.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            let torrents = values::number(value, "torrents", 0..=u64::from(u16::MAX));
            store(&mut draft.config.store.limits.torrents_per_source, torrents)
        },
        show: |config| number(config.store.limits.torrents_per_source),
    },
    Setting {
        name: "store.ports_per_source",
        doc: "Peers that one IPv4 address or IPv6 /64 has in one torrent, whatever ports it names; 0 for no bound, or 1024 with torrents_per_source.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            let ports = values::number(value, "ports", 0..=u64::from(u16::MAX));
            store(&mut draft.config.store.limits.ports_per_source, ports)
        },
        show: |config| number(config.store.limits.ports_per_source),
    },
    Setting {
        name: "store.refuse_bogons",
        doc: "Whether peers are refused whose addresses nobody reaches over the Internet: private, reserved and the like.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.store.refuse_bogons, values::switch(value)),
        show: |config| Shown::Switch(config.store.refuse_bogons),
    },
    Setting {
        name: "store.refuse_networks",
        doc: "A network whose announces are refused, such as the tracker's own; repeatable; its scrapes are answered.",
        kind: Kind::List,
        example: "198.51.100.0/24",
        set: |draft, value| {
            draft.config.store.refuse_networks.push(values::network(value)?);
            Ok(())
        },
        show: |config| networks(&config.store.refuse_networks),
    },
];
