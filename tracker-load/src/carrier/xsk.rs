//! Frames through AF_XDP: of any source, past this host's network stack, out of one interface and in again.
//!
//! A program of a few instructions on the interface takes the tracker's answers to the sockets, and lets everything else
//! pass. The rings and frames are those of the daemon itself.

use super::Carrier;
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;
use tracker_assembly::Assembly;
use tracker_assembly::bpf::{self, MapKind, Place};
use tracker_user::ingress::frame::{self, LinkAddresses, Outgoing};
use tracker_user::ingress::xsk::{Frame, Options, QueueSocket, Wake, XskError};

/// Frames that are taken in together at most.
const BATCH: usize = 256;
/// The most queues of one interface.
const MAX_QUEUES: u32 = 64;
/// How long a sleep may be while the kernel had no room for what is to be sent.
const RETRY: Duration = Duration::from_micros(50);

/// What the frames are to be.
pub(crate) struct Setup {
    pub(crate) interface: String,
    /// `None`: in the driver, and before the stack where that fails.
    pub(crate) place: Option<Place>,
    pub(crate) link: LinkAddresses,
    /// One of each family at most.
    pub(crate) trackers: Vec<SocketAddr>,
    /// The address of each source, and which tracker it asks.
    pub(crate) sources: Vec<(SocketAddr, usize)>,
    /// The most receive queues to take; `None`: all.
    pub(crate) queues: Option<u32>,
    /// Where frames leave; `None`: where answers come in.
    pub(crate) send_through: Option<String>,
}

/// The sockets of one interface with the program in front of them.
pub(crate) struct Xsk {
    // The order is that of the end: the program goes before the sockets.
    _link: OwnedFd,
    _program: OwnedFd,
    _sockets: OwnedFd,
    /// Where answers come in. Frames leave there too, unless there is another way out.
    queues: Vec<QueueSocket>,
    way_out: Option<QueueSocket>,
    /// Through which of the queues frames are sent at the moment.
    sending: usize,
    /// For the next request, if there is one.
    free: Option<Frame>,
    outgoing: Vec<Outgoing>,
    sources: Vec<(SocketAddr, usize)>,
    batch: Vec<Frame>,
    damaged: u64,
    has_waiting: bool,
    /// Where the program runs, for the report.
    pub(crate) place: Place,
}

impl Xsk {
    /// Opens the sockets and attaches the program, until this value is dropped.
    pub(crate) fn open(setup: Setup) -> Result<Self> {
        let Setup { interface, place, link, trackers, sources, queues, send_through } = setup;
        let index = index_of(&interface)?;
        let queues = open_queues(index, queues.unwrap_or(MAX_QUEUES).min(MAX_QUEUES))
            .with_context(|| format!("cannot use AF_XDP on {interface}"))?;
        let way_out = send_through.map(|interface| {
            QueueSocket::open(index_of(&interface)?, 0, &Options::default())
                .with_context(|| format!("cannot use AF_XDP on {interface}"))
        });
        let way_out = way_out.transpose()?;
        let sockets = bpf::create_map(MapKind::Sockets, queues.len() as u32)?;
        for queue in &queues {
            bpf::set_descriptor(sockets.as_fd(), queue.number(), queue.as_fd())?;
        }
        let outgoing: Vec<Outgoing> = trackers.iter().map(|tracker| Outgoing::new(link, *tracker)).collect();
        let answers: Vec<_> = outgoing.iter().map(Outgoing::answers).collect();
        let program = bpf::load(&Assembly::redirect_matching(&answers, sockets.as_raw_fd()))?;
        let (attached, place) = attach(&program, index, place)
            .with_context(|| format!("no program can be attached to {interface}"))?;
        Ok(Self {
            _link: attached,
            _program: program,
            _sockets: sockets,
            queues,
            way_out,
            sending: 0,
            free: None,
            outgoing,
            sources,
            batch: Vec::with_capacity(BATCH),
            damaged: 0,
            has_waiting: false,
            place,
        })
    }
}

