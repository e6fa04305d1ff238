//! libtorrent by its Python bindings: `clients/libtorrent_peer.py` with its settings as they come, save that it
//! looks for peers nowhere but at the tracker. Its guard against forged requests to local services
//! (`ssrf_mitigation`) stays on: an announce URL at a loopback address must end in `/announce`.

use super::{PeerSetup, RunningClient};
use crate::daemon::binary::target_directory;
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::Command;

/// Names the Python to use instead of the one that `cargo xtask setup` makes.
const PYTHON_VARIABLE: &str = "TRACKER_TESTS_PYTHON";

/// The Python that has libtorrent.
pub fn python() -> PathBuf {
    match std::env::var_os(PYTHON_VARIABLE) {
        Some(path) => path.into(),
        None => target_directory().join("venv/bin/python"),
    }
}

/// Why it cannot run here, if so.
pub(super) fn missing() -> Option<String> {
    let python = python();
    let output = Command::new(&python).args(["-c", "import libtorrent"]).output();
    let runs = output.is_ok_and(|output| output.status.success());
    (!runs).then(|| format!("{} has no libtorrent: run `cargo xtask setup`", python.display()))
}

pub(super) fn command(setup: &PeerSetup<'_>) -> Command {
    let mut command = Command::new(python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/libtorrent_peer.py"));
    command.arg(setup.torrent).arg(setup.directory).arg(setup.address.to_string());
    command
}

/// Makes it announce now, whatever interval the tracker gave: for a seeder that must learn of a leecher.
pub fn announce_again(client: &RunningClient) {
    client.signal(Signal::SIGUSR1);
}
