//! Events put together to datagrams, a buffer for each family: one goes out when no further record fits, or when its first
//! record has waited for the delay. Knows no socket and reads no clock.

use super::packet::{
    MAX_LEN, MAX_SEALED_LEN, RECORD_V4_LEN, RECORD_V6_LEN, RECORDS, SEALED, TAG_LEN, TYPE, TYPE_V4, TYPE_V6,
    write_record,
};
use super::sealing::Sealer;
use crate::clock::Now;
use crate::events::PeerEvent;
use std::net::SocketAddr;

/// How a node's datagrams are made.
pub enum Envelope {
    /// As opentracker makes them, with this tracker id.
    Classic([u8; 4]),
    /// Sealed.
    Sealed(Box<Sealer>),
}

impl Envelope {
    /// Bytes of records that a datagram has room for.
    const fn room(&self) -> usize {
        match self {
            Self::Classic(_) => MAX_LEN - RECORDS,
            Self::Sealed(_) => MAX_SEALED_LEN - SEALED - (TYPE.end - TYPE.start) - TAG_LEN,
        }
    }

    fn wrap(&mut self, content: &[u8], unix_ms: u64, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::Classic(tracker_id) => {
                out.extend_from_slice(tracker_id);
                out.extend_from_slice(content);
            }
            Self::Sealed(sealer) => sealer.seal(content, unix_ms, out),
        }
    }
}

/// The records of one family that wait.
struct Buffer {
    /// The type, then the records.
    content: Vec<u8>,
    record_len: usize,
    /// When the first of them came.
    since: Option<Now>,
}

impl Buffer {
    fn new(kind: [u8; 4], record_len: usize) -> Self {
        Self { content: kind.to_vec(), record_len, since: None }
    }

    fn records_len(&self) -> usize {
        self.content.len() - (TYPE.end - TYPE.start)
    }
}

/// A datagram on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// Its bytes.
    pub datagram: &'a [u8],
    /// Events in it.
    pub events: usize,
}

/// The time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// By which the delay is measured.
    pub now: Now,
    /// Milliseconds since 1970, for the seal.
    pub unix_ms: u64,
}

/// Puts events together.
pub struct Packer {
    envelope: Envelope,
    delay_ns: u64,
    v4: Buffer,
    v6: Buffer,
    out: Vec<u8>,
}

impl Packer {
    /// One that lets an event wait this long at most.
    pub fn new(envelope: Envelope, delay_ms: u32) -> Self {
        Self {
            envelope,
            delay_ns: u64::from(delay_ms) * 1_000_000,
            v4: Buffer::new(TYPE_V4, RECORD_V4_LEN),
            v6: Buffer::new(TYPE_V6, RECORD_V6_LEN),
            out: Vec::with_capacity(MAX_LEN),
        }
    }

