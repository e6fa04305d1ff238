//! Ethernet frames with UDP in them, written byte by byte: right where a field is left alone, wrong where a test
//! says so. And answers read with the eyes of a strict receiver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An Ethernet address.
pub type Mac = [u8; 6];

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERNET_LEN: usize = 14;
/// Without the check sequence, which no software sees.
const SHORTEST_FRAME_LEN: usize = 60;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const UDP_LEN: usize = 8;
/// The number of UDP as the protocol of an IPv4 packet, and as the next header of an IPv6 one.
pub const PROTOCOL_UDP: u8 = 17;

/// What is written where a checksum belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The one that the RFC asks for.
    Right,
    /// Neither that nor zero.
    Wrong,
    /// Zero.
    Zero,
}

impl Checksum {
    fn instead_of(self, right: u16) -> u16 {
        match self {
            Self::Right => right,
            Self::Wrong if right == 0x1234 => 0x4321,
            Self::Wrong => 0x1234,
            Self::Zero => 0,
        }
    }
}

/// The checksum of RFC 1071 over parts of which all but the last have an even length.
pub fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A UDP datagram (RFC 768) between two addresses of one family.
#[derive(Clone, Debug)]
pub struct Udp {
    /// From where.
    pub source: SocketAddr,
    /// To where.
    pub destination: SocketAddr,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Another length than that of header and payload.
    pub length: Option<u16>,
    /// The checksum, over as many bytes as the length says.
    pub checksum: Checksum,
}

impl Udp {
    /// A correct one.
    pub fn new(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Self {
        Self { source, destination, payload: payload.to_vec(), length: None, checksum: Checksum::Right }
    }

    /// Header and payload.
    pub fn bytes(&self) -> Vec<u8> {
        let length = self.length.unwrap_or((UDP_LEN + self.payload.len()) as u16);
        let mut bytes = self.source.port().to_be_bytes().to_vec();
        bytes.extend(self.destination.port().to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(&self.payload);
        let covered = &bytes[..bytes.len().min(length.into())];
        let right = udp_checksum(self.source.ip(), self.destination.ip(), length, covered);
        bytes[6..8].copy_from_slice(&self.checksum.instead_of(right).to_be_bytes());
        bytes
    }

    /// It in an ordinary IP packet.
    pub fn packet(&self) -> IpPacket {
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Ipv4 { payload: self.bytes(), ..Ipv4::new(source, destination) }.packet()
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                Ipv6 { payload: self.bytes(), ..Ipv6::new(source, destination) }.packet()
            }
            addresses => panic!("two families in {addresses:?}"),
        }
    }
}

/// With the pseudo header of RFC 768 or RFC 8200, section 8.1; a sum of zero is written as its other form.
fn udp_checksum(source: IpAddr, destination: IpAddr, length: u16, covered: &[u8]) -> u16 {
    let mut pseudo_header = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => pseudo_header.extend(address.octets()),
            IpAddr::V6(address) => pseudo_header.extend(address.octets()),
        }
    }
    // In both families these sum up to the length and the protocol.
    pseudo_header.extend(length.to_be_bytes());
    pseudo_header.extend([0, PROTOCOL_UDP]);
    match internet_checksum(&[&pseudo_header, covered]) {
        0 => 0xffff,
        sum => sum,
    }
}

