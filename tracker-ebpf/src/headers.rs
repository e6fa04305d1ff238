//! Headers of a frame: where they lie, and whether they agree with each other.
//!
//! A header is only reachable through [`Frame::at`], which the verifier can follow: one comparison with the end of the
//! packet, then raw pointers.

use aya_ebpf::programs::XdpContext;
use tracker_common::verdict::Verdict;

/// The bytes of a packet, of the first buffer where it lies in several.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    start: usize,
    end: usize,
}

/// IEEE 802.3.
#[repr(C)]
pub(crate) struct Ethernet {
    pub(crate) destination: [u8; 6],
    pub(crate) source: [u8; 6],
    pub(crate) kind: [u8; 2],
}

/// The tag of IEEE 802.1Q or 802.1ad, behind the type that announces it.
#[repr(C)]
pub(crate) struct Vlan {
    pub(crate) control: [u8; 2],
    pub(crate) kind: [u8; 2],
}

/// RFC 791, without options.
#[repr(C)]
pub(crate) struct Ipv4 {
    pub(crate) version_and_len: u8,
    pub(crate) service: u8,
    pub(crate) total_len: [u8; 2],
    pub(crate) id: [u8; 2],
    pub(crate) fragment: [u8; 2],
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    pub(crate) checksum: [u8; 2],
    pub(crate) source: [u8; 4],
    pub(crate) destination: [u8; 4],
}

/// RFC 8200.
#[repr(C)]
pub(crate) struct Ipv6 {
    pub(crate) version_and_flow: [u8; 4],
    pub(crate) payload_len: [u8; 2],
    pub(crate) next_header: u8,
    pub(crate) hop_limit: u8,
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
}

/// RFC 768.
#[repr(C)]
pub(crate) struct Udp {
    pub(crate) source: [u8; 2],
    pub(crate) destination: [u8; 2],
    pub(crate) len: [u8; 2],
    pub(crate) checksum: [u8; 2],
}

/// The IP header of a datagram.
#[derive(Clone, Copy)]
pub(crate) enum Ip {
    V4(*mut Ipv4),
    V6(*mut Ipv6),
}

/// A UDP datagram whose headers agree with each other; its checksum is not looked at yet.
pub(crate) struct Datagram {
    pub(crate) ethernet: *mut Ethernet,
    pub(crate) ip: Ip,
    pub(crate) udp: *mut Udp,
    /// Address of the first byte of the payload.
    pub(crate) payload: usize,
    /// Bytes of the payload by the UDP header; all of them lie in the frame.
    pub(crate) payload_len: usize,
    pub(crate) source: Address,
    pub(crate) destination: Address,
    /// Whether a tag says that the frame is of a VLAN; 0 in it says that it is of none.
    pub(crate) is_of_vlan: bool,
}

/// An IPv6 address, or an IPv4 address mapped into one: two words as they lie in memory, on a machine that is
/// little-endian. Words, because sixteen single bytes cost a packet 20 ns.
#[derive(Clone, Copy)]
pub(crate) struct Address(pub(crate) [u64; 2]);

impl Address {
    /// Reads an address of IPv6.
    ///
    /// # Safety
    /// 16 bytes must be readable at `address`.
    #[inline(always)]
    unsafe fn v6(address: *const [u8; 16]) -> Self {
        let words = address.cast::<u64>();
        // SAFETY: by the contract of this function; the load need not be aligned.
        let first = unsafe { words.read_unaligned() };
        // SAFETY: as above.
        Self([first, unsafe { words.add(1).read_unaligned() }])
    }

    /// Maps an address of IPv4 (RFC 4291, section 2.5.5.2).
    #[inline(always)]
    fn mapped(v4: [u8; 4]) -> Self {
        Self([0, 0xffff_0000 | u64::from(u32::from_ne_bytes(v4)) << 32])
    }

    /// Whether it has the form of [`Self::mapped`].
    #[inline(always)]
    fn is_mapped(self) -> bool {
        self.0[0] == 0 && self.0[1] as u32 == 0xffff_0000
    }

    /// The same as bytes.
    #[inline(always)]
    pub(crate) fn octets(self) -> [u8; 16] {
        (u128::from(self.0[0]) | u128::from(self.0[1]) << 64).to_le_bytes()
    }

