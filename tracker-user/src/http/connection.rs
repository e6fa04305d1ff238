//! One TCP connection: as many requests as the client sends, each within the limits of time and size. Its failures
//! are counted here, where the request they belong to never became one.

use super::dispatch::Dispatcher;
use super::socket::Socket;
use crate::counters::HttpVerdict;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::future::{Future, poll_fn, ready};
use std::net::{IpAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;

/// The library's own minimum; a smaller limit is kept by `max_header_size`.
const MIN_BUFFER_BYTES: usize = 8192;

/// Serves a connection until one side closes it, it is silent for too long, or the daemon stops.
pub(super) async fn serve(
    stream: TcpStream,
    source: IpAddr,
    dispatcher: Rc<Dispatcher>,
    mut stop: watch::Receiver<bool>,
) {
    let http = dispatcher.http_config();
    let is_first_turn = Rc::new(Cell::new(true));
    let socket = Socket::new(stream, seconds(http.response_timeout_secs), is_first_turn.clone());
    let respond = service_fn(|request| ready(dispatcher.respond(source, &request)));
    let request_bytes = http.max_request_bytes as usize;
    // Pipelined answers are flushed one by one: aggregated, an answer waits for the rest of the request behind it.
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(seconds(http.request_timeout_secs))
        .half_close(true)
        .max_header_size(request_bytes)
        .max_buf_size(request_bytes.max(MIN_BUFFER_BYTES))
        .serve_connection(TokioIo::new(socket), respond);
    let end = tokio::select! {
        // The stop first: an answer that goes out after it says that it is the last.
        biased;
        _ = stop.wait_for(|stop| *stop) => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
        end = poll_fn(|context| {
            let end = std::pin::Pin::new(&mut connection).poll(context);
            // Most end in their first turn. Any other has a second one at once, as its socket wants it.
            let was_first_turn = is_first_turn.replace(false);
            if end.is_ready() || !was_first_turn { end } else { std::pin::Pin::new(&mut connection).poll(context) }
        }) => end,
    };
    if let Err(error) = end
        && let Some(verdict) = verdict_of(&error, &connection.into_parts().read_buf)
    {
        dispatcher.count(verdict);
    }
}

/// How the request ended with which the connection broke, if there was one. `unread` are the bytes of it.
fn verdict_of(error: &hyper::Error, unread: &[u8]) -> Option<HttpVerdict> {
    let has_begun = unread.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
    if error.is_timeout() {
        has_begun.then_some(HttpVerdict::TimedOut)
    } else if error.is_parse() || error.is_incomplete_message() {
        Some(HttpVerdict::Malformed)
    } else {
        None
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}
