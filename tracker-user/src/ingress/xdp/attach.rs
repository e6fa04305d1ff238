//! Attaching the program to one interface, and taking over what an earlier daemon left attached. A program that is not
//! ours is never replaced.

use super::causes;
use super::interfaces::Interface;
use super::link_info::{self, LinkInfo};
use crate::config::types::XdpAttach;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpLinkId};
use aya::programs::{ProgramError, Xdp, XdpMode, loaded_programs};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where links and maps are pinned.
pub(super) const PIN_DIRECTORY: &str = "/sys/fs/bpf/opentracker-xdp";

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the driver.
    Native,
    /// Before the network stack, for every driver.
    Generic,
    /// Where the daemon before this one had put it.
    TakenOver,
}

impl Place {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::TakenOver => "taken over",
        }
    }
}

/// Whether the program stays attached after this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// It goes with the process.
    Never,
    /// It stays, or goes where that cannot be had: once root is given up, the BPF file system takes no new pins.
    IfPossible,
    /// It stays, or it is an error.
    Always,
}

/// Why an interface has no program of ours.
#[derive(Debug, Error)]
pub enum AttachError {
    /// Another program is there.
    #[error(
        "interface {interface} already runs XDP program {name:?} (id {id}); detach it with `ip link set dev \
         {interface} xdp off`, or leave the interface out with xdp.interface"
    )]
    Occupied {
        /// The interface.
        interface: String,
        /// The kernel's number of the program.
        id: u32,
        /// Its name, as far as the kernel keeps it.
        name: String,
    },
    /// Another tracker is there, and lives.
    #[error(
        "interface {interface} is served by another opentracker-xdp; stop it, or leave the interface out with \
         xdp.interface"
    )]
    Claimed {
        /// The interface.
        interface: String,
    },
    /// The kernel or the driver refuses.
    #[error("interface {interface}: {error}; `opentracker-xdp doctor` says what stands in the way")]
    Refused {
        /// The interface.
        interface: String,
        /// What they say.
        error: String,
    },
}

/// An interface with the program attached.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) interface: Interface,
    pub(super) place: Place,
    /// Tells other daemons that this one lives.
    _claim: UnixDatagram,
    /// Detaches when it is dropped, and when the process ends in whatever way; a pinned one does not.
    _link: FdLink,
}

/// Attaches the program, or swaps it into the link that an earlier daemon pinned.
pub(super) fn attach(
    program: &mut Xdp,
    interface: &Interface,
    wanted: XdpAttach,
    pin: Pin,
) -> Result<Attached, AttachError> {
    let refused = |error: String| AttachError::Refused { interface: interface.name.clone(), error };
    let claim = claim_interface(interface)?;
    let taken_over = take_over(program, interface).map_err(|error| refused(format!("{error:#}")))?;
    let (link, place) = match taken_over {
        Some(link) => (link, Place::TakenOver),
        None => attach_anew(program, interface, wanted)?,
    };
    if pin == Pin::Never {
        return Ok(Attached { interface: interface.clone(), place, _claim: claim, _link: link });
    }
    let (link, place) = match pin_link(link, interface) {
        Ok(pinned) => (pinned, place),
        Err(error) if pin == Pin::Always => return Err(refused(format!("{error:#}"))),
        Err(error) => {
            log::warn!(
                "the program on {} goes with this daemon, it cannot be pinned: {error:#}",
                interface.name
            );
            attach_anew(program, interface, wanted)?
        }
    };
    Ok(Attached { interface: interface.clone(), place, _claim: claim, _link: link })
}

/// Claims something of this network namespace for the life of the claim. It is an abstract socket, so it ends with the
/// process in whatever way: what is pinned under a claim belongs to a daemon that lives, and is left alone.
pub(super) fn claim(what: &str) -> io::Result<UnixDatagram> {
    UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(format!("opentracker-xdp/{what}"))?)
}

fn claim_interface(interface: &Interface) -> Result<UnixDatagram, AttachError> {
    claim(&format!("{}/{}", interface.index, interface.name)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => AttachError::Claimed { interface: interface.name.clone() },
        _ => AttachError::Refused { interface: interface.name.clone(), error: error.to_string() },
    })
}

