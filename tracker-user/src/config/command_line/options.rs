//! The options, as the help shows them. Their order on the command line is not known here.

use crate::config::keys::Setting;
use clap::{Arg, ArgAction, Command, builder::OsStringValueParser};

/// The flag that only checks.
pub(super) const CHECK_CONFIG: &str = "check-config";
/// The flag that only prints.
pub(super) const PRINT_CONFIG: &str = "print-config";

const ADDRESSES: &str = "Addresses";
const CONFIGURATION: &str = "Configuration";
const TRACKER: &str = "Tracker";
const INFORMATION: &str = "Information";

const EXAMPLES: &str = "\
Without any address, it listens on port 6969 of every address, HTTP and UDP, IPv4 and IPv6.
Options count in their order: what stands behind a -f overrides that file. Addresses add up.

Examples:
  opentracker-xdp -f /etc/opentracker.conf     all from a file
  opentracker-xdp -p 80 -P 6969                HTTP on port 80, UDP on 6969, on every address
  opentracker-xdp -i 192.0.2.1 -p 80 -P 6969 -i 2001:db8::1 -P 6969
                                               the same on one address, UDP alone on another
  opentracker-xdp -f opentracker.conf --set tracker.interval_secs=900
                                               one setting other than in the file
  opentracker-xdp -f opentracker.conf --check-config
                                               find everything wrong before a restart
  opentracker-xdp doctor [--json] -f opentracker.conf
                                               what this host can do for it, and what is in the way
  opentracker-xdp ctl --help                   ask a tracker that runs, or tell it what to do

Exit codes: 0 done; 1 --check-config found an error, or the tracker could not start on this host or ended by an error;
2 the options or files are wrong.";

/// An option with a meaning of its own, in place of a setting's.
#[derive(Clone, Copy)]
pub(super) enum OptionId {
    Config,
    Ip,
    TcpPort,
    UdpPort,
    LivesyncPort,
    Set,
}

impl OptionId {
    /// The long option, which is also its name within clap.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Ip => "ip",
            Self::TcpPort => "tcp-port",
            Self::UdpPort => "udp-port",
            Self::LivesyncPort => "livesync-port",
            Self::Set => "set",
        }
    }
}

/// The value of an option that means `true` alone.
const SWITCH: &str = "true|false";

/// An option that sets one setting.
pub(super) struct Shortcut {
    pub(super) long: &'static str,
    pub(super) setting: &'static str,
    short: Option<char>,
    value: &'static str,
}

pub(super) const SHORTCUTS: &[Shortcut] = &[
    Shortcut { long: "redirect", setting: "tracker.redirect_url", short: Some('r'), value: "URL" },
    Shortcut { long: "dir", setting: "tracker.rootdir", short: Some('d'), value: "DIR" },
    Shortcut { long: "user", setting: "tracker.user", short: Some('u'), value: "USER" },
    Shortcut { long: "access-stats", setting: "access.stats", short: Some('A'), value: "IP[/BITS]" },
    Shortcut { long: "whitelist", setting: "access.whitelist", short: Some('w'), value: "FILE" },
    Shortcut { long: "blacklist", setting: "access.blacklist", short: Some('b'), value: "FILE" },
    Shortcut { long: "load", setting: "state.load", short: Some('l'), value: "FILE" },
    Shortcut { long: "mode", setting: "xdp.mode", short: None, value: "MODE" },
    Shortcut { long: "interface", setting: "xdp.interface", short: None, value: "NAME" },
    Shortcut { long: "xdp-object", setting: "xdp.object", short: None, value: "FILE" },
    Shortcut { long: "xdp-pin", setting: "xdp.pin", short: None, value: SWITCH },
    Shortcut { long: "udp-workers", setting: "udp.workers", short: None, value: "N" },
    Shortcut { long: "http-workers", setting: "http.workers", short: None, value: "N" },
    Shortcut { long: "log-level", setting: "log.level", short: None, value: "LEVEL" },
];

