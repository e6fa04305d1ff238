//! The AF_XDP sockets behind the program: one for each receive queue, known to the program by the queue's number and the
//! slot of its interface.

use super::XdpError;
use super::interfaces::Interface;
use crate::config::types::XskConfig;
use crate::ingress::xsk::{BusyPoll, Options, QueueSocket, XskError};
use aya::maps::{MapData, MapError, XskMap};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use tracker_common::abi::{MAX_XSK_INTERFACES, MAX_XSK_QUEUES, xsk_index};

/// What an answer may need of the link: there is no stack that would fragment it.
const MIN_MTU: u32 = 1500;

/// A socket that has just been opened, for a thread of its own.
pub struct OpenedQueue {
    /// The name of its interface.
    pub interface: String,
    /// The socket.
    pub socket: QueueSocket,
}

/// The sockets of all interfaces, as the program knows them.
pub(super) struct Xsks {
    map: XskMap<MapData>,
    config: XskConfig,
    /// By the index of the interface.
    served: BTreeMap<u32, Served>,
    opened: Vec<OpenedQueue>,
}

/// The queues of one interface.
#[derive(Clone, Copy, Debug)]
struct Served {
    /// From 1.
    slot: u16,
    queues: u32,
}

impl Xsks {
    pub(super) fn new(map: XskMap<MapData>, config: &XskConfig) -> Self {
        Self { map, config: config.clone(), served: BTreeMap::new(), opened: Vec::new() }
    }

    /// The slot of an interface; 0 where it has no sockets.
    pub(super) fn slot(&self, interface: u32) -> u16 {
        self.served.get(&interface).map_or(0, |served| served.slot)
    }

    /// Takes the sockets that have been opened since the last call.
    pub(super) fn take_opened(&mut self) -> Vec<OpenedQueue> {
        std::mem::take(&mut self.opened)
    }

    /// Opens sockets for the queues of an interface that have none yet.
    ///
    /// # Errors
    /// Where not even the first queue can be had.
    pub(super) fn serve(&mut self, interface: &Interface, mtu: u32) -> Result<(), XdpError> {
        if mtu < MIN_MTU {
            let error = XskError::Options("its MTU is below 1500: answers could not be fragmented; raise it");
            return Err(XdpError::Xsk(interface.name.clone(), error));
        }
        let known = self.served.get(&interface.index).copied();
        let free =
            || (1..=MAX_XSK_INTERFACES).find(|slot| self.served.values().all(|other| other.slot != *slot));
        let Some(slot) = known.map(|served| served.slot).or_else(free) else {
            let error =
                XskError::Options("15 other interfaces have AF_XDP already; name fewer with xdp.interface");
            return Err(XdpError::Xsk(interface.name.clone(), error));
        };
        let mut served = known.unwrap_or(Served { slot, queues: 0 });
        while served.queues < self.most_queues() {
            match QueueSocket::open(interface.index, served.queues, &self.options()) {
                Ok(socket) => {
                    self.map.set(xsk_index(slot, served.queues), socket.as_fd().as_raw_fd(), 0)?;
                    self.opened.push(OpenedQueue { interface: interface.name.clone(), socket });
                    served.queues += 1;
                }
                // Beyond the last queue of the interface.
                Err(XskError::NoQueue { .. }) if served.queues > 0 => break,
                Err(error) if served.queues > 0 => {
                    log::warn!("{}: {error}; its packets come through UDP sockets", interface.name);
                    break;
                }
                Err(error) => return Err(XdpError::Xsk(interface.name.clone(), error)),
            }
        }
        self.served.insert(interface.index, served);
        Ok(())
    }

    /// Whether any queue is served.
    pub(super) fn has_any(&self) -> bool {
        !self.served.is_empty()
    }

    /// How the socket that was opened last gets its packets.
    pub(super) fn kind_of_last(&self) -> &'static str {
        match self.opened.last() {
            Some(opened) if opened.socket.is_zero_copy() => "zero-copy",
            _ => "copy",
        }
    }

    /// How many queues of an interface are served.
    pub(super) fn queues(&self, interface: u32) -> u32 {
        self.served.get(&interface).map_or(0, |served| served.queues)
    }

    /// Forgets an interface that is gone. Its sockets go with their threads.
    pub(super) fn forget(&mut self, interface: u32) -> Result<(), MapError> {
        let Some(served) = self.served.remove(&interface) else { return Ok(()) };
        for queue in 0..served.queues {
            match self.map.unset(xsk_index(served.slot, queue)) {
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
            busy_poll: (busy_poll_micros > 0).then_some(busy_poll),
            transmit_budget,
        }
    }
}
