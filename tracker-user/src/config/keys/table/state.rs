//! Settings of what outlives a run.

use super::{number, path, seconds, store};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::values;
use std::path::PathBuf;

/// A day.
const MAX_INTERVAL_SECS: u64 = 86_400;

/// Every setting under `state.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "state.load",
        doc: "A file that the statistics gave with mode=statedump, for the counts of downloads; read at the start.",
        kind: Kind::Text,
        example: "statedump.txt",
        set: |draft, value| store(&mut draft.config.state.load, file(value)),
        show: |config| path(config.state.load.as_deref()),
    },
    Setting {
        name: "state.snapshot",
        doc: "A file for all torrents and peers, written when the tracker stops and read when it starts.",
        kind: Kind::Text,
        example: "opentracker.snapshot",
        set: |draft, value| store(&mut draft.config.state.snapshot, file(value)),
        show: |config| path(config.state.snapshot.as_deref()),
    },
    Setting {
        name: "state.snapshot_interval_secs",
        doc: "Seconds from one snapshot to the next, against crashes; 0 for one only when the tracker stops.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.state.snapshot_interval_secs, seconds(value, 0, MAX_INTERVAL_SECS))
        },
        show: |config| number(config.state.snapshot_interval_secs),
    },
    Setting {
        name: "state.export",
        doc: "A file that a full scrape is written to again and again, for programs that read it from there.",
        kind: Kind::Text,
        example: "torrents.export",
        set: |draft, value| store(&mut draft.config.state.export, file(value)),
        show: |config| path(config.state.export.as_deref()),
    },
    Setting {
        name: "state.export_format",
        doc: "The format of the export: ben, bin, txt, txtp or url as of a full scrape, or statedump.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.state.export_format, values::export_format(value)),
        show: |config| Shown::Text(config.state.export_format.name().to_owned()),
    },
    Setting {
        name: "state.export_interval_secs",
        doc: "Seconds from one export to the next; the first comes when the tracker is ready.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.state.export_interval_secs, seconds(value, 1, MAX_INTERVAL_SECS))
        },
        show: |config| number(config.state.export_interval_secs),
    },
];

fn file(value: &str) -> Result<Option<PathBuf>, String> {
    values::text(value, "a file").map(|path| Some(path.into()))
}
