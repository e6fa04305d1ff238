//! The threads that serve: started with their sockets, watched for their end, stopped and waited for.

use crate::counters::Counters;
use crate::http;
use crate::ingress::xdp::OpenedQueue;
use crate::ingress::{Ended, SocketWorker, XskWorker};
use crate::pulse::Pulses;
use crate::udp::Handler;
use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

/// The threads that serve, and what stops them.
pub(crate) struct Workers {
    threads: Vec<(String, JoinHandle<std::io::Result<()>>)>,
    /// Our ends of the sockets by which UDP workers are stopped: closing one wakes its worker.
    udp_stops: Vec<UnixStream>,
    http_stop: watch::Sender<bool>,
    lost: UnboundedSender<String>,
    /// Threads of AF_XDP so far: each goes to the next core.
    xsk_started: usize,
    pulses: Arc<Pulses>,
}

impl Workers {
    /// None yet. `lost` hears the names of workers that end by themselves, `pulses` has their signs of life.
    pub(crate) fn new(lost: UnboundedSender<String>, pulses: Arc<Pulses>) -> Self {
        let http_stop = watch::Sender::new(false);
        Self { threads: Vec::new(), udp_stops: Vec::new(), http_stop, lost, xsk_started: 0, pulses }
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
            self.start(name, move || worker.run(&stop).map(|()| Ended::Asked))?;
            self.udp_stops.push(our_end);
        }
        Ok(())
    }

    /// Starts a thread for one receive queue, on the core whose turn it is.
    pub(crate) fn start_xsk(
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
        let worker = worker.with_pulse(self.pulses.of(&name));
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
            self.start(name, || http::run_worker(settings).map(|()| Ended::Asked))?;
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
    pub(crate) fn stop(self) -> Result<()> {
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
