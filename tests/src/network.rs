//! A network that belongs to one thread: routable addresses of both families and a name, for clients that refuse
//! loopback addresses. It is gone with the thread and the processes started from it.

use crate::netns::ip;
use crate::temporary_directory::TemporaryDirectory;
use crate::two_hosts::{Network, TwoHosts};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Its IPv4 address.
pub const ADDRESS_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 76, 0, 1));
/// Its IPv6 address: from the documentation prefix, a global one to clients that ask whether they have such.
pub const ADDRESS_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x76, 0, 0, 0, 0, 1));
/// A name in `/etc/hosts` for [`ADDRESS_V6`].
pub const NAME_V6: &str = "tracker-v6.test";

const LINKS: &[&str] = &[
    "link set lo up",
    // The far end stays in the same namespace: a default route needs a link that is up, not a neighbour.
    "link add near type veth peer name far",
    "link set far up",
    "link set near up",
    "address add 10.76.0.1/24 dev near",
    "address add 2001:db8:76::1/64 dev near nodad",
    // Clients look for a global address by the route to one.
    "route add default via 10.76.0.254",
    "-6 route add default via 2001:db8:76::fe",
];

/// The same network with the tracker on one host and the clients on another: they come from these addresses.
pub const CLIENT_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 76, 0, 2));
/// Their IPv6 address.
pub const CLIENT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x76, 0, 0, 0, 0, 2));

/// Moves this thread to a network and a set of mounts of its own. Sockets, threads and processes that it makes from
/// now on are there too; other threads are not touched.
///
/// # Panics
/// When the thread may not (it takes root), or `ip` fails.
pub fn enter_routable_network(directory: &TemporaryDirectory) {
    unshare(CloneFlags::CLONE_NEWNET).expect("root may make namespaces");
    LINKS.iter().for_each(|arguments| ip(arguments));
    enter_own_names(directory);
}

/// Moves this thread to the clients' host of two that are joined by a cable with these options, and to a set of mounts of
/// its own. The tracker's host has [`ADDRESS_V4`] and [`ADDRESS_V6`].
///
/// # Panics
/// As [`enter_routable_network`].
pub fn enter_clients_host(directory: &TemporaryDirectory, cable_options: &str) -> TwoHosts {
    let networks = [
        Network { tracker: ADDRESS_V4, client: CLIENT_V4, prefix_len: 24 },
        Network { tracker: ADDRESS_V6, client: CLIENT_V6, prefix_len: 64 },
    ];
    let hosts = TwoHosts::new(cable_options, &networks);
    hosts.client.ip(&format!("route add default via {ADDRESS_V4}"));
    hosts.client.ip(&format!("-6 route add default via {ADDRESS_V6}"));
    hosts.client.enter();
    enter_own_names(directory);
    hosts
}

fn enter_own_names(directory: &TemporaryDirectory) {
    unshare(CloneFlags::CLONE_NEWNS).expect("root may make namespaces");
    let hosts = directory.path().join("hosts");
    std::fs::write(&hosts, format!("{ADDRESS_V6} {NAME_V6}\n")).expect("the directory is ours");
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("the mounts are this thread's own");
    mount(Some(&hosts), "/etc/hosts", None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .expect("/etc/hosts exists");
}
