//! `opentracker-xdp doctor`: what this host can do for a tracker, what stands in the way, and what mends it.
//!
//! Beside the packets' way: it runs alone, before any start. It only reads: nothing is attached, loaded, bound or set.
//! Each area turns facts into findings; [`links`] gathers the facts about interfaces, and [`mode`] walks the ladder of
//! `--mode auto` over them.

mod af_xdp;
mod capabilities;
mod clock;
mod conntrack;
mod finding;
mod host;
mod interfaces;
mod kernel;
mod limits;
mod links;
mod mode;
mod report;
mod selection;

#[cfg(test)]
mod tests;

pub use mode::Build;

use crate::config::types::{Config, Mode};
use finding::{Finding, Hinders, Status};
use host::Host;
use links::Interface;
use mode::{Choice, Grounds};
use selection::Selection;

/// The subcommand's name.
pub const NAME: &str = "doctor";

/// What is asked of the doctor.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where the tracker would listen, and with what settings.
    pub config: &'a Config,
    /// Interfaces to look at; empty: those that carry a UDP address of the configuration.
    pub interfaces: &'a [String],
    /// What the program was built with.
    pub build: Build,
    /// Whether the answer is JSON.
    pub as_json: bool,
}

/// Everything that was found.
#[derive(Clone, Debug)]
struct Diagnosis {
    /// Area by area.
    findings: Vec<Finding>,
    /// What would be chosen, interface by interface.
    modes: Vec<Choice>,
}

impl Diagnosis {
    fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// Whether nothing hinders what was asked for.
    fn is_fine(&self) -> bool {
        self.count(Status::Obstacle) == 0
    }
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Report {
    /// For standard output.
    pub text: String,
    /// Whether nothing hinders what was asked for: exit code 0, else 1.
    pub is_fine: bool,
}

/// Looks at the host that this process runs on.
pub fn run(request: &Request<'_>) -> Report {
    let diagnosis = diagnose(&Host::this(), request);
    let text = if request.as_json { report::json(&diagnosis) } else { report::text(&diagnosis) };
    Report { text, is_fine: diagnosis.is_fine() }
}

fn diagnose(host: &Host, request: &Request<'_>) -> Diagnosis {
    let mut findings = examine_host(host, request);
    let selection = selected(host, request);
    let examine = |interface| {
        let mut found = interfaces::examine(interface);
        found.extend(af_xdp::examine(host, request.config, interface));
        (interface, found)
    };
    let by_interface: Vec<(&Interface, Vec<Finding>)> = selection.interfaces.iter().map(examine).collect();
    let grounds = Grounds {
        mode: request.config.xdp.mode,
        attach: request.config.xdp.attach,
        build: request.build,
        host: &findings,
        is_named: !request.interfaces.is_empty(),
    };
    let modes =
        by_interface.iter().map(|(interface, found)| mode::choose(grounds, interface, found)).collect();
    findings.extend(selection.findings);
    findings.extend(by_interface.into_iter().flat_map(|(_, found)| found));
    if request.config.xdp.mode == Mode::Socket {
        findings = findings.into_iter().map(Finding::for_sockets_alone).collect();
    }
    Diagnosis { findings, modes }
}

fn examine_host(host: &Host, request: &Request<'_>) -> Vec<Finding> {
    let config = request.config;
    let program = std::env::current_exe().unwrap_or_else(|_| "opentracker-xdp".into());
    let mut findings = kernel::examine(host);
    findings.push(kernel::examine_af_xdp());
    findings.extend(capabilities::examine(host, config, &program.display().to_string()));
    findings.extend(clock::examine(host));
    findings.extend(limits::examine(host, config));
    findings.extend(conntrack::examine(host, config));
    findings.push(examine_build(request.build));
    findings
}

fn examine_build(build: Build) -> Finding {
    const AREA: &str = "build";
    const SUBJECT: &str = "XDP program";
    if build.xdp {
        return Finding::ok(AREA, SUBJECT, "contained");
    }
    Finding::warning(AREA, SUBJECT, "not contained: packets come through sockets, whatever the host offers")
        .hindering(Hinders::Xdp)
        .mended_by("cargo xtask build-ebpf, then cargo build --release")
}

fn selected(host: &Host, request: &Request<'_>) -> Selection {
    let unlisted = |error: &dyn std::fmt::Display| Selection {
        interfaces: Vec::new(),
        findings: vec![Finding::warning("interface", "all", format!("cannot be listed: {error}"))],
    };
    let all = match links::list(host) {
        Ok(all) => all,
        Err(error) => return unlisted(&error),
    };
    match selection::carried_addresses() {
        Ok(carried) => selection::select(all, &carried, request.config, request.interfaces),
        Err(error) => unlisted(&error),
    }
}
