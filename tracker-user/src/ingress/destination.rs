//! Which of the host's addresses a packet was sent to: the control message that comes with it, turned round so
//! that the answer leaves from there (`IP_PKTINFO`, ip(7); `IPV6_PKTINFO`, RFC 3542).

use std::mem::offset_of;

/// The control messages of one packet: one header and one `in6_pktinfo`, the longer of the two kinds, fit.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control {
    header: libc::cmsghdr,
    data: [u8; DATA_LEN],
}

const DATA_LEN: usize = 24;
const HEADER_LEN: usize = size_of::<libc::cmsghdr>();

const _: () = assert!(DATA_LEN >= size_of::<libc::in6_pktinfo>());
const _: () = assert!(offset_of!(Control, data) == HEADER_LEN);

impl Default for Control {
    fn default() -> Self {
        Self { header: libc::cmsghdr { cmsg_len: 0, cmsg_level: 0, cmsg_type: 0 }, data: [0; DATA_LEN] }
    }
}

impl Control {
    /// Makes what the kernel wrote into what it shall read; returns the length, 0 where there is nothing to say.
    ///
    /// The interface is left open, since the way back may be another, except for a link-local address, which
    /// means nothing without its link.
    pub(super) fn turn_round(&mut self, received_len: usize) -> usize {
        if received_len < HEADER_LEN {
            return 0;
        }
        match (self.header.cmsg_level, self.header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // `ipi_spec_dst` is where an answer shall leave from: for a broadcast it is not `ipi_addr`.
                self.clear(offset_of!(libc::in_pktinfo, ipi_ifindex), size_of::<libc::c_int>());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if !self.is_link_local() => {
                self.clear(offset_of!(libc::in6_pktinfo, ipi6_ifindex), size_of::<libc::c_uint>());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {}
            _ => return 0,
        }
        received_len
    }

    fn is_link_local(&self) -> bool {
        self.data[0] == 0xfe && self.data[1] & 0xc0 == 0x80
    }

    fn clear(&mut self, start: usize, len: usize) {
        self.data[start..start + len].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Control, HEADER_LEN};

    fn control(level: i32, kind: i32, data: &[u8]) -> Control {
        let mut control = Control::default();
        control.header.cmsg_level = level;
        control.header.cmsg_type = kind;
        control.data[..data.len()].copy_from_slice(data);
        control
    }

    #[test]
    fn the_interface_of_an_ipv4_answer_is_left_open_and_its_source_kept() {
        let mut control =
            control(libc::IPPROTO_IP, libc::IP_PKTINFO, &[3, 0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        assert_eq!(control.turn_round(HEADER_LEN + 16), HEADER_LEN + 16);
        assert_eq!(control.data[..12], [0, 0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    }

    #[test]
    fn only_a_link_local_answer_is_bound_to_its_link() {
        for (first, second, link) in [(0x20, 0x01, 0), (0xfe, 0x80, 3), (0xfe, 0xc0, 0)] {
            let mut data = [0; 20];
            (data[0], data[1], data[16]) = (first, second, 3);
            let mut control = control(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
            assert_eq!(control.turn_round(HEADER_LEN + 24), HEADER_LEN + 24);
            assert_eq!(control.data[16], link);
        }
    }

    #[test]
    fn no_control_message_asks_for_nothing() {
        assert_eq!(Control::default().turn_round(0), 0);
        assert_eq!(control(libc::SOL_SOCKET, libc::SCM_TIMESTAMP, &[]).turn_round(32), 0);
    }
}
