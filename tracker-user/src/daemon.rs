//! The daemon's life: bind, give up privileges, start the workers, say so, wait, stop.

use crate::access_list::AccessList;
use crate::bind::Bound;
use crate::clock::Now;
use crate::cluster::Cluster;
use crate::config::Command;
use crate::config::types::{Config, Mode, Transport, XskConfig};
use crate::control::socket::{self, ControlSocket, Desk, Waiting};
use crate::control::watchdog::{self, Watchdog};
use crate::control::{
    self, Control, Crew, End, EndingSignals, KeptKeys, Kernel, KeySource, Lists, QueueThreads, Signals,
    StateKeeper, keys,
};
use crate::counters::Counters;
use crate::http;
use crate::inherited::Inherited;
use crate::join;
use crate::livesync::GroupSockets;
use crate::notify::{Notifier, State};
use crate::privileges::{self, Keeps};
use crate::pulse::Pulses;
use crate::sandbox;
use crate::state::moment::Boot;
use crate::state::snapshot::writer::Origin;
use crate::state_dump::{self, Loaded};
use crate::tracker::Tracker;
use crate::udp::{Handler, IdPolicy, SharedKeys, WrongId};
use crate::workers::Workers;
use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{channel, unbounded_channel};

/// Orders of operators that wait for the control loop: whoever gives one more waits as well.
const ORDERS: usize = 16;

/// How long it may take at the most to load what an earlier run has left, for systemd.
const LOADING: Duration = Duration::from_secs(600);
/// How long the start may take beside what is waited for, for systemd.
const GETTING_READY: Duration = Duration::from_secs(30);

/// What only the start can open: rights are given up behind it.
struct Opened {
    notifier: Arc<Notifier>,
    bound: Bound,
    control_socket: Option<ControlSocket>,
    group_sockets: Option<GroupSockets>,
    kernel: Kernel,
    keys: SharedKeys,
    key_source: KeySource,
    kept_keys: Option<KeptKeys>,
    origin: Origin,
}

