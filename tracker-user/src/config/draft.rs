//! The configuration while it is put together: what is set so far, by which place, and what was wrong.

use super::check;
use super::finding::{Finding, Place};
use super::keys::{self, Setting};
use super::types::{Config, Listen, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Takes settings in the order in which they are given; a later scalar replaces an earlier one.
#[derive(Default)]
pub(super) struct Draft {
    /// What is set so far.
    pub(super) config: Config,
    /// What was wrong so far.
    pub(super) findings: Vec<Finding>,
    /// `listen.udp.workers`: for the UDP addresses that follow.
    pub(super) udp_workers_of_next: Option<u16>,
    /// Where each setting was made last.
    places: BTreeMap<&'static str, Place>,
    /// The settings of which a value was refused.
    refused: BTreeSet<&'static str>,
    /// Where each of `config.listen` was made.
    listen_places: Vec<Place>,
}

/// Whether a setting was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// It holds.
    Taken,
    /// A finding says why not.
    Refused,
}

impl Draft {
    /// Sets `name` to `value`; a finding calls it `shown`, which is how the operator wrote it.
    pub(super) fn apply(&mut self, place: &Place, shown: &str, name: &str, value: &str) -> Applied {
        let Some(setting) = Setting::named(name) else {
            self.findings.push(unknown(place, shown, name));
            return Applied::Refused;
        };
        let outcome = match value {
            "" => Err("expected a value, found none".to_owned()),
            value => setting.set(self, value),
        };
        self.listen_places.resize(self.config.listen.len(), place.clone());
        match outcome {
            Ok(()) => {
                self.places.insert(setting.name, place.clone());
                Applied::Taken
            }
            Err(what) => {
                self.refuse(place, shown, setting.name, what);
                Applied::Refused
            }
        }
    }

    /// Notes what is wrong with the value of the setting `name`.
    pub(super) fn refuse(&mut self, place: &Place, shown: &str, name: &'static str, what: impl Into<String>) {
        self.refused.insert(name);
        self.findings.push(Finding::error(place, shown, what));
    }

    /// Adds an address to listen on.
    pub(super) fn listen(&mut self, transport: Transport, address: SocketAddr) {
        let udp_workers = self.udp_workers_of_next.filter(|_| transport == Transport::Udp);
        self.config.listen.push(Listen { transport, address, udp_workers });
    }

    /// The same for an address of the command line.
    pub(super) fn listen_from(&mut self, place: &Place, transport: Transport, address: SocketAddr) {
        self.listen(transport, address);
        self.listen_places.push(place.clone());
    }

    /// Where a setting was made; `None`: it has its default.
    pub(super) fn place_of(&self, name: &str) -> Option<&Place> {
        self.places.get(name)
    }

    /// Whether some value of a setting was refused, so that what it should be is not known.
    pub(super) fn was_refused(&self, name: &str) -> bool {
        self.refused.contains(name)
    }

    /// The listen lines with the places where they were made.
    pub(super) fn listen_with_places(&self) -> impl Iterator<Item = (&Listen, &Place)> {
        self.config.listen.iter().zip(&self.listen_places)
    }

    /// The configuration, UDP addresses first, and all findings, those of settings that disagree included.
    pub(super) fn finish(mut self) -> (Config, Vec<Finding>) {
        let disagreements = check::check(&self);
        self.findings.extend(disagreements);
        self.config.listen.sort_by_key(|listen| listen.transport == Transport::Tcp);
        (self.config, self.findings)
    }
}

/// The finding about a keyword that is none of the table's.
pub(super) fn unknown(place: &Place, shown: &str, name: &str) -> Finding {
    let finding = Finding::error(place, shown, "unknown keyword");
    match keys::nearest(name) {
        Some(known) => finding.mended_by(format!("did you mean {known}?")),
        None => finding.mended_by("opentracker.conf.example lists all there are"),
    }
}
