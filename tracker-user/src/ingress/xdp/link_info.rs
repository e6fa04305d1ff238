//! Which XDP program is attached to an interface, what kind it is of, and how many receive queues it has: asked of the
//! kernel over netlink, since an attachment may have been made in ways that no list of links shows.

use crate::netlink::ethtool::Ethtool;
use crate::netlink::{Extent, Netlink, Request, attribute, number, text};
use std::io::Result;

/// Attributes of XDP (linux/if_link.h): a nest, and the ids of the program in it, one per mode.
const IFLA_XDP: u16 = 43;
const PROGRAM_IDS: [u16; 4] = [4, 5, 6, 7];
/// The attribute that names the link under a virtual one.
const IFLA_LINK: u16 = 5;
/// The attribute that says the MTU.
const IFLA_MTU: u16 = 4;
/// The attribute that says how many receive queues it was made with, in use or not.
const IFLA_NUM_RX_QUEUES: u16 = 32;
/// Attributes that describe a virtual link: a nest, and the name of its kind in it.
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
/// `struct ifinfomsg`, and where in it the index stands.
const HEADER_LEN: usize = size_of::<libc::ifinfomsg>();
const INDEX: std::ops::Range<usize> = 4..8;

/// What the kernel says of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkInfo {
    /// The id of the XDP program that is attached to it, in whatever mode.
    pub(super) program_id: Option<u32>,
    /// The kind of a virtual interface, such as `veth`; `None` for a card.
    pub(super) kind: Option<String>,
    /// The index of the interface that a virtual one sits on.
    pub(super) lower_link: Option<u32>,
    /// Bytes of the longest packet that it carries, without the link header.
    pub(super) mtu: Option<u32>,
    /// Receive queues that it was made with.
    pub(super) made_with_queues: Option<u32>,
}

/// Asks about an interface.
///
/// # Errors
/// Where the kernel cannot be asked.
pub(super) fn of(interface: u32) -> Result<LinkInfo> {
    let mut header = [0; HEADER_LEN];
    header[INDEX].copy_from_slice(&interface.to_ne_bytes());
    match Netlink::route()?.ask(libc::RTM_GETLINK, Extent::One, &Request::headed(&header)) {
        Ok(answers) => Ok(answers.first().and_then(|answer| read(answer)).unwrap_or_default()),
        // There is none of that index.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(LinkInfo::default()),
        Err(error) => Err(error),
    }
}

/// Receive queues in use, from the first that knows them: the driver, or else what the interface was made with. `None`
/// where the kernel cannot be asked now, or the interface is gone.
pub(super) fn receive_queues(interface: u32) -> Option<u32> {
    let in_use = Ethtool::new().ok().and_then(|ethtool| ethtool.channels(interface));
    let made_with = || of(interface).ok().and_then(|info| info.made_with_queues);
    in_use.map(|channels| channels.receive).or_else(made_with)
}

/// What an answer says behind its header.
fn read(answer: &[u8]) -> Option<LinkInfo> {
    let of_link = answer.get(HEADER_LEN..)?;
    let above_zero = |value: &[u8]| number(value).filter(|number| *number != 0);
    let program_id = attribute(of_link, IFLA_XDP)
        .and_then(|nest| PROGRAM_IDS.iter().find_map(|kind| attribute(nest, *kind)))
        .and_then(above_zero);
    let kind = attribute(of_link, IFLA_LINKINFO).and_then(|nest| attribute(nest, IFLA_INFO_KIND)).map(text);
    Some(LinkInfo {
        program_id,
        kind,
        lower_link: attribute(of_link, IFLA_LINK).and_then(above_zero),
        mtu: attribute(of_link, IFLA_MTU).and_then(above_zero),
        made_with_queues: attribute(of_link, IFLA_NUM_RX_QUEUES).and_then(above_zero),
    })
}

#[cfg(test)]
mod tests {
    use super::{HEADER_LEN, LinkInfo, of, read, receive_queues};

    #[test]
    fn nothing_is_known_of_an_interface_that_does_not_exist() {
        assert_eq!(of(u32::MAX >> 1).unwrap(), LinkInfo::default());
    }

    #[test]
    fn the_loopback_interface_has_one_queue() {
        assert_eq!(receive_queues(1), Some(1));
    }

    #[test]
    fn program_and_kind_are_found_among_other_attributes() {
        let mut answer = vec![0; HEADER_LEN];
        answer.extend([6, 0, 3, 0, b'e', 0, 0, 0]); // IFLA_IFNAME, padded
        answer.extend([8, 0, 5, 0, 7, 0, 0, 0]); // IFLA_LINK
        answer.extend([8, 0, 4, 0, 0xdc, 5, 0, 0]); // IFLA_MTU
        answer.extend([8, 0, 32, 0, 3, 0, 0, 0]); // IFLA_NUM_RX_QUEUES
        answer.extend([16, 0, 18, 0]); // IFLA_LINKINFO
        answer.extend([9, 0, 1, 0, b'v', b'e', b't', b'h', 0, 0, 0, 0]); // IFLA_INFO_KIND
        answer.extend([20, 0, 43, 0x80]); // IFLA_XDP, nested
        answer.extend([5, 0, 2, 0, 1, 0, 0, 0]); // IFLA_XDP_ATTACHED
        answer.extend([8, 0, 4, 0, 0x39, 0x30, 0, 0]); // IFLA_XDP_PROG_ID
        let whole = LinkInfo {
            program_id: Some(12345),
            kind: Some("veth".to_owned()),
            lower_link: Some(7),
            mtu: Some(1500),
            made_with_queues: Some(3),
        };
        assert_eq!(read(&answer), Some(whole));
        for len in 0..answer.len() {
            assert_eq!(read(&answer[..len]).and_then(|info| info.program_id), None, "{len} bytes");
        }
    }
}
