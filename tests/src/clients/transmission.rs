//! transmission-daemon: it takes the torrent from a directory that it watches, and stops it by its remote control.
//! A signal would end it, but version 3.00 then ends without the last announce over HTTP.

use super::PeerSetup;
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The client, and what stops its torrent.
pub(super) fn commands(setup: &PeerSetup<'_>) -> (Command, Command) {
    let control_port = free_port();
    write_settings(setup, control_port);
    let mut daemon = Command::new("transmission-daemon");
    daemon.args(["--foreground", "--log-debug", "--config-dir"]).arg(setup.state);
    let mut stop_torrent = Command::new("transmission-remote");
    stop_torrent.args([&control_port.to_string(), "--torrent", "all", "--stop"]);
    (daemon, stop_torrent)
}

/// A port that is free now. In a network of its own nobody else can take it meanwhile.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("the listener is bound").port()
}

fn write_settings(setup: &PeerSetup<'_>, control_port: u16) {
    let watched = watched_directory(setup.state, setup.torrent);
    let settings = json!({
        "dht-enabled": false,
        "lpd-enabled": false,
        "pex-enabled": false,
        "port-forwarding-enabled": false,
        "rpc-bind-address": "127.0.0.1",
        "rpc-port": control_port,
        // Version 3.00 as a leecher gets no data over uTP from libtorrent 2.1; how peers talk is not the tracker's
        // affair.
        "utp-enabled": false,
        "peer-port-random-on-start": true,
        "peer-port-random-low": 20000,
        "peer-port-random-high": 60000,
        "download-dir": setup.directory,
        "rename-partial-files": false,
        "cache-size-mb": 0,
        "watch-dir-enabled": true,
        "watch-dir": watched,
    });
    std::fs::write(setup.state.join("settings.json"), settings.to_string())
        .expect("the state directory is ours");
}

/// A directory with the torrent in it.
fn watched_directory(state: &Path, torrent: &Path) -> PathBuf {
    let watched = state.join("watched");
    std::fs::create_dir(&watched).expect("the state directory is empty");
    std::fs::copy(torrent, watched.join("content.torrent")).expect("the torrent file exists");
    watched
}
