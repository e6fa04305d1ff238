//! An AF_XDP socket on one receive queue of one interface: made, waked, asked for its statistics. Linux 5.11.

use super::options::{BusyPoll, Options, Statistics, XskError};
use super::queue::{Places, Queue, Rings};
use super::ring::{Consumer, Parts, Producer};
use super::umem::{FRAME_LEN, Frame, Mapping, Umem};
use crate::config::types::CopyMode;
use libc::{xdp_mmap_offsets, xdp_ring_offset};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

/// `XDP_MAX_TX_SKB_BUDGET` of linux/if_xdp.h, Linux 6.17.
const MAX_TX_SKB_BUDGET: libc::c_int = 9;
/// The kernel takes no budget below this one (`TX_BATCH_SIZE` of net/xdp/xsk.c), nor above the size of the ring.
const MIN_TX_SKB_BUDGET: u32 = 32;
/// Of asm-generic/socket.h, Linux 5.11.
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;
/// Of asm-generic/socket.h, Linux 4.12.
const SO_INCOMING_NAPI_ID: libc::c_int = 56;
/// System calls of one wake-up at most.
const WAKE_CALLS: u32 = 64;
/// How often a queue that is taken is looked at again, and how long between two looks.
const RELEASE_LOOKS: u32 = 10;
const RELEASE_PAUSE: Duration = Duration::from_millis(25);

/// A socket that is bound to a receive queue, with its frames.
#[derive(Debug)]
pub struct QueueSocket {
    // The order is that of the end: the kernel lets go of the memory before it is unmapped.
    socket: OwnedFd,
    pub(super) queue: Queue,
    _mappings: [Mapping; 4],
    is_zero_copy: bool,
    is_polled: bool,
    interface: u32,
    number: u32,
    /// Whether the kernel says when it wants to be woken up; else it always does.
    says_when_to_wake: bool,
    /// Packets that the driver refused.
    dropped: u64,
    /// System calls that asked the kernel to send.
    wake_ups: u64,
}

/// What became of a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The kernel has taken all that it can now.
    Done,
    /// It has no room at the moment: what waits in the ring goes out with a later wake-up.
    Later,
    /// The interface is down or gone.
    Down,
}