/// Runs the tracker until it is told to stop; `reread` reads the configuration again, from the same files, when it is told
/// to reload.
///
/// # Errors
/// Where it cannot start as it was told to, or a worker ends by itself.
pub fn run(config: &Config, config_files: &[PathBuf], reread: &dyn Fn() -> Command) -> Result<()> {
    raise_descriptor_limit();
    raise_locked_memory_limit(config.xdp.mode);
    let notifier = Arc::new(Notifier::from_environment());
    let mut inherited = Inherited::from_environment()?;
    let bound = Bound::bind(config, &mut inherited)?;
    let control_socket = open_control_socket(config, inherited.control)?;
    let group_sockets = open_group(config)?;
    let mut key_source = KeySource::of(config)?;
    let (kernel, keys) = start_kernel(config, &bound.addresses, &key_source, inherited.keys.as_ref())?;
    // What is shared is made again, not kept.
    let kept_keys = if key_source.is_shared() { None } else { keep_keys(&keys, inherited.keys, &notifier) };
    let keeps = match (kernel.is_running(), config.xdp.mode) {
        (false, _) => Keeps::Nothing,
        (true, Mode::Auto | Mode::Xsk) => Keeps::NetworkAdministrationAndRaw,
        (true, _) => Keeps::NetworkAdministration,
    };
    let origin = Origin { store_id: random_key()?[0], boot: Boot::read() };
    privileges::give_up(&config.tracker, keeps)?;
    key_source.enter_root()?;
    sandbox::enter(&sandbox::Needs {
        config,
        config_files,
        control_directory: control_socket.as_ref().and_then(ControlSocket::directory),
        has_xdp: kernel.is_running(),
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let opened = Opened {
        notifier,
        bound,
        control_socket,
        group_sockets,
        kernel,
        keys,
        key_source,
        kept_keys,
        origin,
    };
    runtime.block_on(serve(config, reread, opened))
}

/// The rest of the daemon's life: everything is open that needed rights.
async fn serve(config: &Config, reread: &dyn Fn() -> Command, opened: Opened) -> Result<()> {
    let Opened {
        notifier,
        bound,
        control_socket,
        group_sockets,
        kernel,
        keys,
        key_source,
        kept_keys,
        origin,
    } = opened;
    // Those that come while everything is read wait until it is.
    let mut signals = Signals::catch().context("cannot catch signals")?;
    let prepared = prepare(config, origin, &mut signals.ending, &notifier).await?;
    let Some(Prepared { tracker, lists, state }) = prepared else { return Ok(()) };
    let counters = Arc::new(Counters::for_workers(bound.udp.len(), bound.tcp.len()));
    let service = http::Service::new(Arc::clone(&tracker), Arc::clone(&counters), config, Now::read())?;
    let service = Arc::new(service.with_snapshots(origin, &config.batchsync.admin_ip));
    let cluster = Cluster::join(config, group_sockets, &tracker, &counters)?;

    let (lost, lost_workers) = unbounded_channel();
    let pulses = Arc::new(Pulses::with_period(watchdog::period(&notifier)));
    let mut workers = Workers::new(lost, Arc::clone(&pulses));
    workers.start_udp(bound.udp, || handler(config, &tracker, &keys), service.counters())?;
    workers.start_http(bound.tcp, &service)?;
    workers.start_cluster(cluster.relay, cluster.receiver, cluster.nats)?;
    let (orders, ordered) = channel(ORDERS);
    let (service_of_desk, lists_of_desk) = (Arc::clone(&service), Arc::clone(&lists));
    let desk = Desk::new(config, &bound.addresses, service_of_desk, lists_of_desk, orders);
    let waiting = serve_operators(control_socket.as_ref(), desk)?;
    announce_readiness(&notifier, config, &bound.addresses);

    let queue_handler = || handler(config, &tracker, &keys);
    let crew = Crew { handler: &queue_handler, counters: &counters, pulses: &pulses };
    let queue_threads = QueueThreads::new(crew, xsk_cores(&config.xsk)?);
    let mut control = Control {
        config,
        reread,
        tracker: &tracker,
        counters: &counters,
        keys: &keys,
        key_source,
        kernel,
        lists,
        cluster_keys: cluster.keys,
        service: &service,
        orders: ordered,
        watchdog: Watchdog::new(Arc::clone(&notifier), Arc::clone(&pulses)),
        notifier: Arc::clone(&notifier),
        kept_keys,
        queue_threads,
    };
    let end = control.run(signals, lost_workers).await;
    stopping(&notifier, &end);
    let stopped = workers.stop().and(control.queue_threads.stop());
    let outcome = finish(end, stopped, state);
    waiting.tell(&outcome);
    outcome
}

/// The last of it, once nothing is served any more.
fn finish(end: End, stopped: Result<()>, state: StateKeeper) -> Result<()> {
    match end {
        End::Asked(_) | End::Drained => stopped.and(state.stop()),
        // Whatever it was in the middle of must not take the place of a snapshot that is whole.
        End::WorkerLost(name) => {
            stopped.and(state.abandon()).and_then(|()| bail!("worker {name} ended by itself"))
        }
    }
}

/// What is there before anything is served.
struct Prepared {
    tracker: Arc<Tracker>,
    lists: Arc<Lists>,
    state: StateKeeper,
}

/// Makes the tracker, with its lists, what an earlier run has left, and what another node knows; nothing where a signal ends
/// that.
async fn prepare(
    config: &Config,
    origin: Origin,
    ending: &mut EndingSignals,
    notifier: &Notifier,
) -> Result<Option<Prepared>> {
    if config.state.snapshot.is_some() || config.state.load.is_some() {
        notifier.ask_for_time("loading the state of before", LOADING);
    }
    let (tracker, lists) = make_tracker(config, origin)?;
    StateKeeper::check(&config.state)?;
    if !config.batchsync.join.is_empty() {
        let limit = Duration::from_secs(u64::from(config.batchsync.join_timeout_secs));
        notifier.ask_for_time("joining the cluster", limit + GETTING_READY);
    }
    let joining = join::join(&config.batchsync, &tracker, control::state::timeouts(&config.tracker));
    tokio::select! {
        biased;
        signal = ending.next() => {
            log::info!("{signal} before anything was served: stopping");
            return Ok(None);
        }
        () = joining => {}
    }
    let state = StateKeeper::start(&config.state, &tracker, origin)?;
    Ok(Some(Prepared { tracker, lists, state }))
}

/// The socket for operators: that of the service manager, else that of the configuration, if there is one.
fn open_control_socket(config: &Config, inherited: Option<UnixListener>) -> Result<Option<ControlSocket>> {
    match (inherited, &config.control.socket) {
        (Some(listener), _) => {
            ControlSocket::inherited(listener).map(Some).context("cannot set up the control socket")
        }
        (None, Some(path)) => Ok(Some(ControlSocket::bind(path)?)),
        (None, None) => Ok(None),
    }
}

/// Has systemd keep the keys for the next start. Without it, clients of then ask for new ids.
fn keep_keys(keys: &SharedKeys, left: Option<File>, notifier: &Notifier) -> Option<KeptKeys> {
    if !notifier.is_connected() {
        return None;
    }
    let kept = KeptKeys::keep(&keys.load(), left, notifier);
    kept.inspect_err(|error| log::warn!("the next start makes new keys of the connection ids: {error}")).ok()
}

/// Every connection over HTTP takes a descriptor; what the administrator allows at most is meant to be used.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        log::warn!("the limit of open files stays where it is: {error}");
    }
}

