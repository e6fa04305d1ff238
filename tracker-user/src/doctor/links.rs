//! What the kernel says about each interface of this network namespace: facts, without a judgement.
//!
//! Asked over netlink, since `/sys/class/net` may show another namespace. Only what netlink does not have (the driver
//! and the queues in use) is read there, and only where it is the same interface.

use super::host::Host;
use crate::netlink::ethtool::{CardRings, Ethtool};
use crate::netlink::{Extent, GenericFamily, Netlink, Request, attribute, long_number, number, text};
use aya::programs::loaded_programs;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Result;

/// Attributes of `RTM_NEWLINK` (linux/if_link.h).
mod link {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const NAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const LINK: u16 = 5;
    pub(super) const INFO: u16 = 18;
    pub(super) const INFO_KIND: u16 = 1;
    pub(super) const TRANSMIT_QUEUES: u16 = 31;
    pub(super) const RECEIVE_QUEUES: u16 = 32;
    pub(super) const LINK_NAMESPACE: u16 = 37;
    pub(super) const XDP: u16 = 43;
    pub(super) const XDP_NATIVE_PROGRAM: u16 = 5;
    pub(super) const XDP_GENERIC_PROGRAM: u16 = 6;
    pub(super) const XDP_OFFLOADED_PROGRAM: u16 = 7;
}

/// The family `netdev` (linux/netdev.h), Linux 6.3.
mod netdev {
    pub(super) const GET: u8 = 1;
    pub(super) const INDEX: u16 = 1;
    pub(super) const XDP_FEATURES: u16 = 3;
    pub(super) const ZERO_COPY_SEGMENTS: u16 = 4;
}

/// What an interface's driver can do with XDP (`enum netdev_xdp_act`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct XdpFeatures(pub u64);

impl XdpFeatures {
    /// Runs a program in the driver, and sends back what it answers.
    pub(super) const BASIC: u64 = 1;
    /// Hands packets to AF_XDP sockets and other interfaces.
    pub(super) const REDIRECT: u64 = 1 << 1;
    /// AF_XDP sockets share the card's memory.
    pub(super) const ZERO_COPY: u64 = 1 << 3;
    /// Packets may lie in several buffers.
    pub(super) const FRAGMENTS: u64 = 1 << 5;

    /// Whether all of these are there.
    pub(super) const fn has(self, features: u64) -> bool {
        self.0 & features == features
    }
}

/// Where an attached program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the driver.
    Native,
    /// Behind the driver.
    Generic,
    /// On the card.
    Offloaded,
}

impl Place {
    /// The word in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offloaded => "offloaded",
        }
    }

    /// The keyword of ip-link(8) by which a program there is removed.
    pub(super) const fn ip_keyword(self) -> &'static str {
        match self {
            Self::Native => "xdpdrv",
            Self::Generic => "xdpgeneric",
            Self::Offloaded => "xdpoffload",
        }
    }
}

/// An XDP program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    /// The program's id.
    pub id: u32,
    /// Its name; `None`: it has none, or it may not be asked for.
    pub name: Option<String>,
    /// Where it runs.
    pub place: Place,
}

/// The other end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// In this network namespace.
    Here {
        /// Its name.
        name: String,
        /// Whether it takes what an XDP program sends.
        takes_answers: bool,
    },
    /// In another network namespace, which cannot be looked into from here.
    Elsewhere,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Whether it is up.
    pub is_up: bool,
    /// Whether it is the loopback interface.
    pub is_loopback: bool,
    /// The largest packet in bytes, without the Ethernet header.
    pub mtu_bytes: u32,
    /// The driver, or the kind of a virtual interface.
    pub driver: Option<String>,
    /// Receive queues in use.
    pub receive_queues: u32,
    /// Transmit queues in use.
    pub transmit_queues: u32,
    /// What its driver can do; `None`: the kernel does not say.
    pub xdp_features: Option<XdpFeatures>,
    /// Buffers of one packet at most that AF_XDP carries without copying; `None`: it does not, or the kernel does not say.
    pub zero_copy_segments: Option<u32>,
    /// The card's rings; `None`: it has none, or the kernel does not say.
    pub rings: Option<CardRings>,
    /// XDP programs on it.
    pub attached: Vec<Attached>,
    /// The names of active offloads, such as `rx-lro`; `None`: the kernel does not say.
    pub offloads: Option<BTreeSet<String>>,
    /// Of a veth: the other end.
    pub peer: Option<Peer>,
}

