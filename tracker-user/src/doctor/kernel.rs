//! The kernel: whether its version, its types and its BPF machine are what the XDP program needs.

use super::finding::{Finding, Hinders};
use super::host::Host;
use socket2::{Domain, Socket, Type};
use std::io;

const AREA: &str = "kernel";

/// A program for packets in several buffers (`BPF_F_XDP_HAS_FRAGS`) came with this version.
const OLDEST_FOR_XDP: Version = Version { major: 5, minor: 18 };
/// Interfaces say what they can do (`xdp-features` of the netdev family) from this version on.
const OLDEST_WITH_FEATURES: Version = Version { major: 6, minor: 3 };

/// The first two numbers of a kernel's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// Reads the beginning of a release such as `6.12.9-amd64`.
    pub(super) fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|character: char| !character.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        Some(Self { major, minor })
    }

    /// The version of this host's kernel.
    pub(super) fn of(host: &Host) -> Option<Self> {
        Self::parse(&host.proc("sys/kernel/osrelease")?)
    }
}

/// Everything about the kernel.
pub(super) fn examine(host: &Host) -> Vec<Finding> {
    vec![version(host), types(host), bpf(host), compiler(host)]
}

fn version(host: &Host) -> Finding {
    const SUBJECT: &str = "version";
    let release = host.proc("sys/kernel/osrelease").unwrap_or_default();
    let Some(version) = Version::parse(&release) else {
        return Finding::warning(AREA, SUBJECT, format!("{release:?} is no version that can be read"));
    };
    if version < OLDEST_FOR_XDP {
        let says = format!("Linux {release}: the XDP program needs 5.18 or later");
        let mend = "install a newer kernel; until then: --mode socket";
        return Finding::obstacle(AREA, SUBJECT, Hinders::Xdp, says).mended_by(mend);
    }
    if version < OLDEST_WITH_FEATURES {
        let says = format!("Linux {release}; interfaces tell what XDP they can do from 6.3 on");
        return Finding::ok(AREA, SUBJECT, says);
    }
    Finding::ok(AREA, SUBJECT, format!("Linux {release}"))
}

fn types(host: &Host) -> Finding {
    const SUBJECT: &str = "BTF";
    if host.has_sys("kernel/btf/vmlinux") {
        return Finding::ok(AREA, SUBJECT, "the kernel describes its types");
    }
    let says = "/sys/kernel/btf/vmlinux is missing: the program loads, but without names for debugging";
    Finding::warning(AREA, SUBJECT, says).mended_by("install a kernel built with CONFIG_DEBUG_INFO_BTF=y")
}

/// The setting exists wherever the system call does.
fn bpf(host: &Host) -> Finding {
    const SUBJECT: &str = "kernel.unprivileged_bpf_disabled";
    match host.sysctl("kernel/unprivileged_bpf_disabled") {
        None => Finding::obstacle(
            AREA,
            SUBJECT,
            Hinders::Xdp,
            "the setting is missing, and so is bpf(2): no XDP program can be loaded",
        )
        .mended_by("install a kernel built with CONFIG_BPF_SYSCALL=y; until then: --mode socket"),
        Some(0) => {
            let says = "0: everyone may load programs of some types; the tracker has no use for that";
            Finding::warning(AREA, SUBJECT, says).mended_by("sysctl -w kernel.unprivileged_bpf_disabled=2")
        }
        Some(value) => Finding::ok(AREA, SUBJECT, format!("{value}: loading takes CAP_BPF")),
    }
}

fn compiler(host: &Host) -> Finding {
    const SUBJECT: &str = "net.core.bpf_jit_enable";
    match host.sysctl("net/core/bpf_jit_enable") {
        None => {
            let says = "not shown in this network namespace; it is the whole host's setting";
            Finding::ok(AREA, SUBJECT, says)
        }
        Some(0) => Finding::warning(AREA, SUBJECT, "0: programs are interpreted, several times as slow")
            .mended_by("sysctl -w net.core.bpf_jit_enable=1"),
        Some(value) => Finding::ok(AREA, SUBJECT, format!("{value}: programs are compiled")),
    }
}

/// Whether an AF_XDP socket can be opened: one is opened, and closed at once.
pub(super) fn examine_af_xdp() -> Finding {
    af_xdp(Socket::new(Domain::from(libc::AF_XDP), Type::RAW, None).map(drop))
}

fn af_xdp(opened: io::Result<()>) -> Finding {
    const SUBJECT: &str = "AF_XDP";
    let Err(error) = opened else {
        return Finding::ok(AREA, SUBJECT, "sockets can be opened");
    };
    let finding = match error.raw_os_error() {
        Some(libc::EPERM) => Finding::warning(AREA, SUBJECT, "opening a socket takes CAP_NET_RAW"),
        Some(libc::EAFNOSUPPORT) => Finding::warning(AREA, SUBJECT, "this kernel has no such sockets")
            .mended_by("install a kernel built with CONFIG_XDP_SOCKETS=y"),
        _ => Finding::warning(AREA, SUBJECT, format!("a socket cannot be opened: {error}")),
    };
    finding.hindering(Hinders::AfXdp)
}
