//! Settings of how a node takes over the state of another one when it starts.

use super::{networks, number, seconds, store};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::values;

/// An hour.
const MAX_JOIN_SECS: u64 = 3600;

/// Every setting under `batchsync.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "batchsync.cluster.admin_ip",
        doc: "A network of nodes that may fetch all torrents and peers of this one over HTTP; repeatable.",
        kind: Kind::List,
        example: "192.0.2.2",
        set: |draft, value| {
            draft.config.batchsync.admin_ip.push(values::network(value)?);
            Ok(())
        },
        show: |config| networks(&config.batchsync.admin_ip),
    },
    Setting {
        name: "batchsync.cluster.join",
        doc: "A node to fetch all torrents and peers from before this one serves, ADDRESS:PORT of its HTTP; repeatable.",
        kind: Kind::List,
        example: "192.0.2.2:6969",
        set: |draft, value| {
            draft.config.batchsync.join.push(values::http_address(value)?);
            Ok(())
        },
        show: |config| Shown::List(config.batchsync.join.iter().map(ToString::to_string).collect()),
    },
    Setting {
        name: "batchsync.cluster.join_timeout_secs",
        doc: "Seconds after which this node serves with what it has got of the state of another.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.batchsync.join_timeout_secs, seconds(value, 1, MAX_JOIN_SECS))
        },
        show: |config| number(config.batchsync.join_timeout_secs),
    },
];
