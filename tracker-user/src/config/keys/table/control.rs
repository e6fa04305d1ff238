//! Settings of how an operator reaches the daemon while it runs.

use super::{path, store};
use crate::config::keys::{Kind, Setting};
use crate::config::values;

/// Every setting under `control.`.
pub(super) static SETTINGS: &[Setting] = &[Setting {
    name: "control.socket",
    doc: "A Unix socket for opentracker-xdp ctl, open to the user who started the tracker alone; a path outside the rootdir.",
    kind: Kind::Text,
    example: "/run/opentracker-xdp/control.sock",
    set: |draft, value| store(&mut draft.config.control.socket, values::socket_path(value).map(Some)),
    show: |config| path(config.control.socket.as_deref()),
}];
