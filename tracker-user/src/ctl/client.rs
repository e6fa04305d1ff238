//! The connection to a tracker: one request after the other, each with its answer within a time limit.

use super::wire::{Answer, Request};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Why a request was not done.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The tracker has said no.
    #[error("{0}")]
    Refused(String),
    /// There is no tracker to ask, or none that this user may ask.
    #[error("no tracker can be reached at {}: {error}{}", path.display(), remedy(error))]
    Unreachable {
        /// Its socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The connection broke, or the time was over.
    #[error("the tracker has not answered: {0}")]
    NoAnswer(io::Error),
    /// What was asked for cannot be written out whole.
    #[error("the answer cannot be written: {0}; what has been written is not all of it")]
    Output(#[from] io::Error),
    /// The answer is none.
    #[error("the tracker's answer is not understood ({0}); is it of another version?")]
    NotUnderstood(String),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "; start it with control.socket set, or name its socket with --socket",
        ErrorKind::ConnectionRefused => "; it has ended without removing its socket",
        ErrorKind::PermissionDenied => "; be the user who started it",
        _ => "",
    }
}

/// A connection.
pub(super) struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Connects; every later step may take as long as `timeout`.
    pub(super) fn open(path: &Path, timeout: Duration) -> Result<Self, Failure> {
        let unreachable = |error| Failure::Unreachable { path: path.to_owned(), error };
        let stream = UnixStream::connect(path).map_err(unreachable)?;
        stream
            .set_read_timeout(Some(timeout))
            .and_then(|()| stream.set_write_timeout(Some(timeout)))
            .map_err(unreachable)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Value, Failure> {
        let mut line = serde_json::to_vec(request).map_err(|error| Failure::NoAnswer(error.into()))?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(no_answer)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value, Failure> {
        let mut answer = Vec::new();
        self.stream.read_until(b'\n', &mut answer).map_err(no_answer)?;
        if answer.last() != Some(&b'\n') {
            return Err(Failure::NoAnswer(ErrorKind::UnexpectedEof.into()));
        }
        match serde_json::from_slice(&answer) {
            Ok(Answer::Ok(answer)) => Ok(answer),
            Ok(Answer::Error(why)) => Err(Failure::Refused(why)),
            Err(error) => Err(Failure::NotUnderstood(error.to_string())),
        }
    }

    /// Waits until the tracker has ended, however long that takes: it has its own limit. Its last word is what came of it.
    pub(super) fn await_end(mut self) -> Result<(), Failure> {
        self.stream.get_mut().set_read_timeout(None).map_err(Failure::NoAnswer)?;
        self.answer()?;
        match io::copy(&mut self.stream, &mut io::sink()) {
            Ok(_) => Ok(()),
            // A process that ends with bytes unread breaks its connections.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(Failure::NoAnswer(error)),
        }
    }
}

/// A time limit shows as if the socket were not to wait.
fn no_answer(error: io::Error) -> Failure {
    let error = match error.kind() {
        ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "the time is over; --timeout sets it"),
        _ => error,
    };
    Failure::NoAnswer(error)
}
