//! The program's entry: arguments to configuration, configuration to daemon, outcomes to exit codes.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use tracker_user::config::finding::Finding;
use tracker_user::config::types::LogLevel;
use tracker_user::config::{self, Command};
use tracker_user::daemon;

fn main() -> ExitCode {
    match config::from_arguments(std::env::args_os()) {
        Command::Run { config, warnings } => {
            start_logging(config.log_level);
            warnings.iter().for_each(|warning| log::warn!("{warning}"));
            match daemon::run(&config) {
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

fn start_logging(level: LogLevel) {
    let filter = match level {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warn => log::LevelFilter::Warn,
        LogLevel::Info => log::LevelFilter::Info,
        LogLevel::Debug => log::LevelFilter::Debug,
    };
    env_logger::Builder::new().filter_level(filter).format_target(false).init();
}

fn write_findings(findings: &[Finding]) {
    findings.iter().for_each(|finding| write(std::io::stderr(), format_args!("{finding}\n")));
}

/// A reader that has gone away (`opentracker-xdp --help | head -1`) is no reason to fail.
fn write(mut to: impl Write, text: impl Display) {
    let _ = write!(to, "{text}");
}
