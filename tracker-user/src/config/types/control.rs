//! How an operator reaches the daemon while it runs.

use std::path::PathBuf;

/// Keys under `control.`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlConfig {
    /// The Unix socket that `opentracker-xdp ctl` speaks to, absolute and not below `tracker.rootdir`; `None`: there is none.
    pub socket: Option<PathBuf>,
}
