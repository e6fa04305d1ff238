//! Questions to the kernel over netlink(7): a request of nested attributes out, attributes back. Integers are in the
//! byte order of the host.
//!
//! Only requests that read; whatever changes the host has no place here.

pub(crate) mod ethtool;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, OwnedFd};

/// `struct nlmsghdr`.
const MESSAGE_HEADER_LEN: usize = 16;
/// `struct nlattr`, `struct genlmsghdr`.
const SMALL_HEADER_LEN: usize = 4;
/// The bits of an attribute's type that say how it is coded, left out.
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;
const NESTED: u16 = 0x8000;
/// The kernel never answers with larger pieces.
const RECEIVE_BYTES: usize = 64 * 1024;

/// Whether one object is asked for or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// One answer, of one object.
    One,
    /// An answer for each object (`NLM_F_DUMP`).
    All,
}

/// Attributes on their way out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// With a fixed header in front, such as `struct ifinfomsg`.
    pub(crate) fn headed(header: &[u8]) -> Self {
        Self(header.to_vec())
    }

    /// Adds an attribute.
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let len = (SMALL_HEADER_LEN + value.len()) as u16;
        self.0.extend(len.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an attribute that holds others.
    pub(crate) fn with_nested(self, kind: u16, inner: &Self) -> Self {
        self.with(kind | NESTED, &inner.0)
    }
}

/// Type and value of each attribute; stops at the first that is not whole.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (header, _) = bytes.split_first_chunk::<SMALL_HEADER_LEN>()?;
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & ATTRIBUTE_TYPE_MASK;
        let value = bytes.get(SMALL_HEADER_LEN..len)?;
        // The next begins at a multiple of four; after the last, that may lie behind the end.
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of a type.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// A value as a 32-bit number.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

/// A value as a 64-bit number.
pub(crate) fn long_number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_ne_bytes)
}

