//! The diagnosis in words for an operator, or in JSON for a program.

use super::Diagnosis;
use super::finding::{Finding, Status};
use super::mode::Choice;
use serde::Serialize;
use std::fmt::Write;

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    findings: &'a [Finding],
    modes: &'a [Choice],
    obstacles: usize,
    warnings: usize,
}

/// Aligned text: one line a finding, its mend below it.
pub(super) fn text(diagnosis: &Diagnosis) -> String {
    let subjects = diagnosis.findings.iter().map(|finding| finding.subject.chars().count());
    let width = subjects.max().unwrap_or_default();
    let mut text = String::new();
    let mut area = "";
    for finding in &diagnosis.findings {
        if finding.area != area {
            area = finding.area;
            push(&mut text, format_args!("{area}"));
        }
        let Finding { status, subject, says, .. } = finding;
        push(&mut text, format_args!("  {:<8}  {subject:<width$}  {says}", status.name()));
        if let Some(mend) = &finding.mend {
            push(&mut text, format_args!("  {:<8}  {:<width$}  mend: {mend}", "", ""));
        }
    }
    modes(&mut text, &diagnosis.modes);
    let (obstacles, warnings) = (diagnosis.count(Status::Obstacle), diagnosis.count(Status::Warning));
    push(&mut text, format_args!("{}, {}", counted(obstacles, "obstacle"), counted(warnings, "warning")));
    text
}

fn modes(text: &mut String, modes: &[Choice]) {
    push(text, format_args!("mode"));
    if modes.is_empty() {
        push(text, format_args!("  socket    no interface to attach an XDP program to"));
    }
    let width = modes.iter().map(|choice| choice.interface.chars().count()).max().unwrap_or_default();
    for choice in modes {
        let details: Vec<&str> = choice.attach.into_iter().chain(choice.af_xdp).collect();
        let details = if details.is_empty() { String::new() } else { format!("{}; ", details.join(", ")) };
        let Choice { interface, mode, reason, .. } = choice;
        push(text, format_args!("  {mode:<8}  {interface:<width$}  {details}{reason}"));
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _ = writeln!(text, "{line}");
}

/// One JSON document with a line break at its end.
pub(super) fn json(diagnosis: &Diagnosis) -> String {
    let document = Document {
        findings: &diagnosis.findings,
        modes: &diagnosis.modes,
        obstacles: diagnosis.count(Status::Obstacle),
        warnings: diagnosis.count(Status::Warning),
    };
    let json = serde_json::to_string_pretty(&document);
    json.expect("strings and numbers are always JSON") + "\n"
}
