//! A small client of BEP 15 over a real, connected UDP socket: every field can be set, also to what no client sends.
//!
//! The socket is connected, so an answer from another address or port than the one asked never arrives. It believes
//! nothing: an answer of another length, action or transaction id than the request asks for fails the test.
//! The numbers of the protocol are written out again here: taken from the tracker, a wrong one would go unseen.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::time::Duration;

/// First 8 bytes of a connect.
pub const PROTOCOL_ID: u64 = 0x417_2710_1980;
const ACTION_CONNECT: u32 = 0;
const ACTION_ANNOUNCE: u32 = 1;
const ACTION_SCRAPE: u32 = 2;
const INFO_HASH_LEN: usize = 20;
/// Bytes before the peers of an announce's answer.
const ANNOUNCE_HEADER_LEN: usize = 20;
/// Bytes before the rows of a scrape's answer.
const SCRAPE_HEADER_LEN: usize = 8;
const SCRAPE_ROW_LEN: usize = 12;

/// How long an answer that must come may take. Only ever waited for in full when something is broken.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Longer than any answer may be.
const RECEIVE_LEN: usize = 4096;

/// The torrent of tests that need only one.
pub const INFO_HASH: [u8; INFO_HASH_LEN] = [0x5a; INFO_HASH_LEN];

/// An announce with each of its fields.
#[derive(Clone, Debug)]
pub struct AnnounceRequest {
    /// As the tracker gave it, or a wrong one.
    pub connection_id: u64,
    /// Comes back in the answer.
    pub transaction_id: u32,
    /// The torrent.
    pub info_hash: [u8; INFO_HASH_LEN],
    /// Means nothing to a tracker.
    pub peer_id: [u8; 20],
    /// Bytes downloaded so far.
    pub downloaded: u64,
    /// Bytes left to download: 0 makes a seeder.
    pub bytes_left: u64,
    /// Bytes uploaded so far.
    pub uploaded: u64,
    /// 0: none, 1: completed, 2: started, 3: stopped.
    pub event: u32,
    /// The address that the client would like to be known by.
    pub ip: [u8; 4],
    /// Means nothing to a tracker that knows peers by address and port.
    pub key: u32,
    /// Negative: as the tracker likes.
    pub peers_wanted: i32,
    /// Where the peer listens.
    pub port: u16,
    /// Bytes behind the last field (BEP 41).
    pub options: Vec<u8>,
}

impl AnnounceRequest {
    /// A leecher that starts, with all else as an ordinary client has it.
    pub fn new(connection_id: u64, port: u16) -> Self {
        Self {
            connection_id,
            transaction_id: 0x7061_6765,
            info_hash: INFO_HASH,
            peer_id: *b"-XX0001-abcdefghijkl",
            downloaded: 0,
            bytes_left: 1 << 20,
            uploaded: 0,
            event: 0,
            ip: [0; 4],
            key: 0x0102_0304,
            peers_wanted: -1,
            port,
            options: Vec::new(),
        }
    }

    /// The same peer as a seeder.
    pub fn seeding(mut self) -> Self {
        self.bytes_left = 0;
        self
    }

    /// The same announce with another event.
    pub fn event(mut self, event: u32) -> Self {
        self.event = event;
        self
    }

    /// The same announce with another number of peers wanted.
    pub fn wanting(mut self, peers_wanted: i32) -> Self {
        self.peers_wanted = peers_wanted;
        self
    }

    /// It on the wire.
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = header(self.connection_id, ACTION_ANNOUNCE, self.transaction_id);
        payload.extend(self.info_hash);
        payload.extend(self.peer_id);
        payload.extend(self.downloaded.to_be_bytes());
        payload.extend(self.bytes_left.to_be_bytes());
        payload.extend(self.uploaded.to_be_bytes());
        payload.extend(self.event.to_be_bytes());
        payload.extend(self.ip);
        payload.extend(self.key.to_be_bytes());
        payload.extend(self.peers_wanted.to_be_bytes());
        payload.extend(self.port.to_be_bytes());
        assert_eq!(payload.len(), 98);
        payload.extend(&self.options);
        payload
    }
}

/// The answer to an announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Seconds until the next announce.
    pub interval_secs: u32,
    /// Peers with bytes left.
    pub leechers: u32,
    /// Peers with nothing left.
    pub seeders: u32,
    /// In the order of the answer.
    pub peers: Vec<SocketAddr>,
}

