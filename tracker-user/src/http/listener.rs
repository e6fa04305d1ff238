//! Where connections come in: listening sockets, and one worker that accepts on its share of them. A worker is one
//! thread with everything of its own, so that no request waits for another core. An error of one connection never
//! reaches another one, and none stops the worker.

use super::Service;
use super::connection;
use super::dispatch::Dispatcher;
use crate::counters::HttpCounters;
use crate::pulse::Pulse;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetUsize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, LocalSet};

/// How long requests that have begun may go on when the daemon stops.
const GRACE: Duration = Duration::from_millis(500);
/// The pause after a failed accept: a shortage of file descriptors must not become a loop that burns the core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that are accepted before those that there are have their turn.
const AT_A_TURN: usize = 64;
/// For how long the kernel keeps a connection to itself on which nothing has come yet: one that has a request is worth one
/// wake-up, not two.
const DEFER_SECS: usize = 1;

#[derive(Clone)]
struct DeferAccept;
nix::setsockopt_impl!(DeferAccept, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, usize, SetUsize);

/// What one worker is given.
#[derive(Debug)]
pub struct WorkerSettings {
    /// Its own listening sockets, one for each address: non-blocking, and shared with `SO_REUSEPORT`.
    pub listeners: Vec<TcpListener>,
    /// What all workers share.
    pub service: Arc<Service>,
    /// This worker's own counters: no other thread may add to them.
    pub counters: Arc<HttpCounters>,
    /// Turns true when the worker is to stop.
    pub stop: watch::Receiver<bool>,
    /// Its signs of life.
    pub pulse: Pulse,
}

/// Serves until `stop` turns true (or its sender is gone), then for half a second more what has begun. Blocks: it
/// wants a thread of its own.
///
/// # Errors
/// Only at the start, if the kernel refuses what the runtime needs.
pub fn run_worker(settings: WorkerSettings) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    LocalSet::new().block_on(&runtime, serve(settings))
}

async fn serve(settings: WorkerSettings) -> io::Result<()> {
    let WorkerSettings { listeners, service, counters, mut stop, pulse } = settings;
    tokio::task::spawn_local(beat(pulse));
    let worker = Rc::new(Worker {
        connections: Connections::new(service.max_connections_of_a_worker()),
        dispatcher: Rc::new(Dispatcher::new(service, counters)),
        stop: stop.clone(),
    });
    let listeners: Vec<_> = listeners.into_iter().map(watched).collect::<io::Result<_>>()?;
    let accepting: Vec<AbortHandle> = listeners
        .into_iter()
        .map(|listener| tokio::task::spawn_local(accept(listener, worker.clone())).abort_handle())
        .collect();
    // An error says that the sender is gone, and with it whoever could ask to stop.
    let _ = stop.wait_for(|stop| *stop).await;
    accepting.iter().for_each(AbortHandle::abort);
    // An error says that the time is over: what is still open is closed with the worker.
    let _ = tokio::time::timeout(GRACE, worker.connections.all_closed()).await;
    Ok(())
}

/// Beats for as long as the worker has its turns.
async fn beat(pulse: Pulse) {
    let Some(period) = pulse.period() else { return };
    let mut beats = tokio::time::interval(period);
    loop {
        beats.tick().await;
        pulse.beat();
    }
}

/// What the tasks of one worker share.
struct Worker {
    connections: Connections,
    dispatcher: Rc<Dispatcher>,
    stop: watch::Receiver<bool>,
}

/// Registers a listening socket with the runtime. The connections that it accepts are not.
fn watched(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    // An error means that a connection is accepted before its request is there, which is no harm.
    let _ = setsockopt(&listener, DeferAccept, &DEFER_SECS);
    // SAFETY: the descriptor belongs to `listener`, which the AsyncFd owns and never gives another one.
    unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) }.map_err(Into::into)
}

async fn accept(listener: AsyncFd<TcpListener>, worker: Rc<Worker>) {
    let mut failing = false;
    'turns: loop {
        let Ok(mut ready) = listener.readable().await else { return };
        for _ in 0..AT_A_TURN {
            match ready.try_io(|listener| listener.get_ref().accept()) {
                // Those that were accepted have their turn while the next is waited for.
                Err(_none_waits) => continue 'turns,
                Ok(Ok((stream, source))) => {
                    failing = false;
                    admit(&worker, stream, source);
                }
                // The client was gone before it was accepted: nothing is wrong here.
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Ok(Err(error)) => {
                    report(&error, listener.get_ref(), &worker, &mut failing);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Those that were accepted come first.
        tokio::task::yield_now().await;
    }
}

/// Accepting has failed, as it has before if it is `failing`.
fn report(error: &io::Error, listener: &TcpListener, worker: &Worker, failing: &mut bool) {
    // The kernel reserves the descriptor first, and so reports a shortage even if nobody waits.
    if !is_awaited(listener) {
        return;
    }
    if !std::mem::replace(failing, true) {
        log::warn!("accepting HTTP connections fails: {error}; trying on");
    }
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
        worker.connections.close_oldest();
    }
}

/// Whether a connection waits to be accepted.
fn is_awaited(listener: &TcpListener) -> bool {
    let mut waiting = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut waiting, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

fn admit(worker: &Rc<Worker>, stream: TcpStream, source: SocketAddr) {
    worker.dispatcher.count_connection();
    let place = Place { number: worker.connections.next_number(), worker: worker.clone() };
    let number = place.number;
    let task = tokio::task::spawn_local(async move {
        let worker = &place.worker;
        connection::serve(stream, source.ip(), worker.dispatcher.clone(), worker.stop.clone()).await;
    });
    if worker.connections.add(number, task.abort_handle()) {
        worker.dispatcher.count_closed_for_room();
    }
}

/// A connection's place among the open ones, given back however the connection ends.
struct Place {
    number: u64,
    worker: Rc<Worker>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.connections.remove(self.number);
    }
}

/// The open connections by age. When there is no room for one more, the oldest is closed for it: silent connections
/// then cost an attacker a new one each time, and nobody who is served at once notices.
struct Connections {
    most: usize,
    open: RefCell<BTreeMap<u64, AbortHandle>>,
    accepted: Cell<u64>,
    last_closed: Notify,
}

impl Connections {
    fn new(most: usize) -> Self {
        Self { most, open: RefCell::default(), accepted: Cell::new(0), last_closed: Notify::new() }
    }

    fn next_number(&self) -> u64 {
        let number = self.accepted.get();
        self.accepted.set(number + 1);
        number
    }

    /// Adds a connection; whether the oldest had to go for it.
    fn add(&self, number: u64, task: AbortHandle) -> bool {
        let is_full = self.open.borrow().len() >= self.most;
        if is_full {
            self.close_oldest();
        }
        self.open.borrow_mut().insert(number, task);
        is_full
    }

    fn close_oldest(&self) {
        // Taken out first: a task that ends here and now would look for itself.
        let oldest = self.open.borrow_mut().pop_first();
        if let Some((_, task)) = oldest {
            task.abort();
        }
    }

    fn remove(&self, number: u64) {
        let mut open = self.open.borrow_mut();
        if open.remove(&number).is_some() && open.is_empty() {
            self.last_closed.notify_one();
        }
    }

    async fn all_closed(&self) {
        while !self.open.borrow().is_empty() {
            self.last_closed.notified().await;
        }
    }
}
