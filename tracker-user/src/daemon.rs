//! The daemon's life: bind, give up privileges, start the workers, say so, wait, stop.

use crate::access_list::AccessList;
use crate::bind::Bound;
use crate::clock::Now;
use crate::config::Command;
use crate::config::types::{Config, Mode, Transport, XskConfig};
use crate::control::socket::{self, ControlSocket, Desk};
use crate::control::{self, Control, End, Kernel, Lists, Signals, StateKeeper, keys};
use crate::counters::Counters;
use crate::http;
use crate::ingress::xdp::OpenedQueue;
use crate::ingress::{Ended, SocketWorker, XskWorker};
use crate::notify::{Notifier, State};
use crate::privileges::{self, Keeps};
use crate::state::moment::Boot;
use crate::state::snapshot::writer::Origin;
use crate::state_dump::{self, Loaded};
use crate::tracker::Tracker;
use crate::udp::{Handler, IdPolicy, SharedKeys, WrongId};
use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::{UnboundedSender, channel, unbounded_channel};
use tokio::sync::watch;
use tracker_common::connection_id::Slot;

/// Orders of operators that wait for the control loop: whoever gives one more waits as well.
const ORDERS: usize = 16;

/// Runs the tracker until it is told to stop; `reread` reads the configuration again when it is told to reload.
///
/// # Errors
/// Where it cannot start as it was told to, or a worker ends by itself.
pub fn run(config: &Config, reread: &dyn Fn() -> Command) -> Result<()> {
    raise_descriptor_limit();
    let notifier = Notifier::from_environment();
    let bound = Bound::bind(config)?;
    let control_socket = config.control.socket.as_deref().map(ControlSocket::bind).transpose()?;
    let (kernel, keys) = start_kernel(config, &bound.addresses)?;
    let keeps = match (kernel.is_running(), config.xdp.mode) {
        (false, _) => Keeps::Nothing,
        (true, Mode::Auto | Mode::Xsk) => Keeps::NetworkAdministrationAndRaw,
        (true, _) => Keeps::NetworkAdministration,
    };
    let origin = Origin { store_id: random_key()?[0], boot: Boot::read() };
    privileges::give_up(&config.tracker, keeps)?;

    let (tracker, lists) = make_tracker(config, origin)?;
    let state = StateKeeper::start(&config.state, &tracker, origin)?;
    let counters = Arc::new(Counters::for_workers(bound.udp.len(), bound.tcp.len()));
    let service =
        Arc::new(http::Service::new(Arc::clone(&tracker), Arc::clone(&counters), config, Now::read())?);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = Signals::catch().context("cannot catch signals")?;
        let (lost, lost_workers) = unbounded_channel();
        let mut workers = Workers::new(lost);
        workers.start_udp(bound.udp, || handler(config, &tracker, &keys), service.counters())?;
        workers.start_http(bound.tcp, &service)?;
        let (orders, ordered) = channel(ORDERS);
        let (service_of_desk, lists_of_desk) = (Arc::clone(&service), Arc::clone(&lists));
        let desk = Desk::new(config, &bound.addresses, service_of_desk, lists_of_desk, orders);
        serve_operators(control_socket.as_ref(), desk)?;
        announce_readiness(&notifier, config, &bound.addresses);

        let cores = xsk_cores(&config.xsk)?;
        let mut serve_queue = |opened: OpenedQueue| {
            let name = opened.interface.clone();
            if let Err(error) = workers.start_xsk(opened, handler(config, &tracker, &keys), &counters, &cores)
            {
                log::error!("packets of {name} come through UDP sockets: {error:#}");
            }
        };
        let control = Control {
            config,
            reread,
            tracker: &tracker,
            counters: &counters,
            keys: &keys,
            kernel,
            lists,
            service: &service,
            orders: ordered,
            serve_queue: &mut serve_queue,
        };
        let end = control.run(signals, lost_workers).await;
        stopping(&notifier, &end);
        let stopped = workers.stop().and(state.stop());
        match end {
            End::Asked(_) | End::Drained => stopped,
            End::WorkerLost(name) => stopped.and_then(|()| bail!("worker {name} ended by itself")),
        }
    })
}

/// Every connection over HTTP takes a descriptor; what the administrator allows at most is meant to be used.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        log::warn!("the limit of open files stays where it is: {error}");
    }
}