impl Announced {
    /// Reads the answer to a request that came from an address of this family.
    ///
    /// # Panics
    /// When it is no answer to that transaction, or ends in a piece of a peer.
    pub fn parse(answer: &[u8], transaction_id: u32, asker: IpAddr) -> Self {
        assert_header(answer, ACTION_ANNOUNCE, transaction_id);
        assert!(answer.len() >= ANNOUNCE_HEADER_LEN, "{} bytes are no answer to an announce", answer.len());
        let peers = &answer[ANNOUNCE_HEADER_LEN..];
        Self {
            interval_secs: number(answer, 8..12),
            leechers: number(answer, 12..16),
            seeders: number(answer, 16..20),
            peers: match asker {
                IpAddr::V4(_) => parse_peers::<4, 6>(peers),
                IpAddr::V6(_) => parse_peers::<16, 18>(peers),
            },
        }
    }

    /// The ports of its peers, in the order of the answer.
    pub fn ports(&self) -> Vec<u16> {
        self.peers.iter().map(SocketAddr::port).collect()
    }
}

fn parse_peers<const ADDRESS_LEN: usize, const PEER_LEN: usize>(bytes: &[u8]) -> Vec<SocketAddr>
where
    IpAddr: From<[u8; ADDRESS_LEN]>,
{
    let (peers, rest) = bytes.as_chunks::<PEER_LEN>();
    assert!(rest.is_empty(), "{} bytes behind the last whole peer", rest.len());
    let parse = |peer: &[u8; PEER_LEN]| {
        let (address, port) =
            peer.split_first_chunk::<ADDRESS_LEN>().expect("a peer begins with its address");
        SocketAddr::new(IpAddr::from(*address), u16::from_be_bytes(port.try_into().expect("two bytes")))
    };
    peers.iter().map(parse).collect()
}

/// One row of a scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Peers with nothing left.
    pub seeders: u32,
    /// Downloads that finished.
    pub completed: u32,
    /// Peers with bytes left.
    pub leechers: u32,
}

/// Reads the answer to a scrape.
///
/// # Panics
/// When it is no answer to that transaction, or ends in a piece of a row.
pub fn parse_scrape(answer: &[u8], transaction_id: u32) -> Vec<Row> {
    assert_header(answer, ACTION_SCRAPE, transaction_id);
    let (rows, rest) = answer[SCRAPE_HEADER_LEN..].as_chunks::<SCRAPE_ROW_LEN>();
    assert!(rest.is_empty(), "{} bytes behind the last whole row", rest.len());
    let parse = |row: &[u8; SCRAPE_ROW_LEN]| Row {
        seeders: number(row, 0..4),
        completed: number(row, 4..8),
        leechers: number(row, 8..12),
    };
    rows.iter().map(parse).collect()
}

/// Reads the answer to a connect: the connection id.
///
/// # Panics
/// When it is no answer to that transaction, or not of exactly 16 bytes.
pub fn parse_connect(answer: &[u8], transaction_id: u32) -> u64 {
    assert_header(answer, ACTION_CONNECT, transaction_id);
    assert_eq!(answer.len(), 16, "{answer:02x?}");
    u64::from_be_bytes(answer[8..16].try_into().expect("eight bytes"))
}

/// A connect request.
pub fn connect_request(transaction_id: u32) -> Vec<u8> {
    header(PROTOCOL_ID, ACTION_CONNECT, transaction_id)
}

/// A scrape request.
pub fn scrape_request(connection_id: u64, transaction_id: u32, hashes: &[[u8; INFO_HASH_LEN]]) -> Vec<u8> {
    let mut payload = header(connection_id, ACTION_SCRAPE, transaction_id);
    payload.extend(hashes.as_flattened());
    payload
}

/// What every request begins with.
pub fn header(connection_id: u64, action: u32, transaction_id: u32) -> Vec<u8> {
    let mut header = connection_id.to_be_bytes().to_vec();
    header.extend(action.to_be_bytes());
    header.extend(transaction_id.to_be_bytes());
    header
}

fn assert_header(answer: &[u8], action: u32, transaction_id: u32) {
    assert!(answer.len() >= 8, "{answer:02x?}");
    let header = (number(answer, 0..4), number(answer, 4..8));
    assert_eq!(header, (action, transaction_id), "action and transaction id of {answer:02x?}");
}

fn number(bytes: &[u8], range: Range<usize>) -> u32 {
    u32::from_be_bytes(bytes[range].try_into().expect("four bytes"))
}

/// The next datagram of a socket, and where it came from.
///
/// # Panics
/// When none comes by [`ANSWER_DEADLINE`].
pub fn receive_from(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    receive_within(socket, ANSWER_DEADLINE).expect("no datagram in time")
}

/// The next datagram of a socket, and where it came from; `None` where none comes in time.
///
/// # Panics
/// When the socket fails.
pub fn receive_within(socket: &UdpSocket, deadline: Duration) -> Option<(Vec<u8>, SocketAddr)> {
    socket.set_read_timeout(Some(deadline)).expect("the deadline is not zero");
    let mut datagram = vec![0; RECEIVE_LEN];
    loop {
        match socket.recv_from(&mut datagram) {
            Ok((length, source)) => {
                datagram.truncate(length);
                return Some((datagram, source));
            }
            // The kernel does not resume by itself what has a timeout (signal(7)).
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("no datagram: {error}"),
        }
    }
}

