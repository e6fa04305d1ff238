//! Many packets per system call: `recvmmsg` in, `sendmmsg` out, over memory that never moves.
//!
//! Why not a crate: those that wrap these calls allocate per call or copy every address. Every pointer in the
//! header arrays points into a `Box` of the same [`Batch`], which is neither replaced nor resized.

use super::destination::Control;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;
use tracker_common::wire::{INFO_HASH_LEN, MAX_PAYLOAD_V4, MAX_SCRAPE_HASHES, request};

/// Packets per system call. More gain nothing: the call itself is then below 1 % of the work.
pub(super) const BATCH: usize = 64;
/// The longest request that is read whole: a scrape of as many hashes as are answered. What is longer is an announce with
/// options or asks for more than an answer holds, and neither misses what is cut off. An odd number of cache lines, so that
/// the fronts of all packets do not compete for the same few places in the cache.
const RECEIVE_LEN: usize = 39 * 64;

const _: () = assert!(RECEIVE_LEN >= request::SCRAPE_HASHES + MAX_SCRAPE_HASHES * INFO_HASH_LEN);

/// The buffers of one worker.
pub(super) struct Batch {
    requests: Box<[[u8; RECEIVE_LEN]]>,
    answers: Box<[[u8; MAX_PAYLOAD_V4]]>,
    sources: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    request_parts: Box<[libc::iovec]>,
    answer_parts: Box<[libc::iovec]>,
    received: Box<[libc::mmsghdr]>,
    to_send: Box<[libc::mmsghdr]>,
    to_send_count: usize,
}

/// One packet received: where from, what it says, and room for the answer.
pub(super) struct Received<'a> {
    pub(super) source: Option<SocketAddr>,
    pub(super) payload: &'a [u8],
    pub(super) answer: &'a mut [u8; MAX_PAYLOAD_V4],
}

impl Batch {
    pub(super) fn new() -> Self {
        // SAFETY: all bytes zero is a valid value: integers alone.
        let no_source = unsafe { std::mem::zeroed::<libc::sockaddr_storage>() };
        // SAFETY: all bytes zero is a valid value: integers, and null pointers with lengths of zero.
        let no_header = unsafe { std::mem::zeroed::<libc::mmsghdr>() };
        let no_part = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let mut batch = Self {
            requests: vec![[0; RECEIVE_LEN]; BATCH].into_boxed_slice(),
            answers: vec![[0; MAX_PAYLOAD_V4]; BATCH].into_boxed_slice(),
            sources: vec![no_source; BATCH].into_boxed_slice(),
            controls: vec![Control::default(); BATCH].into_boxed_slice(),
            request_parts: vec![no_part; BATCH].into_boxed_slice(),
            answer_parts: vec![no_part; BATCH].into_boxed_slice(),
            received: vec![no_header; BATCH].into_boxed_slice(),
            to_send: vec![no_header; BATCH].into_boxed_slice(),
            to_send_count: 0,
        };
        batch.point_headers_at_buffers();
        batch
    }

