//! Frames of one's own making: requests to a tracker, as the load generator sends them. The daemon only ever turns frames
//! round and never comes here.

use super::checksum::Sum;
use super::{MIN_FRAME_LEN, PROTOCOL_UDP, TTL, ethernet, ipv4, ipv6, put, udp};
use std::net::{IpAddr, SocketAddr};

/// Everything up to the payload, of the larger family.
const MAX_HEADERS_LEN: usize = ethernet::LEN + ipv6::LEN + udp::LEN;

/// Ethernet addresses of both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddresses {
    /// Whose frames they are.
    pub source: [u8; 6],
    /// Who takes them in: the tracker, or the router on the way there.
    pub destination: [u8; 6],
}

/// What all datagrams to one destination have in common.
#[derive(Clone, Debug)]
pub struct Outgoing {
    headers: [u8; MAX_HEADERS_LEN],
    destination: SocketAddr,
    /// The sum of the IP header, without source and length.
    ip_sum: Sum,
    /// The sum of what UDP sums up, without source, length and payload.
    udp_sum: Sum,
}

impl Outgoing {
    /// Of datagrams to this destination.
    pub fn new(link: LinkAddresses, destination: SocketAddr) -> Self {
        let mut headers = [0; MAX_HEADERS_LEN];
        put(&mut headers, 0, ethernet::DESTINATION, link.destination);
        put(&mut headers, 0, ethernet::SOURCE, link.source);
        let kind = ethernet::TYPE..ethernet::LEN;
        let ip = ethernet::LEN;
        let (address_sum, udp_header) = match destination.ip() {
            IpAddr::V4(address) => {
                put(&mut headers, 0, kind, ethernet::IPV4);
                // No service, no identification, not to be fragmented.
                let fresh = [ipv4::PLAIN, 0, 0, 0, 0, 0, 0x40, 0, TTL, PROTOCOL_UDP];
                put(&mut headers, ip, 0..fresh.len(), fresh);
                put(&mut headers, ip, ipv4::DESTINATION, address.octets());
                (Sum::default().add(&address.octets()), ip + ipv4::LEN)
            }
            IpAddr::V6(address) => {
                put(&mut headers, 0, kind, ethernet::IPV6);
                headers[ip] = 0x60;
                headers[ip + ipv6::NEXT_HEADER] = PROTOCOL_UDP;
                headers[ip + ipv6::HOP_LIMIT] = TTL;
                put(&mut headers, ip, ipv6::DESTINATION, address.octets());
                (Sum::default().add(&address.octets()), ip + ipv6::LEN)
            }
        };
        put(&mut headers, udp_header, udp::DESTINATION, destination.port().to_be_bytes());
        let ip_sum = Sum::default().add(&headers[ip..ip + ipv4::LEN]);
        let udp_sum = address_sum.add_number(u16::from(PROTOCOL_UDP)).add_number(destination.port());
        Self { headers, destination, ip_sum, udp_sum }
    }

    /// Where a payload begins, counted from the start of the frame.
    pub const fn payload_start(&self) -> usize {
        match self.destination {
            SocketAddr::V4(_) => ethernet::LEN + ipv4::LEN + udp::LEN,
            SocketAddr::V6(_) => ethernet::LEN + ipv6::LEN + udp::LEN,
        }
    }

    /// Writes the headers of a datagram from `source`, whose payload of `len` bytes stands where it begins; returns the
    /// frame's length.
    ///
    /// `source` is of the destination's family; `frame` has room for the payload, and at least [`MIN_FRAME_LEN`] bytes.
    pub fn write(&self, frame: &mut [u8], source: SocketAddr, len: usize) -> usize {
        let payload = self.payload_start();
        let (ip, udp_header) = (ethernet::LEN, payload - udp::LEN);
        let udp_len = (udp::LEN + len) as u16;
        frame[..payload].copy_from_slice(&self.headers[..payload]);
        let source_sum = match source.ip() {
            IpAddr::V4(address) => {
                let total_len = ipv4::LEN as u16 + udp_len;
                put(frame, ip, ipv4::TOTAL_LEN, total_len.to_be_bytes());
                put(frame, ip, ipv4::SOURCE, address.octets());
                let source_sum = Sum::default().add(&address.octets());
                let checksum = self.ip_sum.and(source_sum).add_number(total_len).checksum();
                put(frame, ip, ipv4::CHECKSUM, checksum);
                source_sum
            }
            IpAddr::V6(address) => {
                put(frame, ip, ipv6::PAYLOAD_LEN, udp_len.to_be_bytes());
                put(frame, ip, ipv6::SOURCE, address.octets());
                Sum::default().add(&address.octets())
            }
        };
        put(frame, udp_header, udp::SOURCE, source.port().to_be_bytes());
        put(frame, udp_header, udp::LENGTH, udp_len.to_be_bytes());
        // The length counts twice: in the header, and in what UDP adds to it.
        let sum = self.udp_sum.and(source_sum).add_number(source.port());
        let sum = sum.add_number(udp_len).add_number(udp_len).add(&frame[payload..payload + len]);
        let checksum = match sum.checksum() {
            // Zero would say that there is none.
            [0, 0] => [0xff, 0xff],
            checksum => checksum,
        };
        put(frame, udp_header, udp::CHECKSUM, checksum);
        let end = payload + len;
        let padded = end.max(MIN_FRAME_LEN.min(frame.len()));
        frame[end..padded].fill(0);
        padded
    }

