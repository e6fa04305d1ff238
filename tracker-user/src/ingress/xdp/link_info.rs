//! Which XDP program is attached to an interface, and what kind it is of: asked of the kernel over rtnetlink, since an
//! attachment may have been made in ways that no list of links shows.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::io::Result;
use std::os::fd::AsRawFd;

/// `struct ifinfomsg`, behind `struct nlmsghdr`.
const MESSAGE_LEN: usize = 32;
const HEADER_LEN: usize = 16;
const ATTRIBUTE_HEADER_LEN: usize = 4;
/// Attributes of XDP (linux/if_link.h): a nest, and the ids of the program in it, one per mode.
const IFLA_XDP: u16 = 43;
const PROGRAM_IDS: [u16; 4] = [4, 5, 6, 7];
/// The attribute that names the link under a virtual one.
const IFLA_LINK: u16 = 5;
/// The attribute that says the MTU.
const IFLA_MTU: u16 = 4;
/// Attributes that describe a virtual link: a nest, and the name of its kind in it.
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
/// The bits of an attribute's type that say how it is coded.
const TYPE_MASK: u16 = 0x3fff;

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
}

/// Asks about an interface.
///
/// # Errors
/// Where the kernel cannot be asked.
pub(super) fn of(interface: u32) -> Result<LinkInfo> {
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &request(interface), &kernel, MsgFlags::empty())?;
    let mut answer = vec![0; 32 * 1024];
    let len = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    Ok(read(&answer[..len]).unwrap_or_default())
}

/// `RTM_GETLINK` for one interface (rtnetlink(7)), integers in the byte order of the host.
fn request(interface: u32) -> [u8; MESSAGE_LEN] {
    let mut message = [0; MESSAGE_LEN];
    message[0..4].copy_from_slice(&(MESSAGE_LEN as u32).to_ne_bytes());
    message[4..6].copy_from_slice(&libc::RTM_GETLINK.to_ne_bytes());
    message[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    message[20..24].copy_from_slice(&interface.to_ne_bytes());
    message
}

/// `None` where the answer is not about a link.
fn read(answer: &[u8]) -> Option<LinkInfo> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes)?;
    if kind != libc::RTM_NEWLINK {
        return None;
    }
    let of_link = answer.get(MESSAGE_LEN..)?;
    let number = |value: &[u8]| value.try_into().ok().map(u32::from_ne_bytes).filter(|number| *number != 0);
    let nest = attribute(of_link, &[IFLA_XDP]);
    let program_id = nest.and_then(|nest| attribute(nest, &PROGRAM_IDS)).and_then(number);
    let lower_link = attribute(of_link, &[IFLA_LINK]).and_then(number);
    let mtu = attribute(of_link, &[IFLA_MTU]).and_then(number);
    let kind = attribute(of_link, &[IFLA_LINKINFO])
        .and_then(|nest| attribute(nest, &[IFLA_INFO_KIND]))
        .and_then(|text| std::str::from_utf8(text).ok())
        .map(|text| text.trim_end_matches('\0').to_owned());
    Some(LinkInfo { program_id, kind, lower_link, mtu })
}

/// The value of the first attribute of one of these types.
fn attribute<'a>(bytes: &'a [u8], kinds: &[u16]) -> Option<&'a [u8]> {
    attributes(bytes).find(|(kind, _)| kinds.contains(kind)).map(|(_, value)| value)
}

/// Type and value of each attribute; stops at the first that is not whole.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (header, _) = bytes.split_first_chunk::<ATTRIBUTE_HEADER_LEN>()?;
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK;
        let value = bytes.get(ATTRIBUTE_HEADER_LEN..len)?;
        // The next begins at a multiple of four.
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

const _: () = assert!(HEADER_LEN + size_of::<libc::ifinfomsg>() == MESSAGE_LEN);

#[cfg(test)]
mod tests {
    use super::{LinkInfo, of, read};

    #[test]
    fn nothing_is_known_of_an_interface_that_does_not_exist() {
        assert_eq!(of(u32::MAX).unwrap(), LinkInfo::default());
    }

    #[test]
    fn program_and_kind_are_found_among_other_attributes() {
        let mut answer = vec![0; 32];
        answer[4] = libc::RTM_NEWLINK as u8;
        answer.extend([6, 0, 3, 0, b'e', 0, 0, 0]); // IFLA_IFNAME, padded
        answer.extend([8, 0, 5, 0, 7, 0, 0, 0]); // IFLA_LINK
        answer.extend([8, 0, 4, 0, 0xdc, 5, 0, 0]); // IFLA_MTU
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
        };
        assert_eq!(read(&answer), Some(whole));
        for len in 0..answer.len() {
            assert_eq!(read(&answer[..len]).and_then(|info| info.program_id), None, "{len} bytes");
        }
    }
}
