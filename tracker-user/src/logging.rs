//! What is written to standard error, and how much of it: the level may change while the daemon runs.

use crate::config::types::LogLevel;
use log::LevelFilter;

/// Begins to write messages of this level and above.
pub fn start(level: LogLevel) {
    env_logger::Builder::new()
        // All of it here, so that the level alone decides: it is looked at before a message is even made.
        .filter_level(LevelFilter::Debug)
        // It tells of every relocation, which is of use to nobody here.
        .filter_module("aya_obj", LevelFilter::Warn)
        .filter_module("aya", LevelFilter::Warn)
        .format_target(false)
        .init();
    set_level(level);
}

/// Writes messages of this level and above from now on.
pub fn set_level(level: LogLevel) {
    log::set_max_level(match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
    });
}

/// The least severe messages that are written now.
pub fn level() -> LogLevel {
    match log::max_level() {
        LevelFilter::Off | LevelFilter::Error => LogLevel::Error,
        LevelFilter::Warn => LogLevel::Warn,
        LevelFilter::Info => LogLevel::Info,
        LevelFilter::Debug | LevelFilter::Trace => LogLevel::Debug,
    }
}
