//! A daemon with a control socket, and what an operator calls beside it.

use serde_json::Value;
use std::path::PathBuf;
use tracker_tests::daemon::Daemon;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};

pub(crate) type Hash = [u8; 20];

pub(crate) const LISTED: Hash = [0x11; 20];
pub(crate) const OTHER: Hash = [0x22; 20];
pub(crate) const LOOPBACK: &[&str] = &["-i", "127.0.0.1", "-p", "0", "-P", "0"];

/// A daemon and its socket.
pub(crate) struct Controlled {
    pub(crate) daemon: Daemon,
    pub(crate) socket: PathBuf,
    pub(crate) _directory: TemporaryDirectory,
}

/// What a call of `ctl` came to.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Controlled {
    /// With these arguments; `{}` in them stands for a directory of its own.
    pub(crate) fn start(more: &[&str]) -> Self {
        let directory = TemporaryDirectory::new();
        Self::start_in(directory, more)
    }

    pub(crate) fn start_in(directory: TemporaryDirectory, more: &[&str]) -> Self {
        let socket = directory.path().join("control.sock");
        let set = format!("control.socket={}", socket.display());
        let place = directory.path().to_str().expect("the path is text");
        let more: Vec<String> = more.iter().map(|argument| argument.replace("{}", place)).collect();
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let daemon = Daemon::start(&[LOOPBACK, &["--set", &set], &more].concat());
        Self { daemon, socket, _directory: directory }
    }

    /// With a list of this kind (`-w` or `-b`).
    pub(crate) fn start_with_list(option: &str, text: &str) -> Self {
        let directory = TemporaryDirectory::new();
        std::fs::write(directory.path().join("list"), text).expect("the directory is ours");
        Self::start_in(directory, &[option, "{}/list"])
    }

    /// Calls `ctl` on its socket.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Called {
        let socket = self.socket.to_str().expect("the path is text");
        ctl(&[&["--socket", socket], arguments].concat())
    }

    /// The same, which must be done, and answered with this object.
    pub(crate) fn ctl_json(&self, arguments: &[&str]) -> Value {
        let called = self.ctl(&[&["--json"], arguments].concat());
        assert_eq!(called.code, Some(0), "{called:?}");
        serde_json::from_str(&called.stdout).unwrap_or_else(|error| panic!("{error} in {called:?}"))
    }

    pub(crate) fn client(&self) -> (UdpClient, u64) {
        let mut client = UdpClient::new(self.daemon.udp_v4().ip(), self.daemon.udp_v4());
        let connection_id = client.connect();
        (client, connection_id)
    }

    /// Which of two torrents are served.
    pub(crate) fn permitted(&self) -> [bool; 2] {
        let (client, id) = self.client();
        [LISTED, OTHER].map(|info_hash| {
            let request = AnnounceRequest { info_hash, ..AnnounceRequest::new(id, 6881) };
            client.ask(&request.payload())[3] == 1
        })
    }
}

/// Calls `ctl` with nothing but these arguments.
pub(crate) fn ctl(arguments: &[&str]) -> Called {
    let mut command = Daemon::command_as_given(&[&["ctl"], arguments].concat());
    let output = command.output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes text");
    Called { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02X}")).collect()
}
