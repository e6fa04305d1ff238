//! The arguments behind `ctl`.

use super::wire::{Request, TORRENTS_OF_A_REQUEST};
use super::{DEFAULT_SOCKET, NAME};
use crate::config::types::LogLevel;
use crate::config::{self, Command};
use crate::info_hash::InfoHash;
use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const AFTER_HELP: &str = "\
The socket is that of --socket, else control.socket of the file of -f, else /run/opentracker-xdp/control.sock.

Exit codes: 0 done; 1 the tracker has refused, or it has failed, and said why; 2 the arguments or the file are wrong;
3 no tracker can be reached; 4 it has not answered in time, or not understandably. With --json, an error is an object
with the key error on standard output.";

/// What is to be done, and where.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) task: Task,
    pub(super) socket: PathBuf,
    pub(super) as_json: bool,
    pub(super) timeout: Duration,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// One request.
    Ask(Request),
    /// As many as it takes to name every torrent.
    Change(Vec<Request>),
    /// As many as it takes to hear of every torrent on the list.
    List,
}

/// Why nothing is done.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) text: String,
    pub(super) is_help: bool,
    /// Whether it is to be said in JSON.
    pub(super) as_json: bool,
}

/// Reads the arguments behind `ctl`.
pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, Refusal> {
    let arguments: Vec<_> = [OsString::from(NAME)].into_iter().chain(arguments).collect();
    // Looked for by itself: of arguments that are wrong nothing else is known.
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let matches = program().try_get_matches_from(arguments).map_err(|error| Refusal {
        text: error.render().to_string(),
        is_help: matches!(error.kind(), ErrorKind::DisplayHelp),
        as_json,
    })?;
    let timeout = Duration::from_secs(*matches.get_one("timeout").unwrap_or(&60));
    Ok(Asked { task: task(&matches), socket: socket(&matches)?, as_json: matches.get_flag("json"), timeout })
}

fn program() -> clap::Command {
    let command = |name: &'static str, about: &'static str| clap::Command::new(name).about(about);
    let torrents = || {
        let hash = Arg::new("torrents").value_name("HASH").value_parser(value_parser!(InfoHash));
        hash.required(true).num_args(1..).help("An info hash, 40 hexadecimal digits")
    };
    clap::Command::new(NAME)
        .bin_name("opentracker-xdp ctl")
        .about("Asks a tracker that runs, or tells it what to do.")
        .after_help(AFTER_HELP)
        .max_term_width(110)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .args(options())
        .subcommands([
            command("status", "How it is: since when it runs, where, with how many peers and which list"),
            command("stats", "Every counter"),
            command(
                "reload",
                "Read the configuration and the lists again, as SIGHUP does, and say what came of it",
            ),
            command(
                "allow",
                "Serve torrents until the next reload: put on a whitelist, taken off a blacklist",
            )
            .arg(torrents()),
            command("deny", "Serve torrents no more until the next reload").arg(torrents()),
            command("list", "The list in force as lines that a list file could have"),
            command("top", "The largest swarms").arg(
                Arg::new("count")
                    .value_name("N")
                    .value_parser(value_parser!(u16).range(1..=1000))
                    .default_value("10")
                    .help("How many"),
            ),
            command("torrent", "One torrent: its peers, and whether it is served")
                .arg(torrents().num_args(1)),
            drain(),
            command("log", "Write messages of this level and above until it ends").arg(
                Arg::new("level")
                    .value_name("LEVEL")
                    .required(true)
                    .value_parser(PossibleValuesParser::new(LEVELS.map(|(name, _)| name)))
                    .help("The level"),
            ),
        ])
}

const LEVELS: [(&str, LogLevel); 4] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

fn options() -> [Arg; 4] {
    let option = |name: &'static str| Arg::new(name).long(name).global(true);
    [
        option("socket").value_name("PATH").value_parser(value_parser!(PathBuf)).help("The tracker's socket"),
        option("config")
            .short('f')
            .value_name("FILE")
            .value_parser(value_parser!(OsString))
            .help("The file that the tracker was started with"),
        option("json").action(ArgAction::SetTrue).help("Print JSON: one object on one line"),
        option("timeout")
            .value_name("SECS")
            .value_parser(value_parser!(u64).range(1..=86_400))
            .default_value("60")
            .help("Seconds to wait for an answer"),
    ]
}

fn drain() -> clap::Command {
    clap::Command::new("drain")
        .about("Take in no new clients, finish what is in flight, and end")
        .arg(
            Arg::new("within")
                .long("within")
                .value_name("SECS")
                .value_parser(value_parser!(u32).range(0..=86_400))
                .default_value("30")
                .help("End after so many seconds though there are still clients"),
        )
        .arg(Arg::new("wait").long("wait").action(ArgAction::SetTrue).help("Return when it has ended"))
}

