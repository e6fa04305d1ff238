//! Settings of what is written to standard error.

use super::store;
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::values;

/// Every setting under `log.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "log.level",
        doc: "How much is written to standard error: error, warn, info or debug.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.log_level, values::log_level(value)),
        show: |config| Shown::Text(config.log_level.name().to_owned()),
    },
    Setting {
        name: "log.refused",
        doc: "Whether announces that a list refuses are written as well, with the note behind the torrent; ten a second.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.log_refused, values::switch(value)),
        show: |config| Shown::Switch(config.log_refused),
    },
];
