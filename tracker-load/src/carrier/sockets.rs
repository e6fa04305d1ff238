//! UDP sockets, one for each source, connected to the tracker.
//!
//! Requests of one source and one length are handed to the kernel as one segmented packet (`UDP_SEGMENT`, Linux 4.18),
//! which it takes apart again before any tracker sees them: the generator must not be what a measurement waits for. Where
//! an interface refuses that, they go one by one with `sendmmsg`.

use super::Carrier;
use crate::request::MAX_LEN;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, recvmmsg, sendmmsg, sendmsg};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Datagrams that are sent or received together at most.
const BATCH: usize = 64;
/// What a socket is to hold: answers wait here while this process sends.
const BUFFER_LEN: usize = 4 << 20;
/// The longest answer that is looked at.
const ANSWER_LEN: usize = 2048;

/// Where datagrams come from and go to.
pub(crate) struct Route {
    /// `None`: the kernel chooses.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) tracker: SocketAddr,
}

/// All sockets.
pub(crate) struct Sockets {
    sockets: Vec<UdpSocket>,
    /// Whether a socket had something to read when it was last looked.
    is_readable: Vec<bool>,
    queue: Queue,
    /// Whether the kernel takes segmented packets.
    is_segmenting: bool,
    answers: Vec<[u8; ANSWER_LEN]>,
    headers: MultiHeaders<()>,
}

/// Requests of one source that are to be sent.
#[derive(Default)]
struct Queue {
    source: u32,
    count: usize,
    /// Requests of one length each, without a gap.
    by_len: Vec<(usize, Vec<u8>)>,
}

impl Queue {
    fn add(&mut self, request: &[u8]) {
        let place = self.by_len.iter().position(|(len, _)| *len == request.len());
        let place = place.unwrap_or_else(|| {
            self.by_len.push((request.len(), Vec::with_capacity(BATCH * request.len())));
            self.by_len.len() - 1
        });
        self.by_len[place].1.extend_from_slice(request);
        self.count += 1;
    }

    fn clear(&mut self) {
        self.by_len.iter_mut().for_each(|(_, requests)| requests.clear());
        self.count = 0;
    }
}