/// What an Ethernet frame carries.
#[derive(Clone, Debug)]
pub struct IpPacket {
    /// Which protocol it says it is.
    pub ethertype: u16,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// An IPv4 packet (RFC 791).
#[derive(Clone, Debug)]
pub struct Ipv4 {
    /// From where.
    pub source: Ipv4Addr,
    /// To where.
    pub destination: Ipv4Addr,
    /// What the payload is.
    pub protocol: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// The identification, by which fragments find each other.
    pub id: u16,
    /// Three bits of flags, then the offset in units of 8 bytes.
    pub flags_and_offset: u16,
    /// Hops left.
    pub ttl: u8,
    /// Options, a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// 4, or a wrong one.
    pub version: u8,
    /// Another length of the header than its own, in units of 4 bytes.
    pub header_words: Option<u8>,
    /// Another length than that of header and payload.
    pub total_length: Option<u16>,
    /// The checksum of the header.
    pub checksum: Checksum,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Ipv4 {
    /// A correct and empty one that carries UDP.
    pub fn new(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self {
            source,
            destination,
            protocol: PROTOCOL_UDP,
            tos: 0,
            id: 0x4242,
            flags_and_offset: 0,
            ttl: 61,
            options: Vec::new(),
            version: 4,
            header_words: None,
            total_length: None,
            checksum: Checksum::Right,
            payload: Vec::new(),
        }
    }

    /// Its bytes.
    pub fn packet(&self) -> IpPacket {
        let header_len = IPV4_LEN + self.options.len();
        let header_words = self.header_words.unwrap_or((header_len / 4) as u8);
        let total_length = self.total_length.unwrap_or((header_len + self.payload.len()) as u16);
        let mut bytes = vec![self.version << 4 | header_words, self.tos];
        bytes.extend(total_length.to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.flags_and_offset.to_be_bytes());
        bytes.extend([self.ttl, self.protocol, 0, 0]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(&self.options);
        bytes.extend(&self.payload);
        // Over as many bytes as the header says it has, so that a wrong length is not found by its checksum.
        let covered = bytes.len().min(usize::from(header_words) * 4);
        let checksum = self.checksum.instead_of(internet_checksum(&[&bytes[..covered]]));
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        IpPacket { ethertype: ETHERTYPE_IPV4, bytes }
    }

    /// It in fragments of this many bytes, a multiple of 8, in order.
    pub fn fragments(&self, fragment_len: usize) -> Vec<IpPacket> {
        let count = self.payload.len().div_ceil(fragment_len);
        let fragment = |(number, piece): (usize, &[u8])| {
            let more_fragments = if number + 1 < count { 0x2000 } else { 0 };
            let flags_and_offset = more_fragments | (number * fragment_len / 8) as u16;
            Self { flags_and_offset, payload: piece.to_vec(), ..self.clone() }.packet()
        };
        self.payload.chunks(fragment_len).enumerate().map(fragment).collect()
    }
}

/// An IPv6 packet (RFC 8200).
#[derive(Clone, Debug)]
pub struct Ipv6 {
    /// From where.
    pub source: Ipv6Addr,
    /// To where.
    pub destination: Ipv6Addr,
    /// 6, or a wrong one.
    pub version: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// 20 bits.
    pub flow_label: u32,
    /// Hops left.
    pub hop_limit: u8,
    /// Extension headers, each its number and its bytes behind the byte that names the next header.
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// What follows the extension headers.
    pub next_header: u8,
    /// Another length than that of extension headers and payload.
    pub payload_length: Option<u16>,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// The number of the fragment header (RFC 8200, section 4.5).
const EXTENSION_FRAGMENT: u8 = 44;

impl Ipv6 {
    /// A correct and empty one that carries UDP.
    pub fn new(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self {
            source,
            destination,
            version: 6,
            traffic_class: 0,
            flow_label: 0,
            hop_limit: 61,
            extensions: Vec::new(),
            next_header: PROTOCOL_UDP,
            payload_length: None,
            payload: Vec::new(),
        }
    }

    /// Its bytes.
    pub fn packet(&self) -> IpPacket {
        let mut behind_header = Vec::new();
        for (position, (_, extension)) in self.extensions.iter().enumerate() {
            let next = self.extensions.get(position + 1).map_or(self.next_header, |(number, _)| *number);
            behind_header.push(next);
            behind_header.extend(extension);
        }
        behind_header.extend(&self.payload);
        let first_word =
            u32::from(self.version) << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
        let mut bytes = first_word.to_be_bytes().to_vec();
        bytes.extend(self.payload_length.unwrap_or(behind_header.len() as u16).to_be_bytes());
        let next_header = self.extensions.first().map_or(self.next_header, |(number, _)| *number);
        bytes.extend([next_header, self.hop_limit]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(behind_header);
        IpPacket { ethertype: ETHERTYPE_IPV6, bytes }
    }

    /// It in fragments of this many bytes, a multiple of 8, in order; `id` is how they find each other.
    pub fn fragments(&self, fragment_len: usize, id: u32) -> Vec<IpPacket> {
        let count = self.payload.len().div_ceil(fragment_len);
        let fragment = |(number, piece): (usize, &[u8])| {
            let more_fragments = u16::from(number + 1 < count);
            let mut extension = vec![0];
            extension.extend(((number * fragment_len) as u16 | more_fragments).to_be_bytes());
            extension.extend(id.to_be_bytes());
            let mut fragment = Self { payload: piece.to_vec(), ..self.clone() };
            fragment.extensions.push((EXTENSION_FRAGMENT, extension));
            fragment.packet()
        };
        self.payload.chunks(fragment_len).enumerate().map(fragment).collect()
    }
}

/// An Ethernet frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// From whom.
    pub source: Mac,
    /// To whom.
    pub destination: Mac,
    /// A tag of 802.1Q: priority and VLAN id.
    pub vlan: Option<u16>,
    /// What it carries.
    pub packet: IpPacket,
    /// Bytes behind the packet.
    pub padding: Vec<u8>,
}

impl Frame {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.destination, self.source].concat();
        if let Some(tag) = self.vlan {
            bytes.extend(ETHERTYPE_VLAN.to_be_bytes());
            bytes.extend(tag.to_be_bytes());
        }
        bytes.extend(self.packet.ethertype.to_be_bytes());
        bytes.extend(&self.packet.bytes);
        bytes.extend(&self.padding);
        bytes
    }
}

/// A UDP datagram as it came off the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedUdp {
    /// From which Ethernet address.
    pub source_mac: Mac,
    /// To which Ethernet address.
    pub destination_mac: Mac,
    /// From where.
    pub source: SocketAddr,
    /// To where.
    pub destination: SocketAddr,
    /// Hops left.
    pub ttl: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl ReceivedUdp {
    /// Reads a frame; `None` where it carries no UDP.
    ///
    /// # Panics
    /// When it carries UDP and a length or a checksum is not exactly right. Bytes behind the packet are right where they
    /// make the shortest frame of Ethernet.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let packet = without_padding(frame)?;
        let (addresses, ttl, traffic_class, udp) = match u16::from_be_bytes([frame[12], frame[13]]) {
            ETHERTYPE_IPV4 if packet.get(9) == Some(&PROTOCOL_UDP) => parse_ipv4(packet),
            ETHERTYPE_IPV6 if packet.get(6) == Some(&PROTOCOL_UDP) => parse_ipv6(packet),
            _ => return None,
        };
        let number = |start: usize| u16::from_be_bytes([udp[start], udp[start + 1]]);
        assert_eq!(usize::from(number(4)), udp.len(), "UDP length of {frame:02x?}");
        let mut unsummed = udp.to_vec();
        unsummed[6..8].fill(0);
        let checksum = udp_checksum(addresses.0, addresses.1, number(4), &unsummed);
        assert_eq!(number(6), checksum, "UDP checksum of {frame:02x?}");
        Some(Self {
            destination_mac: frame[..6].try_into().expect("six bytes"),
            source_mac: frame[6..12].try_into().expect("six bytes"),
            source: SocketAddr::new(addresses.0, number(0)),
            destination: SocketAddr::new(addresses.1, number(2)),
            ttl,
            traffic_class,
            payload: udp[UDP_LEN..].to_vec(),
        })
    }
}

/// The packet of a frame; of the shortest frame as much as the packet says that it has.
fn without_padding(frame: &[u8]) -> Option<&[u8]> {
    let packet = frame.get(ETHERNET_LEN..)?;
    let number =
        |start: usize| packet.get(start..start + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    let length = match u16::from_be_bytes([frame[12], frame[13]]) {
        ETHERTYPE_IPV4 => usize::from(number(2)?),
        ETHERTYPE_IPV6 => IPV6_LEN + usize::from(number(4)?),
        _ => return Some(packet),
    };
    if frame.len() == SHORTEST_FRAME_LEN { packet.get(..length).or(Some(packet)) } else { Some(packet) }
}

/// Source and destination, hops left, traffic class, and what is behind the header.
type IpParts<'a> = ((IpAddr, IpAddr), u8, u8, &'a [u8]);

fn parse_ipv4(packet: &[u8]) -> IpParts<'_> {
    assert_eq!(packet[0], 0x45, "version and header length of {packet:02x?}");
    let total_length = u16::from_be_bytes([packet[2], packet[3]]);
    assert_eq!(usize::from(total_length), packet.len(), "total length of {packet:02x?}");
    assert_eq!(internet_checksum(&[&packet[..IPV4_LEN]]), 0, "header checksum of {packet:02x?}");
    assert_eq!(packet[6] & 0x3f, 0, "a fragment: {packet:02x?}");
    let address = |start: usize| {
        let octets: [u8; 4] = packet[start..start + 4].try_into().expect("four bytes");
        IpAddr::from(octets)
    };
    ((address(12), address(16)), packet[8], packet[1], &packet[IPV4_LEN..])
}

fn parse_ipv6(packet: &[u8]) -> IpParts<'_> {
    assert_eq!(packet[0] >> 4, 6, "version of {packet:02x?}");
    let payload_length = u16::from_be_bytes([packet[4], packet[5]]);
    assert_eq!(usize::from(payload_length), packet.len() - IPV6_LEN, "payload length of {packet:02x?}");
    let address = |start: usize| {
        let octets: [u8; 16] = packet[start..start + 16].try_into().expect("sixteen bytes");
        IpAddr::from(octets)
    };
    ((address(8), address(24)), packet[7], packet[0] << 4 | packet[1] >> 4, &packet[IPV6_LEN..])
}

#[cfg(test)]
mod tests;