impl QueueSocket {
    /// Makes a socket on queue `number` of the interface with this index.
    ///
    /// # Errors
    /// Where the kernel, the driver, or the rights of this process do not allow it.
    pub fn open(interface: u32, number: u32, options: &Options) -> std::result::Result<Self, XskError> {
        if !options.ring_size.is_power_of_two() || options.fill > options.ring_size {
            return Err(XskError::Options(
                "the size of a ring is a power of two, and no less than what fills it",
            ));
        }
        let failed = |step| move |error| XskError::System { queue: number, step, error };
        let socket = create().map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => XskError::NotPermitted(error),
            Some(libc::EAFNOSUPPORT) => XskError::Unsupported(error),
            _ => failed("there is no AF_XDP socket for it")(error),
        })?;
        let (umem, frames) = Umem::new(options.ring_size * 2).map_err(XskError::Memory)?;
        register(&socket, &umem).map_err(XskError::Memory)?;
        for ring in
            [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_RX_RING, libc::XDP_TX_RING]
        {
            set(&socket, libc::SOL_XDP, ring, &options.ring_size).map_err(failed("cannot make its rings"))?;
        }
        let (rings, mappings) =
            map_rings(&socket, options.ring_size).map_err(failed("cannot map its rings"))?;
        if options.transmit_budget > 0 {
            let budget = options.transmit_budget.clamp(MIN_TX_SKB_BUDGET, options.ring_size);
            // Not before Linux 6.17; without it, sending takes more wake-ups.
            let _ = set(&socket, libc::SOL_XDP, MAX_TX_SKB_BUDGET, &budget);
        }
        let mut queue = Queue::new(rings, umem, frames, options.fill);
        queue.turn_over();
        let is_zero_copy = bind(&socket, interface, number, options)?;
        if let Some(busy_poll) = options.busy_poll {
            poll_busily(&socket, busy_poll).map_err(failed("cannot poll busily"))?;
        }
        Ok(Self {
            socket,
            queue,
            _mappings: mappings,
            is_zero_copy,
            is_polled: options.busy_poll.is_some(),
            interface,
            number,
            says_when_to_wake: options.need_wakeup,
            dropped: 0,
            wake_ups: 0,
        })
    }

    /// Whether the card writes into the frames by itself.
    pub const fn is_zero_copy(&self) -> bool {
        self.is_zero_copy
    }

    /// The index of the interface.
    pub const fn interface(&self) -> u32 {
        self.interface
    }

    /// Packets that the driver had no room for and dropped.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// System calls so far that asked the kernel to send.
    pub const fn wake_ups(&self) -> u64 {
        self.wake_ups
    }

    /// The number of the queue.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Sends what is in the transmit ring, if the kernel has to be told; with busy polling, also takes packets in.
    ///
    /// # Errors
    /// Those that say that this socket is of no use any more.
    pub fn wake(&mut self) -> Result<Wake> {
        self.queue.rings.transmit.publish();
        // In copy mode one call sends no more than the kernel's budget and says so; a bound, since a card may be stuck.
        for _ in 0..WAKE_CALLS {
            let transmit = &self.queue.rings.transmit;
            if (self.says_when_to_wake && !transmit.needs_wakeup()) || transmit.outstanding() == 0 {
                return Ok(Wake::Done);
            }
            self.wake_ups += 1;
            // SAFETY: a call without a buffer.
            let sent = unsafe {
                libc::sendto(
                    self.socket.as_raw_fd(),
                    std::ptr::null(),
                    0,
                    libc::MSG_DONTWAIT,
                    std::ptr::null(),
                    0,
                )
            };
            if sent >= 0 {
                continue;
            }
            let error = Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => {}
                // The driver has dropped one packet; the next may find room.
                Some(libc::EBUSY) => self.dropped += 1,
                Some(libc::ENOBUFS) => return Ok(Wake::Later),
                Some(libc::ENETDOWN | libc::ENXIO) => return Ok(Wake::Down),
                _ => return Err(error),
            }
        }
        Ok(Wake::Later)
    }

    /// Lets the kernel work through the card's queue, where it waits for that: with busy polling, or because it ran out of
    /// frames.
    pub fn take_in(&self) {
        if self.is_polled || self.queue.rings.fill.needs_wakeup() {
            // SAFETY: a call without a buffer. What it finds is in the ring; what it returns says nothing more.
            unsafe {
                libc::recvfrom(
                    self.socket.as_raw_fd(),
                    std::ptr::null_mut(),
                    0,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                )
            };
        }
    }

    /// Whether this process polls the queue.
    pub const fn is_polled(&self) -> bool {
        self.is_polled
    }

    /// Stops polling where the kernel has nothing to poll for this socket, and says whether it had to be stopped. To be asked
    /// when a packet has come: before Linux 6.14 the first one tells the kernel, since then the driver has to
    /// (`netif_queue_set_napi`), and not every driver does.
    pub fn stop_vain_polling(&mut self) -> bool {
        let is_vain = self.is_polled && self.option(SO_INCOMING_NAPI_ID) == 0;
        self.is_polled &= !is_vain;
        is_vain
    }

    /// Whether the interface is gone for good: the socket then receives nothing any more.
    pub fn is_orphaned(&self) -> bool {
        self.option(libc::SO_ERROR) == libc::ENETDOWN
    }

    /// A number that the kernel has for any socket; 0 where it has none.
    fn option(&self, name: libc::c_int) -> libc::c_int {
        let mut number = 0;
        let mut len = size_of::<libc::c_int>() as libc::socklen_t;
        let value = (&raw mut number).cast();
        // SAFETY: the value is alive and as long as it says.
        unsafe { libc::getsockopt(self.socket.as_raw_fd(), libc::SOL_SOCKET, name, value, &raw mut len) };
        number
    }

    /// What the kernel has counted.
    ///
    /// # Errors
    /// Those of `getsockopt`.
    pub fn statistics(&self) -> Result<Statistics> {
        // SAFETY: a structure of numbers, for which zeros are valid.
        let mut counted: libc::xdp_statistics = unsafe { std::mem::zeroed() };
        get(&self.socket, libc::XDP_STATISTICS, &mut counted)?;
        Ok(Statistics {
            receive_dropped: counted.rx_dropped,
            receive_ring_full: counted.rx_ring_full,
            fill_ring_empty: counted.rx_fill_ring_empty_descs,
            receive_invalid: counted.rx_invalid_descs,
            transmit_invalid: counted.tx_invalid_descs,
        })
    }
}

