//! `opentracker-xdp ctl`: what an operator asks of a tracker that runs, over its Unix socket (`control.socket`). Here are
//! what is said over it and the side that asks; `control::socket` is the side that answers.
//!
//! Beside the packets' way: a process of its own, which asks, prints and ends.

mod arguments;
mod client;
mod text;
mod wire;

pub use wire::{Answer, MAX_LINE_BYTES, Request, TORRENTS_OF_A_REQUEST};

use arguments::{Asked, Task};
use client::{Connection, Failure};
use serde_json::Value;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;

/// The subcommand's name.
pub const NAME: &str = "ctl";
/// Where the socket is looked for when nothing says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/opentracker-xdp/control.sock";

/// Exit codes, for scripts: documented in `ctl --help`.
mod exit {
    pub(super) const DONE: u8 = 0;
    pub(super) const REFUSED: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const UNREACHABLE: u8 = 3;
    pub(super) const NO_ANSWER: u8 = 4;
}

/// Does what the arguments behind `ctl` say, and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let asked = match arguments::read(arguments) {
        Ok(asked) => asked,
        Err(refusal) if refusal.is_help => {
            write(std::io::stdout(), refusal.text);
            return exit::DONE;
        }
        Err(refusal) => {
            write(std::io::stderr(), refusal.text);
            return exit::USAGE;
        }
    };
    match perform(&asked) {
        Ok(()) => exit::DONE,
        Err(failure) => {
            if asked.as_json {
                let error = serde_json::json!({ "error": failure.to_string() });
                write(std::io::stdout(), format_args!("{error}\n"));
            } else {
                write(std::io::stderr(), format_args!("{failure}\n"));
            }
            match failure {
                Failure::Refused(_) => exit::REFUSED,
                Failure::Unreachable { .. } => exit::UNREACHABLE,
                Failure::NoAnswer(_) | Failure::NotUnderstood(_) => exit::NO_ANSWER,
            }
        }
    }
}

fn perform(asked: &Asked) -> Result<(), Failure> {
    let mut connection = Connection::open(&asked.socket, asked.timeout)?;
    match &asked.task {
        Task::List => list(&mut connection, asked),
        Task::Change(requests) => change(&mut connection, asked, requests),
        Task::Ask(request) => {
            let answer = connection.ask(request)?;
            print(asked, &answer, text::of(request, &answer));
            if matches!(request, Request::Drain { wait: true, .. }) {
                connection.await_end()?;
            }
            Ok(())
        }
    }
}

/// Every torrent on the list, page by page: as lines that a list file could have, or as one object.
fn list(connection: &mut Connection, asked: &Asked) -> Result<(), Failure> {
    let mut page = connection.ask(&Request::List { after: None })?;
    if !asked.as_json {
        write(std::io::stdout(), text::list_heading(&page));
    }
    let mut torrents = Vec::new();
    loop {
        let Some(Value::Array(rows)) = page.get_mut("torrents").map(Value::take) else {
            return Err(Failure::NotUnderstood("a list without torrents".to_owned()));
        };
        let last = rows.last().and_then(Value::as_str).and_then(|text| text.parse().ok());
        if asked.as_json {
            torrents.extend(rows);
        } else {
            write(std::io::stdout(), text::lines(rows.into_iter()));
        }
        match last.filter(|_| page.get("more") == Some(&Value::Bool(true))) {
            Some(last) => page = connection.ask(&Request::List { after: Some(last) })?,
            None => break,
        }
    }
    if asked.as_json {
        let whole = serde_json::json!({ "kind": page["kind"], "total": page["total"], "torrents": torrents });
        write(std::io::stdout(), format_args!("{whole}\n"));
    }
    Ok(())
}

/// Allows or denies torrents, as many in a request as fit; the figures of all requests are added up.
fn change(connection: &mut Connection, asked: &Asked, requests: &[Request]) -> Result<(), Failure> {
    let mut sum: Option<Value> = None;
    for request in requests {
        let answer = connection.ask(request)?;
        match &mut sum {
            None => sum = Some(answer),
            Some(sum) => {
                for figure in ["torrents", "changed"] {
                    let added = [&sum[figure], &answer[figure]].map(|value| value.as_u64().unwrap_or(0));
                    sum[figure] = added.iter().sum::<u64>().into();
                }
            }
        }
    }
    if let (Some(request), Some(sum)) = (requests.first(), sum) {
        print(asked, &sum, text::of(request, &sum));
    }
    Ok(())
}

fn print(asked: &Asked, answer: &Value, text: String) {
    if asked.as_json {
        write(std::io::stdout(), format_args!("{answer}\n"));
    } else {
        write(std::io::stdout(), text);
    }
}

/// A reader that has gone away is no reason to fail.
fn write(mut to: impl Write, text: impl Display) {
    let _ = write!(to, "{text}");
}
