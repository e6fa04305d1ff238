//! Rings on plain memory, with the test as the kernel: what it takes and gives back, and where every frame is. For Miri,
//! as `ring/tests.rs` says.

use super::{Queue, Rings};
use crate::ingress::xsk::ring::tests::{Memory, rounds};
use crate::ingress::xsk::ring::{Consumer, Producer};
use crate::ingress::xsk::umem::{FRAME_LEN, Frame, Umem};
use libc::xdp_desc;
use std::collections::VecDeque;

/// The other side of all four rings.
struct Kernel {
    fill: Consumer<u64>,
    completion: Producer<u64>,
    receive: Producer<xdp_desc>,
    transmit: Consumer<xdp_desc>,
    /// Frames that it took for packets to come, and packets that it has not sent yet.
    taken: VecDeque<u64>,
    unsent: VecDeque<u64>,
    /// Entries that name no frame that it has.
    lies: u64,
    _memory: (Memory<u64>, Memory<u64>, Memory<xdp_desc>, Memory<xdp_desc>),
}

const NO_PACKET: xdp_desc = xdp_desc { addr: 0, len: 0, options: 0 };

/// A queue of `frames` frames with rings of `size` entries, and its kernel.
fn queue(size: u32, frames: u32, begin: u32) -> (Queue, Kernel) {
    let memory = (
        Memory::new(size, begin, 0),
        Memory::new(size, begin, 0),
        Memory::new(size, begin, NO_PACKET),
        Memory::new(size, begin, NO_PACKET),
    );
    let rings = Rings {
        fill: memory.0.producer(),
        completion: memory.1.consumer(),
        receive: memory.2.consumer(),
        transmit: memory.3.producer(),
    };
    let (umem, free) = Umem::new(frames).unwrap();
    let queue = Queue::new(rings, umem, free, size);
    let kernel = Kernel {
        fill: memory.0.consumer(),
        completion: memory.1.producer(),
        receive: memory.2.producer(),
        transmit: memory.3.consumer(),
        taken: VecDeque::new(),
        unsent: VecDeque::new(),
        lies: 0,
        _memory: memory,
    };
    (queue, kernel)
}

impl Kernel {
    /// Lets up to `count` packets come in, each with the length that `len` says.
    fn deliver(&mut self, count: usize, len: u32) {
        while let Some(address) = self.fill.pop() {
            self.taken.push_back(address);
        }
        self.fill.release();
        for _ in 0..count {
            if !self.receive.has_room() {
                break;
            }
            let Some(address) = self.taken.pop_front() else { break };
            // The kernel keeps room in front of a packet.
            assert!(self.receive.push(xdp_desc { addr: address + 256, len, options: 0 }));
        }
        self.receive.publish();
    }

    /// Takes what is to be sent, and reports up to `count` packets as sent.
    fn send(&mut self, count: usize) {
        while let Some(packet) = self.transmit.pop() {
            self.unsent.push_back(packet.addr);
        }
        self.transmit.release();
        for _ in 0..count {
            if !self.completion.has_room() {
                break;
            }
            let Some(address) = self.unsent.pop_front() else { break };
            assert!(self.completion.push(address));
        }
        self.completion.publish();
    }
}

/// Every frame is at one place, and there are as many as there were.
fn assert_all_there(queue: &Queue, frames: u32, held: usize) {
    let places = queue.places();
    assert_eq!(places.held, held, "{places:?}");
    assert_eq!(places.free + places.receiving + places.sending + places.held, frames as usize, "{places:?}");
}

/// What goes wrong, round by round.
struct Trouble {
    random: fastrand::Rng,
    /// Rounds for which the interface is down.
    down_for: u32,
}

impl Trouble {
    /// Names frames that the kernel does not have, or longer packets than there are frames.
    fn lie(&mut self, kernel: &mut Kernel, frames: u32) {
        let beyond = u64::from(frames) * FRAME_LEN as u64 + self.random.u64(0..1 << 40);
        let (receive, completion) = (self.random.u8(0..32) == 0, self.random.u8(0..32) == 0);
        let held = kernel.taken.front().copied();
        let packet = match held.filter(|_| self.random.bool()) {
            Some(address) => xdp_desc { addr: address + 256, len: FRAME_LEN as u32, options: 0 },
            None => xdp_desc { addr: beyond, len: 100, options: 0 },
        };
        kernel.lies += u64::from(receive && kernel.receive.push(packet));
        kernel.lies += u64::from(completion && kernel.completion.push(beyond));
    }