/// The way of the frames; see [`Queue`].
impl QueueSocket {
    /// Takes back what has been sent, and gives the kernel frames for packets to come.
    pub fn turn_over(&mut self) {
        self.queue.turn_over();
    }

    /// Moves packets that have come in to the end of `batch`, until it holds `most`; returns how many.
    pub fn receive(&mut self, batch: &mut Vec<Frame>, most: usize) -> usize {
        self.queue.receive(batch, most)
    }

    /// The packet in a frame.
    pub fn packet(&self, frame: &Frame) -> &[u8] {
        self.queue.umem.packet(frame)
    }

    /// The bytes from the start of the packet in a frame to the end of the frame: at least 1,700.
    pub fn room(&mut self, frame: &mut Frame) -> &mut [u8] {
        self.queue.umem.room(frame)
    }

    /// Lets the first `len` bytes of a frame's packet go out with the next [`Self::wake`].
    ///
    /// # Errors
    /// The frame, where the transmit ring is full.
    pub fn send(&mut self, frame: Frame, len: usize) -> std::result::Result<(), Frame> {
        self.queue.send(frame, len)
    }

    /// Gives a frame back that is not to be sent.
    pub fn recycle(&mut self, frame: Frame) {
        self.queue.recycle(frame);
    }

    /// A free frame, for a packet of one's own.
    pub fn take_free(&mut self) -> Option<Frame> {
        self.queue.take_free()
    }

    /// Where all frames are.
    pub fn places(&self) -> Places {
        self.queue.places()
    }
}