    /// What the frame of an answer from this destination has where: bytes with the places at which they begin.
    pub fn answers(&self) -> Vec<(usize, Vec<u8>)> {
        let ip = ethernet::LEN;
        let udp_header = self.payload_start() - udp::LEN;
        let port = self.destination.port().to_be_bytes().to_vec();
        match self.destination.ip() {
            IpAddr::V4(address) => vec![
                (ethernet::TYPE, ethernet::IPV4.to_vec()),
                (ip, vec![ipv4::PLAIN]),
                (ip + ipv4::PROTOCOL, vec![PROTOCOL_UDP]),
                (ip + ipv4::SOURCE.start, address.octets().to_vec()),
                (udp_header + udp::SOURCE.start, port),
            ],
            IpAddr::V6(address) => vec![
                (ethernet::TYPE, ethernet::IPV6.to_vec()),
                (ip + ipv6::NEXT_HEADER, vec![PROTOCOL_UDP]),
                (ip + ipv6::SOURCE.start, address.octets().to_vec()),
                (udp_header + udp::SOURCE.start, port),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::{LinkAddresses, Outgoing};

    const LINK: LinkAddresses = LinkAddresses { source: [2, 0, 0, 0, 0, 2], destination: [2, 0, 0, 0, 0, 1] };

    #[test]
    fn a_datagram_over_ipv4_has_these_bytes() {
        let outgoing = Outgoing::new(LINK, "192.0.2.1:6969".parse().unwrap());
        let mut frame = [0xee; 100];
        frame[outgoing.payload_start()..][..3].copy_from_slice(b"abc");
        let len = outgoing.write(&mut frame, "10.1.2.3:4660".parse().unwrap(), 3);
        #[rustfmt::skip]
        let expected = [
            2, 0, 0, 0, 0, 1,  2, 0, 0, 0, 0, 2,  0x08, 0x00,
            0x45, 0, 0, 31,  0, 0, 0x40, 0,  64, 17, 0x6c, 0xc9,  10, 1, 2, 3,  192, 0, 2, 1,
            0x12, 0x34, 0x1b, 0x39,  0, 11, 0x40, 0x03,  b'a', b'b', b'c',
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(frame[..len], expected);
    }

    #[test]
    fn what_is_written_is_read_again_in_both_families_and_at_every_length() {
        for (source, destination) in
            [("10.1.2.3:1", "192.0.2.1:6969"), ("[2001:db8::7]:65535", "[fd00::1]:80")]
        {
            let outgoing = Outgoing::new(LINK, destination.parse().unwrap());
            let source = source.parse().unwrap();
            for payload_len in 0..=200 {
                let mut frame = [0xee; 300];
                let start = outgoing.payload_start();
                (0..payload_len).for_each(|at| frame[start + at] = at as u8 ^ 0xa5);
                let len = outgoing.write(&mut frame, source, payload_len);
                let headers = parse(&frame[..len]).unwrap();
                assert_eq!((headers.source, headers.payload), (source, start..start + payload_len));
            }
        }
    }

    #[test]
    fn an_answer_is_told_by_its_sender() {
        for (source, destination) in [("10.1.2.3:1", "192.0.2.1:6969"), ("[fd00::2]:7", "[fd00::1]:80")] {
            let matches = |of: &str, sender: &str| {
                let pattern = Outgoing::new(LINK, of.parse().unwrap()).answers();
                let mut frame = [0; 100];
                let len = Outgoing::new(LINK, source.parse().unwrap()).write(
                    &mut frame,
                    sender.parse().unwrap(),
                    16,
                );
                pattern.iter().all(|(at, bytes)| frame[..len][*at..].starts_with(bytes))
            };
            assert!(matches(destination, destination));
            assert!(!matches(destination, source));
        }
    }
}
