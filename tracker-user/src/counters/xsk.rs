//! What is counted of AF_XDP: by the thread of a queue what befalls its socket, by control what becomes of its sockets
//! and its interface.

use super::{CounterSet, UdpCounters};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What befalls one AF_XDP socket beside its packets: one count per event, and each event the index of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XskEvent {
    /// An answer was given up because the transmit ring was full.
    TransmitRingFull,
    /// The kernel had no room for more packets at the moment; they went out later.
    SentLater,
    /// The kernel was asked to send: system calls, of which one sends many packets.
    WakeUp,
    /// The driver had no room for an answer and dropped it.
    TransmitDropped,
    /// A wake-up found the interface down.
    InterfaceDown,
    /// The kernel dropped a packet for another reason than a full ring.
    ReceiveDropped,
    /// The kernel dropped a packet because the receive ring was full.
    ReceiveRingFull,
    /// The kernel found no frame for a packet.
    FillRingEmpty,
    /// The kernel refused an entry of the fill ring or of the transmit ring.
    InvalidEntry,
}

impl XskEvent {
    /// Every event, in the order of the counters.
    pub const ALL: [XskEvent; 9] = [
        Self::TransmitRingFull,
        Self::SentLater,
        Self::WakeUp,
        Self::TransmitDropped,
        Self::InterfaceDown,
        Self::ReceiveDropped,
        Self::ReceiveRingFull,
        Self::FillRingEmpty,
        Self::InvalidEntry,
    ];

    /// The name under which the counter is published.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TransmitRingFull => "transmit_ring_full",
            Self::SentLater => "sent_later",
            Self::WakeUp => "wake_ups",
            Self::TransmitDropped => "transmit_dropped",
            Self::InterfaceDown => "interface_down",
            Self::ReceiveDropped => "receive_dropped",
            Self::ReceiveRingFull => "receive_ring_full",
            Self::FillRingEmpty => "fill_ring_empty",
            Self::InvalidEntry => "invalid_entry",
        }
    }
}

/// The events of one AF_XDP socket, by [`XskEvent`].
pub type XskCounters = CounterSet<{ XskEvent::ALL.len() }>;

/// The counters of one receive queue that AF_XDP serves or is meant to serve.
#[derive(Clone, Debug)]
pub struct QueueCounters {
    /// The name of its interface.
    pub interface: String,
    /// Its number.
    pub queue: u32,
    /// Whether the card writes into the tracker's memory.
    pub is_zero_copy: bool,
    /// Whether it has a socket now; else UDP sockets serve it.
    pub is_open: bool,
    /// Sockets that were opened for it.
    pub opened: u64,
    /// Sockets that could not be opened.
    pub not_opened: u64,
    /// Threads of it that ended with an error.
    pub failed: u64,
    /// Its packets.
    pub packets: Arc<UdpCounters>,
    /// What befell its socket.
    pub events: Arc<XskCounters>,
}

/// What became of one interface whose queues AF_XDP serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Its receive queues, as of now or when it was last seen.
    pub queues: u32,
    /// Times that their number changed.
    pub queues_changed: u64,
    /// Times that it was set down.
    pub went_down: u64,
    /// Times that it vanished.
    pub went_away: u64,
}

/// Something that became of a queue or its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XskNews {
    /// The queue of this number has a socket from now on; whether the card writes into the tracker's memory.
    Opened(u32, bool),
    /// It could not be given one.
    NotOpened(u32),
    /// Its thread ended with an error.
    Failed(u32),
    /// Its socket is closed, for whatever reason.
    Closed(u32),
    /// The interface has as many receive queues.
    Queues(u32),
    /// The interface was set down.
    WentDown,
    /// The interface vanished.
    WentAway,
}

/// All queues and interfaces.
#[derive(Clone, Debug, Default)]
pub(super) struct XskRegister {
    /// By interface and number.
    queues: BTreeMap<(String, u32), QueueCounters>,
    interfaces: BTreeMap<String, InterfaceCounters>,
}

impl XskRegister {
    pub(super) fn queues(&self) -> impl Iterator<Item = &QueueCounters> {
        self.queues.values()
    }

    pub(super) fn interfaces(&self) -> &BTreeMap<String, InterfaceCounters> {
        &self.interfaces
    }

    pub(super) fn count(&mut self, interface: &str, news: XskNews) {
        match news {
            XskNews::Opened(number, is_zero_copy) => {
                let queue = self.queue(interface, number);
                queue.opened += 1;
                (queue.is_open, queue.is_zero_copy) = (true, is_zero_copy);
            }
            XskNews::NotOpened(number) => self.queue(interface, number).not_opened += 1,
            XskNews::Failed(number) => self.queue(interface, number).failed += 1,
            XskNews::Closed(number) => self.queue(interface, number).is_open = false,
            XskNews::Queues(queues) => {
                let counters = self.interface(interface);
                // The first count is no change.
                counters.queues_changed += u64::from(counters.queues != 0 && counters.queues != queues);
                counters.queues = queues;
            }
            XskNews::WentDown => self.interface(interface).went_down += 1,
            XskNews::WentAway => self.interface(interface).went_away += 1,
        }
    }

    /// The counters of a queue: those that it had, if it was served before.
    pub(super) fn queue(&mut self, interface: &str, queue: u32) -> &mut QueueCounters {
        self.queues.entry((interface.to_owned(), queue)).or_insert_with(|| QueueCounters {
            interface: interface.to_owned(),
            queue,
            is_zero_copy: false,
            is_open: false,
            opened: 0,
            not_opened: 0,
            failed: 0,
            packets: Arc::default(),
            events: Arc::default(),
        })
    }

    fn interface(&mut self, interface: &str) -> &mut InterfaceCounters {
        self.interfaces.entry(interface.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{InterfaceCounters, XskEvent, XskNews, XskRegister};

    #[test]
    fn every_event_is_the_index_of_its_own_counter() {
        for (position, event) in XskEvent::ALL.iter().enumerate() {
            assert_eq!(*event as usize, position);
        }
    }

    #[test]
    fn a_queue_that_comes_back_has_the_counters_that_it_had() {
        let mut register = XskRegister::default();
        register.count("eth0", XskNews::Opened(0, false));
        register.queue("eth0", 0).events.add(XskEvent::SentLater as usize, 3);
        register.count("eth0", XskNews::Failed(0));
        register.count("eth0", XskNews::Closed(0));
        register.count("eth0", XskNews::NotOpened(0));
        assert!(register.queues().all(|queue| !queue.is_open));
        register.count("eth0", XskNews::Opened(0, true));
        let queues: Vec<_> = register.queues().collect();
        let [queue] = queues[..] else { panic!("one queue, not {queues:?}") };
        assert_eq!((queue.opened, queue.not_opened, queue.failed), (2, 1, 1));
        assert_eq!((queue.is_open, queue.is_zero_copy), (true, true));
        assert_eq!(queue.events.get(XskEvent::SentLater as usize), 3);
    }

    #[test]
    fn the_first_number_of_queues_is_no_change() {
        let mut register = XskRegister::default();
        for queues in [1, 1, 2, 2, 1] {
            register.count("eth0", XskNews::Queues(queues));
        }
        register.count("eth0", XskNews::WentDown);
        register.count("eth0", XskNews::WentAway);
        let expected = InterfaceCounters { queues: 1, queues_changed: 2, went_down: 1, went_away: 1 };
        assert_eq!(register.interfaces()["eth0"], expected);
    }
}