    /// The address of IPv4 that is mapped here, as it lies in memory.
    #[inline(always)]
    pub(crate) fn v4_in_memory(self) -> u32 {
        (self.0[1] >> 32) as u32
    }
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;
const VLAN_ID_BITS: u16 = 0x0fff;
const PROTOCOL_UDP: u8 = 17;
/// More fragments follow, or this one does not begin the packet; "do not fragment" is no fragment.
const FRAGMENT_BITS: u16 = 0x3fff;

impl Frame {
    #[inline(always)]
    pub(crate) fn of(context: &XdpContext) -> Self {
        Self { start: context.data(), end: context.data_end() }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    #[inline(always)]
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// A header at an address, if the frame holds it whole.
    #[inline(always)]
    pub(crate) fn at<T>(&self, address: usize) -> Option<*mut T> {
        if address + size_of::<T>() > self.end { None } else { Some(address as *mut T) }
    }

    /// Reads the headers down to UDP. The error is the verdict on a packet that is passed on.
    #[inline(always)]
    pub(crate) fn datagram(&self) -> Result<Datagram, Verdict> {
        let ethernet: *mut Ethernet = self.at(self.start).ok_or(Verdict::NotUdp)?;
        // SAFETY: `at` has found the whole header within the packet, here and below.
        let mut kind = u16::from_be_bytes(unsafe { (*ethernet).kind });
        let mut next = self.start + size_of::<Ethernet>();
        let mut is_of_vlan = false;
        // At most two tags: a third is nobody's.
        for _ in 0..2 {
            if kind == ETHERTYPE_VLAN || kind == ETHERTYPE_SERVICE_VLAN {
                let vlan: *mut Vlan = self.at(next).ok_or(Verdict::NotUdp)?;
                // SAFETY: checked by `at`.
                kind = u16::from_be_bytes(unsafe { (*vlan).kind });
                // SAFETY: as above.
                is_of_vlan |= u16::from_be_bytes(unsafe { (*vlan).control }) & VLAN_ID_BITS != 0;
                next += size_of::<Vlan>();
            }
        }
        let next = self.start + forgotten(next - self.start);
        let datagram = match kind {
            ETHERTYPE_IPV4 => self.ipv4(ethernet, next),
            ETHERTYPE_IPV6 => self.ipv6(ethernet, next),
            _ => Err(Verdict::NotUdp),
        }?;
        Ok(Datagram { is_of_vlan, ..datagram })
    }

    #[inline(always)]
    fn ipv4(&self, ethernet: *mut Ethernet, address: usize) -> Result<Datagram, Verdict> {
        let ip: *mut Ipv4 = self.at(address).ok_or(Verdict::BadHeader)?;
        // SAFETY: checked by `at`.
        let header = unsafe { &*ip };
        if header.version_and_len >> 4 != 4 || header.version_and_len & 0xf < 5 {
            return Err(Verdict::BadHeader);
        }
        if header.protocol != PROTOCOL_UDP {
            return Err(Verdict::NotUdp);
        }
        if u16::from_be_bytes(header.fragment) & FRAGMENT_BITS != 0 {
            return Err(Verdict::Fragment);
        }
        if header.version_and_len & 0xf != 5 {
            return Err(Verdict::IpOptions);
        }
        let total_len = u16::from_be_bytes(header.total_len) as usize;
        let ip_payload_len = total_len.wrapping_sub(size_of::<Ipv4>());
        if total_len < size_of::<Ipv4>() {
            return Err(Verdict::BadHeader);
        }
        let (source, destination) = (Address::mapped(header.source), Address::mapped(header.destination));
        let udp = address + size_of::<Ipv4>();
        self.udp(Layers { ethernet, ip: Ip::V4(ip), source, destination }, udp, ip_payload_len)
    }

    #[inline(always)]
    fn ipv6(&self, ethernet: *mut Ethernet, address: usize) -> Result<Datagram, Verdict> {
        let ip: *mut Ipv6 = self.at(address).ok_or(Verdict::BadHeader)?;
        // SAFETY: checked by `at`.
        let header = unsafe { &*ip };
        if header.version_and_flow[0] >> 4 != 6 {
            return Err(Verdict::BadHeader);
        }
        if header.next_header != PROTOCOL_UDP {
            return Err(if is_extension(header.next_header) { Verdict::IpOptions } else { Verdict::NotUdp });
        }
        let ip_payload_len = u16::from_be_bytes(header.payload_len) as usize;
        // SAFETY: references to fields of the header.
        let source = unsafe { Address::v6(&raw const header.source) };
        // SAFETY: as above.
        let destination = unsafe { Address::v6(&raw const header.destination) };
        // The maps and the ids know IPv4 by these: on the wire they are nobody's, and Linux drops them.
        if source.is_mapped() || destination.is_mapped() {
            return Err(Verdict::BadHeader);
        }
        let udp = address + size_of::<Ipv6>();
        self.udp(Layers { ethernet, ip: Ip::V6(ip), source, destination }, udp, ip_payload_len)
    }

    #[inline(always)]
    fn udp(&self, layers: Layers, address: usize, ip_payload_len: usize) -> Result<Datagram, Verdict> {
        let udp: *mut Udp = self.at(address).ok_or(Verdict::BadHeader)?;
        // SAFETY: checked by `at`.
        let len = u16::from_be_bytes(unsafe { (*udp).len }) as usize;
        // What lies behind is Ethernet padding, never read; what is missing lies in another buffer or nowhere.
        if len < size_of::<Udp>() || len > ip_payload_len || address + ip_payload_len > self.end {
            return Err(Verdict::BadHeader);
        }
        let Layers { ethernet, ip, source, destination } = layers;
        let payload = address + size_of::<Udp>();
        let payload_len = len - size_of::<Udp>();
        Ok(Datagram { ethernet, ip, udp, payload, payload_len, source, destination, is_of_vlan: false })
    }
}

/// A number below 256 that the verifier knows no more of: it walks through what follows once, not once for each value.
#[inline(always)]
fn forgotten(number: usize) -> usize {
    let hidden = (number as u16) << 8;
    // SAFETY: the upper byte of a number on the stack of a little-endian machine. The verifier does not follow parts of
    // numbers.
    unsafe { (&raw const hidden).cast::<u8>().add(1).read_volatile() }.into()
}

/// What lies under UDP.
struct Layers {
    ethernet: *mut Ethernet,
    ip: Ip,
    source: Address,
    destination: Address,
}

/// Whether UDP may still follow: hop-by-hop, routing, fragment, ESP, AH, destination options, mobility.
#[inline(always)]
fn is_extension(next_header: u8) -> bool {
    matches!(next_header, 0 | 43 | 44 | 50 | 51 | 60 | 135)
}
