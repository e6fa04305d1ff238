//! aria2c. Its UDP trackers share the socket of its DHT, so the DHT is on; it knows no node, and the torrents are
//! private, which keeps them out of it.

use super::PeerSetup;
use std::process::Command;

const OPTIONS: &[&str] = &[
    "--no-conf=true",
    // Content that is there is seeded, and a finished download is seeded until the client is stopped.
    "--check-integrity=true",
    "--seed-ratio=0.0",
    // It takes a free one of these.
    "--listen-port=20000-60000",
    "--dht-listen-port=20000-60000",
    "--enable-dht=true",
    "--enable-dht6=false",
    "--bt-enable-lpd=false",
    "--enable-peer-exchange=false",
    "--disk-cache=0",
    "--file-allocation=none",
    "--log=-",
    "--log-level=info",
    "--console-log-level=error",
    "--show-console-readout=false",
];

pub(super) fn command(setup: &PeerSetup<'_>) -> Command {
    let mut command = Command::new("aria2c");
    command.args(OPTIONS);
    command.arg(format!("--dir={}", setup.directory.display()));
    command.arg(format!("--dht-file-path={}", setup.state.join("dht.dat").display()));
    command.arg(setup.torrent);
    command
}
