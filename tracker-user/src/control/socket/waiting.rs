//! Operators who wait for the end of the daemon, and are told what came of it: whether its last snapshot is written is known
//! when nothing else is served any more.

use crate::ctl::Answer;
use parking_lot::Mutex;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

/// Their connections.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<Vec<UnixStream>>);

impl Waiting {
    /// One more. The place is given back with [`Waiting::leave`].
    pub(super) fn join(&self, connection: &impl AsFd) -> io::Result<RawFd> {
        let stream = UnixStream::from(connection.as_fd().try_clone_to_owned()?);
        let place = stream.as_raw_fd();
        self.0.lock().push(stream);
        Ok(place)
    }

    /// One less.
    pub(super) fn leave(&self, place: RawFd) {
        self.0.lock().retain(|stream| stream.as_raw_fd() != place);
    }

    /// Tells everyone what the end has come to, without waiting for any of them: a line fits where nothing waits to be read.
    pub fn tell(&self, outcome: &anyhow::Result<()>) {
        let answer = match outcome {
            Ok(()) => Answer::Ok(serde_json::json!({ "state": "ended" })),
            Err(error) => Answer::Error(format!("the tracker has ended with an error: {error:#}")),
        };
        let line = format!("{}\n", serde_json::json!(answer));
        for mut stream in self.0.lock().drain(..) {
            // Whoever is gone does not want to know.
            let _ = stream.write_all(line.as_bytes());
        }
    }
}
