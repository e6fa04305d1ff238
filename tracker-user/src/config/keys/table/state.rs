//! Settings of what outlives a run.

use super::{path, store};
use crate::config::keys::{Kind, Setting};
use crate::config::values;

/// Every setting under `state.`.
pub(super) static SETTINGS: &[Setting] = &[Setting {
    name: "state.load",
    doc: "A file that the statistics gave with mode=statedump, for the counts of downloads; read at the start.",
    kind: Kind::Text,
    example: "statedump.txt",
    set: |draft, value| {
        let path = values::text(value, "a file").map(|path| Some(path.into()));
        store(&mut draft.config.state_load, path)
    },
    show: |config| path(config.state_load.as_deref()),
}];
