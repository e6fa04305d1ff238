//! The few kernel programs that only a benchmark needs, written as instructions: too small for a compiler of their own.
//!
//! Never part of the object that the daemon loads.

use super::frames::{self, Template};

/// `XDP_ABORTED`: a program of this file met a packet that it is not made for.
const ABORTED: i32 = 0;
pub(super) const DROP: i32 = 1;
pub(super) const PASS: i32 = 2;
pub(super) const TX: i32 = 3;

/// Numbers of helper functions of the kernel.
const MAP_LOOKUP_ELEM: i32 = 1;
const KTIME_GET_NS: i32 = 5;
const GET_PRANDOM_U32: i32 = 7;
const TAIL_CALL: i32 = 12;

/// Sizes of a load or a store.
const BYTES_4: u8 = 0x00;
const BYTES_2: u8 = 0x08;
const BYTES_1: u8 = 0x10;
const BYTES_8: u8 = 0x18;

/// Instructions in the order in which they run, each as the kernel takes it.
#[derive(Default)]
pub(super) struct Assembly(Vec<u64>);

/// A jump whose distance is not known yet.
struct Jump(usize);

impl Assembly {
    /// The program that does nothing: `XDP_PASS` at once.
    pub(super) fn empty() -> Vec<u64> {
        let mut program = Self::default();
        program.leave(PASS);
        program.0
    }

    /// Writes `frame` over the packet, waits until the memory has it, and goes on in slot `slot` of an array of
    /// programs: what that program changes in the packet is undone before it runs again.
    pub(super) fn restore(frame: &[u8], programs: i32, slot: i32) -> Vec<u64> {
        let mut program = Self::default();
        program.mov(6, 1);
        let too_short = program.write_frame(frame);
        // An exchange with memory is a barrier: no load of the other program waits for a store of this one.
        program.mov_immediate(0, 0);
        program.store(BYTES_8, 10, 0, -8);
        program.push(0xdb, [10, 0], -8, 0xe1);
        program.mov(1, 6);
        program.load_map(2, programs);
        program.mov_immediate(3, slot);
        program.call(TAIL_CALL);
        program.land(too_short);
        program.leave(ABORTED);
        program.0
    }

    /// Writes the template over the packet with a random source, and sends it out where it came in, but none before
    /// `interval_ns` have gone by since the one before. Element 0 of `state` is when the next is due, element 1 counts
    /// what was sent.
    pub(super) fn generate(template: &Template, interval_ns: u32, state: i32) -> Vec<u64> {
        let mut program = Self::default();
        program.mov(6, 1);
        program.call(KTIME_GET_NS);
        program.mov(8, 0);
        let mut ends = vec![program.look_up(state, 0)];
        program.load(BYTES_8, 1, 0, 0);
        ends.push(program.jump_if_greater(1, 8));
        program.add_immediate(1, interval_ns as i32);
        program.store(BYTES_8, 0, 1, 0);
        ends.push(program.look_up(state, 1));
        program.load(BYTES_8, 1, 0, 0);
        program.add_immediate(1, 1);
        program.store(BYTES_8, 0, 1, 0);
        program.call(GET_PRANDOM_U32);
        program.mov(7, 0);
        program.mov(1, 6);
        ends.push(program.write_frame(&template.frame));
        // The upper bit of the port stays set, so that it is never 0.
        program.and_immediate(7, 0x7fff);
        program.store(BYTES_2, 2, 7, frames::SOURCE_LOW as i16);
        program.xor_immediate(7, 0xffff);
        // What the address adds to both checksums, the identification and the port take off.
        program.store(BYTES_2, 2, 7, frames::IDENTIFICATION as i16);
        program.store(BYTES_2, 2, 7, frames::SOURCE_PORT_V4 as i16);
        program.leave(TX);
        for end in ends {
            program.land(end);
        }
        program.leave(DROP);
        program.0
    }

    /// Counts, and ends, what a tracker at `port` answers to forged sources: element 0 of `counters` for responses
    /// to a connect, element 1 for anything else. All other packets go on.
    pub(super) fn count_answers(port: u16, counters: i32) -> Vec<u64> {
        let mut program = Self::default();
        program.load(BYTES_4, 2, 1, 0);
        program.load(BYTES_4, 3, 1, 4);
        program.mov(4, 2);
        program.add_immediate(4, frames::PAYLOAD_V4 as i32 + 8);
        let mut foreign = vec![program.jump_if_greater(4, 3)];
        program.load(BYTES_1, 5, 2, frames::DESTINATION_V4 as i16);
        foreign.push(program.jump_unless_equal(5, i32::from(frames::FORGED_NETWORK)));
        program.load(BYTES_2, 5, 2, frames::SOURCE_PORT_V4 as i16);
        foreign.push(program.jump_unless_equal(5, i32::from(port.to_be())));
        program.load(BYTES_4, 5, 2, frames::PAYLOAD_V4 as i16);
        program.store_immediate_4(10, -4, 0);
        let connected = program.jump_unless_equal(5, 0);
        let counted = program.jump();
        program.land(connected);
        program.store_immediate_4(10, -4, 1);
        program.land(counted);
        program.load_map(1, counters);
        program.mov(2, 10);
        program.add_immediate(2, -4);
        program.call(MAP_LOOKUP_ELEM);
        let missing = program.jump_if_zero(0);
        program.load(BYTES_8, 1, 0, 0);
        program.add_immediate(1, 1);
        program.store(BYTES_8, 0, 1, 0);
        program.land(missing);
        program.leave(DROP);
        for jump in foreign {
            program.land(jump);
        }
        program.leave(PASS);
        program.0
    }