fn task(matches: &ArgMatches) -> Task {
    let Some((name, given)) = matches.subcommand() else { return Task::Ask(Request::Status) };
    let torrents =
        || -> Vec<InfoHash> { given.get_many("torrents").into_iter().flatten().copied().collect() };
    let change = |request: fn(Vec<InfoHash>) -> Request| {
        Task::Change(torrents().chunks(TORRENTS_OF_A_REQUEST).map(|part| request(part.to_vec())).collect())
    };
    let request = match name {
        "allow" => return change(|torrents| Request::Allow { torrents }),
        "deny" => return change(|torrents| Request::Deny { torrents }),
        "list" => return Task::List,
        "stats" => Request::Stats,
        "reload" => Request::Reload,
        "top" => Request::Top { count: given.get_one("count").copied().unwrap_or(10) },
        "torrent" => match torrents().first() {
            Some(torrent) => Request::Torrent { torrent: *torrent },
            None => Request::Status,
        },
        "drain" => Request::Drain {
            within_secs: given.get_one("within").copied().unwrap_or(30),
            wait: given.get_flag("wait"),
        },
        "log" => {
            let name = given.get_one::<String>("level").map_or("", String::as_str);
            let level = LEVELS.iter().find(|(known, _)| *known == name);
            Request::Log { level: level.map(|(_, level)| *level).unwrap_or_default() }
        }
        _ => Request::Status,
    };
    Task::Ask(request)
}

fn socket(matches: &ArgMatches) -> Result<PathBuf, Refusal> {
    if let Some(socket) = matches.get_one::<PathBuf>("socket") {
        return Ok(socket.clone());
    }
    let Some(file) = matches.get_one::<OsString>("config") else { return Ok(DEFAULT_SOCKET.into()) };
    let refused = |text| Refusal { text, is_help: false, as_json: matches.get_flag("json") };
    match config::from_arguments([OsString::from(NAME), "-f".into(), file.clone()]) {
        Command::Run { config, .. } => config.control.socket.ok_or_else(|| {
            refused(format!("{} sets no control.socket: a tracker with it cannot be asked\n", file.display()))
        }),
        Command::Refuse { findings, .. } => {
            Err(refused(findings.iter().map(|finding| format!("{finding}\n")).collect()))
        }
        Command::Print { text, .. } => Err(refused(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_SOCKET, Request, TORRENTS_OF_A_REQUEST, Task, program, read};
    use crate::config::types::LogLevel;
    use crate::info_hash::InfoHash;
    use std::path::Path;

    fn task(arguments: &str) -> Task {
        read(arguments.split(' ').map(Into::into)).unwrap().task
    }

    #[test]
    fn every_command_becomes_its_request() {
        program().debug_assert();
        let digits = "ab".repeat(20);
        let torrent = InfoHash([0xab; 20]);
        for (arguments, expected) in [
            ("status", Request::Status),
            ("stats", Request::Stats),
            ("reload", Request::Reload),
            ("top", Request::Top { count: 10 }),
            ("top 3", Request::Top { count: 3 }),
            (&format!("torrent {digits}"), Request::Torrent { torrent }),
            ("drain", Request::Drain { within_secs: 30, wait: false }),
            ("drain --within 5 --wait", Request::Drain { within_secs: 5, wait: true }),
            ("log debug", Request::Log { level: LogLevel::Debug }),
        ] {
            assert_eq!(task(arguments), Task::Ask(expected), "{arguments}");
        }
        assert_eq!(task("list --json"), Task::List);
        let deny = Request::Deny { torrents: vec![torrent, torrent] };
        assert_eq!(task(&format!("deny {digits} {digits}")), Task::Change(vec![deny]));
    }

    #[test]
    fn many_torrents_take_several_requests() {
        let many = vec!["00".repeat(20); TORRENTS_OF_A_REQUEST + 1].join(" ");
        let Task::Change(requests) = task(&format!("allow {many}")) else { panic!("no change") };
        let sizes: Vec<_> = requests
            .iter()
            .map(|request| match request {
                Request::Allow { torrents } => torrents.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, [TORRENTS_OF_A_REQUEST, 1]);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in ["", "stop", "allow", "allow 00", "top 0", "top 1001", "log loud", "torrent", "drain x"]
        {
            let refusal = read(wrong.split(' ').map(Into::into)).unwrap_err();
            assert!(!refusal.is_help, "{wrong}");
        }
        assert!(read(["--help".into()]).unwrap_err().is_help);
        let as_json = |wrong: &str| read(wrong.split(' ').map(Into::into)).unwrap_err().as_json;
        assert!(as_json("stop --json") && as_json("--json status -f /nowhere/opentracker.conf"));
        assert!(!as_json("stop"));
    }

    #[test]
    fn the_socket_is_named_or_the_default_one() {
        let socket = |arguments: &str| read(arguments.split(' ').map(Into::into)).map(|asked| asked.socket);
        assert_eq!(socket("status").unwrap(), Path::new(DEFAULT_SOCKET));
        assert_eq!(socket("status --socket /x").unwrap(), Path::new("/x"));
        assert!(socket("status -f /nowhere/opentracker.conf").unwrap_err().text.contains("/nowhere"));
    }
}