    /// The heap memory of a `Box` stays where it is when the `Batch` moves, so this is done once.
    fn point_headers_at_buffers(&mut self) {
        for slot in 0..BATCH {
            self.request_parts[slot] =
                libc::iovec { iov_base: self.requests[slot].as_mut_ptr().cast(), iov_len: RECEIVE_LEN };
            self.answer_parts[slot].iov_base = self.answers[slot].as_mut_ptr().cast();
            let header = &mut self.received[slot].msg_hdr;
            header.msg_name = (&raw mut self.sources[slot]).cast();
            header.msg_iov = &raw mut self.request_parts[slot];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[slot]).cast();
        }
    }

    /// Takes what waits in the socket, up to [`BATCH`] packets, without waiting for more.
    ///
    /// # Errors
    /// Those of `recvmmsg`; `WouldBlock` where nothing waits.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> Result<usize> {
        self.to_send_count = 0;
        for header in &mut self.received {
            // The kernel overwrites both lengths with what it has used.
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = size_of::<Control>();
        }
        // SAFETY: the headers point at buffers of this batch, as long as they say and exclusively borrowed.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.received.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        usize::try_from(count).map_err(|_| Error::last_os_error())
    }

    /// What the packet in a slot below the count says.
    pub(super) fn payload(&self, slot: usize) -> &[u8] {
        let len = (self.received[slot].msg_len as usize).min(RECEIVE_LEN);
        &self.requests[slot][..len]
    }

    /// The packet in a slot below the count that [`Self::receive`] returned.
    pub(super) fn packet(&mut self, slot: usize) -> Received<'_> {
        let len = (self.received[slot].msg_len as usize).min(RECEIVE_LEN);
        Received {
            source: socket_address(&self.sources[slot]),
            payload: &self.requests[slot][..len],
            answer: &mut self.answers[slot],
        }
    }

    /// Puts the first `len` bytes of a slot's answer in the queue, for the source of the slot's packet and from
    /// the address that it was sent to.
    pub(super) fn queue(&mut self, slot: usize, len: usize) {
        self.answer_parts[slot].iov_len = len.min(MAX_PAYLOAD_V4);
        let request = &self.received[slot].msg_hdr;
        let control_len = self.controls[slot].turn_round(request.msg_controllen);
        let answer = &mut self.to_send[self.to_send_count].msg_hdr;
        answer.msg_name = request.msg_name;
        answer.msg_namelen = request.msg_namelen;
        answer.msg_iov = &raw mut self.answer_parts[slot];
        answer.msg_iovlen = 1;
        answer.msg_control = if control_len == 0 { ptr::null_mut() } else { request.msg_control };
        answer.msg_controllen = control_len;
        self.to_send_count += 1;
    }

    /// Sends the queue and returns how many answers the kernel refused.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        let (mut next, mut refused) = (0, 0);
        while next < self.to_send_count {
            let rest = &mut self.to_send[next..self.to_send_count];
            // SAFETY: the headers point at buffers of this batch, which are not written to meanwhile.
            let sent = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0)
            };
            match usize::try_from(sent) {
                Ok(sent) => next += sent,
                Err(_) if Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
                // An error speaks of the first packet only: no route, a firewall, a forged source.
                Err(_) => {
                    next += 1;
                    refused += 1;
                }
            }
        }
        self.to_send_count = 0;
        refused
    }
}

/// The address that the kernel wrote; `None` for a family that no socket of ours has.
fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: `sockaddr_storage` is large and aligned enough for each family, and any bytes are valid.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, Batch};
    use std::io::ErrorKind;
    use std::net::UdpSocket;

    fn bound(address: &str) -> UdpSocket {
        UdpSocket::bind(address).unwrap()
    }

    #[test]
    fn every_packet_comes_in_with_its_source_and_its_answer_goes_back() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (ours, theirs) = (bound(address), bound(address));
            theirs.connect(ours.local_addr().unwrap()).unwrap();
            for number in 0..100_u8 {
                theirs.send(&[number; 30]).unwrap();
            }
            let (mut batch, mut number) = (Batch::new(), 0);
            for expected in [BATCH, 100 - BATCH] {
                assert_eq!(batch.receive(&ours).unwrap(), expected);
                for slot in 0..expected {
                    let packet = batch.packet(slot);
                    assert_eq!(packet.source, Some(theirs.local_addr().unwrap()));
                    assert_eq!(packet.payload, [number; 30]);
                    packet.answer[0] = number + 1;
                    number += 1;
                    batch.queue(slot, 1);
                }
                assert_eq!(batch.send(&ours), 0);
            }
            assert_eq!(batch.receive(&ours).unwrap_err().kind(), ErrorKind::WouldBlock);
            let mut answer = [0; 10];
            for number in 0..100 {
                assert_eq!(theirs.recv(&mut answer).unwrap(), 1);
                assert_eq!(answer[0], number + 1);
            }
        }
    }

    #[test]
    fn an_answer_that_cannot_be_sent_does_not_hold_up_the_others() {
        let (ours, theirs) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        for _ in 0..3 {
            theirs.send_to(b"x", ours.local_addr().unwrap()).unwrap();
        }
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&ours).unwrap(), 3);
        // A port of 0 is what a forged packet may carry: the kernel refuses to send there.
        batch.sources[1] = super::tests::without_port(batch.sources[1]);
        for slot in 0..3 {
            batch.queue(slot, 1);
        }
        assert_eq!(batch.send(&ours), 1);
        for _ in 0..2 {
            assert_eq!(theirs.recv(&mut [0; 2]).unwrap(), 1);
        }
    }

    fn without_port(mut storage: libc::sockaddr_storage) -> libc::sockaddr_storage {
        // SAFETY: the storage holds an IPv4 address, and any port is valid.
        unsafe { (*(&raw mut storage).cast::<libc::sockaddr_in>()).sin_port = 0 };
        storage
    }

    #[test]
    fn a_packet_longer_than_the_buffer_is_cut_off() {
        let (ours, theirs) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        theirs.send_to(&[7; 9000], ours.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&ours).unwrap(), 1);
        assert_eq!(batch.packet(0).payload, [7; 39 * 64]);
    }
}