impl Sockets {
    /// One for each route, in their order.
    pub(crate) fn open(routes: &[Route]) -> Result<Self> {
        let sockets = routes.iter().map(open).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            is_readable: vec![false; sockets.len()],
            sockets,
            queue: Queue::default(),
            is_segmenting: true,
            answers: vec![[0; ANSWER_LEN]; BATCH],
            headers: MultiHeaders::preallocate(BATCH, None),
        })
    }

    /// Marks the sockets that have something to read, after waiting for that this long at most.
    fn look(&mut self, at_most: Duration) -> Result<()> {
        let mut polled: Vec<PollFd<'_>> =
            self.sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        match ppoll(&mut polled, Some(TimeSpec::from_duration(at_most)), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(()),
            Err(error) => return Err(error).context("cannot wait for answers"),
        }
        for (is_readable, polled) in self.is_readable.iter_mut().zip(&polled) {
            *is_readable = polled.any().unwrap_or(true);
        }
        Ok(())
    }

    fn send_segmented(&self, socket: &UdpSocket, len: usize, requests: &[u8]) -> nix::Result<()> {
        let segment = len as u16;
        let control = [ControlMessage::UdpGsoSegments(&segment)];
        let control = if requests.len() > len { &control[..] } else { &[] };
        until_taken(socket, || {
            let parts = [IoSlice::new(requests)];
            sendmsg::<()>(socket.as_raw_fd(), &parts, control, MsgFlags::empty(), None).map(drop)
        })
    }

    fn send_singly(&mut self, place: usize, socket: usize) -> nix::Result<()> {
        let (len, requests) = &self.queue.by_len[place];
        let socket = &self.sockets[socket];
        let parts: Vec<[IoSlice<'_>; 1]> = requests.chunks(*len).map(|one| [IoSlice::new(one)]).collect();
        let mut sent = 0;
        while sent < parts.len() {
            until_taken(socket, || {
                let rest = &parts[sent..];
                let to = vec![None; rest.len()];
                sent +=
                    sendmmsg(socket.as_raw_fd(), &mut self.headers, rest, to, [], MsgFlags::empty())?.count();
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Repeats a call until the socket takes what it sends.
fn until_taken(socket: &UdpSocket, mut send: impl FnMut() -> nix::Result<()>) -> nix::Result<()> {
    loop {
        match send() {
            // What the network said of an earlier datagram: nobody listens there. That one counts as lost.
            Err(Errno::EINTR | Errno::ECONNREFUSED) => {}
            Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                let mut full = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
                ppoll(&mut full, Some(TimeSpec::from_duration(Duration::from_millis(1))), None)?;
            }
            result => return result,
        }
    }
}

fn open(route: &Route) -> Result<UdpSocket> {
    let Route { source, tracker } = route;
    let socket = Socket::new(Domain::for_address(*tracker), Type::DGRAM, Some(Protocol::UDP))?;
    // As much as the host allows is enough.
    let _ = socket.set_recv_buffer_size(BUFFER_LEN);
    let _ = socket.set_send_buffer_size(BUFFER_LEN);
    if let Some(source) = source {
        let source = SocketAddr::new(source.ip(), 0);
        socket.bind(&source.into()).with_context(|| {
            format!("{} cannot be a source: give this host the address, or choose others", source.ip())
        })?;
    }
    socket.connect(&(*tracker).into()).with_context(|| format!("there is no way to {tracker}"))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl Carrier for Sockets {
    const ONE_SOURCE_AT_A_TIME: bool = true;

    fn has_room(&mut self) -> bool {
        true
    }

    fn queue(&mut self, source: u32, write: impl FnOnce(&mut [u8]) -> usize) -> Result<()> {
        if source != self.queue.source || self.queue.count >= BATCH {
            self.flush()?;
            self.queue.source = source;
        }
        let mut request = [0; MAX_LEN];
        let len = write(&mut request);
        self.queue.add(&request[..len]);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let socket = self.queue.source as usize;
        for place in 0..self.queue.by_len.len() {
            let (len, requests) = &self.queue.by_len[place];
            if requests.is_empty() {
                continue;
            }
            let segmented = match self.is_segmenting {
                true => self.send_segmented(&self.sockets[socket], *len, requests),
                false => Err(Errno::EIO),
            };
            match segmented {
                Ok(()) => {}
                // An interface that leaves checksums to the processor, or requests larger than its frames.
                Err(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE | Errno::EOPNOTSUPP) => {
                    self.is_segmenting = false;
                    self.send_singly(place, socket).context("cannot send")?;
                }
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        self.queue.clear();
        Ok(())
    }

    fn receive(&mut self, mut take: impl FnMut(&[u8])) -> Result<usize> {
        self.look(Duration::ZERO)?;
        let mut received = 0;
        for (socket, _) in self.sockets.iter().zip(&self.is_readable).filter(|(_, is_readable)| **is_readable)
        {
            let mut parts: Vec<[IoSliceMut<'_>; 1]> =
                self.answers.iter_mut().map(|answer| [IoSliceMut::new(answer)]).collect();
            let flags = MsgFlags::MSG_DONTWAIT;
            match recvmmsg(socket.as_raw_fd(), &mut self.headers, &mut parts, flags, None) {
                Ok(messages) => {
                    for message in messages {
                        received += 1;
                        message.iovs().for_each(&mut take);
                    }
                }
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => {}
                Err(error) => return Err(error).context("cannot receive"),
            }
        }
        Ok(received)
    }

    fn wait(&mut self, at_most: Duration) -> Result<()> {
        self.look(at_most)
    }

    fn damaged(&self) -> u64 {
        // The kernel keeps them.
        0
    }
}

#[cfg(test)]
mod tests {
    use super::{Carrier, Route, Sockets};
    use std::net::UdpSocket;
    use std::time::Duration;

    fn exchange(is_segmenting: bool) {
        let tracker = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = tracker.local_addr().unwrap();
        let routes = ["127.0.0.1:0", "127.0.0.2:0"]
            .map(|source| Route { source: Some(source.parse().unwrap()), tracker: address });
        let mut sockets = Sockets::open(&routes).unwrap();
        sockets.is_segmenting = is_segmenting;
        for number in 0..100_u8 {
            let len = 10 + usize::from(number % 3);
            sockets
                .queue(u32::from(number / 50), |payload| {
                    payload[..len].fill(number);
                    len
                })
                .unwrap();
        }
        sockets.flush().unwrap();
        let mut numbers = Vec::new();
        for _ in 0..100 {
            let mut request = [0; 100];
            let (len, source) = tracker.recv_from(&mut request).unwrap();
            let number = request[0];
            assert_eq!(len, 10 + usize::from(number % 3));
            assert_eq!(source.ip(), routes[usize::from(number / 50)].source.unwrap().ip());
            tracker.send_to(&request[..1], source).unwrap();
            numbers.push(number);
        }
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..100));
        let mut answers = Vec::new();
        while answers.len() < 100 {
            sockets.wait(Duration::from_secs(10)).unwrap();
            sockets.receive(|answer| answers.push(answer.to_vec())).unwrap();
        }
        answers.sort_unstable();
        assert!(answers.into_iter().eq((0..100_u8).map(|number| vec![number])));
    }

    #[test]
    fn every_request_is_a_datagram_of_its_source_and_every_answer_comes_in() {
        exchange(true);
        exchange(false);
    }

    #[test]
    fn a_closed_port_is_no_error() {
        let tracker = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut sockets = Sockets::open(&[Route { source: None, tracker }]).unwrap();
        for _ in 0..3 {
            sockets
                .queue(0, |payload| {
                    payload[0] = 1;
                    1
                })
                .unwrap();
            sockets.flush().unwrap();
            sockets.wait(Duration::from_millis(100)).unwrap();
            assert_eq!(sockets.receive(|_| {}).unwrap(), 0);
        }
    }
}
