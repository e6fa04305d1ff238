//! The threads of AF_XDP, one for each receive queue: started when a socket is opened, told to stop when it is to be
//! closed, heard of when they end. One that ends with an error takes nothing with it: UDP sockets serve its queue.

use crate::counters::Counters;
use crate::ingress::xdp::{OpenedQueue, QueueEnd, SocketId};
use crate::ingress::{Ended, XskWorker};
use crate::pulse::Pulses;
use crate::udp::Handler;
use anyhow::{Context, Result, anyhow};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the threads work with.
#[derive(Clone, Copy)]
pub struct Crew<'a> {
    /// Makes what answers requests.
    pub handler: &'a dyn Fn() -> Handler,
    /// Where they count.
    pub counters: &'a Counters,
    /// Where they give signs of life.
    pub pulses: &'a Pulses,
}

/// The threads, and how their ends are heard of.
pub struct QueueThreads<'a> {
    crew: Crew<'a>,
    cores: Vec<usize>,
    /// Threads so far: each goes to the next core.
    started: usize,
    running: BTreeMap<SocketId, Running>,
    /// Kept so that there always is one, and for the threads to come.
    report_to: UnboundedSender<ReportedEnd>,
    ends: UnboundedReceiver<ReportedEnd>,
}

struct Running {
    name: String,
    /// Our end of the socket by which the thread is stopped; closing it wakes the thread.
    stop: Option<UnixStream>,
    thread: JoinHandle<()>,
}

/// Which thread's end is reported, and how it came.
type ReportedEnd = (SocketId, End);

/// How a thread has ended, with its socket closed.
#[derive(Debug)]
enum End {
    Returned(std::io::Result<Ended>),
    Panicked,
}

impl<'a> QueueThreads<'a> {
    /// No threads yet; `cores` are taken by turns.
    pub fn new(crew: Crew<'a>, cores: Vec<usize>) -> Self {
        let (report_to, ends) = unbounded_channel();
        Self { crew, cores, started: 0, running: BTreeMap::new(), report_to, ends }
    }

    /// Starts a thread for a socket.
    ///
    /// # Errors
    /// Where there can be no more threads; the socket is closed then.
    pub(super) fn serve(&mut self, opened: OpenedQueue) -> Result<()> {
        let OpenedQueue { id, interface, socket } = opened;
        let (our_end, stop) = UnixStream::pair().context("cannot make a socket to stop a thread")?;
        let set = self.crew.counters.of_queue(&interface, socket.number());
        let name = format!("xsk-{interface}-{}", socket.number());
        let core = self.cores.get(self.started % self.cores.len().max(1)).copied();
        let worker = XskWorker::new(socket, (self.crew.handler)(), set.packets, set.events);
        let worker = worker.with_pulse(self.crew.pulses.of(&name));
        let report = Report { id, ends: self.report_to.clone(), end: End::Panicked };
        let work = move || {
            // Whole, so that it is dropped with the thread.
            let mut report = report;
            pin_to(core);
            report.end = End::Returned(worker.run(&stop));
        };
        let thread =
            thread::Builder::new().name(name.clone()).spawn(work).context("cannot start a thread")?;
        self.started += 1;
        self.running.insert(id, Running { name, stop: Some(our_end), thread });
        Ok(())
    }

    /// Tells the thread of a socket to end. It is heard of by [`Self::next_end`].
    pub(super) fn close(&mut self, id: SocketId) {
        if let Some(running) = self.running.get_mut(&id) {
            running.stop = None;
        }
    }

    /// Waits for the next thread to end, and says how.
    ///
    /// # Errors
    /// The name of a thread that panicked: that is no fault of its socket, and ends the daemon as with any other thread.
    pub(super) async fn next_end(&mut self) -> std::result::Result<(SocketId, QueueEnd), String> {
        // There is a sender as long as this value lives.
        let Some((id, end)) = self.ends.recv().await else { return std::future::pending().await };
        let Some(Running { name, thread, .. }) = self.running.remove(&id) else {
            return Ok((id, QueueEnd::InOrder));
        };
        drop(thread);
        match end {
            End::Returned(Ok(Ended::Asked)) => Ok((id, QueueEnd::InOrder)),
            End::Returned(Ok(Ended::InterfaceGone)) => {
                log::warn!("{name}: the AF_XDP socket is gone with its interface");
                Ok((id, QueueEnd::InOrder))
            }
            End::Returned(Err(error)) => {
                log::error!("{name} ended with an error: {error}; its packets come through UDP sockets");
                Ok((id, QueueEnd::Failed))
            }
            End::Panicked => Err(name),
        }
    }

    /// Stops all threads and waits for them.
    ///
    /// # Errors
    /// Where one of them panics.
    pub fn stop(mut self) -> Result<()> {
        self.running.values_mut().for_each(|running| running.stop = None);
        let joined = self.running.into_values().map(|Running { name, thread, .. }| {
            thread.join().map_err(|_panic| anyhow!("worker {name} panicked"))
        });
        joined.collect()
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

/// Reports a thread's end however it comes, a panic too.
struct Report {
    id: SocketId,
    ends: UnboundedSender<ReportedEnd>,
    end: End,
}

impl Drop for Report {
    fn drop(&mut self) {
        // During a stop nobody asks any more.
        let _ = self.ends.send((self.id, std::mem::replace(&mut self.end, End::Panicked)));
    }
}
