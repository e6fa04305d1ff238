//! A torrent made for one test, and the tracker's view of its swarm.

use crate::clients::libtorrent::python;
use crate::http;
use crate::temporary_directory::TemporaryDirectory;
use crate::udp_client::{Row, UdpClient};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tracker_common::wire::INFO_HASH_LEN;

/// A tracker's address and what is spoken there.
#[derive(Clone, Copy, Debug)]
pub enum TrackerAddress {
    /// BEP 15.
    Udp(SocketAddr),
    /// BEP 3 and 48.
    Http(SocketAddr),
}

impl TrackerAddress {
    /// The announce URL with `host` instead of the address, where one is given.
    pub fn announce_url(&self, host: Option<&str>) -> String {
        let (scheme, address) = match self {
            Self::Udp(address) => ("udp", address),
            Self::Http(address) => ("http", address),
        };
        match host {
            Some(host) => format!("{scheme}://{host}:{}/announce", address.port()),
            None => format!("{scheme}://{address}/announce"),
        }
    }

    /// The tracker's counts for a torrent.
    pub fn scrape(&self, info_hash: [u8; INFO_HASH_LEN]) -> Row {
        match self {
            Self::Udp(address) => {
                let mut client = UdpClient::new(unspecified(*address), *address);
                let connection_id = client.connect();
                client.scrape(connection_id, &[info_hash])[0]
            }
            Self::Http(address) => scrape_over_http(*address, info_hash),
        }
    }

    /// Scrapes until the counts are these; what they are in the end when the deadline passes before.
    pub fn await_counts(
        &self,
        info_hash: [u8; INFO_HASH_LEN],
        expected: Row,
        deadline: Duration,
    ) -> Result<(), Row> {
        let end = Instant::now() + deadline;
        loop {
            let counts = self.scrape(info_hash);
            if counts == expected {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(counts);
            }
            // The protocol has no way to be told of a change: a scrape must be asked for again.
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whatever address of this host leads there.
fn unspecified(address: SocketAddr) -> IpAddr {
    match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn scrape_over_http(address: SocketAddr, info_hash: [u8; INFO_HASH_LEN]) -> Row {
    let response = http::get(address, &format!("/scrape?info_hash={}", http::percent_encoded(&info_hash)));
    // Behind the hash, which may hold any bytes, everything is text.
    let row = response.body.get(b"d5:filesd20:".len() + INFO_HASH_LEN..).unwrap_or_default();
    let row = String::from_utf8_lossy(row);
    let number = |key: &str| {
        let (_, rest) = row.split_once(key)?;
        rest.split_once('e')?.0.parse().ok()
    };
    let counts = (number("8:completei"), number("10:downloadedi"), number("10:incompletei"));
    let (Some(seeders), Some(completed), Some(leechers)) = counts else {
        panic!("no counts in {}", String::from_utf8_lossy(&response.body));
    };
    Row { seeders, completed, leechers }
}

/// A torrent of one file, and the file.
#[derive(Debug)]
pub struct Torrent {
    /// The torrent file.
    pub path: PathBuf,
    /// Its info hash (version 1).
    pub info_hash: [u8; INFO_HASH_LEN],
    /// What it is about.
    pub content: Vec<u8>,
    /// The file's name in the directory of every peer.
    pub name: &'static str,
}

impl Torrent {
    /// Fills a file in `seeder` with `length` bytes from `random`, and makes the torrent for it.
    ///
    /// # Panics
    /// When the files cannot be written, or the script fails.
    pub fn make(
        directory: &TemporaryDirectory,
        seeder: &Path,
        announce_url: &str,
        random: &mut fastrand::Rng,
        length: usize,
    ) -> Self {
        let name = "content";
        let mut content = vec![0; length];
        random.fill(&mut content);
        std::fs::write(seeder.join(name), &content).expect("the seeder's directory is ours");
        let path = directory.path().join("content.torrent");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/make_torrent.py");
        let mut command = Command::new(python());
        command.arg(script).arg(seeder.join(name)).arg(announce_url).arg(&path);
        let output = command.output().expect("python runs");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        Self { path, info_hash: from_hex(&String::from_utf8_lossy(&output.stdout)), content, name }
    }
}

fn from_hex(hex: &str) -> [u8; INFO_HASH_LEN] {
    let hex = hex.trim();
    std::array::from_fn(|index| {
        let digits = hex.get(2 * index..2 * index + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        digits.unwrap_or_else(|| panic!("no info hash: {hex:?}"))
    })
}
