//! What outlives a run.

use crate::scrape_format::Format;
use std::path::PathBuf;

/// Keys under `state.`. Files are below the root directory that is entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateConfig {
    /// A state dump to read at the start.
    pub load: Option<PathBuf>,
    /// Where everything is kept from one run to the next.
    pub snapshot: Option<PathBuf>,
    /// Seconds from one snapshot to the next; 0: only when the tracker stops.
    pub snapshot_interval_secs: u32,
    /// Where full scrapes are written to.
    pub export: Option<PathBuf>,
    /// How they are written.
    pub export_format: Format,
    /// Seconds from one to the next.
    pub export_interval_secs: u32,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            load: None,
            snapshot: None,
            snapshot_interval_secs: 15 * 60,
            export: None,
            export_format: Format::Bencoded,
            export_interval_secs: 15 * 60,
        }
    }
}
