//! The frames that the rows are made of: a right one for every request, and the ways to spoil it.

use std::net::{IpAddr, SocketAddr};
use tracker_tests::packet::{Frame, IpPacket, Ipv4, Ipv6, Mac, Udp, internet_checksum};

pub(crate) const OUR_MAC: Mac = [0x02, 0, 0, 0, 0, 0x01];
pub(crate) const CLIENT_MAC: Mac = [0x02, 0, 0, 0, 0, 0x02];

/// The types that announce a tag of 802.1Q and of 802.1ad.
pub(crate) const VLAN: u16 = 0x8100;
pub(crate) const SERVICE_VLAN: u16 = 0x88a8;

/// A connect request with the transaction id 0xdeadbeef.
pub(crate) const CONNECT: [u8; 16] =
    [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef];

/// A client and the tracker's address of the same family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) client: SocketAddr,
    pub(crate) tracker: SocketAddr,
}

/// A way over IPv4.
pub(crate) fn over_v4() -> Way {
    way("198.51.100.7:51413", "192.0.2.1:6969")
}

/// A way over IPv6.
pub(crate) fn over_v6() -> Way {
    way("[2001:db8:7::7]:51413", "[2001:db8::1]:6969")
}

fn way(client: &str, tracker: &str) -> Way {
    Way { client: address(client), tracker: address(tracker) }
}

/// An address and port.
pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

impl Way {
    /// One way of each family.
    pub(crate) fn both() -> [Self; 2] {
        [over_v4(), over_v6()]
    }

    /// The same from another IP address.
    pub(crate) fn from(mut self, client: &str) -> Self {
        self.client.set_ip(client.parse().unwrap_or_else(|error| panic!("{client}: {error}")));
        self
    }

    /// A name for rows of this way.
    pub(crate) fn family(&self) -> &'static str {
        if self.client.is_ipv4() { "v4" } else { "v6" }
    }

    /// Bytes of the IP header.
    pub(crate) fn ip_len(&self) -> usize {
        if self.client.is_ipv4() { 20 } else { 40 }
    }

    /// A right datagram.
    pub(crate) fn udp(&self, payload: &[u8]) -> Udp {
        Udp::new(self.client, self.tracker, payload)
    }

    /// A right frame.
    pub(crate) fn frame(&self, payload: &[u8]) -> Vec<u8> {
        framed(self.udp(payload).packet())
    }

    /// A frame whose sender left the UDP checksum to a card: it holds the sum of the pseudo-header alone.
    pub(crate) fn partially_summed(&self, payload: &[u8]) -> Vec<u8> {
        let udp_len = (8 + payload.len()) as u16;
        let mut pseudo_header = octets(self.client.ip());
        pseudo_header.extend(octets(self.tracker.ip()));
        pseudo_header.extend(udp_len.to_be_bytes());
        pseudo_header.extend([0, 17]);
        let sum = !internet_checksum(&[&pseudo_header]);
        let mut frame = self.frame(payload);
        let at = 14 + self.ip_len() + 6;
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// An IPv4 packet with a right datagram in it.
    pub(crate) fn ipv4(&self, payload: &[u8]) -> Ipv4 {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (self.client.ip(), self.tracker.ip()) else {
            panic!("{self:?} is not IPv4");
        };
        Ipv4 { payload: self.udp(payload).bytes(), ..Ipv4::new(source, destination) }
    }

    /// An IPv6 packet with a right datagram in it.
    pub(crate) fn ipv6(&self, payload: &[u8]) -> Ipv6 {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (self.client.ip(), self.tracker.ip()) else {
            panic!("{self:?} is not IPv6");
        };
        Ipv6 { payload: self.udp(payload).bytes(), ..Ipv6::new(source, destination) }
    }
}

/// The bytes of an address.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A packet in a frame from the client to us.
pub(crate) fn framed(packet: IpPacket) -> Vec<u8> {
    Frame { source: CLIENT_MAC, destination: OUR_MAC, vlan: None, packet, padding: Vec::new() }.bytes()
}

/// The frame with tags, the outermost first, each its type and its 16 bits.
pub(crate) fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = frame[..12].to_vec();
    for (kind, control) in tags {
        bytes.extend(kind.to_be_bytes());
        bytes.extend(control.to_be_bytes());
    }
    bytes.extend(&frame[12..]);
    bytes
}

/// The frame with bytes behind it.
pub(crate) fn padded(frame: &[u8], padding: &[u8]) -> Vec<u8> {
    [frame, padding].concat()
}

/// The frame with other bytes at a place.
pub(crate) fn patched(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// An announce of 98 bytes.
pub(crate) fn announce(connection_id: u64) -> Vec<u8> {
    let mut bytes = connection_id.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe]);
    bytes.extend([0x11; 20]); // info hash
    bytes.extend([0x22; 20]); // peer id
    bytes.extend([0; 24]); // downloaded, left, uploaded
    bytes.extend([0; 12]); // event, address, key
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0x1a, 0xe1]); // peers wanted, port
    bytes
}

/// A scrape of so many info hashes.
pub(crate) fn scrape(connection_id: u64, info_hashes: usize) -> Vec<u8> {
    let mut bytes = connection_id.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 2, 0xca, 0xfe, 0xba, 0xbe]);
    bytes.extend(vec![0x11; 20 * info_hashes]);
    bytes
}
