//! The daemon's host, a client's host, and a virtual cable between them that carries what an XDP program in the driver of
//! either end sends back.

use crate::netns::{End, Namespace};
use crate::passing_program::PassingProgram;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The interface of the daemon's host.
pub const TRACKER: &str = "tracker";
/// The interface of the client's host.
pub const CLIENT: &str = "client";
const TRACKER_END: End<'_> = End { name: TRACKER, mac: "02:00:00:00:00:01" };
const CLIENT_END: End<'_> = End { name: CLIENT, mac: "02:00:00:00:00:02" };

/// Options of a cable whose ends have two queues each way.
pub const TWO_QUEUES: &str = " numrxqueues 2 numtxqueues 2";

/// One address of each host, and how many bits of it are those of their network.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Of the daemon's host.
    pub tracker: IpAddr,
    /// Of the client's host.
    pub client: IpAddr,
    /// Bits.
    pub prefix_len: u8,
}

/// The IPv4 addresses of tests that need no others.
pub const V4: Network = Network {
    tracker: IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)),
    client: IpAddr::V4(Ipv4Addr::new(10, 77, 0, 9)),
    prefix_len: 24,
};
/// Their IPv6 addresses.
pub const V6: Network = Network {
    tracker: IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1)),
    client: IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 9)),
    prefix_len: 64,
};

/// Two hosts and a cable.
#[derive(Debug)]
pub struct TwoHosts {
    /// The daemon's.
    pub tracker: Namespace,
    /// The client's.
    pub client: Namespace,
    networks: Vec<Network>,
    /// Lets the cable carry what a program in the driver of the daemon's end sends back.
    _far_end: PassingProgram,
}

impl TwoHosts {
    /// Makes them, with these options of `ip link add` for both ends of the cable, each behind a blank.
    pub fn new(options: &str, networks: &[Network]) -> Self {
        let (tracker, client) = (Namespace::new(), Namespace::new());
        for host in [&tracker, &client] {
            host.ip("link set lo up");
        }
        let far_end = lay_cable([&tracker, &client], options, networks);
        Self { tracker, client, networks: networks.to_vec(), _far_end: far_end }
    }

    /// Takes the cable out, ends and all, and lays a new one with the same names and addresses.
    pub fn replace_cable(&mut self) {
        self.tracker.ip("link delete tracker");
        self.lay_cable_again();
    }

    /// Lays a new cable after [`TRACKER`] was deleted, with the same names and addresses.
    pub fn lay_cable_again(&mut self) {
        self._far_end = lay_cable([&self.tracker, &self.client], "", &self.networks);
    }
}

/// Neighbours are written down, so that no host has to ask for them.
fn lay_cable([tracker, client]: [&Namespace; 2], options: &str, networks: &[Network]) -> PassingProgram {
    tracker.join_with(&TRACKER_END, client, &CLIENT_END, options);
    for network in networks {
        for (host, own, neighbour, near, far) in [
            (tracker, network.tracker, network.client, TRACKER_END, CLIENT_END),
            (client, network.client, network.tracker, CLIENT_END, TRACKER_END),
        ] {
            host.add_address(near.name, own, network.prefix_len);
            let (interface, mac) = (near.name, far.mac);
            host.ip(&format!("neighbour add {neighbour} lladdr {mac} nud permanent dev {interface}"));
        }
    }
    client.run(|| PassingProgram::attach_native(CLIENT))
}