/// One client: a socket of its own, connected to the tracker.
#[derive(Debug)]
pub struct UdpClient {
    socket: UdpSocket,
    next_transaction_id: u32,
    silence: Silence,
}

/// The request that follows one that must not be answered: its answer must be the first.
#[derive(Clone, Copy, Debug)]
enum Silence {
    /// A connect, where all packets of a socket are handled in their order.
    Connect,
    /// A scrape, where connects are answered by the kernel and overtake what goes on to the daemon; with the connection id,
    /// once there is one.
    Scrape(Option<u64>),
}

impl UdpClient {
    /// A client at `address`, on a port of its own.
    pub fn new(address: IpAddr, tracker: SocketAddr) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("this host has the address and a free port");
        socket.connect(tracker).expect("the tracker's address has a route");
        Self { socket, next_transaction_id: 0x1000_0000, silence: Silence::Connect }
    }

    /// The same for a tracker whose connects are answered by the kernel.
    pub fn of_kernel(address: IpAddr, tracker: SocketAddr) -> Self {
        Self { silence: Silence::Scrape(None), ..Self::new(address, tracker) }
    }

    /// The verdict on the request with which [`Self::expect_silence`] ends.
    pub fn verdict_after_silence(&self) -> &'static str {
        match self.silence {
            Silence::Connect => "connect_answered",
            Silence::Scrape(_) => "scrape_answered",
        }
    }

    /// Where its packets come from.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("the socket is bound")
    }

    /// Sends a payload as it is.
    pub fn send(&self, payload: &[u8]) {
        // A refusal by an earlier packet's ICMP answer would be reported here.
        self.socket.send(payload).expect("the tracker's socket is open");
    }

    /// The next answer.
    ///
    /// # Panics
    /// When none comes by [`ANSWER_DEADLINE`].
    pub fn receive(&self) -> Vec<u8> {
        receive_from(&self.socket).0
    }

    /// The next answer; `None` where none comes in time.
    pub fn receive_within(&self, deadline: Duration) -> Option<Vec<u8>> {
        receive_within(&self.socket, deadline).map(|(answer, _)| answer)
    }

    /// Sends a payload as it is and gives the next answer.
    pub fn ask(&self, payload: &[u8]) -> Vec<u8> {
        self.send(payload);
        self.receive()
    }

    /// Asks for a connection id.
    pub fn connect(&mut self) -> u64 {
        let transaction_id = self.transaction_id();
        let id = parse_connect(&self.ask(&connect_request(transaction_id)), transaction_id);
        if let Silence::Scrape(known) = &mut self.silence {
            *known = Some(id);
        }
        id
    }

    /// Announces.
    pub fn announce(&mut self, request: &AnnounceRequest) -> Announced {
        let request = AnnounceRequest { transaction_id: self.transaction_id(), ..request.clone() };
        Announced::parse(&self.ask(&request.payload()), request.transaction_id, self.address().ip())
    }

    /// Scrapes.
    pub fn scrape(&mut self, connection_id: u64, hashes: &[[u8; INFO_HASH_LEN]]) -> Vec<Row> {
        let transaction_id = self.transaction_id();
        let rows =
            parse_scrape(&self.ask(&scrape_request(connection_id, transaction_id, hashes)), transaction_id);
        assert_eq!(rows.len(), hashes.len());
        rows
    }

    /// Sends a payload that must not be answered, then a request that must: the first answer must be to that.
    ///
    /// Packets of one socket reach one worker in their order, so nothing has to be waited for.
    pub fn expect_silence(&mut self, payload: &[u8]) {
        let id = match self.silence {
            Silence::Connect => None,
            Silence::Scrape(known) => Some(known.unwrap_or_else(|| self.connect())),
        };
        self.send(payload);
        let transaction_id = self.transaction_id();
        let answer = match id {
            None => self.ask(&connect_request(transaction_id)),
            Some(id) => self.ask(&scrape_request(id, transaction_id, &[INFO_HASH])),
        };
        let first = answer.get(4..8);
        assert_eq!(
            first,
            Some(&transaction_id.to_be_bytes()[..]),
            "an answer to {payload:02x?}: {answer:02x?}"
        );
        if id.is_none() {
            parse_connect(&answer, transaction_id);
        } else {
            parse_scrape(&answer, transaction_id);
        }
    }

    fn transaction_id(&mut self) -> u32 {
        self.next_transaction_id += 1;
        self.next_transaction_id
    }
}
