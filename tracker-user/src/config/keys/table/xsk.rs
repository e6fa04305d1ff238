//! Settings of AF_XDP sockets.

use super::{number, store};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::types::CopyMode;
use crate::config::values;

/// The cores that a set of them has room for.
const MAX_CPU: u16 = 1023;

/// Every setting under `xsk.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "xsk.zero_copy",
        doc: "Whether the card writes packets into the tracker's memory: auto (where it can), on (or no start), off.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.xsk.zero_copy, values::zero_copy(value)),
        show: |config| Shown::Text(zero_copy_name(config.xsk.zero_copy).to_owned()),
    },
    Setting {
        name: "xsk.busy_poll",
        doc: "Microseconds for which a thread polls its queue of the card instead of interrupts; 0 for interrupts.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.xsk.busy_poll_micros, values::number(value, "microseconds", 0..=10_000))
        },
        show: |config| number(config.xsk.busy_poll_micros),
    },
    Setting {
        name: "xsk.busy_poll_budget",
        doc: "Packets that one look into the queue takes in at most, with xsk.busy_poll.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.xsk.busy_poll_budget, values::number(value, "packets", 1..=1024))
        },
        show: |config| number(config.xsk.busy_poll_budget),
    },
    Setting {
        name: "xsk.ring_size",
        doc: "Packets that a queue's ring holds, a power of two; each takes 4 KiB of memory, for both ways.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.xsk.ring_size, values::ring_size(value)),
        show: |config| number(config.xsk.ring_size),
    },
    Setting {
        name: "xsk.tx_budget",
        doc: "Packets that one system call sends at most without zero-copy (Linux 6.17), from 32 to the ring's; 0: the kernel's own.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.xsk.transmit_budget, values::number(value, "packets", 0..=4096))
        },
        show: |config| number(config.xsk.transmit_budget),
    },
    Setting {
        name: "xsk.queues",
        doc: "Receive queues of each interface that AF_XDP serves, from the first; 0 for all; reloaded by SIGHUP.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.xsk.queues, values::number(value, "queues", 0..=256)),
        show: |config| number(config.xsk.queues),
    },
    Setting {
        name: "xsk.cpus",
        doc: "A core for the thread of the next queue; repeatable; without it, the cores that the tracker may use.",
        kind: Kind::List,
        example: "2",
        set: |draft, value| {
            draft.config.xsk.cpus.push(values::number(value, "a core", 0..=u64::from(MAX_CPU))?);
            Ok(())
        },
        show: |config| Shown::List(config.xsk.cpus.iter().map(ToString::to_string).collect()),
    },
];

fn zero_copy_name(copy_mode: CopyMode) -> &'static str {
    match copy_mode {
        CopyMode::Auto => "auto",
        CopyMode::ZeroCopy => "on",
        CopyMode::Copy => "off",
    }
}
