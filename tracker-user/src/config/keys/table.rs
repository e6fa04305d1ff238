//! The entries of the table of settings, a file for each group, in the order in which they are documented and printed.

mod access;
mod batchsync;
mod control;
mod http;
mod listen;
mod livesync;
mod log;
mod state;
mod store;
mod sync;
mod tracker;
mod udp;
mod xdp;
mod xsk;

use super::{Setting, Shown};
use crate::config::values;
use ipnet::IpNet;
use std::path::Path;

/// Every group of settings.
static GROUPS: &[&[Setting]] = &[
    listen::SETTINGS,
    tracker::SETTINGS,
    store::SETTINGS,
    access::SETTINGS,
    udp::SETTINGS,
    xdp::SETTINGS,
    xsk::SETTINGS,
    http::SETTINGS,
    livesync::SETTINGS,
    sync::SETTINGS,
    state::SETTINGS,
    batchsync::SETTINGS,
    control::SETTINGS,
    log::SETTINGS,
];

/// Every setting.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().copied().flatten()
}

fn store<T>(setting: &mut T, parsed: Result<T, String>) -> Result<(), String> {
    *setting = parsed?;
    Ok(())
}

fn seconds(text: &str, least: u64, most: u64) -> Result<u32, String> {
    values::number(text, "seconds", least..=most)
}

fn workers(text: &str) -> Result<u16, String> {
    values::number(text, "workers", 0..=1024)
}

fn number(value: impl Into<u64>) -> Shown {
    Shown::Number(value.into())
}

fn optional(value: Option<String>) -> Shown {
    value.map_or(Shown::Unset, Shown::Text)
}

fn path(path: Option<&Path>) -> Shown {
    optional(path.map(|path| path.to_string_lossy().into()))
}

fn networks(networks: &[IpNet]) -> Shown {
    Shown::List(networks.iter().map(ToString::to_string).collect())
}
