//! `cargo xtask bench`: this tracker beside others, on this machine.

mod child;
mod cluster_node;
mod contender;
mod cpu;
mod full_scrape;
mod http;
mod lists;
mod livesync;
mod load;
mod nats;
mod report;
mod snapshot;
mod store;
mod udp;
mod xdp;
mod xsk;

use crate::workspace::Workspace;
use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Answers over UDP per second, and per second of CPU time
    Udp(udp::Arguments),
    /// Announces over HTTP per second, and per second of CPU time
    Http(http::Arguments),
    /// Full scrapes: their time, their memory, and how long announces wait meanwhile
    FullScrape(full_scrape::Arguments),
    /// How long a list of torrents takes to be read
    Lists(lists::Arguments),
    /// Livesync between three nodes: events told, heard and lost, and CPU time of each
    Livesync(livesync::Arguments),
    /// The peer store: bytes for a peer, nanoseconds of an announce, what makes it wait
    Store(store::Arguments),
    /// Snapshots: seconds to write and to read them, their size, what announces notice
    Snapshot(snapshot::Arguments),
    /// A node that takes over the state of another one: seconds, bytes, and whether both have the same
    Join(snapshot::Arguments),
    /// Two sites whose server of NATS is killed and comes back: seconds until all know everything, and memory
    Nats(nats::Arguments),
    /// The XDP program: nanoseconds of a packet, connects per second, honest clients in a flood
    Xdp(xdp::Arguments),
    /// AF_XDP beside sockets and aquatic_udp over a virtual cable: answers, CPU time, loss, latency
    Xsk(xsk::Arguments),
}

/// Runs the benchmark that was asked for.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    match &arguments.benchmark {
        Benchmark::Udp(arguments) => udp::run(workspace, arguments),
        Benchmark::Http(arguments) => http::run(workspace, arguments),
        Benchmark::FullScrape(arguments) => full_scrape::run(workspace, arguments),
        Benchmark::Lists(arguments) => lists::run(workspace, arguments),
        Benchmark::Livesync(arguments) => livesync::run(workspace, arguments),
        Benchmark::Store(arguments) => store::run(workspace, arguments),
        Benchmark::Snapshot(arguments) => snapshot::run(workspace, arguments),
        Benchmark::Join(arguments) => snapshot::join(workspace, arguments),
        Benchmark::Nats(arguments) => nats::run(workspace, arguments),
        Benchmark::Xdp(arguments) => xdp::run(workspace, arguments),
        Benchmark::Xsk(arguments) => xsk::run(workspace, arguments),
    }
}
