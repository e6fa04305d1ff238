//! The command line.

use crate::draw::Weights;
use crate::outstanding::MAX_SOURCES;
use crate::pace::Pace;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use tracker_assembly::bpf::Place;

/// Put load on a UDP tracker (BEP 15) and measure what it answers.
///
/// For developers of trackers, and for operators who want to know what a tracker of their own can take: on the same host,
/// or, with --i-own-this-tracker, through a network. Use it against nobody else's. It fills the tracker with made-up peers,
/// which stay there until they expire.
///
/// Requests leave through UDP sockets, or with --interface as Ethernet frames through AF_XDP, which takes root, and can
/// come from many addresses that this host does not have. One thread makes all of it: start it more than once, with
/// different seeds, where one core is not enough.
#[derive(Debug, Parser)]
#[command(name = "tracker-load", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure at one rate, or with a number of requests under way
    Run(RunArguments),
    /// Find the highest rate, and measure at several below it
    Sweep(SweepArguments),
    /// Draw what sweeps have measured into one picture
    Picture(PictureArguments),
}

#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// Open loop: send so many requests a second whatever becomes of them; latency counts from when each was due
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// Closed loop, where no rate is given: keep so many requests under way
    #[arg(long, value_name = "REQUESTS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) under_way: u32,
    #[command(flatten)]
    pub(crate) load: LoadArguments,
}

#[derive(Args, Debug)]
pub(crate) struct SweepArguments {
    /// Measure open loop at these rates, in requests a second, instead of at shares of the highest
    #[arg(long, value_name = "PER_SECOND", value_delimiter = ',', value_parser = positive)]
    pub(crate) rates: Vec<f64>,
    /// Measure open loop at these percentages of the rate that a closed loop has reached
    #[arg(long, value_delimiter = ',', default_values_t = [10.0, 30.0, 50.0, 70.0, 90.0], value_parser = positive)]
    pub(crate) percent: Vec<f64>,
    /// Requests under way in the closed loop
    #[arg(long, value_name = "REQUESTS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) under_way: u32,
    /// Write a picture of rate against latency there
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: LoadArguments,
}

#[derive(Args, Debug)]
pub(crate) struct PictureArguments {
    /// A name and a file with what `sweep --json` has printed
    #[arg(value_name = "NAME=FILE", required = true)]
    pub(crate) sweeps: Vec<String>,
    /// What stands above the picture
    #[arg(long, default_value = "Latency at a rate of answers")]
    pub(crate) title: String,
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct LoadArguments {
    /// The tracker's address and port; a second one of the other IP family
    #[arg(value_name = "ADDRESS:PORT", required = true, num_args = 1..=2)]
    pub(crate) trackers: Vec<SocketAddr>,
    /// Say that the tracker is yours: without it, only addresses of this host are sent to, and none through an interface
    #[arg(long)]
    pub(crate) i_own_this_tracker: bool,
    #[command(flatten)]
    pub(crate) requests: RequestArguments,
    #[command(flatten)]
    pub(crate) way: WayArguments,
    #[command(flatten)]
    pub(crate) time: TimeArguments,
    /// Print one JSON object a line: what happens, and each measurement
    #[arg(long)]
    pub(crate) json: bool,
    /// Stay on this core
    #[arg(long)]
    pub(crate) cpu: Option<usize>,
    /// What everything random is made from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Requests")]
pub(crate) struct RequestArguments {
    /// How often a connect is sent, in relation to the other kinds
    #[arg(long, value_name = "WEIGHT", default_value_t = 50.0, value_parser = weight)]
    pub(crate) connects: f64,
    /// How often an announce
    #[arg(long, value_name = "WEIGHT", default_value_t = 50.0, value_parser = weight)]
    pub(crate) announces: f64,
    /// How often a scrape
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0, value_parser = weight)]
    pub(crate) scrapes: f64,
    /// How often an announce with a connection id that was never given
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, value_parser = weight)]
    pub(crate) forged: f64,
    /// How often an announce with a connection id whose time is over
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, value_parser = weight)]
    pub(crate) stale: f64,
    /// Torrents
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) torrents: u64,
    /// Peers in all torrents together
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) peers: u64,
    /// Peers that an announce asks for; -1 leaves it to the tracker
    #[arg(long, default_value_t = 30, allow_negative_numbers = true)]
    pub(crate) peers_wanted: i32,
    /// The share of the peers that have everything
    #[arg(long, value_name = "SHARE", default_value_t = 0.75, value_parser = share)]
    pub(crate) seeders: f64,
    /// Torrents that a scrape asks for
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=74))]
    pub(crate) scrape_hashes: u64,
    /// The share of the requests that go to the IPv6 address, where two addresses are given
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = share)]
    pub(crate) ipv6_share: f64,
    /// Announce every peer once before anything is measured
    #[arg(long)]
    pub(crate) fill: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Way")]