/// A value as text, without the zero at its end.
pub(crate) fn text(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// A socket of one netlink protocol.
#[derive(Debug)]
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    /// The protocol of interfaces, rtnetlink(7).
    pub(crate) fn route() -> Result<Self> {
        Self::open(SockProtocol::NetlinkRoute)
    }

    fn open(protocol: SockProtocol) -> Result<Self> {
        Ok(Self(socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?))
    }

    /// Sends a request and gives what stands behind the header of each message of the answer.
    ///
    /// # Errors
    /// Those of the socket, and the one with which the kernel answers.
    pub(crate) fn ask(&self, kind: u16, extent: Extent, request: &Request) -> Result<Vec<Vec<u8>>> {
        let flags = match extent {
            Extent::One => libc::NLM_F_REQUEST,
            Extent::All => libc::NLM_F_REQUEST | libc::NLM_F_DUMP,
        };
        let mut message = Vec::with_capacity(MESSAGE_HEADER_LEN + request.0.len());
        message.extend(((MESSAGE_HEADER_LEN + request.0.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags as u16).to_ne_bytes());
        // Sequence number and port: there is never more than one question under way on this socket.
        message.extend([0; 8]);
        message.extend(&request.0);
        sendto(self.0.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        self.answers(extent)
    }

    fn answers(&self, extent: Extent) -> Result<Vec<Vec<u8>>> {
        let mut answers = Vec::new();
        let mut buffer = vec![0; RECEIVE_BYTES];
        loop {
            let len = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let ended = take_messages(&buffer[..len], &mut answers)?;
            if ended || extent == Extent::One {
                return Ok(answers);
            }
        }
    }
}

/// Adds the messages of one datagram; whether they were the last.
fn take_messages(mut bytes: &[u8], answers: &mut Vec<Vec<u8>>) -> Result<bool> {
    while let Some((header, _)) = bytes.split_first_chunk::<MESSAGE_HEADER_LEN>() {
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = i32::from(u16::from_ne_bytes([header[4], header[5]]));
        let body = bytes.get(MESSAGE_HEADER_LEN..len).ok_or(ErrorKind::InvalidData)?;
        match kind {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => return refusal(body).map(|()| true),
            _ => answers.push(body.to_vec()),
        }
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The error number of `struct nlmsgerr`, which is negative; 0 stands for an acknowledgement.
fn refusal(body: &[u8]) -> Result<()> {
    let code = body.first_chunk().copied().map(i32::from_ne_bytes).ok_or(ErrorKind::InvalidData)?;
    if code == 0 { Ok(()) } else { Err(Error::from_raw_os_error(code.wrapping_neg())) }
}

/// One family of generic netlink.
#[derive(Debug)]
pub(crate) struct GenericFamily {
    netlink: Netlink,
    id: u16,
}

impl GenericFamily {
    /// Finds a family by its name.
    ///
    /// # Errors
    /// `ENOENT` where this kernel does not have it.
    pub(crate) fn named(name: &str) -> Result<Self> {
        /// `nlctrl`: the family that knows the others; its version.
        const CONTROL_VERSION: u8 = 2;
        let netlink = Netlink::open(SockProtocol::NetlinkGeneric)?;
        let mut terminated = name.as_bytes().to_vec();
        terminated.push(0);
        let request = Request::headed(&[libc::CTRL_CMD_GETFAMILY as u8, CONTROL_VERSION, 0, 0])
            .with(libc::CTRL_ATTR_FAMILY_NAME as u16, &terminated);
        let answers = netlink.ask(libc::GENL_ID_CTRL as u16, Extent::One, &request)?;
        let answer = answers.first().and_then(|answer| answer.get(SMALL_HEADER_LEN..));
        let id = answer.and_then(|answer| attribute(answer, libc::CTRL_ATTR_FAMILY_ID as u16));
        let id = id.and_then(|id| id.try_into().ok()).ok_or(ErrorKind::InvalidData)?;
        Ok(Self { netlink, id: u16::from_ne_bytes(id) })
    }

    /// Gives the attributes of each answer to a command.
    ///
    /// # Errors
    /// Those of [`Netlink::ask`].
    pub(crate) fn ask(&self, command: u8, extent: Extent, request: &Request) -> Result<Vec<Vec<u8>>> {
        let mut headed = Request::headed(&[command, 1, 0, 0]);
        headed.0.extend(&request.0);
        let answers = self.netlink.ask(self.id, extent, &headed)?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| answer.get(SMALL_HEADER_LEN..).map(<[u8]>::to_vec))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{GenericFamily, Request, attribute, attributes, number, take_messages};

    #[test]
    fn attributes_are_padded_and_nested() {
        let request = Request::default()
            .with(3, b"e\0")
            .with_nested(43, &Request::default().with(4, &7_u32.to_ne_bytes()));
        let expected =
            [6, 0, 3, 0, b'e', 0, 0, 0, 12, 0, 43, 0x80, 8, 0, 4, 0, 7, 0, 0, 0].map(|byte: u8| byte);
        #[cfg(target_endian = "little")]
        assert_eq!(request.0, expected);
        let nested = attribute(&request.0, 43).unwrap();
        assert_eq!(attribute(nested, 4).and_then(number), Some(7));
    }

    #[test]
    fn an_attribute_that_is_cut_off_ends_the_list() {
        let whole = Request::default().with(1, &[0; 4]).with(2, &[0; 4]).0;
        for len in 8..whole.len() {
            assert_eq!(attributes(&whole[..len]).count(), 1, "{len} bytes");
        }
        for len in 0..8 {
            assert_eq!(attributes(&whole[..len]).count(), 0, "{len} bytes");
        }
    }

    #[test]
    fn an_answer_with_an_error_number_is_that_error() {
        let mut message = vec![36, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend((-libc::ENODEV).to_ne_bytes());
        message.extend([0; 16]);
        let error = take_messages(&message, &mut Vec::new()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn a_message_longer_than_its_datagram_is_refused() {
        let message = [17, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(take_messages(&message, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_family_that_does_not_exist_is_not_found() {
        let error = GenericFamily::named("no-such-one").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