/// Loads and attaches the XDP program, as far as the mode asks for it. Only root can, so this comes before root is given
/// up; and only what is bound is answered, so it comes after that.
fn start_kernel(config: &Config, bound: &[(Transport, SocketAddr)]) -> Result<(Kernel, SharedKeys)> {
    let mut kernel = Kernel::load(config, bound)?;
    let keys = match kernel.keys_left_behind() {
        Some(keys) => keys,
        None => keys::fresh().context("no randomness for connection ids")?,
    };
    let [source_hash_key, _] = random_key()?;
    kernel.start(config, &keys, source_hash_key)?;
    Ok((kernel, Arc::new(ArcSwap::from_pointee(keys))))
}

/// The tracker with its lists and with what an earlier run has left.
fn make_tracker(config: &Config, origin: Origin) -> Result<(Arc<Tracker>, Arc<Lists>)> {
    let tracker = Arc::new(Tracker::new(config.tracker.clone(), random_key()?));
    tracker.set_access(AccessList::of(&config.access));
    let lists = Lists::start(&config.access, config.log_refused, Arc::clone(&tracker))?;
    control::state::restore(config, &tracker, origin)?;
    if let Some(path) = &config.state.load {
        load_state(path, &tracker, config)?;
    }
    Ok((tracker, Arc::new(lists)))
}

/// Begins to answer at the control socket, where there is one. Must be called within the runtime of control.
fn serve_operators(socket: Option<&ControlSocket>, desk: Desk) -> Result<()> {
    let Some(socket) = socket else { return Ok(()) };
    let listener = socket.listener().context("cannot serve the control socket")?;
    tokio::spawn(socket::serve(listener, Arc::new(desk)));
    Ok(())
}

/// Takes back what an earlier run knew of torrents. The list is in force by then: what it forbids is left out.
fn load_state(path: &Path, tracker: &Tracker, config: &Config) -> Result<()> {
    let loaded = state_dump::load(path, tracker, &config.tracker, Now::read()).with_context(|| {
        format!("the state dump {path:?} cannot be read below tracker.rootdir; remove -l or state.load to start without")
    })?;
    let (path, Loaded { torrents, left_out, bad }) = (path.display(), loaded);
    log::info!(
        "{path}: {torrents} torrents known again, {left_out} left out as empty, too old or not served"
    );
    if bad.count > 0 {
        log::warn!("{path}: skipped what is not of a state dump: {bad}");
    }
    Ok(())
}

fn random_key() -> Result<tracker_common::siphash::Key> {
    keys::random_key().context("no randomness for keys")
}

fn handler(config: &Config, tracker: &Arc<Tracker>, keys: &SharedKeys) -> Handler {
    let wrong_id = if config.udp.lenient { WrongId::Answered } else { WrongId::Dropped };
    let lifetime_slots = Slot::lifetime(config.udp.connection_id_lifetime_secs);
    Handler::new(Arc::clone(tracker), Arc::clone(keys), IdPolicy { lifetime_slots, wrong_id })
}

