//! A daemon with a list, and what it says to announces.

use nix::sys::signal::Signal;
use std::path::PathBuf;
use tracker_tests::daemon::Daemon;
use tracker_tests::http;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};

pub(crate) type Hash = [u8; 20];

pub(crate) const LISTED: Hash = [0x11; 20];
pub(crate) const OTHER: Hash = [0x22; 20];
pub(crate) const LOOPBACK: &[&str] = &["-i", "127.0.0.1", "-p", "0", "-P", "0"];
/// What opentracker says, written out again.
pub(crate) const REASON: &[u8] = b"Requested download is not authorized for use with this tracker.";

/// A daemon with one list.
pub(crate) struct Listed {
    pub(crate) daemon: Daemon,
    pub(crate) list: PathBuf,
    pub(crate) _directory: TemporaryDirectory,
}

impl Listed {
    /// With a list of this kind (`-w` or `-b`) and text.
    pub(crate) fn start(option: &str, text: &str, more: &[&str]) -> Self {
        let directory = TemporaryDirectory::new();
        let list = directory.path().join("list");
        std::fs::write(&list, text).expect("the directory is ours");
        let list_argument = [option, list.to_str().expect("the path is text")];
        let daemon = Daemon::start(&[LOOPBACK, &list_argument, more].concat());
        Self { daemon, list, _directory: directory }
    }

    pub(crate) fn client(&self) -> Client {
        let tracker = self.daemon.udp_v4();
        let mut udp = UdpClient::new(tracker.ip(), tracker);
        let connection_id = udp.connect();
        Client { udp, connection_id }
    }

    /// Replaces the list as documented, by renaming, and tells the daemon.
    pub(crate) fn replace(&self, text: &str) {
        let beside = self.list.with_extension("new");
        std::fs::write(&beside, text).expect("the directory is ours");
        std::fs::rename(&beside, &self.list).expect("the directory is ours");
        self.daemon.signal(Signal::SIGHUP);
    }

    /// The same, and waits until the new list is in force.
    pub(crate) fn reload(&self, text: &str) {
        let seen_lines = self.daemon.log_lines();
        self.replace(text);
        self.daemon.await_log_line_after(seen_lines, "in force: ");
    }

    pub(crate) fn announce_http(&self, hash: &Hash) -> http::Response {
        let hash = http::percent_encoded(hash);
        http::get(self.daemon.tcp_v4(), &format!("/announce?info_hash={hash}&port=6881&left=0"))
    }
}

/// A UDP client with its connection id.
pub(crate) struct Client {
    pub(crate) udp: UdpClient,
    pub(crate) connection_id: u64,
}

impl Client {
    /// Whether an announce of a seeder is taken in; it is either that or refused in the known words.
    pub(crate) fn is_permitted(&mut self, hash: &Hash, port: u16) -> bool {
        let request =
            AnnounceRequest { info_hash: *hash, ..AnnounceRequest::new(self.connection_id, port).seeding() };
        let answer = self.udp.ask(&request.payload());
        let transaction = request.transaction_id.to_be_bytes();
        if answer.starts_with(&[&[0, 0, 0, 3][..], &transaction].concat()) {
            assert_eq!(answer[8..], *REASON);
            return false;
        }
        assert!(answer.starts_with(&[&[0, 0, 0, 1][..], &transaction].concat()), "{answer:02x?}");
        true
    }

    pub(crate) fn seeders(&mut self, hashes: &[Hash]) -> Vec<u32> {
        let rows = self.udp.scrape(self.connection_id, hashes);
        rows.iter().map(|row| row.seeders).collect()
    }
}

/// A line of a list.
pub(crate) fn line(hash: &Hash) -> String {
    let digits: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    digits + "\n"
}
