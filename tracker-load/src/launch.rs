//! From the command line to a generator that is ready to run.

use crate::arguments::{LoadArguments, WayArguments};
use crate::carrier::neighbour::{link_address_of, own_link_address, parse_link_address};
use crate::carrier::sockets::{Route, Sockets};
use crate::carrier::sources::in_network;
use crate::carrier::xsk::{Setup, Xsk};
use crate::clock::Clock;
use crate::draw::{Connections, Draw};
use crate::generator::World;
use crate::outstanding::Outstanding;
use crate::permission::{self, Destination};
use crate::population::{Family, Peers, Population};
use crate::request::Composer;
use crate::tally::Tally;
use anyhow::{Context, Result, bail};
use ipnet::{IpNet, Ipv4Net};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tracker_user::ingress::frame::LinkAddresses;

/// From where requests to a tracker on loopback come.
const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);

/// Refuses what must not be sent to, and pins this thread.
pub(crate) fn prepare(arguments: &LoadArguments) -> Result<()> {
    let LoadArguments { trackers, way, i_own_this_tracker, cpu, .. } = arguments;
    if let [one, other] = trackers[..]
        && one.is_ipv4() == other.is_ipv4()
    {
        bail!("{one} and {other} are of one IP family; a second address must be of the other");
    }
    if arguments.requests.weights().0.iter().sum::<f64>() <= 0.0 {
        bail!("all weights are 0: there is nothing to send");
    }
    permission::check(&Destination { trackers, by_interface: way.interface.is_some() }, *i_own_this_tracker)?;
    if let Some(cpu) = cpu {
        let mut cores = CpuSet::new();
        cores.set(*cpu).with_context(|| format!("there is no core {cpu}"))?;
        sched_setaffinity(Pid::from_raw(0), &cores).with_context(|| format!("cannot stay on core {cpu}"))?;
    }
    Ok(())
}

/// Everything but the way out. `most_per_sec` is the highest rate that will be asked for.
pub(crate) fn world(arguments: &LoadArguments, most_per_sec: f64) -> Result<World> {
    let LoadArguments { requests, way, time, seed, .. } = arguments;
    let families = families(arguments);
    let sources = families.last().map_or(0, |peers| peers.sources.end);
    let population = Population { torrents: requests.torrents, seed: *seed, seeders: requests.seeders };
    debug_assert_eq!(sources, way.sources * families.len() as u32);
    Ok(World {
        clock: Clock::start(),
        composer: Composer {
            population,
            peers_wanted: requests.peers_wanted,
            scrape_hashes: requests.scrape_hashes,
        },
        draw: Draw::new(requests.weights(), families, requests.ipv6_share, *seed),
        connections: Connections::new(sources),
        outstanding: Outstanding::new(most_per_sec as u64, time.timeout * 1_000_000, fastrand::u32(..)),
        tally: Tally::new(0..0)?,
    })
}

/// The peers of each tracker address, in the order of the addresses with IPv4 first: draws count on IPv6 being last.
fn families(arguments: &LoadArguments) -> Vec<Peers> {
    let LoadArguments { requests, way, .. } = arguments;
    let trackers = sorted(&arguments.trackers);
    let mut families = Vec::new();
    for (place, tracker) in trackers.iter().enumerate() {
        let (family, share) = match (tracker, trackers.len()) {
            (SocketAddr::V4(_), 1) => (Family::V4, 1.0),
            (SocketAddr::V4(_), _) => (Family::V4, 1.0 - requests.ipv6_share),
            (SocketAddr::V6(_), 1) => (Family::V6, 1.0),
            (SocketAddr::V6(_), _) => (Family::V6, requests.ipv6_share),
        };
        let first = place as u32 * way.sources;
        // Every source has a peer at least.
        let count = ((requests.peers as f64 * share) as u64).max(way.sources.into());
        families.push(Peers { family, sources: first..first + way.sources, count });
    }
    families
}

/// IPv4 first.
fn sorted(trackers: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut trackers = trackers.to_vec();
    trackers.sort_by_key(SocketAddr::is_ipv6);
    trackers
}

/// The network that sources of a tracker are taken from, if it is given or known.
fn network(way: &WayArguments, tracker: SocketAddr) -> Option<IpNet> {
    let is_of_family = |network: &&IpNet| network.addr().is_ipv4() == tracker.is_ipv4();
    let named = way.source_network.iter().find(is_of_family).copied();
    named.or(match tracker.ip() {
        IpAddr::V4(address) if address.is_loopback() && way.interface.is_none() => Some(LOOPBACK.into()),
        _ => None,
    })
}

/// A socket for each source.
pub(crate) fn sockets(arguments: &LoadArguments) -> Result<Sockets> {
    let mut routes = Vec::new();
    for tracker in sorted(&arguments.trackers) {
        let network = network(&arguments.way, tracker);
        for place in 0..arguments.way.sources {
            routes.push(Route { source: network.map(|network| in_network(network, place)), tracker });
        }
    }
    Sockets::open(&routes)
}

/// The rings of an interface.
pub(crate) fn frames(arguments: &LoadArguments, interface: &str) -> Result<Xsk> {
    let way = &arguments.way;
    let trackers = sorted(&arguments.trackers);
    let destination = match &way.next_hop {
        Some(next_hop) => parse_link_address(next_hop)?,
        None => link_address_of(trackers[0].ip(), interface)?,
    };
    let link = LinkAddresses { source: own_link_address(interface)?, destination };
    let mut sources = Vec::new();
    for (number, tracker) in trackers.iter().enumerate() {
        let network = match network(way, *tracker) {
            Some(network) => network,
            None => own_address(interface, *tracker)?.into(),
        };
        sources.extend((0..way.sources).map(|place| (in_network(network, place), number)));
    }
    Xsk::open(Setup {
        interface: interface.to_owned(),
        place: way.attach.place(),
        link,
        trackers,
        sources,
        queues: way.queues,
        send_through: way.send_through.clone(),
    })
}

/// An address of the interface, of the tracker's family.
fn own_address(interface: &str, tracker: SocketAddr) -> Result<IpAddr> {
    let addresses = nix::ifaddrs::getifaddrs().context("cannot read the addresses of this host")?;
    let mut own = addresses.filter(|address| address.interface_name == interface).filter_map(|address| {
        let address = address.address?;
        match tracker {
            SocketAddr::V4(_) => address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip())),
            SocketAddr::V6(_) => address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())),
        }
    });
    own.next().with_context(|| {
        format!("{interface} has no address of the family of {tracker}; name one with --source-network")
    })
}