    /// Takes an event in, and gives a datagram that is full with it to `send`.
    pub fn add(&mut self, event: &PeerEvent, times: Times, send: &mut dyn FnMut(Packed<'_>)) {
        let buffer = match event.peer {
            SocketAddr::V4(_) => &mut self.v4,
            SocketAddr::V6(_) => &mut self.v6,
        };
        write_record(&mut buffer.content, event);
        buffer.since.get_or_insert(times.now);
        if buffer.records_len() + buffer.record_len > self.envelope.room() {
            flush(buffer, &mut self.envelope, &mut self.out, times, send);
        }
    }

    /// Gives to `send` what has waited for the delay.
    pub fn send_due(&mut self, times: Times, send: &mut dyn FnMut(Packed<'_>)) {
        for buffer in [&mut self.v4, &mut self.v6] {
            let is_due =
                |since: Now| times.now.nanoseconds().saturating_sub(since.nanoseconds()) >= self.delay_ns;
            if buffer.since.is_some_and(is_due) {
                flush(buffer, &mut self.envelope, &mut self.out, times, send);
            }
        }
    }

    /// Gives to `send` all that waits.
    pub fn send_all(&mut self, times: Times, send: &mut dyn FnMut(Packed<'_>)) {
        for buffer in [&mut self.v4, &mut self.v6] {
            if buffer.since.is_some() {
                flush(buffer, &mut self.envelope, &mut self.out, times, send);
            }
        }
    }
}

fn flush(
    buffer: &mut Buffer,
    envelope: &mut Envelope,
    out: &mut Vec<u8>,
    times: Times,
    send: &mut dyn FnMut(Packed<'_>),
) {
    let events = buffer.records_len() / buffer.record_len;
    envelope.wrap(&buffer.content, times.unix_ms, out);
    buffer.content.truncate(TYPE.end - TYPE.start);
    buffer.since = None;
    send(Packed { datagram: out, events });
}

#[cfg(test)]
mod tests {
    use super::{Envelope, Packed, Packer, Times};
    use crate::clock::Now;
    use crate::events::PeerEvent;
    use crate::info_hash::InfoHash;
    use crate::livesync::sealing::{KeyRing, Sealer};
    use crate::peer_store::Standing;
    use arc_swap::ArcSwap;
    use std::net::SocketAddr;
    use std::sync::Arc;

    /// opentracker's own delay.
    const DELAY_MS: u32 = 15_000;

    fn event(peer: &str) -> PeerEvent {
        let peer: SocketAddr = peer.parse().unwrap();
        let info_hash = InfoHash([7; 20]);
        PeerEvent { info_hash, peer, standing: Standing::Leecher, completed: false, heard_secs: 0 }
    }

    fn at(ms: u64) -> Times {
        Times { now: Now::from_nanoseconds(ms * 1_000_000), unix_ms: ms }
    }

    /// Collects the lengths of datagrams and their events.
    fn collect(sent: &mut Vec<(usize, usize)>) -> impl FnMut(Packed<'_>) {
        |packed| sent.push((packed.datagram.len(), packed.events))
    }

    #[test]
    fn an_event_waits_for_fifteen_seconds_and_not_for_longer() {
        let mut packer = Packer::new(Envelope::Classic(*b"node"), DELAY_MS);
        let mut sent = Vec::new();
        packer.add(&event("192.0.2.1:1"), at(1_000), &mut collect(&mut sent));
        packer.add(&event("192.0.2.2:1"), at(9_000), &mut collect(&mut sent));
        packer.add(&event("[2001:db8::1]:1"), at(9_000), &mut collect(&mut sent));
        packer.send_due(at(15_999), &mut collect(&mut sent));
        assert_eq!(sent, []);
        packer.send_due(at(16_000), &mut collect(&mut sent));
        assert_eq!(sent, [(8 + 2 * 28, 2)]);
        packer.send_due(at(23_999), &mut collect(&mut sent));
        assert_eq!(sent.len(), 1);
        packer.send_due(at(24_000), &mut collect(&mut sent));
        assert_eq!(sent[1], (8 + 40, 1));
        packer.send_due(at(99_000), &mut collect(&mut sent));
        packer.send_all(at(99_000), &mut collect(&mut sent));
        assert_eq!(sent.len(), 2);
    }

    #[test]
    fn a_datagram_goes_out_once_no_further_record_fits() {
        let ring = Arc::new(ArcSwap::from_pointee(KeyRing::new(&[[1; 32]])));
        let sealed = || Envelope::Sealed(Box::new(Sealer::new(Arc::clone(&ring), *b"node", *b"session1")));
        let classic = || Envelope::Classic(*b"node");
        for (peer, envelope, records, len) in [
            ("192.0.2.1:1", classic(), 52, 1464),
            ("[2001:db8::1]:1", classic(), 36, 1448),
            ("192.0.2.1:1", sealed(), 50, 1452),
            ("[2001:db8::1]:1", sealed(), 35, 1452),
        ] {
            let mut packer = Packer::new(envelope, DELAY_MS);
            let mut sent = Vec::new();
            for _ in 0..2 * records + 1 {
                packer.add(&event(peer), at(0), &mut collect(&mut sent));
            }
            assert_eq!(sent, [(len, records); 2], "{peer}");
            packer.send_all(at(0), &mut collect(&mut sent));
            assert_eq!(sent[2].1, 1);
        }
    }

    #[test]
    fn a_classic_datagram_has_its_literal_bytes() {
        let mut packer = Packer::new(Envelope::Classic(*b"node"), 0);
        let mut sent = Vec::new();
        packer.add(&event("192.0.2.1:6881"), at(0), &mut |_| {});
        packer.send_due(at(0), &mut |packed| sent.extend_from_slice(packed.datagram));
        assert_eq!(sent, [&b"node\0\0\0\0"[..], &[7; 20], b"\xc0\x00\x02\x01\x1a\xe1\0\0"].concat());
    }
}
