//! A UDP datagram in an Ethernet frame, as the card delivers it: where the request is, and how the answer goes back.
//!
//! The XDP program has looked at the frame before, and the network stack never will: what it would have judged, checksums
//! and lengths, is judged here. Byte offsets of Ethernet, IPv4, IPv6 and UDP stand here and in the program's `headers.rs`.

mod checksum;
mod outgoing;
#[cfg(test)]
mod tests;

pub use outgoing::{LinkAddresses, Outgoing};

use checksum::{Sum, is_right};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use tracker_common::verdict::Verdict;

/// The shortest frame of Ethernet, without its check sequence.
const MIN_FRAME_LEN: usize = 60;
/// The time to live of a fresh packet, as Linux sends it.
const TTL: u8 = 64;
const PROTOCOL_UDP: u8 = 17;

/// Ethernet II, counted from the start of the frame.
mod ethernet {
    use std::ops::Range;

    pub(super) const DESTINATION: Range<usize> = 0..6;
    pub(super) const SOURCE: Range<usize> = 6..12;
    /// The type of what follows, or of a tag (IEEE 802.1Q) that has the type behind it.
    pub(super) const TYPE: usize = 12;
    pub(super) const LEN: usize = 14;
    pub(super) const TAG_LEN: usize = 4;
    pub(super) const MAX_TAGS: usize = 2;
    pub(super) const IPV4: [u8; 2] = [0x08, 0x00];
    pub(super) const IPV6: [u8; 2] = [0x86, 0xdd];
    pub(super) const VLAN: [u8; 2] = [0x81, 0x00];
    pub(super) const SERVICE_VLAN: [u8; 2] = [0x88, 0xa8];
}

/// IPv4 (RFC 791), counted from the start of its header.
mod ipv4 {
    use std::ops::Range;

    pub(super) const LEN: usize = 20;
    pub(super) const TOTAL_LEN: Range<usize> = 2..4;
    pub(super) const FRAGMENT: Range<usize> = 6..8;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const CHECKSUM: Range<usize> = 10..12;
    pub(super) const SOURCE: Range<usize> = 12..16;
    pub(super) const DESTINATION: Range<usize> = 16..20;
    /// Version 4, five words of header.
    pub(super) const PLAIN: u8 = 0x45;
    /// More fragments, or not the first.
    pub(super) const FRAGMENTED: u16 = 0x3fff;
}

/// IPv6 (RFC 8200), counted from the start of its header.
mod ipv6 {
    use std::ops::Range;

    pub(super) const LEN: usize = 40;
    pub(super) const PAYLOAD_LEN: Range<usize> = 4..6;
    pub(super) const NEXT_HEADER: usize = 6;
    pub(super) const HOP_LIMIT: usize = 7;
    pub(super) const SOURCE: Range<usize> = 8..24;
    pub(super) const DESTINATION: Range<usize> = 24..40;
}

/// UDP (RFC 768), counted from the start of its header.
mod udp {
    use std::ops::Range;

    pub(super) const LEN: usize = 8;
    pub(super) const SOURCE: Range<usize> = 0..2;
    pub(super) const DESTINATION: Range<usize> = 2..4;
    pub(super) const LENGTH: Range<usize> = 4..6;
    pub(super) const CHECKSUM: Range<usize> = 6..8;
}

/// What the headers of a frame say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Who has sent it.
    pub source: SocketAddr,
    /// Where its payload lies in the frame.
    pub payload: Range<usize>,
    /// Where its IP header begins.
    ip: usize,
}