/// An option as the operator wrote it, or could have.
pub(super) fn shown(id: &str) -> String {
    let short = match id {
        "config" => Some('f'),
        "ip" => Some('i'),
        "tcp-port" => Some('p'),
        "udp-port" => Some('P'),
        "livesync-port" => Some('s'),
        _ => SHORTCUTS.iter().find(|shortcut| shortcut.long == id).and_then(|shortcut| shortcut.short),
    };
    match short {
        Some(letter) => format!("-{letter}"),
        None if id.len() == 1 => format!("-{id}"),
        None => format!("--{id}"),
    }
}

/// The program with all its options.
pub(super) fn program() -> Command {
    Command::new("opentracker-xdp")
        .bin_name("opentracker-xdp")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A BitTorrent tracker for Linux, over UDP and HTTP; takes opentracker's options and files.")
        .after_help(EXAMPLES)
        .max_term_width(110)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(configuration())
        .args(addresses())
        .args(SHORTCUTS.iter().map(shortcut))
        .args(information())
}

fn configuration() -> [Arg; 4] {
    let flag = |name| Arg::new(name).long(name).action(ArgAction::SetTrue).help_heading(CONFIGURATION);
    [
        repeatable(OptionId::Config.name(), "FILE", CONFIGURATION)
            .short('f')
            .help("Read a file here: TOML if its name ends in .toml, else opentracker's format"),
        repeatable(OptionId::Set.name(), "KEY=VALUE", CONFIGURATION)
            .help("Set any key of the configuration, such as http.workers=4"),
        flag(CHECK_CONFIG).help("Find everything wrong with files and options, print it, and exit"),
        flag(PRINT_CONFIG).help("Print the configuration as it takes effect, in TOML, and exit"),
    ]
}

fn addresses() -> [Arg; 4] {
    [
        repeatable(OptionId::Ip.name(), "IP", ADDRESSES).short('i').help(
            "The address of the -p and -P that follow; alone, it stands for its port 6969, HTTP and UDP",
        ),
        repeatable(OptionId::TcpPort.name(), "PORT", ADDRESSES)
            .short('p')
            .help("Listen for HTTP on this port of the last -i, or of every address"),
        repeatable(OptionId::UdpPort.name(), "PORT", ADDRESSES)
            .short('P')
            .help("Listen for UDP on this port of the last -i, or of every address"),
        repeatable(OptionId::LivesyncPort.name(), "PORT", ADDRESSES).short('s').help(
            "Tell the cluster of peers by this port, on the network of the last -i [livesync.cluster.listen]",
        ),
    ]
}

fn shortcut(shortcut: &Shortcut) -> Arg {
    let setting = Setting::named(shortcut.setting);
    let doc = setting.map(|setting| setting.doc.trim_end_matches('.')).unwrap_or_default();
    let option = repeatable(shortcut.long, shortcut.value, TRACKER);
    let option = shortcut.short.into_iter().fold(option, Arg::short);
    let option = match shortcut.value {
        SWITCH => option.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => option,
    };
    option.help(format!("{doc} [{}]", shortcut.setting))
}

fn information() -> [Arg; 2] {
    [
        Arg::new("help")
            .short('h')
            .long("help")
            .action(ArgAction::Help)
            .help_heading(INFORMATION)
            .help("Print this help"),
        Arg::new("version")
            .short('v')
            .long("version")
            .action(ArgAction::Version)
            .help_heading(INFORMATION)
            .help("Print the version"),
    ]
}

/// An option with a value; values are parsed later, so that all that is wrong is found at once.
fn repeatable(name: &'static str, value: &'static str, heading: &'static str) -> Arg {
    let option = Arg::new(name)
        .value_name(value)
        .action(ArgAction::Append)
        .value_parser(OsStringValueParser::new())
        .help_heading(heading);
    if name.len() > 1 { option.long(name) } else { option }
}
