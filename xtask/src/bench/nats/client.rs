//! A peer that announces to a node, and asks whether another one knows of it: BEP 15 with one request under way.

use anyhow::{Context, Result, bail};
use std::net::{SocketAddrV4, UdpSocket};
use std::time::Duration;
use tracker_common::wire::{ACTION_ANNOUNCE, ACTION_CONNECT, ACTION_SCRAPE, PROTOCOL_ID};

/// For how long an answer is waited for before the request is made again.
const PATIENCE: Duration = Duration::from_millis(500);
const TRIES: u32 = 20;

/// A client of one node, with a connection id for it.
pub(super) struct Client {
    socket: UdpSocket,
    connection_id: [u8; 8],
}

impl Client {
    /// Connects to a node.
    pub(super) fn new(node: SocketAddrV4) -> Result<Self> {
        let socket = UdpSocket::bind((*node.ip(), 0))?;
        socket.connect(node)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self { socket, connection_id: PROTOCOL_ID.to_be_bytes() };
        let answer = client.ask(ACTION_CONNECT, &[])?;
        client.connection_id = *answer.first_chunk().context("the answer to a connect is too short")?;
        Ok(client)
    }

    /// Announces a leecher of the torrent whose hash has this byte throughout.
    pub(super) fn announce(&self, torrent: u8, port: u16) -> Result<()> {
        let mut announce = [[torrent; 20], [b'-'; 20]].concat();
        announce.extend([0; 8]);
        announce.extend(1_u64.to_be_bytes());
        announce.extend([0; 8 + 4 + 4 + 4]);
        announce.extend(0_u32.to_be_bytes());
        announce.extend(port.to_be_bytes());
        self.ask(ACTION_ANNOUNCE, &announce).map(drop)
    }

    /// How many leechers a torrent has.
    pub(super) fn leechers(&self, torrent: u8) -> Result<u32> {
        let answer = self.ask(ACTION_SCRAPE, &[torrent; 20])?;
        let leechers = answer.get(8..12).and_then(|bytes| bytes.first_chunk());
        Ok(u32::from_be_bytes(*leechers.context("the answer to a scrape is too short")?))
    }

    /// What stands in the answer behind action and transaction.
    fn ask(&self, action: u32, rest: &[u8]) -> Result<Vec<u8>> {
        let mut buffer = [0; 2048];
        for transaction in 1..=TRIES {
            let front = [action.to_be_bytes(), transaction.to_be_bytes()].concat();
            self.socket.send(&[&self.connection_id, &front[..], rest].concat())?;
            // One that comes too late belongs to a request of before.
            while let Ok(len) = self.socket.recv(&mut buffer) {
                if let Some(answer) = buffer[..len].strip_prefix(&front[..]) {
                    return Ok(answer.to_vec());
                }
            }
        }
        bail!("the node does not answer")
    }
}