/// One answer of `RTM_GETLINK`.
struct Link {
    index: u32,
    flags: u32,
    attributes: Vec<u8>,
}

impl Link {
    fn parse(message: &[u8]) -> Option<Self> {
        // struct ifinfomsg: the index in bytes 4–7, the flags behind it.
        let attributes = message.get(size_of::<libc::ifinfomsg>()..)?.to_vec();
        let index = number(message.get(4..8)?)?;
        let flags = number(message.get(8..12)?)?;
        Some(Self { index, flags, attributes })
    }

    fn number(&self, kind: u16) -> Option<u32> {
        attribute(&self.attributes, kind).and_then(number)
    }

    fn name(&self) -> String {
        attribute(&self.attributes, link::NAME).map(text).unwrap_or_default()
    }

    fn kind(&self) -> Option<String> {
        let info = attribute(&self.attributes, link::INFO)?;
        attribute(info, link::INFO_KIND).map(text)
    }

    fn has_flag(&self, flag: i32) -> bool {
        self.flags & flag.cast_unsigned() != 0
    }
}

/// Every interface of this network namespace.
///
/// # Errors
/// Where the kernel cannot be asked over rtnetlink(7).
pub(super) fn list(host: &Host) -> Result<Vec<Interface>> {
    let request = Request::headed(&[0; size_of::<libc::ifinfomsg>()]);
    let answers = Netlink::route()?.ask(libc::RTM_GETLINK, Extent::All, &request)?;
    let links: Vec<Link> = answers.iter().filter_map(|answer| Link::parse(answer)).collect();
    let surroundings = Surroundings { host, features: xdp_features(), ethtool: Ethtool::new().ok() };
    Ok(links.iter().map(|link| surroundings.interface(link, &links)).collect())
}

/// What each interface's description draws on.
struct Surroundings<'host> {
    host: &'host Host,
    /// By index; empty on a kernel that does not tell.
    features: BTreeMap<u32, NetDevice>,
    ethtool: Option<Ethtool>,
}

impl Surroundings<'_> {
    fn interface(&self, link: &Link, links: &[Link]) -> Interface {
        let name = link.name();
        let directory = self.sys_directory(link, &name);
        let driver =
            directory.as_ref().and_then(|path| self.host.sys_link_name(&format!("{path}/device/driver")));
        let (receive_queues, transmit_queues) = self.queues(link, directory.as_deref());
        Interface {
            index: link.index,
            is_up: link.has_flag(libc::IFF_UP),
            is_loopback: link.has_flag(libc::IFF_LOOPBACK),
            mtu_bytes: link.number(link::MTU).unwrap_or_default(),
            receive_queues,
            transmit_queues,
            driver: driver.or_else(|| link.kind()),
            xdp_features: self.features.get(&link.index).map(|device| device.features),
            zero_copy_segments: self.features.get(&link.index).and_then(|device| device.zero_copy_segments),
            rings: self.ethtool.as_ref().and_then(|ethtool| ethtool.rings(link.index)),
            attached: attached(link),
            offloads: self.ethtool.as_ref().and_then(|ethtool| ethtool.active_offloads(link.index)),
            peer: self.peer(link, links),
            name,
        }
    }

    /// Queues in use to receive and to transmit, from the first that knows them: `/sys`, the driver, or else what
    /// the interface was made with, in use or not.
    fn queues(&self, link: &Link, directory: Option<&str>) -> (u32, u32) {
        if let Some(names) = directory.and_then(|path| self.host.sys_names(&format!("{path}/queues"))) {
            let count = |prefix: &str| names.iter().filter(|name| name.starts_with(prefix)).count() as u32;
            return (count("rx-"), count("tx-"));
        }
        let made_with = |kind| link.number(kind).unwrap_or(1);
        match self.ethtool.as_ref().and_then(|ethtool| ethtool.channels(link.index)) {
            Some(channels) => (channels.receive, channels.transmit),
            None => (made_with(link::RECEIVE_QUEUES), made_with(link::TRANSMIT_QUEUES)),
        }
    }

    /// Its directory below `/sys`, if that is this interface and not a namesake in another namespace.
    fn sys_directory(&self, link: &Link, name: &str) -> Option<String> {
        let directory = format!("class/net/{name}");
        let index = self.host.sys(&format!("{directory}/ifindex"))?;
        let address = self.host.sys(&format!("{directory}/address"))?;
        let bytes = attribute(&link.attributes, link::ADDRESS).unwrap_or_default();
        let expected: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_same = index.parse() == Ok(link.index) && address == expected.join(":");
        is_same.then_some(directory)
    }

    fn peer(&self, link: &Link, links: &[Link]) -> Option<Peer> {
        if link.kind().as_deref() != Some("veth") {
            return None;
        }
        let index = link.number(link::LINK)?;
        let is_elsewhere = attribute(&link.attributes, link::LINK_NAMESPACE).is_some();
        let peer = links.iter().find(|other| other.index == index).filter(|_| !is_elsewhere);
        Some(peer.map_or(Peer::Elsewhere, |peer| Peer::Here {
            name: peer.name(),
            takes_answers: takes_answers(peer),
        }))
    }
}

