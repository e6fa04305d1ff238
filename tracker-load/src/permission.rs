//! Which addresses may be sent to: without a word of the operator's, only this host's own.

use anyhow::{Context, Result, bail};
use nix::ifaddrs::getifaddrs;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The option by which operators say that a tracker is theirs.
pub(crate) const OWNER_OPTION: &str = "--i-own-this-tracker";

/// Where the requests will go.
pub(crate) struct Destination<'a> {
    pub(crate) trackers: &'a [SocketAddr],
    /// Whether frames leave through an interface, past the routes that would keep a local address local.
    pub(crate) by_interface: bool,
}

/// Refuses what is not this host's own, unless the operator has said that it is his.
///
/// Loopback and the addresses of this host's interfaces, as this network namespace has them, are its own. The other end of
/// a cable is not, a neighbour in the same network is not, and nothing is that frames are sent to through an interface.
pub(crate) fn check(destination: &Destination<'_>, is_owner: bool) -> Result<()> {
    check_beside(destination, is_owner, &own_addresses()?)
}

fn check_beside(destination: &Destination<'_>, is_owner: bool, own: &BTreeSet<IpAddr>) -> Result<()> {
    for tracker in destination.trackers {
        let address = tracker.ip().to_canonical();
        let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || is_broadcast || tracker.port() == 0 {
            bail!("{tracker} is no address of a tracker; name one address and one port");
        }
        let is_local = !destination.by_interface && (address.is_loopback() || own.contains(&address));
        if !is_local && !is_owner {
            bail!(
                "{tracker} is not an address of this host. Putting load on somebody else's tracker is an attack on it. \
                 If it is yours, say so with {OWNER_OPTION}"
            );
        }
    }
    Ok(())
}

fn own_addresses() -> Result<BTreeSet<IpAddr>> {
    let interfaces = getifaddrs().context("cannot read the addresses of this host")?;
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests {
    use super::{Destination, check_beside};
    use std::collections::BTreeSet;

    fn is_allowed(tracker: &str, by_interface: bool, is_owner: bool) -> bool {
        let own = BTreeSet::from(["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()]);
        let trackers = [tracker.parse().unwrap()];
        check_beside(&Destination { trackers: &trackers, by_interface }, is_owner, &own).is_ok()
    }

    #[test]
    fn loopback_and_the_addresses_of_this_host_need_no_word() {
        let local = [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "192.0.2.7:1",
            "[2001:db8::7]:1",
            "[::ffff:127.0.0.1]:1",
        ];
        for tracker in local {
            assert!(is_allowed(tracker, false, false), "{tracker}");
        }
    }

    #[test]
    fn any_other_address_needs_it() {
        for tracker in ["192.0.2.8:1", "10.0.0.1:1", "[2001:db8::8]:1", "[fe80::1]:1", "[::ffff:8.8.8.8]:1"] {
            assert!(!is_allowed(tracker, false, false), "{tracker}");
            assert!(is_allowed(tracker, false, true), "{tracker}");
        }
    }

    #[test]
    fn nothing_is_local_that_is_sent_out_of_an_interface() {
        for tracker in ["127.0.0.1:1", "192.0.2.7:1", "192.0.2.8:1"] {
            assert!(!is_allowed(tracker, true, false), "{tracker}");
            assert!(is_allowed(tracker, true, true), "{tracker}");
        }
    }

    #[test]
    fn what_is_nobodys_address_is_refused_in_any_case() {
        for tracker in
            ["0.0.0.0:1", "[::]:1", "224.0.0.1:1", "255.255.255.255:1", "[ff02::1]:1", "127.0.0.1:0"]
        {
            assert!(!is_allowed(tracker, false, true), "{tracker}");
        }
    }
}
