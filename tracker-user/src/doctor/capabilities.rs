//! What this process may do: the capabilities that the start needs before the daemon gives them up.

use super::finding::{Finding, Hinders};
use super::host::Host;
use crate::config::types::Config;

const AREA: &str = "capabilities";

/// Ports below this one are for the privileged, unless the kernel is told otherwise.
const FIRST_UNPRIVILEGED_PORT: u64 = 1024;

/// Capabilities by their bit in `CapEff` (capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Capability {
    NetBindService = 10,
    NetAdmin = 12,
    NetRaw = 13,
    IpcLock = 14,
    SysAdmin = 21,
    SysResource = 24,
    Perfmon = 38,
    Bpf = 39,
}

impl Capability {
    const fn name(self) -> &'static str {
        match self {
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::IpcLock => "CAP_IPC_LOCK",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

/// A process's effective capabilities.
#[derive(Clone, Copy, Debug)]
struct Effective(u64);

impl Effective {
    /// From `/proc/self/status`.
    fn of(host: &Host) -> Option<Self> {
        let status = host.proc("self/status")?;
        let digits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(digits.trim(), 16).ok().map(Self)
    }

    const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u32) != 0
    }

    /// CAP_SYS_ADMIN stands for what was split off from it in Linux 5.8.
    const fn has_or_admin(self, capability: Capability) -> bool {
        self.has(capability) || self.has(Capability::SysAdmin)
    }
}

/// Everything about this process's rights. `program` is the file to give capabilities to.
pub(super) fn examine(host: &Host, config: &Config, program: &str) -> Vec<Finding> {
    let Some(effective) = Effective::of(host) else {
        return vec![Finding::warning(AREA, "effective", "/proc/self/status does not tell them")];
    };
    let mut findings = vec![
        load(effective, program),
        attach(effective, program),
        verify(effective, program),
        admin(effective),
        af_xdp(effective, program),
    ];
    findings.push(low_ports(host, config, effective, program));
    findings.extend(user_namespace(host));
    findings
}

/// Whether the limit of locked memory does not hold for this process, or it may raise it.
pub(super) fn may_lock_memory(host: &Host) -> bool {
    let effective = Effective::of(host).unwrap_or(Effective(0));
    effective.has(Capability::IpcLock) || effective.has(Capability::SysResource)
}

fn granted(program: &str) -> String {
    let set = "cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon,cap_net_bind_service";
    format!("setcap {set}+ep {program}   (or start as root: it is given up after the start)")
}

fn load(effective: Effective, program: &str) -> Finding {
    let subject = Capability::Bpf.name();
    if effective.has_or_admin(Capability::Bpf) {
        return Finding::ok(AREA, subject, "may load the XDP program");
    }
    Finding::obstacle(AREA, subject, Hinders::Xdp, "missing: the XDP program cannot be loaded")
        .mended_by(granted(program))
}

fn attach(effective: Effective, program: &str) -> Finding {
    let subject = Capability::NetAdmin.name();
    if effective.has(Capability::NetAdmin) {
        return Finding::ok(AREA, subject, "may attach the XDP program to an interface");
    }
    Finding::obstacle(AREA, subject, Hinders::Xdp, "missing: no XDP program can be attached")
        .mended_by(granted(program))
}

fn verify(effective: Effective, program: &str) -> Finding {
    let subject = Capability::Perfmon.name();
    if effective.has_or_admin(Capability::Perfmon) {
        return Finding::ok(AREA, subject, "the program is loaded as it was compiled");
    }
    let says = "missing: the kernel adds barriers against speculation to the program, or may refuse it";
    Finding::warning(AREA, subject, says).mended_by(granted(program))
}

fn admin(effective: Effective) -> Finding {
    let subject = Capability::SysAdmin.name();
    if effective.has(Capability::SysAdmin) {
        Finding::ok(AREA, subject, "stands for CAP_BPF and CAP_PERFMON too")
    } else {
        Finding::ok(AREA, subject, "missing, and not needed beside CAP_BPF")
    }
}

fn af_xdp(effective: Effective, program: &str) -> Finding {
    let subject = Capability::NetRaw.name();
    if effective.has(Capability::NetRaw) {
        return Finding::ok(AREA, subject, "may open AF_XDP sockets");
    }
    Finding::warning(AREA, subject, "missing: no AF_XDP sockets, so announces come through UDP sockets")
        .hindering(Hinders::AfXdp)
        .mended_by(granted(program))
}

fn low_ports(host: &Host, config: &Config, effective: Effective, program: &str) -> Finding {
    let subject = Capability::NetBindService.name();
    let first = host.sysctl("net/ipv4/ip_unprivileged_port_start").unwrap_or(FIRST_UNPRIVILEGED_PORT);
    let lowest = config.listeners().iter().map(|line| line.address.port()).filter(|port| *port != 0).min();
    let lowest = lowest.filter(|port| u64::from(*port) < first);
    match (lowest, effective.has(Capability::NetBindService)) {
        (_, true) => Finding::ok(AREA, subject, "may listen on every port"),
        (None, false) => Finding::ok(AREA, subject, "missing, and not needed for these ports"),
        (Some(port), false) => {
            let says = format!("missing: cannot listen on port {port}, as it is below {first}");
            Finding::obstacle(AREA, subject, Hinders::Start, says).mended_by(granted(program))
        }
    }
}

/// In a user namespace, even all capabilities hold only for what belongs to it; bpf(2) asks for those of the host.
fn user_namespace(host: &Host) -> Option<Finding> {
    let map = host.proc("self/uid_map")?;
    let ranges: Vec<&str> = map.split_whitespace().collect();
    if ranges == ["0", "0", "4294967295"] {
        return None;
    }
    let says = "this process is in a user namespace: its capabilities do not hold for bpf(2)";
    let mend = "start it outside of the user namespace (for a container: without user remapping)";
    Some(Finding::obstacle(AREA, "user namespace", Hinders::Xdp, says).mended_by(mend))
}