fn index_of(interface: &str) -> Result<u32> {
    nix::net::if_::if_nametoindex(interface).with_context(|| format!("there is no interface {interface}"))
}

fn open_queues(interface: u32, most: u32) -> Result<Vec<QueueSocket>> {
    let mut queues = Vec::new();
    for number in 0..most {
        match QueueSocket::open(interface, number, &Options::default()) {
            Ok(queue) => queues.push(queue),
            Err(XskError::NoQueue { .. }) if number > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(queues)
}

fn attach(program: &OwnedFd, interface: u32, place: Option<Place>) -> Result<(OwnedFd, Place)> {
    let places = match place {
        Some(place) => vec![place],
        None => vec![Place::Driver, Place::Generic],
    };
    let mut last = None;
    for place in places {
        match bpf::attach(program.as_fd(), interface, place) {
            Ok(link) => return Ok((link, place)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.context("no place to attach it to")?)
}

impl Carrier for Xsk {
    const ONE_SOURCE_AT_A_TIME: bool = false;

    fn has_room(&mut self) -> bool {
        if self.free.is_none() {
            let queue = self.way_out.as_mut().unwrap_or(&mut self.queues[self.sending]);
            self.free = queue.take_free();
            if self.free.is_none() {
                queue.turn_over();
                self.free = queue.take_free();
            }
        }
        self.free.is_some()
    }

    fn queue(&mut self, source: u32, write: impl FnOnce(&mut [u8]) -> usize) -> Result<()> {
        let Self { queues, way_out, sending, free, outgoing, sources, .. } = self;
        let queue = way_out.as_mut().unwrap_or(&mut queues[*sending]);
        let Some(mut frame) = free.take() else { bail!("a request was queued without room for it") };
        let (source, tracker) = sources[source as usize];
        let outgoing = &outgoing[tracker];
        let room = queue.room(&mut frame);
        let len = write(&mut room[outgoing.payload_start()..]);
        let len = outgoing.write(room, source, len);
        if let Err(frame) = queue.send(frame, len) {
            // There are as many places as frames to send, so this is only in name: it counts as lost.
            queue.recycle(frame);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let queue = self.way_out.as_mut().unwrap_or(&mut self.queues[self.sending]);
        self.has_waiting = match queue.wake().context("cannot send")? {
            Wake::Done => false,
            Wake::Later => true,
            Wake::Down => bail!("the interface is down"),
        };
        if self.queues.len() > 1 && self.way_out.is_none() {
            if let Some(frame) = self.free.take() {
                self.queues[self.sending].recycle(frame);
            }
            self.sending = (self.sending + 1) % self.queues.len();
        }
        Ok(())
    }

    fn receive(&mut self, mut take: impl FnMut(&[u8])) -> Result<usize> {
        let mut received = 0;
        for queue in &mut self.queues {
            queue.take_in();
            queue.turn_over();
            received += queue.receive(&mut self.batch, BATCH);
            for frame in self.batch.drain(..) {
                let packet = queue.packet(&frame);
                match frame::parse(packet) {
                    Ok(headers) => take(&packet[headers.payload]),
                    Err(_) => self.damaged += 1,
                }
                queue.recycle(frame);
            }
        }
        Ok(received)
    }

    fn wait(&mut self, at_most: Duration) -> Result<()> {
        let at_most = if self.has_waiting { at_most.min(RETRY) } else { at_most };
        let mut polled: Vec<PollFd<'_>> =
            self.queues.iter().map(|queue| PollFd::new(queue.as_fd(), PollFlags::POLLIN)).collect();
        match ppoll(&mut polled, Some(TimeSpec::from_duration(at_most)), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for answers"),
        }
    }

    fn damaged(&self) -> u64 {
        self.damaged
    }
}
