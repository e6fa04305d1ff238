//! What `--mode auto` would choose for an interface, and why: the ladder of the start, walked down without a step.

use super::finding::{Finding, Hinders};
use super::links::{Interface, XdpFeatures};
use crate::config::types::{Mode, XdpAttach};
use serde::Serialize;

/// What the program was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// It contains the XDP program.
    pub xdp: bool,
    /// It receives through AF_XDP sockets.
    pub af_xdp: bool,
}

/// How packets would come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Native XDP, and AF_XDP sockets that share the card's memory.
    ZeroCopy,
    /// Native XDP, and AF_XDP sockets with a copy per packet.
    Copy,
    /// Native XDP in front of UDP sockets.
    Native,
    /// Generic XDP in front of UDP sockets.
    Generic,
    /// XDP in front of UDP sockets; only the start shows whether native or generic.
    NativeOrGeneric,
    /// UDP sockets.
    Sockets,
}

impl Way {
    /// The mode of the configuration that stands for it.
    pub(super) const fn mode(self) -> &'static str {
        match self {
            Self::ZeroCopy | Self::Copy => "xsk",
            Self::Native | Self::Generic | Self::NativeOrGeneric => "xdp",
            Self::Sockets => "socket",
        }
    }

    /// Where the program would be attached.
    pub(super) const fn attach(self) -> Option<&'static str> {
        match self {
            Self::ZeroCopy | Self::Copy | Self::Native => Some("native"),
            Self::Generic => Some("generic"),
            Self::NativeOrGeneric => Some("native or generic"),
            Self::Sockets => None,
        }
    }

    /// How AF_XDP sockets would be bound.
    pub(super) const fn af_xdp(self) -> Option<&'static str> {
        match self {
            Self::ZeroCopy => Some("zero-copy"),
            Self::Copy => Some("copy"),
            Self::Native | Self::Generic | Self::NativeOrGeneric | Self::Sockets => None,
        }
    }
}

/// The way in on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Choice {
    /// The interface's name.
    pub interface: String,
    /// `xsk`, `xdp` or `socket`.
    pub mode: &'static str,
    /// `native`, `generic` or `native or generic`.
    pub attach: Option<&'static str>,
    /// `zero-copy` or `copy`.
    pub af_xdp: Option<&'static str>,
    /// Why it is no better.
    pub reason: String,
}

/// What the choice rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grounds<'a> {
    /// What was asked for.
    pub mode: Mode,
    /// Where the program was asked to run.
    pub attach: XdpAttach,
    /// What the program can do.
    pub build: Build,
    /// What was found about the host.
    pub host: &'a [Finding],
    /// Whether interfaces were named: only then is the loopback interface meant.
    pub is_named: bool,
}

/// The way in on `interface`, about which `findings` were made.
pub(super) fn choose(grounds: Grounds<'_>, interface: &Interface, findings: &[Finding]) -> Choice {
    let (way, reason) = match sockets_alone(grounds, interface, findings) {
        Some(reason) => (Way::Sockets, reason),
        None => with_xdp(grounds, interface, findings),
    };
    Choice {
        interface: interface.name.clone(),
        mode: way.mode(),
        attach: way.attach(),
        af_xdp: way.af_xdp(),
        reason,
    }
}

/// Why no XDP program would be attached.
fn sockets_alone(grounds: Grounds<'_>, interface: &Interface, findings: &[Finding]) -> Option<String> {
    if grounds.mode == Mode::Socket {
        return Some("mode socket was asked for".to_owned());
    }
    if !grounds.build.xdp {
        return Some("this build contains no XDP program".to_owned());
    }
    if interface.is_loopback && !grounds.is_named {
        return Some("the loopback interface is left out unless it is named".to_owned());
    }
    hindrance(grounds.host, Hinders::Xdp).or_else(|| hindrance(findings, Hinders::Xdp))
}

fn with_xdp(grounds: Grounds<'_>, interface: &Interface, findings: &[Finding]) -> (Way, String) {
    let Some(features) = interface.xdp_features else {
        return (Way::NativeOrGeneric, "the kernel does not say what the driver can do".to_owned());
    };
    if let Some(reason) = hindrance(findings, Hinders::NativeXdp) {
        return (Way::Generic, reason);
    }
    if grounds.attach == XdpAttach::Generic {
        return (Way::Generic, "xdp.attach asks for it".to_owned());
    }
    if grounds.attach == XdpAttach::Auto && interface.driver.as_deref() == Some("veth") {
        return (
            Way::Generic,
            "on a veth, native XDP loses its answers unless the peer runs a program too".to_owned(),
        );
    }
    if !features.has(XdpFeatures::BASIC) {
        return (Way::Generic, "the driver has no native XDP".to_owned());
    }
    if !grounds.build.af_xdp {
        return (Way::Native, "this build does not receive through AF_XDP".to_owned());
    }
    if let Some(reason) = hindrance(grounds.host, Hinders::AfXdp) {
        return (Way::Native, reason);
    }
    if let Some(reason) = hindrance(findings, Hinders::AfXdp) {
        return (Way::Native, reason);
    }
    if !features.has(XdpFeatures::REDIRECT) {
        return (Way::Native, "the driver does not hand packets to AF_XDP sockets".to_owned());
    }
    if !features.has(XdpFeatures::ZERO_COPY) {
        return (Way::Copy, "the driver does not share its memory with AF_XDP sockets".to_owned());
    }
    (Way::ZeroCopy, "the host offers all of it".to_owned())
}

fn hindrance(findings: &[Finding], hinders: Hinders) -> Option<String> {
    let finding = findings.iter().find(|finding| finding.hinders == Some(hinders))?;
    Some(format!("{}: {}", finding.subject, finding.says))
}
