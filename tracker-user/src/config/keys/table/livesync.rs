//! Settings of what the nodes of a cluster tell each other on their network.

use super::{networks, number, optional, path, store};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::types::DEFAULT_LIVESYNC_PORT;
use crate::config::values;

/// Every setting under `livesync.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "livesync.cluster.listen",
        doc: "This host's address on the network of the cluster, for livesync; port 9696 if it names none.",
        kind: Kind::Text,
        example: "192.0.2.1:9696",
        set: |draft, value| {
            let address = values::socket_address_or(value, DEFAULT_LIVESYNC_PORT).map(Some);
            store(&mut draft.config.livesync.listen, address)
        },
        show: |config| optional(config.livesync.listen.map(|listen| listen.to_string())),
    },
    Setting {
        name: "livesync.cluster.node_ip",
        doc: "A network of nodes whose datagrams are believed; repeatable; without it nobody is, unless there is a key.",
        kind: Kind::List,
        example: "192.0.2.0/24",
        set: |draft, value| {
            draft.config.livesync.node_ip.push(values::network(value)?);
            Ok(())
        },
        show: |config| networks(&config.livesync.node_ip),
    },
    Setting {
        name: "livesync.cluster.group",
        doc: "The multicast group; opentracker itself is in 224.0.23.5; an IPv6 group such as ff05::9696 for IPv6.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.livesync.group, values::multicast_group(value)),
        show: |config| Shown::Text(config.livesync.group.to_string()),
    },
    Setting {
        name: "livesync.cluster.delay_ms",
        doc: "Milliseconds for which a peer waits for others to fill a datagram with; opentracker's is 15 seconds.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.livesync.delay_ms, values::number(value, "milliseconds", 0..=60_000))
        },
        show: |config| number(config.livesync.delay_ms),
    },
    Setting {
        name: "livesync.cluster.key_file",
        doc: "A file of keys that seal datagrams, 64 hexadecimal digits a line, the sealing one first; SIGHUP reads it.",
        kind: Kind::Text,
        example: "cluster.keys",
        set: |draft, value| {
            let path = values::text(value, "a file").map(|path| Some(path.into()));
            store(&mut draft.config.livesync.key_file, path)
        },
        show: |config| path(config.livesync.key_file.as_deref()),
    },
];
