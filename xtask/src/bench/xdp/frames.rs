//! The packets of the benchmarks, as they lie on the wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tracker_common::wire::{ACTION_CONNECT, PROTOCOL_ID, request};

/// The first byte of all source addresses that are forged.
pub(in crate::bench) const FORGED_NETWORK: u8 = 10;

/// IPv4, counted from the first byte of the frame: identification.
pub(super) const IDENTIFICATION: usize = 18;
/// IPv4: the lower half of the source address.
pub(super) const SOURCE_LOW: usize = 28;
/// IPv4: the destination address.
pub(super) const DESTINATION_V4: usize = 30;
/// IPv4: the source port.
pub(super) const SOURCE_PORT_V4: usize = 34;
/// IPv4: the payload of a datagram.
pub(super) const PAYLOAD_V4: usize = 42;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const UDP_HEADER_LEN: usize = 8;
const TCP_HEADER_LEN: usize = 20;
/// The shortest frame of Ethernet, without its check sequence.
const MIN_FRAME_LEN: usize = 60;
const TTL: u8 = 64;

/// Link addresses of both ends.
#[derive(Clone, Copy)]
pub(in crate::bench) struct Cable {
    pub(super) source: [u8; 6],
    pub(in crate::bench) destination: [u8; 6],
}

/// A frame over IPv4 whose source address and port are filled in for each packet. Lower half of the address and
/// identification stay each other's complement, as do address and port: the checksums hold for all.
pub(super) struct Template {
    pub(super) frame: Vec<u8>,
}

impl Template {
    pub(super) fn new(cable: Cable, destination: SocketAddr, payload: &[u8]) -> Self {
        let source = SocketAddr::from(([FORGED_NETWORK, 0, 0, 0], 0xffff));
        Self { frame: udp(cable, source, destination, payload) }
    }
}

/// A connect request.
pub(super) fn connect() -> Vec<u8> {
    begun(PROTOCOL_ID, ACTION_CONNECT)
}

/// The first 16 bytes of any request.
pub(super) fn begun(connection_id: u64, action: u32) -> Vec<u8> {
    let mut payload = vec![0; request::HEADER_LEN];
    payload[request::CONNECTION_ID].copy_from_slice(&connection_id.to_be_bytes());
    payload[request::ACTION].copy_from_slice(&action.to_be_bytes());
    payload[request::TRANSACTION_ID].copy_from_slice(b"otxd");
    payload
}

/// A request of `len` bytes that begins with this id and this action; the rest is as good as any.
pub(super) fn request_of(connection_id: u64, action: u32, len: usize) -> Vec<u8> {
    let mut payload = begun(connection_id, action);
    payload.resize(len, 0x5a);
    payload
}

/// A UDP datagram with both checksums. Source and destination are of one family.
pub(super) fn udp(cable: Cable, source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let len = (UDP_HEADER_LEN + payload.len()) as u16;
    let mut segment = Vec::with_capacity(usize::from(len));
    segment.extend(source.port().to_be_bytes());
    segment.extend(destination.port().to_be_bytes());
    segment.extend(len.to_be_bytes());
    segment.extend([0, 0]);
    segment.extend(payload);
    let mut summed = octets(source.ip());
    summed.extend(octets(destination.ip()));
    summed.extend(u32::from(PROTOCOL_UDP).to_be_bytes());
    summed.extend(u32::from(len).to_be_bytes());
    summed.extend(&segment);
    let checksum = checksum(&summed);
    segment[6..8].copy_from_slice(&checksum.to_be_bytes());
    ip(cable, source.ip(), destination.ip(), PROTOCOL_UDP, &segment)
}

/// A TCP header without data.
pub(super) fn tcp(cable: Cable, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
    ip(cable, source.into(), destination.into(), PROTOCOL_TCP, &[0; TCP_HEADER_LEN])
}

fn ip(cable: Cable, source: IpAddr, destination: IpAddr, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(cable.destination);
    frame.extend(cable.source);
    match source {
        IpAddr::V4(_) => {
            frame.extend(ETHERTYPE_IPV4);
            let total_len = (20 + segment.len()) as u16;
            let [high, low] = total_len.to_be_bytes();
            // The identification is the complement of the lower half of a template's source address.
            let mut header = vec![0x45, 0, high, low, 0xff, 0xff, 0x40, 0, TTL, protocol, 0, 0];
            header.extend(octets(source));
            header.extend(octets(destination));
            let checksum = checksum(&header);
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            frame.extend(header);
        }
        IpAddr::V6(_) => {
            frame.extend(ETHERTYPE_IPV6);
            frame.extend([0x60, 0, 0, 0]);
            frame.extend((segment.len() as u16).to_be_bytes());
            frame.extend([protocol, TTL]);
            frame.extend(octets(source));
            frame.extend(octets(destination));
        }
    }
    frame.extend(segment);
    frame.resize(frame.len().max(MIN_FRAME_LEN), 0);
    frame
}

/// An address as the kernel program sees it: IPv4 mapped into IPv6.
pub(super) fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => Ipv6Addr::octets(&address),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The Internet checksum (RFC 1071), never 0.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        0 => 0xffff,
        checksum => checksum,
    }
}

#[cfg(test)]
mod tests {
    use super::{Cable, IDENTIFICATION, SOURCE_LOW, SOURCE_PORT_V4, Template, checksum, connect};
    use std::net::SocketAddr;

    #[test]
    fn the_checksums_of_a_template_hold_for_every_source() {
        let cable = Cable { source: [2; 6], destination: [4; 6] };
        let mut frame = Template::new(cable, SocketAddr::from(([192, 0, 2, 1], 6969)), &connect()).frame;
        for low in [0_u16, 1, 0x1234, 0x7fff] {
            frame[SOURCE_LOW..SOURCE_LOW + 2].copy_from_slice(&low.to_be_bytes());
            frame[IDENTIFICATION..IDENTIFICATION + 2].copy_from_slice(&(!low).to_be_bytes());
            frame[SOURCE_PORT_V4..SOURCE_PORT_V4 + 2].copy_from_slice(&(!low).to_be_bytes());
            // A sum with its checksum is all ones, whose complement this function gives as 0xffff.
            assert_eq!(checksum(&frame[14..34]), 0xffff);
            let mut summed = frame[26..34].to_vec();
            summed.extend([0, 17, 0, 24]);
            summed.extend(&frame[34..58]);
            assert_eq!(checksum(&summed), 0xffff);
        }
    }
}
