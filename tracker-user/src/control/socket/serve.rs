//! Connections to the socket: a few at a time, a line of bounded length and time each way.

use super::{Desk, Waiting};
use crate::ctl::{Answer, MAX_LINE_BYTES, Request};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Connections that are served at a time; others wait to be accepted.
const MOST_CONNECTIONS: usize = 16;
/// How long a connection may be silent between requests, and how long it may take to take an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a failed accept: a shortage of file descriptors must not become a loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the socket for ever. Where nobody holds the socket, it waits for ever.
pub async fn serve(listener: UnixListener, desk: Arc<Desk>, waiting: Arc<Waiting>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (desk, waiting) = (Arc::clone(&desk), Arc::clone(&waiting));
                tokio::spawn(async move {
                    // However it ends, the operator sees it on the other side.
                    let _ = converse(stream, &desk, &waiting).await;
                    drop(place);
                });
            }
            Err(error) => {
                log::warn!("accepting a connection to the control socket fails: {error}; trying on");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection, one after the other.
async fn converse(stream: UnixStream, desk: &Desk, waiting: &Waiting) -> io::Result<()> {
    let user = stream.peer_cred().map_or(u32::MAX, |credentials| credentials.uid());
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        // One byte more, to tell a line that is too long from one that just fits.
        let mut bounded = (&mut stream).take(MAX_LINE_BYTES as u64 + 1);
        if timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await?? == 0 {
            return Ok(());
        }
        let request = match line.last() {
            Some(b'\n') if line.len() <= MAX_LINE_BYTES => {
                serde_json::from_slice(&line).map_err(|error| format!("no request: {error}"))
            }
            _ if line.len() > MAX_LINE_BYTES => Err(format!("a request is {MAX_LINE_BYTES} bytes at most")),
            _ => Err("the request does not end in a line break".to_owned()),
        };
        let (answer, goes_on) = match request {
            Ok(request) => {
                let keeps_open = matches!(request, Request::Drain { wait: true, .. });
                let outcome = desk.answer(request, user).await;
                (
                    outcome.map_or_else(Answer::Error, Answer::Ok),
                    if keeps_open { Next::Wait } else { Next::Read },
                )
            }
            Err(error) => (Answer::Error(error), Next::End),
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        timeout(PATIENCE, stream.get_mut().write_all(&text)).await??;
        match (goes_on, &answer) {
            (Next::Wait, Answer::Ok(_)) => {
                let place = waiting.join(stream.get_ref())?;
                let closed = until_closed(&mut stream).await;
                waiting.leave(place);
                return closed;
            }
            (Next::End, _) => return Ok(()),
            _ => {}
        }
    }
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another request may follow.
    Read,
    /// It is kept open until one side ends.
    Wait,
    /// It is closed: where the next request begins is not known.
    End,
}

/// Waits for the other side to close, whatever it still sends: this side closes with the daemon.
async fn until_closed(stream: &mut BufReader<UnixStream>) -> io::Result<()> {
    while stream.get_mut().read(&mut [0; 512]).await? > 0 {}
    Ok(())
}