    /// How many packets go out: none while the interface is down, else a few or all.
    fn sent(&mut self) -> usize {
        if self.random.u8(0..64) == 0 {
            self.down_for = self.random.u32(1..40);
        }
        self.down_for = self.down_for.saturating_sub(1);
        if self.down_for > 0 { 0 } else { self.random.usize(0..96) }
    }
}

#[test]
fn no_frame_is_lost_in_a_million_packets_with_all_that_can_go_wrong() {
    const FRAMES: u32 = 256;
    let mut trouble = Trouble { random: fastrand::Rng::with_seed(5), down_for: 0 };
    // The counts wrap around at once.
    let (mut queue, mut kernel) = queue(128, FRAMES, u32::MAX - 1000);
    let (mut packets, mut turned_away, mut unfilled) = (0, 0, 0);
    let mut batch = Vec::new();
    while packets < rounds(1_000_000) {
        queue.turn_over();
        // None, a few, or more than there are frames for.
        kernel.deliver(trouble.random.usize(0..200), trouble.random.u32(60..1700));
        trouble.lie(&mut kernel, FRAMES);
        kernel.receive.publish();
        unfilled += usize::from(kernel.taken.is_empty());
        packets += queue.receive(&mut batch, 64);
        assert_all_there(&queue, FRAMES, batch.len());
        for frame in batch.drain(..) {
            match trouble.random.u8(0..4) {
                0 => queue.recycle(frame),
                _ => {
                    if let Err(frame) = queue.send(frame, trouble.random.usize(0..1792)) {
                        turned_away += 1;
                        queue.recycle(frame);
                    }
                }
            }
        }
        if trouble.random.u8(0..3) > 0 {
            queue.rings.transmit.publish();
        }
        // The kernel is late, or has caught up.
        kernel.send(trouble.sent());
        assert_all_there(&queue, FRAMES, 0);
    }
    assert!(turned_away > 0, "the transmit ring was never full");
    assert!(unfilled > 0, "the kernel never ran out of frames");
    // What is still under way comes to its place.
    loop {
        queue.rings.transmit.publish();
        kernel.send(usize::MAX);
        queue.turn_over();
        let received = queue.receive(&mut batch, usize::MAX);
        batch.drain(..).for_each(|frame| queue.recycle(frame));
        if received == 0 && queue.places().sending == 0 {
            break;
        }
    }
    assert_all_there(&queue, FRAMES, 0);
    assert!(kernel.lies > 0, "the kernel never lied");
    assert_eq!(queue.refused, kernel.lies);
}

#[test]
fn what_the_kernel_says_of_frames_that_it_does_not_have_is_refused() {
    let (mut queue, mut kernel) = queue(8, 16, 0);
    queue.turn_over();
    kernel.deliver(1, 100);
    let mut batch = Vec::new();
    assert_eq!(queue.receive(&mut batch, 64), 1);
    let frame = batch.pop().unwrap();
    // The frame that is held, one that is free, one beyond the memory, one longer than a frame.
    let held = kernel.taken.iter().copied().max().unwrap_or(0);
    for packet in [
        xdp_desc { addr: queue_address(&frame), len: 100, options: 0 },
        xdp_desc { addr: 16 * FRAME_LEN as u64, len: 100, options: 0 },
        xdp_desc { addr: held + 256, len: FRAME_LEN as u32, options: 0 },
    ] {
        assert!(kernel.receive.push(packet));
    }
    kernel.receive.publish();
    assert_eq!(queue.receive(&mut batch, 64), 0);
    assert_eq!(queue.refused, 3);
    queue.recycle(frame);
    assert_all_there(&queue, 16, 0);
}

/// Where a frame begins, as a ring would name it.
fn queue_address(frame: &Frame) -> u64 {
    u64::from(frame.number()) * FRAME_LEN as u64
}

#[test]
fn a_packet_is_what_the_kernel_wrote_and_an_answer_has_room_behind_it() {
    let (mut queue, mut kernel) = queue(8, 16, 0);
    queue.turn_over();
    kernel.deliver(1, 60);
    let mut batch = Vec::new();
    queue.receive(&mut batch, 64);
    let mut frame = batch.pop().unwrap();
    assert_eq!(queue.umem.packet(&frame), [0; 60]);
    assert_eq!(queue.umem.room(&mut frame).len(), FRAME_LEN - 256);
    queue.umem.room(&mut frame)[..4].copy_from_slice(b"abcd");
    assert_eq!(&queue.umem.packet(&frame)[..4], b"abcd");
    queue.send(frame, 4).unwrap();
    queue.rings.transmit.publish();
    let sent = kernel.transmit.pop().unwrap();
    assert_eq!((sent.len, sent.addr % FRAME_LEN as u64), (4, 256));
}
