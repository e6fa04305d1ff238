//! The threads that serve: started with their sockets, watched for their end, stopped and waited for. Those of AF_XDP come and
//! go with their queues: `control` looks after them.

use crate::cluster::Relay;
use crate::counters::Counters;
use crate::http;
use crate::ingress::SocketWorker;
use crate::livesync::Receiver;
use crate::nats;
use crate::pulse::Pulses;
use crate::udp::Handler;
use anyhow::{Context, Result, bail};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

/// The name of the thread that tells the cluster.
const RELAY: &str = "relay";
/// The name of the thread that hears the cluster on the local network.
const LIVESYNC: &str = "livesync";
/// The name of the thread that tells other sites.
const NATS: &str = "nats";

/// The threads that serve, and what stops them.
pub(crate) struct Workers {
    threads: Vec<(String, JoinHandle<std::io::Result<()>>)>,
    /// Our ends of the sockets by which UDP workers are stopped: closing one wakes its worker.
    udp_stops: Vec<UnixStream>,
    http_stop: watch::Sender<bool>,
    /// Closed when they have ended: what the workers have told until then is still to be sent.
    relay_stop: Option<UnixStream>,
    /// The last, for the same reason.
    nats_stop: watch::Sender<bool>,
    lost: UnboundedSender<String>,
    pulses: Arc<Pulses>,
}

impl Workers {
    /// None yet. `lost` hears the names of workers that end by themselves, `pulses` has their signs of life.
    pub(crate) fn new(lost: UnboundedSender<String>, pulses: Arc<Pulses>) -> Self {
        let http_stop = watch::Sender::new(false);
        let nats_stop = watch::Sender::new(false);
        Self {
            threads: Vec::new(),
            udp_stops: Vec::new(),
            http_stop,
            relay_stop: None,
            nats_stop,
            lost,
            pulses,
        }
    }

    /// Starts a thread for each set of sockets.
    pub(crate) fn start_udp(
        &mut self,
        sockets: Vec<Vec<UdpSocket>>,
        mut handler: impl FnMut() -> Handler,
        counters: &Counters,
    ) -> Result<()> {
        for (number, (sockets, counters)) in sockets.into_iter().zip(counters.udp_workers()).enumerate() {
            let (our_end, stop) = UnixStream::pair().context("cannot make a socket to stop a worker")?;
            let name = format!("udp-{number}");
            let worker = SocketWorker::new(sockets, handler(), Arc::clone(counters));
            let worker = worker.with_pulse(self.pulses.of(&name));
            self.start(name, move || worker.run(&stop))?;
            self.udp_stops.push(our_end);
        }
        Ok(())
    }

    /// Starts a thread for each set of listening sockets.
    pub(crate) fn start_http(
        &mut self,
        listeners: Vec<Vec<TcpListener>>,
        service: &Arc<http::Service>,
    ) -> Result<()> {
        let counters = service.counters().http_workers();
        for (number, (listeners, counters)) in listeners.into_iter().zip(counters).enumerate() {
            let name = format!("http-{number}");
            let settings = http::WorkerSettings {
                listeners,
                service: Arc::clone(service),
                counters: Arc::clone(counters),
                stop: self.http_stop.subscribe(),
                pulse: self.pulses.of(&name),
            };
            self.start(name, || http::run_worker(settings))?;
        }
        Ok(())
    }

    /// Starts the threads by which nodes of a cluster hear of each other.
    pub(crate) fn start_cluster(
        &mut self,
        relay: Option<Relay>,
        receiver: Option<Receiver>,
        nats: Option<nats::Worker>,
    ) -> Result<()> {
        if let Some(nats) = nats {
            let (stop, pulse) = (self.nats_stop.subscribe(), self.pulses.of(NATS));
            let run = move || {
                nats.run(stop, &pulse);
                Ok(())
            };
            self.start(NATS.to_owned(), run)?;
        }
        if let Some(receiver) = receiver {
            let (our_end, stop) = UnixStream::pair().context("cannot make a socket to stop a worker")?;
            let pulse = self.pulses.of(LIVESYNC);
            self.start(LIVESYNC.to_owned(), move || receiver.run(&stop, &pulse))?;
            self.udp_stops.push(our_end);
        }
        if let Some(relay) = relay {
            let (our_end, stop) = UnixStream::pair().context("cannot make a socket to stop a worker")?;
            let pulse = self.pulses.of(RELAY);
            self.start(RELAY.to_owned(), move || relay.run(&stop, &pulse))?;
            self.relay_stop = Some(our_end);
        }
        Ok(())
    }

    fn start(
        &mut self,
        name: String,
        work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let report = ReportEnd { name: name.clone(), lost: self.lost.clone() };
        let guarded = move || {
            // Whole, so that it is dropped with the thread.
            let _report = report;
            work()
        };
        let thread = thread::Builder::new().name(name.clone()).spawn(guarded);
        self.threads.push((name, thread.context("cannot start a thread")?));
        Ok(())
    }

    /// Stops all workers and waits for them.
    pub(crate) fn stop(mut self) -> Result<()> {
        drop(self.udp_stops);
        // Nobody listens any more where every HTTP worker has ended already.
        let _ = self.http_stop.send(true);
        self.threads.sort_by_key(|(name, _)| [RELAY, NATS].iter().position(|last| name == last));
        for (name, thread) in self.threads {
            match &*name {
                RELAY => self.relay_stop = None,
                NATS => drop(self.nats_stop.send(true)),
                _ => {}
            }
            match thread.join() {
                Ok(result) => result.with_context(|| format!("worker {name}"))?,
                Err(_panic) => bail!("worker {name} panicked"),
            }
        }
        Ok(())
    }
}

/// Reports a worker's end however it comes, a panic too.
struct ReportEnd {
    name: String,
    lost: UnboundedSender<String>,
}

impl Drop for ReportEnd {
    fn drop(&mut self) {
        // During a stop nobody asks any more.
        let _ = self.lost.send(std::mem::take(&mut self.name));
    }
}
