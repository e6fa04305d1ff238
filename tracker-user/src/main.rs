//! The program's entry: arguments to configuration, configuration to daemon, outcomes to exit codes.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use tracker_user::config::finding::Finding;
use tracker_user::config::types::Config;
use tracker_user::config::{self, Command};
use tracker_user::ingress::xdp::Xdp;
use tracker_user::{ctl, daemon, doctor, logging};

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == ctl::NAME) {
        return ExitCode::from(ctl::run(std::env::args_os().skip(2)));
    }
    let (task, arguments) = task(std::env::args_os().collect());
    match config::from_arguments(arguments) {
        Command::Run { config, warnings } => {
            if let Task::Diagnose { as_json } = task {
                write_findings(&warnings);
                return diagnose(&config, as_json);
            }
            logging::start(config.log_level);
            warnings.iter().for_each(|warning| log::warn!("{warning}"));
            let files = config::files_named(std::env::args_os());
            match daemon::run(&config, &files, &|| config::from_arguments(std::env::args_os())) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    log::error!("{error:#}");
                    ExitCode::FAILURE
                }
            }
        }
        Command::Print { text, warnings } => {
            write_findings(&warnings);
            write(std::io::stdout(), &text);
            ExitCode::SUCCESS
        }
        Command::Refuse { findings, exit_code } => {
            write_findings(&findings);
            ExitCode::from(exit_code)
        }
    }
}

/// What is done with the configuration.
#[derive(Clone, Copy)]
enum Task {
    /// The tracker runs.
    Track,
    /// `doctor`: the host is looked at, and nothing is started.
    Diagnose { as_json: bool },
}

/// Takes the subcommand and what it alone understands from the arguments; the rest makes the configuration.
fn task(mut arguments: Vec<OsString>) -> (Task, Vec<OsString>) {
    if arguments.get(1).is_none_or(|first| first != doctor::NAME) {
        return (Task::Track, arguments);
    }
    arguments.remove(1);
    let before = arguments.len();
    arguments.retain(|argument| argument != "--json");
    (Task::Diagnose { as_json: arguments.len() < before }, arguments)
}

fn diagnose(config: &Config, as_json: bool) -> ExitCode {
    let build = doctor::Build { xdp: Xdp::is_available(config), af_xdp: false };
    let interfaces = &config.xdp.interface;
    let report = doctor::run(&doctor::Request { config, interfaces, build, as_json });
    write(std::io::stdout(), report.text);
    if report.is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write_findings(findings: &[Finding]) {
    findings.iter().for_each(|finding| write(std::io::stderr(), format_args!("{finding}\n")));
}

/// A reader that has gone away (`opentracker-xdp --help | head -1`) is no reason to fail.
fn write(mut to: impl Write, text: impl Display) {
    let _ = write!(to, "{text}");
}