/// Swaps the program into a pinned link, without a moment in which none is attached. The pin is removed: whether this
/// daemon leaves one is its own decision.
fn take_over(program: &mut Xdp, interface: &Interface) -> anyhow::Result<Option<FdLink>> {
    let path = pin_path(interface);
    if !path.exists() {
        return Ok(None);
    }
    let link = match unpin(&path) {
        Ok(link) => link,
        // Root has been given up meanwhile, so this is no link of an earlier daemon but our own, to an interface that
        // was deleted since.
        Err(error) if is_permission_denied(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    match program.attach_to_link(link) {
        Ok(id) => own(program, id).map(Some),
        Err(error) => {
            // The interface was deleted since, so the link leads nowhere: it goes, and the program is attached anew.
            log::info!("the program left on {} cannot be taken over: {}", interface.name, causes(&error));
            Ok(None)
        }
    }
}

fn unpin(path: &Path) -> anyhow::Result<XdpLink> {
    Ok(XdpLink::try_from(PinnedLink::from_pin(path)?.unpin()?)?)
}

fn is_permission_denied(error: &anyhow::Error) -> bool {
    let mut systems = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    systems.any(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
}

fn attach_anew(
    program: &mut Xdp,
    interface: &Interface,
    wanted: XdpAttach,
) -> Result<(FdLink, Place), AttachError> {
    let refused = |error: String| AttachError::Refused { interface: interface.name.clone(), error };
    let info = link_info::of(interface.index).map_err(|error| refused(error.to_string()))?;
    if let Some(id) = info.program_id {
        return Err(AttachError::Occupied { interface: interface.name.clone(), id, name: name_of(id) });
    }
    let mut reasons = Vec::new();
    for place in ladder(wanted, &info) {
        let mode = if *place == Place::Native { XdpMode::Driver } else { XdpMode::Skb };
        match program.attach_to_if_index(interface.index, mode) {
            Ok(id) => {
                if *place == Place::Native && info.kind.as_deref() == Some("veth") {
                    log::warn!(
                        "native XDP on {}: on a veth its answers are lost unless the peer runs an XDP program too",
                        interface.name
                    );
                }
                let link = own(program, id).map_err(|error| refused(format!("{error:#}")))?;
                return Ok((link, *place));
            }
            Err(error) => {
                reasons.push(format!("{}: {}", place.name(), causes(&error)));
                if !goes_on(&error) {
                    break;
                }
            }
        }
    }
    Err(refused(reasons.join("; ")))
}

/// The places to try, best first.
fn ladder(wanted: XdpAttach, info: &LinkInfo) -> &'static [Place] {
    match wanted {
        XdpAttach::Native => &[Place::Native],
        XdpAttach::Generic => &[Place::Generic],
        XdpAttach::Auto if info.kind.as_deref() == Some("veth") => &[Place::Generic],
        XdpAttach::Auto => &[Place::Native, Place::Generic],
    }
}

/// Whether the next place may do what this one cannot: no driver support, no memory for its queues, too large an MTU.
fn goes_on(error: &ProgramError) -> bool {
    match error {
        ProgramError::SyscallError(error) => matches!(
            error.io_error.raw_os_error(),
            Some(libc::EOPNOTSUPP | libc::ENOMEM | libc::ERANGE | libc::EINVAL)
        ),
        // Older kernels are asked over netlink after they have refused a link with EINVAL.
        ProgramError::XdpError(_) => true,
        _ => false,
    }
}

/// The link as ours to keep. One without a descriptor would stay attached after this process: it is refused.
fn own(program: &mut Xdp, id: XdpLinkId) -> anyhow::Result<FdLink> {
    Ok(FdLink::try_from(program.take_link(id)?)?)
}

fn pin_link(link: FdLink, interface: &Interface) -> anyhow::Result<FdLink> {
    std::fs::create_dir_all(PIN_DIRECTORY)?;
    Ok(link.pin(pin_path(interface))?.into())
}

/// Where the link of an interface is pinned. Network namespaces may share the file system and names of interfaces, so the
/// namespace's own number is part of it.
fn pin_path(interface: &Interface) -> PathBuf {
    Path::new(PIN_DIRECTORY).join(format!("link-{}-{}", network_namespace(), interface.name))
}

/// The links of this network namespace that an earlier daemon has left pinned.
pub(super) fn left_behind() -> Vec<PathBuf> {
    let own = format!("link-{}-", network_namespace());
    let entries = std::fs::read_dir(PIN_DIRECTORY).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&own))
        .map(|entry| entry.path())
        .collect()
}

/// The number of this network namespace; 0 where there is no /proc to say it.
pub(super) fn network_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/net").map_or(0, |namespace| namespace.ino())
}

fn name_of(id: u32) -> String {
    let found = loaded_programs().flatten().find(|program| program.id() == id);
    found.and_then(|program| program.name_as_str().map(str::to_owned)).unwrap_or_default()
}
