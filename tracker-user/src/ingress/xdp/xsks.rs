//! The AF_XDP sockets behind the program: one for each receive queue, known to the program by the queue's number and the
//! slot of its interface. A queue that has no socket is left to the UDP sockets, and tried again.

use super::XdpError;
use super::back_off::BackOff;
use super::interfaces::Interface;
use super::link_info;
use crate::clock::Now;
use crate::config::types::XskConfig;
use crate::counters::XskNews;
use crate::ingress::xsk::{BusyPoll, MIN_MTU, Options, QueueSocket, XskError};
use aya::maps::{MapData, MapError, XskMap};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use tracker_common::abi::{MAX_XSK_INTERFACES, MAX_XSK_QUEUES, xsk_index};

/// Names a socket that was opened: no other has had its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(u64);

/// A socket that has just been opened, for a thread of its own.
pub struct OpenedQueue {
    /// What its end is reported by.
    pub id: SocketId,
    /// The name of its interface.
    pub interface: String,
    /// The socket.
    pub socket: QueueSocket,
}

/// How a socket has ended, closed by whoever says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueEnd {
    /// It was told to, or its interface is gone.
    InOrder,
    /// With an error.
    Failed,
}

/// What came of giving sockets to the queues of an interface.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// The numbers of those that have been given one.
    pub(super) queues: Vec<u32>,
    /// Why the last of those without could not be.
    pub(super) error: Option<XdpError>,
}

/// What has happened, by the name of the interface.
pub type InterfaceNews = (String, XskNews);

/// The sockets of all interfaces, as the program knows them.
pub(super) struct Xsks {
    map: XskMap<MapData>,
    config: XskConfig,
    /// By the index of the interface.
    served: BTreeMap<u32, Served>,
    next_id: u64,
    opened: Vec<OpenedQueue>,
    closing: Vec<SocketId>,
    news: Vec<InterfaceNews>,
}

/// The queues of one interface.
#[derive(Clone, Debug)]
struct Served {
    name: String,
    /// From 1.
    slot: u16,
    is_up: bool,
    /// Receive queues in use, with a socket or without.
    count: u32,
    queues: BTreeMap<u32, Queue>,
}

/// One queue.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    socket: Option<SocketId>,
    /// Of the last failure.
    back_off: Option<BackOff>,
}

impl Xsks {
    pub(super) fn new(map: XskMap<MapData>, config: &XskConfig) -> Self {
        Self {
            map,
            config: config.clone(),
            served: BTreeMap::new(),
            next_id: 0,
            opened: Vec::new(),
            closing: Vec::new(),
            news: Vec::new(),
        }
    }

    /// The slot of an interface; 0 where it has no sockets.
    pub(super) fn slot(&self, interface: u32) -> u16 {
        self.served.get(&interface).map_or(0, |served| served.slot)
    }

    /// Takes the sockets that have been opened since the last call.
    pub(super) fn take_opened(&mut self) -> Vec<OpenedQueue> {
        std::mem::take(&mut self.opened)
    }

