//! Connection tracking in the way of UDP: a tracker's clients fill its table, and a full table loses packets.

use super::finding::{Finding, Hinders};
use super::host::Host;
use crate::config::types::{Config, Transport};

const AREA: &str = "conntrack";
const SUBJECT: &str = "nf_conntrack";

/// From this share of the table on it counts as full: entries of UDP stay for half a minute and more.
const FULL_PERCENT: u64 = 90;

/// Whether packets that reach the UDP sockets are tracked.
pub(super) fn examine(host: &Host, config: &Config) -> Vec<Finding> {
    let setting = |name: &str| host.sysctl(&format!("net/netfilter/{name}"));
    let (Some(max), Some(count)) = (setting("nf_conntrack_max"), setting("nf_conntrack_count")) else {
        return vec![Finding::ok(AREA, SUBJECT, "not loaded")];
    };
    let mend = notrack(config);
    vec![if count == 0 {
        Finding::ok(AREA, SUBJECT, "loaded, but nothing is tracked in this network namespace")
    } else if count.saturating_mul(100) >= max.saturating_mul(FULL_PERCENT) {
        let says =
            format!("{count} of {max} entries: new clients of the UDP sockets are lost when it is full");
        Finding::obstacle(AREA, SUBJECT, Hinders::Requests, says).mended_by(mend)
    } else {
        let says = format!(
            "{count} of {max} entries: unless a rule exempts the tracker, each client of the UDP sockets takes one"
        );
        Finding::warning(AREA, SUBJECT, says).mended_by(mend)
    }]
}

/// The rules that keep the tracker's packets out of the table, in both directions.
fn notrack(config: &Config) -> String {
    let listeners = config.listeners();
    let udp = listeners.iter().filter(|line| line.transport == Transport::Udp);
    let mut ports: Vec<u16> = udp.map(|line| line.address.port()).filter(|port| *port != 0).collect();
    ports.sort_unstable();
    ports.dedup();
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let ports = if ports.is_empty() { "PORT".to_owned() } else { ports.join(", ") };
    format!(
        "nft 'table inet opentracker {{ \
         chain in {{ type filter hook prerouting priority raw; udp dport {{ {ports} }} notrack; }} \
         chain out {{ type filter hook output priority raw; udp sport {{ {ports} }} notrack; }} }}'"
    )
}
