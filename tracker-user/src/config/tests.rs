//! What files, options and documents of the configuration lead to.

mod command_line;
mod documents;
mod files;
mod nats;
mod round_trip;
mod store;

use super::draft::Draft;
use super::finding::{Finding, Severity};
use super::types::{Config, Listen, Transport};
use super::{classic, toml_file};
use std::path::Path;

/// A classic file of this text.
fn from_classic(text: &str) -> (Config, Vec<String>) {
    let mut draft = Draft::default();
    classic::read(&mut draft, Path::new("t.conf"), text);
    let (config, findings) = draft.finish();
    (config, written(&findings))
}

/// A TOML file of this text.
fn from_toml(text: &str) -> (Config, Vec<String>) {
    let mut draft = Draft::default();
    toml_file::read(&mut draft, Path::new("t.toml"), text);
    let (config, findings) = draft.finish();
    (config, written(&findings))
}

fn written(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

fn is_error(finding: &Finding) -> bool {
    finding.severity == Severity::Error
}

fn udp(address: &str) -> Listen {
    Listen { transport: Transport::Udp, address: address.parse().unwrap(), udp_workers: None }
}

fn tcp(address: &str) -> Listen {
    Listen { transport: Transport::Tcp, ..udp(address) }
}