/// The frames of an AF_XDP socket are locked memory, and a socket that is opened after root has been given up is charged
/// for it. Root alone may raise the limit beyond what the administrator allows.
fn raise_locked_memory_limit(mode: Mode) {
    if !matches!(mode, Mode::Auto | Mode::Xsk) {
        return;
    }
    let raised = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).or_else(|_| {
        getrlimit(Resource::RLIMIT_MEMLOCK)
            .and_then(|(_, most)| setrlimit(Resource::RLIMIT_MEMLOCK, most, most))
    });
    if let Err(error) = raised {
        log::warn!("the limit of locked memory stays where it is: {error}");
    }
}

/// Opens the sockets of livesync, which may take root's rights to size their buffers.
fn open_group(config: &Config) -> Result<Option<GroupSockets>> {
    GroupSockets::open(&config.livesync).with_context(|| {
        let listen = config.livesync.listen.map(|listen| listen.to_string()).unwrap_or_default();
        format!(
            "cannot join the livesync group {} on {listen}; an interface of this host must carry that address",
            config.livesync.group
        )
    })
}

/// Loads and attaches the XDP program, as far as the mode asks for it. Only root can, so this comes before root is given
/// up; and only what is bound is answered, so it comes after that.
///
/// Connection ids that are not shared go on with the keys of the program that an earlier daemon has left attached, else with
/// those that it has left with systemd.
fn start_kernel(
    config: &Config,
    bound: &[(Transport, SocketAddr)],
    key_source: &KeySource,
    left: Option<&File>,
) -> Result<(Kernel, SharedKeys)> {
    let mut kernel = Kernel::load(config, bound)?;
    let kept = || {
        let read = left.map(KeptKeys::read)?;
        read.inspect_err(|error| log::warn!("the keys that systemd has kept are not read: {error}")).ok()
    };
    let keys = key_source.first(kernel.keys_left_behind().or_else(kept));
    let keys = keys.context("no keys for connection ids")?;
    let [source_hash_key, _] = random_key()?;
    kernel.start(config, &keys, source_hash_key)?;
    Ok((kernel, Arc::new(ArcSwap::from_pointee(keys))))
}

/// The tracker with its lists and with what an earlier run has left.
fn make_tracker(config: &Config, origin: Origin) -> Result<(Arc<Tracker>, Arc<Lists>)> {
    let tracker = Arc::new(Tracker::of(config, random_key()?));
    tracker.replace_access(Arc::new(AccessList::of(&config.access).refusing(&config.store)));
    let lists = Lists::start(&config.access, config.log_refused, Arc::clone(&tracker))?;
    control::state::restore(config, &tracker, origin)?;
    if let Some(path) = &config.state.load {
        load_state(path, &tracker, config)?;
    }
    Ok((tracker, Arc::new(lists)))
}

/// Begins to answer at the control socket, where there is one. Must be called within the runtime of control. Returns who is to
/// be told of the end.
fn serve_operators(socket: Option<&ControlSocket>, desk: Desk) -> Result<Arc<Waiting>> {
    let waiting = Arc::new(Waiting::default());
    let Some(socket) = socket else { return Ok(waiting) };
    let listener = socket.listener().context("cannot serve the control socket")?;
    tokio::spawn(socket::serve(listener, Arc::new(desk), Arc::clone(&waiting)));
    Ok(waiting)
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
    let lifetime_slots = config.udp.connection_id_slots();
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