/// Reads the headers of a frame and judges its checksums.
///
/// # Errors
/// Why it is not answered: the XDP program hands over nothing but UDP without options, extensions or fragments, so that
/// anything else is a contradiction in itself.
pub fn parse(frame: &[u8]) -> Result<Headers, Verdict> {
    let (ethertype, ip) = network_layer(frame).ok_or(Verdict::BadHeader)?;
    let datagram = match ethertype {
        ethernet::IPV4 => ipv4_payload(frame, ip),
        ethernet::IPV6 => ipv6_payload(frame, ip),
        _ => None,
    };
    let (source, destination, start, len) = datagram.ok_or(Verdict::BadHeader)?;
    let segment = frame.get(start..start + len).ok_or(Verdict::BadHeader)?;
    let header = segment.first_chunk::<{ udp::LEN }>().ok_or(Verdict::BadHeader)?;
    let length = usize::from(number(&header[udp::LENGTH]));
    // A shorter one rules; what lies behind is nobody's.
    let datagram = segment.get(..length).filter(|_| length >= udp::LEN).ok_or(Verdict::BadHeader)?;
    if !is_checksum_right(source, destination, datagram) {
        return Err(Verdict::ChecksumWrong);
    }
    let port = number(&header[udp::SOURCE]);
    Ok(Headers { source: SocketAddr::new(source, port), payload: start + udp::LEN..start + length, ip })
}

/// The type of what follows the link header, and where it begins.
fn network_layer(frame: &[u8]) -> Option<([u8; 2], usize)> {
    let mut at = ethernet::TYPE;
    for _ in 0..=ethernet::MAX_TAGS {
        let ethertype = *frame.get(at..)?.first_chunk::<2>()?;
        if ethertype != ethernet::VLAN && ethertype != ethernet::SERVICE_VLAN {
            return Some((ethertype, at + ethernet::LEN - ethernet::TYPE));
        }
        at += ethernet::TAG_LEN;
    }
    None
}

/// Source, destination, and where the payload of the packet lies: first byte and length.
type Packet = (IpAddr, IpAddr, usize, usize);

fn ipv4_payload(frame: &[u8], ip: usize) -> Option<Packet> {
    let header = frame.get(ip..)?.first_chunk::<{ ipv4::LEN }>()?;
    let total_len = usize::from(number(&header[ipv4::TOTAL_LEN]));
    let is_plain = header[0] == ipv4::PLAIN
        && number(&header[ipv4::FRAGMENT]) & ipv4::FRAGMENTED == 0
        && header[ipv4::PROTOCOL] == PROTOCOL_UDP
        && is_right(Sum::default().add(header));
    if !is_plain {
        return None;
    }
    let address =
        |range: Range<usize>| header[range].first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets));
    let (source, destination) = (address(ipv4::SOURCE)?, address(ipv4::DESTINATION)?);
    Some((source.into(), destination.into(), ip + ipv4::LEN, total_len.checked_sub(ipv4::LEN)?))
}

fn ipv6_payload(frame: &[u8], ip: usize) -> Option<Packet> {
    let header = frame.get(ip..)?.first_chunk::<{ ipv6::LEN }>()?;
    if header[0] >> 4 != 6 || header[ipv6::NEXT_HEADER] != PROTOCOL_UDP {
        return None;
    }
    let address =
        |range: Range<usize>| header[range].first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets));
    let (source, destination) = (address(ipv6::SOURCE)?, address(ipv6::DESTINATION)?);
    let payload_len = usize::from(number(&header[ipv6::PAYLOAD_LEN]));
    Some((source.into(), destination.into(), ip + ipv6::LEN, payload_len))
}

/// Whether the checksum is right, absent where that is allowed (IPv4), or left to the card by a sender on this host: then
/// it is that of the pseudo-header alone.
fn is_checksum_right(source: IpAddr, destination: IpAddr, datagram: &[u8]) -> bool {
    let stored = [datagram[udp::CHECKSUM.start], datagram[udp::CHECKSUM.start + 1]];
    if stored == [0, 0] {
        return source.is_ipv4();
    }
    let pseudo_header = pseudo_header(source, destination, datagram.len() as u16);
    pseudo_header.folded() == stored || is_right(pseudo_header.add(datagram))
}

/// What UDP takes into its sum of the header below (RFC 768; RFC 8200, section 8.1).
fn pseudo_header(source: IpAddr, destination: IpAddr, udp_len: u16) -> Sum {
    let add = |sum: Sum, address: IpAddr| match address {
        IpAddr::V4(address) => sum.add(&address.octets()),
        IpAddr::V6(address) => sum.add(&address.octets()),
    };
    let addresses = add(add(Sum::default(), source), destination);
    addresses.add_number(u16::from(PROTOCOL_UDP)).add_number(udp_len)
}

