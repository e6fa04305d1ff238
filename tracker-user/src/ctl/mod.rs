//! `opentracker-xdp ctl`: what an operator asks of a tracker that runs, over its Unix socket (`control.socket`). Here are
//! what is said over it and the side that asks; `control::socket` is the side that answers.
//!
//! Beside the packets' way: a process of its own, which asks, prints and ends.

mod arguments;
mod client;
mod list;
mod text;
mod wire;

pub use wire::{Answer, MAX_LINE_BYTES, Request, TORRENTS_OF_A_REQUEST};

use arguments::{Asked, Task};
use client::{Connection, Failure};
use serde_json::Value;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

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
            return write(io::stdout(), refusal.text).map_or(exit::REFUSED, |()| exit::DONE);
        }
        Err(refusal) => {
            complain(refusal.as_json, &refusal.text);
            return exit::USAGE;
        }
    };
    match perform(&asked) {
        Ok(()) => exit::DONE,
        Err(failure) => {
            // Standard output takes nothing more where it is what failed.
            let as_json = asked.as_json && !matches!(failure, Failure::Output(_));
            complain(as_json, &failure.to_string());
            match failure {
                Failure::Refused(_) | Failure::Output(_) => exit::REFUSED,
                Failure::Unreachable { .. } => exit::UNREACHABLE,
                Failure::NoAnswer(_) | Failure::NotUnderstood(_) => exit::NO_ANSWER,
            }
        }
    }
}

/// Says why it is not done, as far as that can be written: the exit code says it, too.
fn complain(as_json: bool, why: &str) {
    let why = why.trim_end();
    let _ = if as_json {
        write(io::stdout(), format_args!("{}\n", serde_json::json!({ "error": why })))
    } else {
        write(io::stderr(), format_args!("{why}\n"))
    };
}

fn perform(asked: &Asked) -> Result<(), Failure> {
    let mut connection = Connection::open(&asked.socket, asked.timeout)?;
    match &asked.task {
        Task::List => list::print(&mut connection, asked.as_json),
        Task::Change(requests) => change(&mut connection, asked, requests),
        Task::Ask(request) => {
            let answer = connection.ask(request)?;
            print(asked, &answer, text::of(request, &answer))?;
            if matches!(request, Request::Drain { wait: true, .. }) {
                connection.await_end()?;
            }
            Ok(())
        }
    }
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
        print(asked, &sum, text::of(request, &sum))?;
    }
    Ok(())
}

fn print(asked: &Asked, answer: &Value, text: String) -> io::Result<()> {
    if asked.as_json { write(io::stdout(), format_args!("{answer}\n")) } else { write(io::stdout(), text) }
}

/// Writes all of it, or says why not: somebody may put what is written in a list's place. A reader that has gone away is
/// no reason to fail.
fn write(mut to: impl Write, text: impl Display) -> io::Result<()> {
    match write!(to, "{text}").and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
