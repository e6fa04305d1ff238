//! Limits on memory: what waiting packets may take, and what BPF maps may lock.

use super::capabilities;
use super::finding::{Finding, Hinders};
use super::host::Host;
use super::kernel::Version;
use crate::config::types::Config;

const AREA: &str = "limits";

/// From this version on, BPF maps are charged to a control group and no longer to the limit of locked memory.
const FIRST_WITHOUT_LOCKED_MAPS: Version = Version { major: 5, minor: 11 };

/// Everything about limits.
pub(super) fn examine(host: &Host, config: &Config) -> Vec<Finding> {
    vec![receive_buffer(host, config), locked_memory(host)]
}

/// `SO_RCVBUF` is cut to this limit without a word.
fn receive_buffer(host: &Host, config: &Config) -> Finding {
    const SUBJECT: &str = "net.core.rmem_max";
    let wanted_bytes = u64::from(config.udp.receive_buffer_bytes);
    let Some(most_bytes) = host.sysctl("net/core/rmem_max") else {
        let says = "not shown in this network namespace; it is the whole host's setting";
        return Finding::ok(AREA, SUBJECT, says);
    };
    if wanted_bytes == 0 {
        let default = host.sysctl("net/core/rmem_default").unwrap_or(most_bytes);
        let says = format!("udp.receive_buffer_bytes leaves it to the kernel: {default} bytes a socket");
        return Finding::ok(AREA, SUBJECT, says);
    }
    if most_bytes >= wanted_bytes {
        let says = format!("{most_bytes} bytes; udp.receive_buffer_bytes asks for {wanted_bytes}");
        return Finding::ok(AREA, SUBJECT, says);
    }
    let says = format!(
        "{most_bytes} bytes, but udp.receive_buffer_bytes asks for {wanted_bytes}: \
         bursts that would have waited are lost"
    );
    Finding::warning(AREA, SUBJECT, says).mended_by(format!("sysctl -w net.core.rmem_max={wanted_bytes}"))
}

fn locked_memory(host: &Host) -> Finding {
    const SUBJECT: &str = "RLIMIT_MEMLOCK";
    let soft = locked_memory_soft_limit(host);
    let shown = soft.as_deref().unwrap_or("unknown");
    if Version::of(host).is_none_or(|version| version >= FIRST_WITHOUT_LOCKED_MAPS) {
        return Finding::ok(AREA, SUBJECT, format!("{shown}: maps are not charged to it from Linux 5.11 on"));
    }
    if shown == "unlimited" {
        return Finding::ok(AREA, SUBJECT, "unlimited");
    }
    let says = format!("{shown} bytes: before Linux 5.11, maps of a BPF program need more");
    Finding::obstacle(AREA, SUBJECT, Hinders::Xdp, says)
        .mended_by("ulimit -l unlimited   (systemd: LimitMEMLOCK=infinity)")
}

/// Bytes of locked memory that this process may have, once it has raised its limit as far as it may; `None`: as many as
/// it likes.
pub(super) fn lockable_bytes(host: &Host) -> Option<u64> {
    if capabilities::may_lock_memory(host) {
        return None;
    }
    let limits = host.proc("self/limits")?;
    let columns = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    // The limits themselves, soft and hard; the soft one may be raised to the other.
    columns.split_whitespace().nth(1)?.parse().ok()
}

/// The first of the two limits in `/proc/self/limits`: bytes, or `unlimited`.
fn locked_memory_soft_limit(host: &Host) -> Option<String> {
    let limits = host.proc("self/limits")?;
    let columns = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    columns.split_whitespace().next().map(str::to_owned)
}