    /// Takes the sockets that are to be closed since the last call.
    pub(super) fn take_closing(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.closing)
    }

    /// Takes what has happened since the last call.
    pub(super) fn take_news(&mut self) -> Vec<InterfaceNews> {
        std::mem::take(&mut self.news)
    }

    /// Opens sockets for the queues of an interface that have none, as far as it is time to.
    pub(super) fn serve(&mut self, interface: &Interface, mtu: u32, now: Now) -> Opening {
        let failed = |error| {
            let error = Some(XdpError::Xsk(interface.name.clone(), error));
            Opening { queues: Vec::new(), error }
        };
        if mtu < MIN_MTU {
            self.close_all(interface.index, now);
            let error = "its MTU is below 1500: answers could not be fragmented; raise it";
            return failed(XskError::Options(error));
        }
        let Some(mut served) = self.served.remove(&interface.index).or_else(|| self.new_entry(interface))
        else {
            let error = "15 other interfaces have AF_XDP already; name fewer with xdp.interface";
            return failed(XskError::Options(error));
        };
        served.is_up = true;
        // Where nobody knows, at least the first.
        served.count = link_info::receive_queues(interface.index).unwrap_or(served.count.max(1));
        self.news.push((served.name.clone(), XskNews::Queues(served.count)));
        let (mut opening, mut waits_for_release) = (Opening::default(), true);
        for number in 0..served.count.min(self.most_queues()) {
            let mut queue = served.queues.get(&number).copied().unwrap_or_default();
            if queue.socket.is_some() || queue.back_off.is_some_and(|back_off| !back_off.is_over(now)) {
                continue;
            }
            match self.open(interface, served.slot, number, waits_for_release) {
                Ok(id) => {
                    queue.socket = Some(id);
                    opening.queues.push(number);
                }
                // The kernel did not know better how many there are.
                Err(XskError::NoQueue { .. }) if number > 0 => break,
                Err(error) => {
                    // Whoever has this queue has it for longer than a moment, and the others too: whoever waits for
                    // each does nothing else meanwhile.
                    waits_for_release &= !matches!(error, XskError::Busy { .. });
                    queue.back_off = Some(BackOff::after(queue.back_off, now));
                    self.news.push((served.name.clone(), XskNews::NotOpened(number)));
                    opening.error = Some(XdpError::Xsk(served.name.clone(), error));
                }
            }
            served.queues.insert(number, queue);
        }
        self.served.insert(interface.index, served);
        opening
    }

    fn new_entry(&self, interface: &Interface) -> Option<Served> {
        let is_free = |slot: &u16| self.served.values().all(|other| other.slot != *slot);
        let slot = (1..=MAX_XSK_INTERFACES).find(is_free)?;
        Some(Served { name: interface.name.clone(), slot, is_up: true, count: 0, queues: BTreeMap::new() })
    }

    fn open(
        &mut self,
        interface: &Interface,
        slot: u16,
        number: u32,
        waits_for_release: bool,
    ) -> Result<SocketId, XskError> {
        let options = Options { waits_for_release, ..self.options() };
        let socket = QueueSocket::open(interface.index, number, &options)?;
        self.map.set(xsk_index(slot, number), socket.as_fd().as_raw_fd(), 0).map_err(|error| {
            let error = std::io::Error::other(error.to_string());
            XskError::System { queue: number, step: "cannot be told to the XDP program", error }
        })?;
        let id = SocketId(self.next_id);
        self.next_id += 1;
        self.news.push((interface.name.clone(), XskNews::Opened(number, socket.is_zero_copy())));
        self.opened.push(OpenedQueue { id, interface: interface.name.clone(), socket });
        Ok(id)
    }

    /// Whether there is something for [`Self::serve`] to do: a queue whose time has come, or another number of them.
    pub(super) fn is_due(&self, now: Now) -> bool {
        self.served.iter().any(|(interface, served)| {
            let is_waiting = |number| {
                let queue = served.queues.get(&number).copied().unwrap_or_default();
                queue.socket.is_none() && queue.back_off.is_some_and(|back_off| back_off.is_over(now))
            };
            served.is_up
                && ((0..served.count.min(self.most_queues())).any(is_waiting)
                    || link_info::receive_queues(*interface).is_some_and(|count| count != served.count))
        })
    }

    /// Takes note that a socket is closed, unless it has been forgotten already.
    pub(super) fn ended(&mut self, id: SocketId, end: QueueEnd, now: Now) {
        for served in self.served.values_mut() {
            let found = served.queues.iter_mut().find(|(_, queue)| queue.socket == Some(id));
            let Some((number, queue)) = found else { continue };
            queue.socket = None;
            // However it ended, not at once: the kernel lets go of a queue some time after its socket is closed.
            queue.back_off = Some(BackOff::after(queue.back_off, now));
            self.news.push((served.name.clone(), XskNews::Closed(*number)));
            if end == QueueEnd::Failed {
                self.news.push((served.name.clone(), XskNews::Failed(*number)));
            }
        }
    }

    /// Has the sockets of an interface closed, those of the queues from this one on.
    fn close_from(&mut self, interface: u32, first: u32) {
        let Some(served) = self.served.get(&interface) else { return };
        self.closing.extend(served.queues.range(first..).filter_map(|(_, queue)| queue.socket));
    }

    /// Has all sockets of an interface closed, for as long as it is not fit for them.
    fn close_all(&mut self, interface: u32, now: Now) {
        self.close_from(interface, 0);
        let queues =
            self.served.get_mut(&interface).into_iter().flat_map(|served| served.queues.values_mut());
        for queue in queues.filter(|queue| queue.socket.is_none()) {
            queue.back_off = Some(BackOff::after(queue.back_off, now));
        }
    }

    /// Serves so many queues of each interface from now on; 0: all of them.
    pub(super) fn set_queues(&mut self, queues: u16) {
        self.config.queues = queues;
        let most = self.most_queues();
        let interfaces: Vec<u32> = self.served.keys().copied().collect();
        interfaces.into_iter().for_each(|interface| self.close_from(interface, most));
    }

    /// Whether any queue of this interface is served.
    pub(super) fn serves(&self, interface: u32) -> bool {
        let served = self.served.get(&interface);
        served.is_some_and(|served| served.queues.values().any(|queue| queue.socket.is_some()))
    }

    /// Whether any queue is served.
    pub(super) fn has_any(&self) -> bool {
        self.served.keys().any(|interface| self.serves(*interface))
    }

    /// How the socket that was opened last gets its packets.
    pub(super) fn kind_of_last(&self) -> &'static str {
        match self.opened.last() {
            Some(opened) if opened.socket.is_zero_copy() => "zero-copy",
            _ => "copy",
        }
    }

    /// Takes note of an interface that is down: its sockets stay, and go on when it is up again.
    pub(super) fn is_down(&mut self, interface: u32) {
        let Some(served) = self.served.get_mut(&interface) else { return };
        if std::mem::take(&mut served.is_up) {
            self.news.push((served.name.clone(), XskNews::WentDown));
        }
    }

    /// The interfaces that have had sockets, by their index.
    pub(super) fn interfaces(&self) -> Vec<u32> {
        self.served.keys().copied().collect()
    }

    /// Forgets an interface that is gone. Its sockets go with their threads.
    pub(super) fn forget(&mut self, interface: u32) -> Result<(), MapError> {
        self.close_from(interface, 0);
        let Some(served) = self.served.remove(&interface) else { return Ok(()) };
        self.news.push((served.name.clone(), XskNews::WentAway));
        for (number, queue) in served.queues {
            if queue.socket.is_some() {
                self.news.push((served.name.clone(), XskNews::Closed(number)));
            }
            match self.map.unset(xsk_index(served.slot, number)) {
                // The kernel has taken it out with the socket.
                Ok(()) | Err(MapError::KeyNotFound | MapError::SyscallError(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn most_queues(&self) -> u32 {
        match self.config.queues {
            0 => MAX_XSK_QUEUES,
            queues => u32::from(queues).min(MAX_XSK_QUEUES),
        }
    }

    fn options(&self) -> Options {
        let XskConfig { zero_copy, busy_poll_micros, busy_poll_budget, ring_size, transmit_budget, .. } =
            self.config;
        let busy_poll = BusyPoll { micros: busy_poll_micros, budget: busy_poll_budget };
        Options {
            ring_size,
            fill: ring_size,
            copy_mode: zero_copy,
            need_wakeup: true,
            waits_for_release: true,
            busy_poll: (busy_poll_micros > 0).then_some(busy_poll),
            transmit_budget,
        }
    }
}
