//! Announces from thousands of addresses of loopback by one socket: each request says where it comes from (`IP_PKTINFO`), and
//! every answer is waited for, so that afterwards the tracker has heard of everybody.

use super::population::{Peer, Population, info_hash};
use anyhow::{Context, Result, bail};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use tracker_common::wire;

/// Requests that are under way at once.
const WINDOW: usize = 64;
/// After so long without any answer, what is not answered is asked again.
const PATIENCE: Duration = Duration::from_millis(20);
/// For how long nothing at all may be answered.
const GIVE_UP: Duration = Duration::from_secs(30);
/// Bytes of an announce request.
const ANNOUNCE_LEN: usize = 98;
/// Room for an answer.
const ANSWER_ROOM: usize = 1500;

/// One request, and what has come of it.
struct Question {
    source: Ipv4Addr,
    bytes: [u8; ANNOUNCE_LEN],
    len: usize,
    /// The connection id where it was a connect, once it is answered.
    answer: Option<u64>,
}

/// The socket by which everybody announces.
pub(super) struct Announcer {
    socket: UdpSocket,
    tracker: SocketAddrV4,
    random_bytes_left: u64,
}

impl Announcer {
    /// A socket that can speak for every address of loopback.
    pub(super) fn new(tracker: SocketAddrV4) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, tracker, random_bytes_left: 0 })
    }

    /// Announces everybody once, and returns how many announces were answered.
    pub(super) fn announce_all(&mut self, population: &Population) -> Result<u32> {
        let mut answered = 0;
        for first in (0..population.addresses()).step_by(WINDOW) {
            let addresses = first..(first + WINDOW as u32).min(population.addresses());
            let peers = |round| addresses.clone().filter_map(move |address| population.peer(round, address));
            let mut connects: Vec<Question> = peers(0).map(|peer| connect(peer.ip)).collect();
            self.ask(&mut connects)?;
            for round in 0..population.rounds() {
                // All rounds but the last have a peer of every address.
                let ids = connects.iter().map(|connect| connect.answer.unwrap_or_default());
                let mut announces: Vec<Question> =
                    peers(round).zip(ids).map(|(peer, id)| self.announce(peer, id)).collect();
                self.ask(&mut announces)?;
                answered += announces.len() as u32;
            }
        }
        Ok(answered)
    }

    /// Asks until everything is answered.
    fn ask(&mut self, questions: &mut [Question]) -> Result<()> {
        for (number, question) in questions.iter_mut().enumerate() {
            question.bytes[wire::request::TRANSACTION_ID].copy_from_slice(&(number as u32).to_be_bytes());
        }
        let began = Instant::now();
        let mut open = questions.len();
        while open > 0 {
            self.send(questions.iter().filter(|question| question.answer.is_none()))?;
            while open > 0 {
                match self.receive(questions)? {
                    0 => break,
                    answered => open -= answered,
                }
            }
            if began.elapsed() > GIVE_UP {
                bail!("{open} of {} requests were not answered", questions.len());
            }
        }
        Ok(())
    }

    fn send<'a>(&self, questions: impl Iterator<Item = &'a Question>) -> Result<()> {
        let questions: Vec<&Question> = questions.collect();
        let slices: Vec<[IoSlice<'_>; 1]> =
            questions.iter().map(|question| [IoSlice::new(&question.bytes[..question.len])]).collect();
        let to = [Some(SockaddrIn::from(self.tracker))];
        // sendmmsg takes control messages that are the same for all, so a call is one packet's.
        for (question, slice) in questions.iter().zip(&slices) {
            let info = nix::libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: nix::libc::in_addr { s_addr: u32::from(question.source).to_be() },
                ipi_addr: nix::libc::in_addr { s_addr: 0 },
            };
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            let room = nix::cmsg_space!(nix::libc::in_pktinfo);
            let mut headers = MultiHeaders::preallocate(1, Some(room));
            sendmmsg(self.socket.as_raw_fd(), &mut headers, [slice], to, control, MsgFlags::empty())
                .context("cannot send on loopback")?
                .for_each(drop);
        }
        Ok(())
    }

    /// Takes answers in, and returns how many questions they settle; none at the end of the patience.
    fn receive(&self, questions: &mut [Question]) -> Result<usize> {
        let mut rooms = vec![[0_u8; ANSWER_ROOM]; WINDOW];
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            rooms.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(WINDOW, None);
        let received = recvmmsg(
            self.socket.as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            MsgFlags::MSG_WAITFORONE,
            None,
        );
        let lengths: Vec<usize> = match received {
            Ok(messages) => messages.map(|message| message.bytes).collect(),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => return Ok(0),
            Err(error) => return Err(error).context("cannot receive on loopback"),
        };
        let settled = rooms.iter().zip(lengths).filter_map(|(room, len)| settle(questions, &room[..len]));
        Ok(settled.count())
    }

    fn announce(&mut self, peer: Peer, connection_id: u64) -> Question {
        self.random_bytes_left += 1;
        let bytes_left = if self.random_bytes_left.is_multiple_of(4) { 1_u64 } else { 0 };
        let mut bytes = [0; ANNOUNCE_LEN];
        bytes[wire::request::CONNECTION_ID].copy_from_slice(&connection_id.to_be_bytes());
        bytes[wire::request::ACTION].copy_from_slice(&wire::ACTION_ANNOUNCE.to_be_bytes());
        bytes[16..36].copy_from_slice(&info_hash(peer.torrent));
        bytes[64..72].copy_from_slice(&bytes_left.to_be_bytes());
        bytes[92..96].copy_from_slice(&30_u32.to_be_bytes());
        bytes[96..98].copy_from_slice(&peer.port.to_be_bytes());
        Question { source: peer.ip, bytes, len: ANNOUNCE_LEN, answer: None }
    }
}

fn connect(source: Ipv4Addr) -> Question {
    let mut bytes = [0; ANNOUNCE_LEN];
    bytes[wire::request::CONNECTION_ID].copy_from_slice(&wire::PROTOCOL_ID.to_be_bytes());
    bytes[wire::request::ACTION].copy_from_slice(&wire::ACTION_CONNECT.to_be_bytes());
    Question { source, bytes, len: wire::request::HEADER_LEN, answer: None }
}

/// Notes an answer, if it is one to an open question.
fn settle(questions: &mut [Question], answer: &[u8]) -> Option<()> {
    let action = u32::from_be_bytes(*answer.first_chunk()?);
    let transaction_id = u32::from_be_bytes(*answer.get(4..)?.first_chunk()?);
    let question = questions.get_mut(transaction_id as usize)?;
    let asked = u32::from_be_bytes(*question.bytes.get(8..)?.first_chunk()?);
    if action != asked || question.answer.is_some() {
        return None;
    }
    question.answer = Some(u64::from_be_bytes(*answer.get(8..)?.first_chunk()?));
    Some(())
}