impl AsFd for QueueSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn create() -> Result<OwnedFd> {
    // SAFETY: a call without pointers.
    let socket = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for this call, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

fn register(socket: &OwnedFd, umem: &Umem) -> Result<()> {
    // SAFETY: a structure of numbers, for which zeros are valid.
    let mut request: libc::xdp_umem_reg = unsafe { std::mem::zeroed() };
    request.addr = umem.memory().start().as_ptr() as u64;
    request.len = umem.memory().len() as u64;
    request.chunk_size = FRAME_LEN as u32;
    set(socket, libc::SOL_XDP, libc::XDP_UMEM_REG, &request)
}

/// Maps all four rings, each of which has `size` entries.
fn map_rings(socket: &OwnedFd, size: u32) -> Result<(Rings, [Mapping; 4])> {
    // SAFETY: a structure of numbers, for which zeros are valid.
    let mut offsets: xdp_mmap_offsets = unsafe { std::mem::zeroed() };
    get(socket, libc::XDP_MMAP_OFFSETS, &mut offsets)?;
    let descriptor = socket.as_raw_fd();
    let map = |offsets: &xdp_ring_offset, entry_len: usize, page: i64| {
        Mapping::of_descriptor(offsets.desc as usize + size as usize * entry_len, descriptor, page)
    };
    let (number, packet) = (size_of::<u64>(), size_of::<libc::xdp_desc>());
    let fill = map(&offsets.fr, number, libc::XDP_UMEM_PGOFF_FILL_RING as i64)?;
    let completion = map(&offsets.cr, number, libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64)?;
    let receive = map(&offsets.rx, packet, libc::XDP_PGOFF_RX_RING)?;
    let transmit = map(&offsets.tx, packet, libc::XDP_PGOFF_TX_RING)?;
    let rings = Rings {
        // SAFETY: each mapping is the ring that its offsets describe, and lives in the same value as the ring; the kernel
        // is the only other side. Here and below.
        fill: unsafe { Producer::new(parts(&fill, &offsets.fr, size)) },
        // SAFETY: as above.
        completion: unsafe { Consumer::new(parts(&completion, &offsets.cr, size)) },
        // SAFETY: as above.
        receive: unsafe { Consumer::new(parts(&receive, &offsets.rx, size)) },
        // SAFETY: as above.
        transmit: unsafe { Producer::new(parts(&transmit, &offsets.tx, size)) },
    };
    Ok((rings, [fill, completion, receive, transmit]))
}

fn parts<T>(ring: &Mapping, offsets: &xdp_ring_offset, size: u32) -> Parts<T> {
    // SAFETY: the kernel's offsets lie within the mapping that it has sized by them.
    let at = |offset: u64| unsafe { ring.start().add(offset as usize) };
    Parts {
        written: at(offsets.producer).cast(),
        read: at(offsets.consumer).cast(),
        flags: at(offsets.flags).cast(),
        entries: at(offsets.desc).cast(),
        size,
    }
}

/// Binds, without copying where that is wanted and can be had; returns whether it is.
fn bind(
    socket: &OwnedFd,
    interface: u32,
    number: u32,
    options: &Options,
) -> std::result::Result<bool, XskError> {
    let modes: &[u16] = match options.copy_mode {
        CopyMode::Auto => &[libc::XDP_ZEROCOPY, libc::XDP_COPY],
        CopyMode::ZeroCopy => &[libc::XDP_ZEROCOPY],
        CopyMode::Copy => &[libc::XDP_COPY],
    };
    let mut last = Error::from(ErrorKind::Unsupported);
    for mode in modes {
        let looks = if options.waits_for_release { RELEASE_LOOKS } else { 0 };
        match bind_patiently(socket, [interface, number], mode | wakeup_flag(options), looks) {
            Ok(()) => return Ok(*mode == libc::XDP_ZEROCOPY),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                return Err(XskError::Busy { queue: number });
            }
            Err(error) => last = error,
        }
    }
    Err(match options.copy_mode {
        CopyMode::Auto | CopyMode::Copy if last.raw_os_error() == Some(libc::EINVAL) => {
            XskError::NoQueue { queue: number }
        }
        CopyMode::ZeroCopy => XskError::NoZeroCopy { queue: number, error: last },
        _ => XskError::System { queue: number, step: "cannot be bound to", error: last },
    })
}

fn wakeup_flag(options: &Options) -> u16 {
    if options.need_wakeup { libc::XDP_USE_NEED_WAKEUP } else { 0 }
}

/// Binds, and waits a little where the queue is taken: of a socket that was just closed, the kernel lets go in a worker of its
/// own, a moment later (`xp_release_deferred`).
fn bind_patiently(socket: &OwnedFd, [interface, number]: [u32; 2], flags: u16, looks: u32) -> Result<()> {
    for _ in 0..looks {
        match bind_as(socket, interface, number, flags) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => thread::sleep(RELEASE_PAUSE),
            result => return result,
        }
    }
    bind_as(socket, interface, number, flags)
}

fn bind_as(socket: &OwnedFd, interface: u32, number: u32, flags: u16) -> Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: flags,
        sxdp_ifindex: interface,
        sxdp_queue_id: number,
        sxdp_shared_umem_fd: 0,
    };
    let len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is of its family, and as long as it says.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

fn poll_busily(socket: &OwnedFd, busy_poll: BusyPoll) -> Result<()> {
    set(socket, libc::SOL_SOCKET, SO_PREFER_BUSY_POLL, &1_i32)?;
    set(socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL, &(busy_poll.micros as i32))?;
    set(socket, libc::SOL_SOCKET, SO_BUSY_POLL_BUDGET, &i32::from(busy_poll.budget))
}

fn set<T>(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &T) -> Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is alive and as long as it says; the kernel copies it.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const *value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Reads an option of AF_XDP into a structure of the kernel's.
fn get<T>(socket: &OwnedFd, option: libc::c_int, value: &mut T) -> Result<()> {
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is alive, as long as it says, and of numbers alone, so that any bytes are valid.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_XDP, option, (&raw mut *value).cast(), &raw mut len)
    };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
