//! What AF_XDP takes of an interface and of this process: a link without fragments, sockets for its queues, memory for
//! their frames, and rings of the card.

use super::finding::{Finding, Hinders};
use super::host::Host;
use super::limits;
use super::links::{Interface, XdpFeatures};
use crate::config::types::{Config, XskConfig};
use crate::ingress::xsk::{FRAME_LEN, MIN_MTU};

const AREA: &str = "interface";

/// Frames of a socket for each entry of its rings: one on its way in, one on its way out.
const FRAMES_PER_ENTRY: u64 = 2;

/// Everything that bears on AF_XDP; nothing where the driver has none.
pub(super) fn examine(host: &Host, config: &Config, interface: &Interface) -> Vec<Finding> {
    let has_af_xdp = |features: XdpFeatures| features.has(XdpFeatures::BASIC | XdpFeatures::REDIRECT);
    if interface.is_loopback || !interface.xdp_features.is_some_and(has_af_xdp) {
        return Vec::new();
    }
    let mut findings = vec![queues(&config.xsk, interface), memory(host, &config.xsk, interface)];
    findings.extend(small_packets(interface));
    findings.extend(rings(&config.xsk, interface));
    findings
}

/// Queues that get a socket.
fn served(config: &XskConfig, interface: &Interface) -> u32 {
    match config.queues {
        0 => interface.receive_queues,
        queues => interface.receive_queues.min(queues.into()),
    }
}

fn queues(config: &XskConfig, interface: &Interface) -> Finding {
    let (name, all, served) = (&interface.name, interface.receive_queues, served(config, interface));
    if served == all {
        return Finding::ok(AREA, name, format!("AF_XDP: a socket and a thread for each of {all} queues"));
    }
    let says = format!(
        "AF_XDP: xsk.queues has {served} of {all} queues served, and leaves the others to UDP sockets"
    );
    let mend = format!("xsk.queues=0, or fewer queues: ethtool -L {name} combined {served} (or rx {served})");
    Finding::warning(AREA, name, says).mended_by(mend)
}

/// Root's sockets are not charged for their frames, nor those of CAP_IPC_LOCK; others are, from the first byte.
fn memory(host: &Host, config: &XskConfig, interface: &Interface) -> Finding {
    let name = &interface.name;
    let queues = u64::from(served(config, interface));
    let bytes = queues * u64::from(config.ring_size) * FRAMES_PER_ENTRY * FRAME_LEN as u64;
    let takes = format!("AF_XDP: {bytes} bytes of locked memory for the frames of {queues} sockets");
    match limits::lockable_bytes(host) {
        Some(most) if most < bytes => {
            let says = format!("{takes}, but RLIMIT_MEMLOCK allows {most}");
            let mend = "ulimit -l unlimited   (systemd: LimitMEMLOCK=infinity; or start as root, or give \
                        cap_ipc_lock; or a smaller xsk.ring_size)";
            Finding::warning(AREA, name, says).hindering(Hinders::AfXdp).mended_by(mend)
        }
        _ => Finding::ok(AREA, name, takes),
    }
}

fn small_packets(interface: &Interface) -> Option<Finding> {
    let Interface { name, mtu_bytes, .. } = interface;
    if *mtu_bytes >= MIN_MTU {
        return None;
    }
    let says = format!("MTU {mtu_bytes}: no AF_XDP below {MIN_MTU}, as its answers cannot be fragmented");
    let finding = Finding::warning(AREA, name, says).hindering(Hinders::AfXdp);
    Some(finding.mended_by(format!("ip link set dev {name} mtu {MIN_MTU}")))
}

/// The card's own rings: with zero-copy, what they hold is what can wait while a thread works.
fn rings(config: &XskConfig, interface: &Interface) -> Option<Finding> {
    let (name, rings) = (&interface.name, interface.rings?);
    let says = format!(
        "a queue of the card holds {} packets to receive (at most {}) and {} to transmit (at most {})",
        rings.receive, rings.receive_max, rings.transmit, rings.transmit_max
    );
    let [receive, transmit] = [(rings.receive, rings.receive_max), (rings.transmit, rings.transmit_max)]
        .map(|(now, most)| config.ring_size.min(most).max(now));
    if (receive, transmit) == (rings.receive, rings.transmit) {
        return Some(Finding::ok(AREA, name, says));
    }
    let finding = Finding::warning(AREA, name, format!("{says}: fewer than xsk.ring_size"));
    Some(finding.mended_by(format!("ethtool -G {name} rx {receive} tx {transmit}")))
}