/// A veth looks for what another's XDP program has sent it only when it runs a program in its own driver; GRO gives it
/// the queue for that, but nobody wakes it up.
fn takes_answers(veth: &Link) -> bool {
    attached(veth).iter().any(|attached| attached.place == Place::Native)
}

/// What the family `netdev` says of an interface.
#[derive(Clone, Copy, Debug)]
struct NetDevice {
    features: XdpFeatures,
    zero_copy_segments: Option<u32>,
}

/// By interface index; empty where the kernel does not have the family.
fn xdp_features() -> BTreeMap<u32, NetDevice> {
    let answers = GenericFamily::named("netdev")
        .and_then(|family| family.ask(netdev::GET, Extent::All, &Request::default()))
        .unwrap_or_default();
    let features = answers.iter().filter_map(|answer| {
        let index = attribute(answer, netdev::INDEX).and_then(number)?;
        let features = attribute(answer, netdev::XDP_FEATURES).and_then(long_number)?;
        let zero_copy_segments = attribute(answer, netdev::ZERO_COPY_SEGMENTS).and_then(number);
        Some((index, NetDevice { features: XdpFeatures(features), zero_copy_segments }))
    });
    features.collect()
}

/// The program in each place: a kernel names them one by one (Linux 4.19).
fn attached(link: &Link) -> Vec<Attached> {
    let Some(xdp) = attribute(&link.attributes, link::XDP) else { return Vec::new() };
    let places = [
        (link::XDP_NATIVE_PROGRAM, Place::Native),
        (link::XDP_GENERIC_PROGRAM, Place::Generic),
        (link::XDP_OFFLOADED_PROGRAM, Place::Offloaded),
    ];
    let found = places.into_iter().filter_map(|(kind, place)| {
        let id = attribute(xdp, kind).and_then(number)?;
        Some(Attached { id, name: program_name(id), place })
    });
    found.collect()
}

/// Takes CAP_SYS_ADMIN, or CAP_BPF on newer kernels.
fn program_name(id: u32) -> Option<String> {
    let program = loaded_programs().flatten().find(|program| program.id() == id)?;
    program.name_as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Host, list};

    #[test]
    fn the_loopback_interface_is_described() {
        let interfaces = list(&Host::this()).unwrap();
        let loopback = interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert!(loopback.is_loopback);
        assert!(loopback.mtu_bytes >= 1280, "{loopback:?}");
        assert!(loopback.receive_queues >= 1 && loopback.transmit_queues >= 1, "{loopback:?}");
        assert_eq!(loopback.peer, None);
    }
}
