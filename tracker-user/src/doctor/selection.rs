//! Which interfaces matter: those that are named, or those that carry an address on which UDP is served.

use super::finding::{Finding, Hinders};
use super::links::Interface;
use crate::config::types::{Config, Transport};
use std::net::IpAddr;

const AREA: &str = "interface";

/// An address and the name of the interface that carries it.
pub(super) type Carried = (String, IpAddr);

/// Every address of this network namespace.
///
/// # Errors
/// Those of getifaddrs(3).
pub(super) fn carried_addresses() -> nix::Result<Vec<Carried>> {
    let entries = nix::ifaddrs::getifaddrs()?;
    let carried = entries.filter_map(|entry| {
        let address = entry.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        let ip = v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))?;
        // An IPv4 address may have a label of its own, such as `eth0:1`.
        let name = entry.interface_name.split(':').next().unwrap_or_default().to_owned();
        Some((name, ip))
    });
    Ok(carried.collect())
}

/// The interfaces that are looked at, and what was looked for in vain.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// In the order of their indices.
    pub interfaces: Vec<Interface>,
    /// Names and addresses that no interface has.
    pub findings: Vec<Finding>,
}

/// Picks from `all` those that are `named` or, if none is, those that carry what `config` listens on.
pub(super) fn select(
    all: Vec<Interface>,
    carried: &[Carried],
    config: &Config,
    named: &[String],
) -> Selection {
    if !named.is_empty() {
        return by_name(all, named);
    }
    let listeners = config.listeners();
    let udp = listeners.iter().filter(|line| line.transport == Transport::Udp);
    let served: Vec<IpAddr> = udp.map(|line| line.address.ip()).collect();
    // Without UDP there is nothing for XDP to do; every interface is as good as the other.
    let serves_all = served.is_empty() || served.iter().any(IpAddr::is_unspecified);
    let carries_served =
        |name: &str| carried.iter().any(|(carrier, ip)| carrier == name && served.contains(ip));
    let missing = served.iter().filter(|ip| !ip.is_unspecified() && !is_carried(ip, carried));
    let findings = missing.map(|ip| not_carried(*ip)).collect();
    let is_selected = |interface: &Interface| {
        if serves_all { interface.is_up } else { carries_served(&interface.name) }
    };
    Selection { interfaces: all.into_iter().filter(is_selected).collect(), findings }
}

fn by_name(all: Vec<Interface>, named: &[String]) -> Selection {
    let missing = named.iter().filter(|name| all.iter().all(|interface| interface.name != **name));
    let findings = missing
        .map(|name| {
            let says = "there is no such interface in this network namespace";
            Finding::obstacle(AREA, name, Hinders::Xdp, says)
                .mended_by("ip link show   (lists those there are)")
        })
        .collect();
    let interfaces = all.into_iter().filter(|interface| named.contains(&interface.name)).collect();
    Selection { interfaces, findings }
}

/// All of 127.0.0.0/8 is carried by the loopback interface.
fn is_carried(ip: &IpAddr, carried: &[Carried]) -> bool {
    let is_loopback = matches!(ip, IpAddr::V4(v4) if v4.is_loopback());
    is_loopback || carried.iter().any(|(_, other)| other == ip)
}

fn not_carried(ip: IpAddr) -> Finding {
    let says = "no interface carries this address: the tracker cannot listen on it";
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    Finding::obstacle(AREA, ip.to_string(), Hinders::Start, says)
        .mended_by(format!("ip address add {ip}/{bits} dev INTERFACE"))
}