/// The cores for the threads of AF_XDP: those of the configuration, or all that this process may use.
fn xsk_cores(config: &XskConfig) -> Result<Vec<usize>> {
    if !config.cpus.is_empty() {
        return Ok(config.cpus.iter().map(|core| usize::from(*core)).collect());
    }
    let allowed = sched_getaffinity(Pid::from_raw(0)).context("cannot ask for the cores of this process")?;
    Ok((0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect())
}

/// Says that requests are answered from now on, and where.
fn announce_readiness(notifier: &Notifier, config: &Config, addresses: &[(Transport, SocketAddr)]) {
    if config.xdp.mode == Mode::Socket {
        log::info!("mode socket: packets come through sockets");
    }
    let places: Vec<String> =
        addresses.iter().map(|(transport, address)| format!("{} {address}", transport.name())).collect();
    log::info!("ready: {}", places.join(", "));
    notifier.tell(State::Ready);
}

fn stopping(notifier: &Notifier, end: &End) {
    match end {
        End::Asked(signal) => log::info!("{signal}: stopping"),
        End::Drained => log::info!("drained: stopping"),
        End::WorkerLost(name) => log::error!("worker {name} ended by itself: stopping"),
    }
    notifier.tell(State::Stopping);
}

/// The threads that serve, and what stops them.
struct Workers {
    threads: Vec<(String, JoinHandle<std::io::Result<()>>)>,
    /// Our ends of the sockets by which UDP workers are stopped: closing one wakes its worker.
    udp_stops: Vec<UnixStream>,
    http_stop: watch::Sender<bool>,
    lost: UnboundedSender<String>,
    /// Threads of AF_XDP so far: each goes to the next core.
    xsk_started: usize,
}

impl Workers {
    fn new(lost: UnboundedSender<String>) -> Self {
        let http_stop = watch::Sender::new(false);
        Self { threads: Vec::new(), udp_stops: Vec::new(), http_stop, lost, xsk_started: 0 }
    }

    fn start_udp(
        &mut self,
        sockets: Vec<Vec<UdpSocket>>,
        mut handler: impl FnMut() -> Handler,
        counters: &Counters,
    ) -> Result<()> {
        for (number, (sockets, counters)) in sockets.into_iter().zip(counters.udp_workers()).enumerate() {
            let (our_end, stop) = UnixStream::pair().context("cannot make a socket to stop a worker")?;
            let worker = SocketWorker::new(sockets, handler(), Arc::clone(counters));
            self.start(format!("udp-{number}"), move || worker.run(&stop).map(|()| Ended::Asked))?;
            self.udp_stops.push(our_end);
        }
        Ok(())
    }

    /// Starts a thread for one receive queue, on the core whose turn it is.
    fn start_xsk(
        &mut self,
        opened: OpenedQueue,
        handler: Handler,
        counters: &Counters,
        cores: &[usize],
    ) -> Result<()> {
        let OpenedQueue { interface, socket } = opened;
        let (our_end, stop) = UnixStream::pair().context("cannot make a socket to stop a worker")?;
        let set = counters.of_queue(&interface, socket.number(), socket.is_zero_copy());
        let name = format!("xsk-{interface}-{}", socket.number());
        let core = cores.get(self.xsk_started % cores.len().max(1)).copied();
        let worker = XskWorker::new(socket, handler, set.packets, set.events);
        self.start(name, move || {
            pin_to(core);
            let ended = worker.run(&stop)?;
            if ended == Ended::InterfaceGone {
                log::warn!("the AF_XDP socket of {interface} is gone with its interface");
            }
            Ok(ended)
        })?;
        self.udp_stops.push(our_end);
        self.xsk_started += 1;
        Ok(())
    }

    fn start_http(&mut self, listeners: Vec<Vec<TcpListener>>, service: &Arc<http::Service>) -> Result<()> {
        let counters = service.counters().http_workers();
        for (number, (listeners, counters)) in listeners.into_iter().zip(counters).enumerate() {
            let settings = http::WorkerSettings {
                listeners,
                service: Arc::clone(service),
                counters: Arc::clone(counters),
                stop: self.http_stop.subscribe(),
            };
            self.start(format!("http-{number}"), || http::run_worker(settings).map(|()| Ended::Asked))?;
        }
        Ok(())
    }

    fn start(
        &mut self,
        name: String,
        work: impl FnOnce() -> std::io::Result<Ended> + Send + 'static,
    ) -> Result<()> {
        let report = ReportEnd { name: name.clone(), lost: self.lost.clone(), is_loss: true };
        let guarded = move || {
            // Whole, so that it is dropped with the thread.
            let mut report = report;
            report.is_loss = work()? == Ended::Asked;
            Ok(())
        };
        let thread = thread::Builder::new().name(name.clone()).spawn(guarded);
        self.threads.push((name, thread.context("cannot start a thread")?));
        Ok(())
    }

    /// Stops all workers and waits for them.
    fn stop(self) -> Result<()> {
        drop(self.udp_stops);
        // Nobody listens any more where every HTTP worker has ended already.
        let _ = self.http_stop.send(true);
        for (name, thread) in self.threads {
            match thread.join() {
                Ok(result) => result.with_context(|| format!("worker {name}"))?,
                Err(_panic) => bail!("worker {name} panicked"),
            }
        }
        Ok(())
    }
}

/// Keeps this thread on a core, next to the queue that it serves. One that cannot be had is no reason not to serve.
fn pin_to(core: Option<usize>) {
    let mut cores = CpuSet::new();
    let pinned = core.map(|core| cores.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores)));
    if let Some(Err(error)) = pinned {
        log::warn!("a thread of AF_XDP cannot be kept on core {}: {error}", core.unwrap_or_default());
    }
}

/// Reports a worker's end however it comes, a panic too, unless it went with its interface.
struct ReportEnd {
    name: String,
    lost: UnboundedSender<String>,
    is_loss: bool,
}

impl Drop for ReportEnd {
    fn drop(&mut self) {
        if self.is_loss {
            // During a stop nobody asks any more.
            let _ = self.lost.send(std::mem::take(&mut self.name));
        }
    }
}
