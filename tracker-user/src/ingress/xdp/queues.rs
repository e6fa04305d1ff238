//! AF_XDP behind the program, in step with the host's interfaces: sockets for queues that come, and no more for those that
//! have gone.

use super::attach::{Attached, Place};
use super::interfaces::Interface;
use super::xsks::{InterfaceNews, OpenedQueue, QueueEnd, SocketId};
use super::{Insistence, Xdp, XdpError, link_info};
use crate::clock::Now;

impl Xdp {
    /// Whether any receive queue is served by AF_XDP.
    pub fn has_queues(&self) -> bool {
        self.xsks.as_ref().is_some_and(super::Xsks::has_any)
    }

    /// The AF_XDP sockets that have been opened since the last call.
    pub fn take_opened_queues(&mut self) -> Vec<OpenedQueue> {
        self.xsks.as_mut().map(super::Xsks::take_opened).unwrap_or_default()
    }

    /// The AF_XDP sockets that are to be closed since the last call.
    pub fn take_closing_queues(&mut self) -> Vec<SocketId> {
        self.xsks.as_mut().map(super::Xsks::take_closing).unwrap_or_default()
    }

    /// What has become of interfaces and queues under AF_XDP since the last call.
    pub fn take_queue_news(&mut self) -> Vec<InterfaceNews> {
        self.xsks.as_mut().map(super::Xsks::take_news).unwrap_or_default()
    }

    /// Takes note that an AF_XDP socket is closed. UDP sockets serve its queue until [`Self::refresh`] opens another.
    pub fn queue_ended(&mut self, id: SocketId, end: QueueEnd, now: Now) {
        if let Some(xsks) = &mut self.xsks {
            xsks.ended(id, end, now);
        }
    }

    /// Serves so many queues of each interface from the next [`Self::refresh`] on; 0: all of them.
    pub fn set_queues(&mut self, queues: u16) {
        if let Some(xsks) = &mut self.xsks {
            xsks.set_queues(queues);
        }
    }

    /// Whether [`Self::refresh`] would find a queue to open: one whose time has come, or a new one.
    pub fn is_queue_due(&self, now: Now) -> bool {
        self.xsks.as_ref().is_some_and(|xsks| xsks.is_due(now))
    }

    /// Takes note of interfaces that have gone or are down.
    pub(super) fn look_after_interfaces(&mut self, host: &[Interface]) -> Result<(), XdpError> {
        let Some(xsks) = &mut self.xsks else { return Ok(()) };
        for index in xsks.interfaces() {
            match host.iter().find(|interface| interface.index == index) {
                None => xsks.forget(index)?,
                Some(interface) if !interface.is_up => xsks.is_down(index),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Opens AF_XDP sockets for the queues of these interfaces, as far as they are attached to and have none; returns
    /// whether AF_XDP is wanted at all.
    pub(super) fn open_queues(
        &mut self,
        wanted: &[&Interface],
        insistence: Insistence,
        now: Now,
    ) -> Result<bool, XdpError> {
        let Some(xsks) = &mut self.xsks else { return Ok(false) };
        for interface in wanted {
            let is_here = |attached: &&Attached| attached.interface.index == interface.index;
            let Some(attached) = self.attached.iter().find(is_here) else { continue };
            // Before the stack every packet is copied once more than a socket would: not by itself, but where asked for.
            if attached.place == Place::Generic && !self.is_xsk_required {
                continue;
            }
            let mtu = link_info::of(interface.index).ok().and_then(|info| info.mtu).unwrap_or(u32::MAX);
            let refused = format!("{} AF_XDP", interface.name);
            let opening = xsks.serve(interface, mtu, now);
            if !opening.queues.is_empty() {
                let (name, kind) = (&interface.name, xsks.kind_of_last());
                log::info!("AF_XDP on {name}, {} ({kind})", numbered(&opening.queues));
            }
            match opening.error {
                None => drop(self.refused.remove(&refused)),
                Some(error)
                    if insistence == Insistence::BestEffort
                        || !self.is_xsk_required
                        || xsks.serves(interface.index) =>
                {
                    let logged = self.refused.insert(refused, error.to_string());
                    if logged.as_deref() != Some(&error.to_string()) {
                        log::warn!("{error}; its packets come through UDP sockets");
                    }
                }
                Some(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Queues by their numbers, in words.
fn numbered(queues: &[u32]) -> String {
    let numbers: Vec<String> = queues.iter().map(u32::to_string).collect();
    match &numbers[..] {
        [one] => format!("queue {one}"),
        several => format!("queues {}", several.join(", ")),
    }
}