pub(crate) struct WayArguments {
    /// Sources of each IP family: an address and a port each
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SOURCES / 2)))]
    pub(crate) sources: u32,
    /// Take the sources' addresses from this network, one for each IP family; without it they are in 127.0.0.0/8 for a
    /// tracker there, and this host's own for any other
    #[arg(long, value_name = "NETWORK")]
    pub(crate) source_network: Vec<IpNet>,
    /// Send frames out of this interface through AF_XDP; answers to the sources must come in there
    #[arg(long)]
    pub(crate) interface: Option<String>,
    /// Send the frames out of this other interface; answers still come in at --interface
    #[arg(long, value_name = "INTERFACE", requires = "interface")]
    pub(crate) send_through: Option<String>,
    /// Where the interface runs the program that takes the answers
    #[arg(long, value_enum, default_value_t = Attach::Auto)]
    pub(crate) attach: Attach,
    /// The Ethernet address of the tracker or of the router before it; without it, what the kernel knows of the neighbour
    /// with the tracker's IPv4 address
    #[arg(long, value_name = "LINK_ADDRESS")]
    pub(crate) next_hop: Option<String>,
    /// Take answers from so many receive queues of the interface; without it, from all
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) queues: Option<u32>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Time")]
pub(crate) struct TimeArguments {
    /// Seconds of each measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = positive)]
    pub(crate) duration: f64,
    /// Seconds at the same pace before each measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = weight)]
    pub(crate) warm_up: f64,
    /// Milliseconds after which a request without an answer is lost
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) timeout: u64,
}

/// Where an interface runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attach {
    /// In the driver, and before the stack where the driver cannot
    Auto,
    /// In the driver
    Native,
    /// Before the network stack
    Generic,
}

impl Attach {
    /// `None`: whichever works.
    pub(crate) const fn place(self) -> Option<Place> {
        match self {
            Self::Auto => None,
            Self::Native => Some(Place::Driver),
            Self::Generic => Some(Place::Generic),
        }
    }
}

impl RunArguments {
    /// The pace that is asked for.
    pub(crate) fn pace(&self) -> Pace {
        self.rate.map_or(Pace::UnderWay(self.under_way as usize), Pace::Rate)
    }
}

impl RequestArguments {
    /// In the order of the kinds.
    pub(crate) const fn weights(&self) -> Weights {
        Weights([self.connects, self.announces, self.scrapes, self.forged, self.stale])
    }
}

fn positive(text: &str) -> Result<f64, String> {
    number(text).filter(|number| *number > 0.0).ok_or_else(|| "a number above 0 is wanted".to_owned())
}

fn weight(text: &str) -> Result<f64, String> {
    number(text).filter(|number| *number >= 0.0).ok_or_else(|| "a number from 0 on is wanted".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = number(text).filter(|number| (0.0..=1.0).contains(number));
    share.ok_or_else(|| "a number from 0 to 1 is wanted".to_owned())
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Command};
    use crate::pace::Pace;
    use clap::{CommandFactory, Parser};

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_help_says_whose_trackers_it_is_for() {
        Arguments::command().debug_assert();
        let help = Arguments::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("operators who want to know what a tracker of their own can take"), "{help}");
        assert!(help.contains("--i-own-this-tracker"), "{help}");
    }

    #[test]
    fn a_rate_makes_the_loop_open() {
        let Command::Run(run) = parse("tracker-load run 127.0.0.1:6969 --rate 1000").unwrap().command else {
            panic!("another command");
        };
        assert_eq!(run.pace(), Pace::Rate(1000.0));
        let Command::Run(run) = parse("tracker-load run 127.0.0.1:6969 [::1]:6969").unwrap().command else {
            panic!("another command");
        };
        assert_eq!(run.pace(), Pace::UnderWay(256));
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for wrong in [
            "run",
            "run 127.0.0.1",
            "run 127.0.0.1:1 --rate 0",
            "run 127.0.0.1:1 --rate nan",
            "run 127.0.0.1:1 --seeders 1.5",
            "run 127.0.0.1:1 --connects -1",
            "run 127.0.0.1:1 --scrape-hashes 75",
            "picture one=file",
        ] {
            assert!(parse(&format!("tracker-load {wrong}")).is_err(), "{wrong}");
        }
    }
}