fn number(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

impl Headers {
    /// Makes the frame that of an answer of `len` bytes, which stands where the payload began; returns the frame's length.
    ///
    /// Addresses and ports change places; tags of VLANs stay; the rest of the headers is that of a fresh packet. `frame` is
    /// the one that was parsed, with room for the answer, and at least [`MIN_FRAME_LEN`] bytes.
    pub fn turn_round(&self, frame: &mut [u8], len: usize) -> usize {
        let udp_header = self.payload.start - udp::LEN;
        let end = (self.payload.start + len).min(frame.len());
        let udp_len = (end - udp_header) as u16;
        swap(frame, 0, ethernet::DESTINATION, ethernet::SOURCE);
        swap(frame, udp_header, udp::SOURCE, udp::DESTINATION);
        let addresses = match self.source.ip() {
            IpAddr::V4(_) => self.turn_ipv4(frame, udp_len),
            IpAddr::V6(_) => self.turn_ipv6(frame, udp_len),
        };
        put(frame, udp_header, udp::LENGTH, udp_len.to_be_bytes());
        put(frame, udp_header, udp::CHECKSUM, [0, 0]);
        // In both families addresses, protocol and length are all that the pseudo-header has.
        let pseudo_header = addresses.add_number(u16::from(PROTOCOL_UDP)).add_number(udp_len);
        let checksum = match pseudo_header.add(&frame[udp_header..end]).checksum() {
            // Zero would say that there is none.
            [0, 0] => [0xff, 0xff],
            checksum => checksum,
        };
        put(frame, udp_header, udp::CHECKSUM, checksum);
        let padded = end.max(MIN_FRAME_LEN.min(frame.len()));
        frame[end..padded].fill(0);
        padded
    }

    /// Returns the sum of both addresses.
    fn turn_ipv4(&self, frame: &mut [u8], udp_len: u16) -> Sum {
        swap(frame, self.ip, ipv4::SOURCE, ipv4::DESTINATION);
        let total_len = (ipv4::LEN as u16 + udp_len).to_be_bytes();
        // No service, no identification, not to be fragmented.
        let fresh = [ipv4::PLAIN, 0, total_len[0], total_len[1], 0, 0, 0x40, 0, TTL, PROTOCOL_UDP, 0, 0];
        put(frame, self.ip, 0..fresh.len(), fresh);
        let checksum = Sum::default().add(&frame[self.ip..self.ip + ipv4::LEN]).checksum();
        put(frame, self.ip, ipv4::CHECKSUM, checksum);
        Sum::default().add(&frame[self.ip + ipv4::SOURCE.start..self.ip + ipv4::DESTINATION.end])
    }

    /// Returns the sum of both addresses.
    fn turn_ipv6(&self, frame: &mut [u8], udp_len: u16) -> Sum {
        swap(frame, self.ip, ipv6::SOURCE, ipv6::DESTINATION);
        // No traffic class, no flow.
        put(frame, self.ip, 0..4, [0x60, 0, 0, 0]);
        put(frame, self.ip, ipv6::PAYLOAD_LEN, udp_len.to_be_bytes());
        frame[self.ip + ipv6::HOP_LIMIT] = TTL;
        Sum::default().add(&frame[self.ip + ipv6::SOURCE.start..self.ip + ipv6::DESTINATION.end])
    }
}

/// Exchanges two fields of one length, counted from `base`; `first` lies before `second`.
fn swap(frame: &mut [u8], base: usize, first: Range<usize>, second: Range<usize>) {
    let (front, back) = frame[base..base + second.end].split_at_mut(second.start);
    front[first].swap_with_slice(back);
}

/// Writes a field, counted from `base`.
fn put<const N: usize>(frame: &mut [u8], base: usize, field: Range<usize>, value: [u8; N]) {
    frame[base + field.start..base + field.end].copy_from_slice(&value);
}
