//! What one interface offers to an XDP program, and what on it stands in the way.

use super::finding::{Finding, Hinders};
use super::links::{Attached, Interface, Peer, XdpFeatures};

const AREA: &str = "interface";

/// The largest packet that fits into one buffer of a page of 4,096 bytes beside its headroom (256), the kernel's own
/// structure (320), an Ethernet header and a VLAN tag. Drivers that do not split packets take no more under XDP.
const SINGLE_BUFFER_MTU_BYTES: u32 = 3498;

/// The name of the tracker's own program.
const OWN_PROGRAM: &str = "tracker";

/// Everything about one interface.
pub(super) fn examine(interface: &Interface) -> Vec<Finding> {
    let mut findings = vec![description(interface)];
    findings.extend(down(interface));
    findings.push(native(interface));
    findings.extend(large_packets(interface));
    findings.extend(merged_packets(interface));
    findings.extend(interface.attached.iter().map(|attached| program(interface, attached)));
    findings.extend(interface.peer.as_ref().map(|peer| peer_end(interface, peer)));
    findings
}

fn description(interface: &Interface) -> Finding {
    let driver = match &interface.driver {
        Some(driver) => driver.as_str(),
        None if interface.is_loopback => "loopback",
        None => "unknown",
    };
    let says = format!(
        "driver {driver}; queues: {} to receive, {} to transmit; MTU {}",
        interface.receive_queues, interface.transmit_queues, interface.mtu_bytes
    );
    Finding::ok(AREA, &interface.name, says)
}

fn down(interface: &Interface) -> Option<Finding> {
    let name = &interface.name;
    let finding = Finding::warning(AREA, name, "is down: no packet comes this way");
    (!interface.is_up).then(|| finding.mended_by(format!("ip link set dev {name} up")))
}

fn native(interface: &Interface) -> Finding {
    let name = &interface.name;
    let Some(features) = interface.xdp_features else {
        let says = "the kernel does not say whether the driver has native XDP; the start shows it";
        return Finding::ok(AREA, name, says);
    };
    if features.has(XdpFeatures::BASIC) {
        let af_xdp = match interface.zero_copy_segments {
            Some(segments) if features.has(XdpFeatures::ZERO_COPY) => {
                format!("AF_XDP without copying (up to {segments} buffers a packet)")
            }
            None if features.has(XdpFeatures::ZERO_COPY) => "AF_XDP without copying".to_owned(),
            _ if features.has(XdpFeatures::REDIRECT) => "AF_XDP with a copy per packet".to_owned(),
            _ => "no AF_XDP".to_owned(),
        };
        return Finding::ok(AREA, name, format!("native XDP, {af_xdp}; generic XDP"));
    }
    if interface.is_loopback {
        return Finding::ok(AREA, name, "generic XDP alone, as on every loopback interface");
    }
    let says =
        "the driver has no native XDP now: with generic XDP, each packet is allocated first, as for a socket";
    let mend = match &interface.peer {
        // veth withdraws native XDP where its peer can send on more queues than it receives from.
        Some(Peer::Here { name: peer, .. }) => format!("ethtool -L {peer} tx {}", interface.receive_queues),
        Some(Peer::Elsewhere) => {
            format!("ethtool -L PEER tx {}   (where the peer is)", interface.receive_queues)
        }
        None => "use a card with native XDP; of a bridge, VLAN or bond, name the port below it".to_owned(),
    };
    Finding::warning(AREA, name, says).hindering(Hinders::NativeXdp).mended_by(mend)
}

fn large_packets(interface: &Interface) -> Option<Finding> {
    let Interface { name, mtu_bytes, .. } = interface;
    if *mtu_bytes <= SINGLE_BUFFER_MTU_BYTES || interface.is_loopback {
        return None;
    }
    let limit = format!("ip link set dev {name} mtu {SINGLE_BUFFER_MTU_BYTES}");
    match interface.xdp_features {
        Some(features) if features.has(XdpFeatures::BASIC | XdpFeatures::FRAGMENTS) => {
            Some(Finding::ok(AREA, name, format!("MTU {mtu_bytes}: the driver splits packets for XDP")))
        }
        Some(features) if features.has(XdpFeatures::BASIC) => {
            let says = format!(
                "MTU {mtu_bytes}: the driver does not split packets for XDP, and one buffer holds about \
                 {SINGLE_BUFFER_MTU_BYTES} bytes"
            );
            Some(Finding::warning(AREA, name, says).hindering(Hinders::NativeXdp).mended_by(limit))
        }
        Some(_) => None,
        None => {
            let says = format!("MTU {mtu_bytes}: a driver that does not split packets refuses native XDP");
            Some(Finding::warning(AREA, name, says).mended_by(limit))
        }
    }
}

/// Packets that the card has merged are longer than any buffer of XDP.
fn merged_packets(interface: &Interface) -> Vec<Finding> {
    let Some(offloads) = &interface.offloads else { return Vec::new() };
    let name = &interface.name;
    let merging = [("rx-lro", "LRO", "lro"), ("rx-gro-hw", "GRO in hardware", "rx-gro-hw")];
    let active = merging.into_iter().filter(|(offload, ..)| offloads.contains(*offload));
    let findings = active.map(|(_, merges, option)| {
        let says = format!("{merges} is on: some drivers refuse native XDP beside it, others turn it off");
        Finding::warning(AREA, name, says).mended_by(format!("ethtool -K {name} {option} off"))
    });
    findings.collect()
}

fn program(interface: &Interface, attached: &Attached) -> Finding {
    let name = &interface.name;
    let place = attached.place.name();
    if attached.name.as_deref() == Some(OWN_PROGRAM) {
        let says = format!(
            "XDP program {} ({OWN_PROGRAM}, {place}) is attached: by its name that of a running opentracker-xdp",
            attached.id
        );
        return Finding::ok(AREA, name, says);
    }
    let shown = attached.name.as_deref().unwrap_or("without a name");
    let says = format!(
        "XDP program {} ({shown}, {place}) is attached, and there is room for one: it is never replaced",
        attached.id
    );
    let mend = format!(
        "stop what has attached it, or: ip link set dev {name} {} off   (bpftool prog show id {})",
        attached.place.ip_keyword(),
        attached.id
    );
    Finding::obstacle(AREA, name, Hinders::Xdp, says).mended_by(mend)
}

/// A veth hands what an XDP program answers to its peer's receive ring, into which the peer looks only for a program of
/// its own.
fn peer_end(interface: &Interface, peer: &Peer) -> Finding {
    let name = &interface.name;
    let mend = |peer: &str| {
        format!(
            "attach an XDP program to {peer}, one that passes everything will do (ethtool -K {peer} gro on is not \
             enough); or xdp.attach=generic"
        )
    };
    match peer {
        Peer::Here { name: peer, takes_answers: true } => {
            Finding::ok(AREA, name, format!("its peer {peer} takes what a native program answers"))
        }
        Peer::Here { name: peer, takes_answers: false } => {
            let says = format!("its peer {peer} loses what a native program answers: it runs no XDP program");
            Finding::obstacle(AREA, name, Hinders::XdpAnswers, says).mended_by(mend(peer))
        }
        Peer::Elsewhere => {
            let says = "its peer cannot be asked: without an XDP program, it loses what a native one answers";
            Finding::warning(AREA, name, says).mended_by(format!("{}   (where the peer is)", mend("PEER")))
        }
    }
}