    /// Checks the packet's length and writes all of it; register 2 is its address afterwards. The jump is taken by a
    /// packet that is shorter.
    fn write_frame(&mut self, frame: &[u8]) -> Jump {
        self.load(BYTES_4, 2, 1, 0);
        self.load(BYTES_4, 3, 1, 4);
        self.mov(4, 2);
        self.add_immediate(4, frame.len() as i32);
        let too_short = self.jump_if_greater(4, 3);
        let (words, rest) = frame.as_chunks::<8>();
        for (position, word) in words.iter().enumerate() {
            self.load_immediate_8(5, u64::from_ne_bytes(*word));
            self.store(BYTES_8, 2, 5, 8 * position as i16);
        }
        for (position, byte) in rest.iter().enumerate() {
            self.mov_immediate(5, i32::from(*byte));
            self.store(BYTES_1, 2, 5, (8 * words.len() + position) as i16);
        }
        too_short
    }

    /// Looks an element up by a constant index; register 0 is its address. The jump is taken if there is none.
    fn look_up(&mut self, map: i32, index: i32) -> Jump {
        self.store_immediate_4(10, -4, index);
        self.load_map(1, map);
        self.mov(2, 10);
        self.add_immediate(2, -4);
        self.call(MAP_LOOKUP_ELEM);
        self.jump_if_zero(0)
    }

    fn push(&mut self, code: u8, [destination, source]: [u8; 2], offset: i16, immediate: i32) {
        let registers = destination | source << 4;
        let instruction = u64::from(code)
            | u64::from(registers) << 8
            | u64::from(offset as u16) << 16
            | u64::from(immediate as u32) << 32;
        self.0.push(instruction);
    }

    fn mov(&mut self, destination: u8, source: u8) {
        self.push(0xbf, [destination, source], 0, 0);
    }

    fn mov_immediate(&mut self, destination: u8, value: i32) {
        self.push(0xb7, [destination, 0], 0, value);
    }

    fn add_immediate(&mut self, destination: u8, value: i32) {
        self.push(0x07, [destination, 0], 0, value);
    }

    fn and_immediate(&mut self, destination: u8, value: i32) {
        self.push(0x57, [destination, 0], 0, value);
    }

    fn xor_immediate(&mut self, destination: u8, value: i32) {
        self.push(0xa7, [destination, 0], 0, value);
    }

    fn load(&mut self, size: u8, destination: u8, address: u8, offset: i16) {
        self.push(0x61 | size, [destination, address], offset, 0);
    }

    fn store(&mut self, size: u8, address: u8, source: u8, offset: i16) {
        self.push(0x63 | size, [address, source], offset, 0);
    }

    fn store_immediate_4(&mut self, address: u8, offset: i16, value: i32) {
        self.push(0x62, [address, 0], offset, value);
    }

    fn load_immediate_8(&mut self, destination: u8, value: u64) {
        self.push(0x18, [destination, 0], 0, value as i32);
        self.push(0, [0, 0], 0, (value >> 32) as i32);
    }

    fn load_map(&mut self, destination: u8, descriptor: i32) {
        self.push(0x18, [destination, 1], 0, descriptor);
        self.push(0, [0, 0], 0, 0);
    }

    fn call(&mut self, helper: i32) {
        self.push(0x85, [0, 0], 0, helper);
    }

    fn leave(&mut self, action: i32) {
        self.mov_immediate(0, action);
        self.push(0x95, [0, 0], 0, 0);
    }

    fn jump(&mut self) -> Jump {
        self.push(0x05, [0, 0], 0, 0);
        Jump(self.0.len())
    }

    fn jump_if_greater(&mut self, left: u8, right: u8) -> Jump {
        self.push(0x2d, [left, right], 0, 0);
        Jump(self.0.len())
    }

    fn jump_if_zero(&mut self, register: u8) -> Jump {
        self.push(0x15, [register, 0], 0, 0);
        Jump(self.0.len())
    }

    fn jump_unless_equal(&mut self, register: u8, value: i32) -> Jump {
        self.push(0x55, [register, 0], 0, value);
        Jump(self.0.len())
    }

    /// Makes the jump end at the next instruction. Distances count from the instruction behind the jump.
    fn land(&mut self, Jump(origin): Jump) {
        let distance = (self.0.len() - origin) as u64;
        self.0[origin - 1] |= distance << 16;
    }
}
