//! The kernel programs that only these benchmarks need. Never part of the object that the daemon loads.

use super::frames::{self, Template};
use tracker_assembly::{Action, Assembly, Helper, Jump, Size};

/// Writes `frame` over the packet, waits until the memory has it, and goes on in slot `slot` of an array of
/// programs: what that program changes in the packet is undone before it runs again.
pub(super) fn restore(frame: &[u8], programs: i32, slot: i32) -> Vec<u64> {
    let mut program = Assembly::default();
    program.mov(6, 1);
    let too_short = write_frame(&mut program, frame);
    // An exchange with memory is a barrier: no load of the other program waits for a store of this one.
    program.mov_immediate(0, 0);
    program.store(Size::Eight, 10, 0, -8);
    program.push(0xdb, [10, 0], -8, 0xe1);
    program.mov(1, 6);
    program.load_map(2, programs);
    program.mov_immediate(3, slot);
    program.call(Helper::TailCall);
    program.land(too_short);
    program.leave(Action::Aborted);
    program.into_instructions()
}

/// Writes the template over the packet with a random source, and sends it out where it came in, but none before
/// `interval_ns` have gone by since the one before. Element 0 of `state` is when the next is due, element 1 counts
/// what was sent.
pub(super) fn generate(template: &Template, interval_ns: u32, state: i32) -> Vec<u64> {
    let mut program = Assembly::default();
    program.mov(6, 1);
    program.call(Helper::Time);
    program.mov(8, 0);
    let mut ends = vec![program.look_up(state, 0)];
    program.load(Size::Eight, 1, 0, 0);
    ends.push(program.jump_if_greater(1, 8));
    program.add_immediate(1, interval_ns as i32);
    program.store(Size::Eight, 0, 1, 0);
    ends.push(program.look_up(state, 1));
    program.load(Size::Eight, 1, 0, 0);
    program.add_immediate(1, 1);
    program.store(Size::Eight, 0, 1, 0);
    program.call(Helper::Random);
    program.mov(7, 0);
    program.mov(1, 6);
    ends.push(write_frame(&mut program, &template.frame));
    // The upper bit of the port stays set, so that it is never 0.
    program.and_immediate(7, 0x7fff);
    program.store(Size::Two, 2, 7, frames::SOURCE_LOW as i16);
    program.xor_immediate(7, 0xffff);
    // What the address adds to both checksums, the identification and the port take off.
    program.store(Size::Two, 2, 7, frames::IDENTIFICATION as i16);
    program.store(Size::Two, 2, 7, frames::SOURCE_PORT_V4 as i16);
    program.leave(Action::Transmit);
    for end in ends {
        program.land(end);
    }
    program.leave(Action::Drop);
    program.into_instructions()
}

/// Counts, and ends, what a tracker at `port` answers to forged sources: element 0 of `counters` for responses
/// to a connect, element 1 for anything else. All other packets go on.
pub(super) fn count_answers(port: u16, counters: i32) -> Vec<u64> {
    let mut program = Assembly::default();
    program.load(Size::Four, 2, 1, 0);
    program.load(Size::Four, 3, 1, 4);
    program.mov(4, 2);
    program.add_immediate(4, frames::PAYLOAD_V4 as i32 + 8);
    let mut foreign = vec![program.jump_if_greater(4, 3)];
    program.load(Size::One, 5, 2, frames::DESTINATION_V4 as i16);
    foreign.push(program.jump_unless_equal(5, i32::from(frames::FORGED_NETWORK)));
    program.load(Size::Two, 5, 2, frames::SOURCE_PORT_V4 as i16);
    foreign.push(program.jump_unless_equal(5, i32::from(port.to_be())));
    program.load(Size::Four, 5, 2, frames::PAYLOAD_V4 as i16);
    program.store_immediate_4(10, -4, 0);
    let connected = program.jump_unless_equal(5, 0);
    let counted = program.jump();
    program.land(connected);
    program.store_immediate_4(10, -4, 1);
    program.land(counted);
    program.load_map(1, counters);
    program.mov(2, 10);
    program.add_immediate(2, -4);
    program.call(Helper::MapLookup);
    let missing = program.jump_if_zero(0);
    program.load(Size::Eight, 1, 0, 0);
    program.add_immediate(1, 1);
    program.store(Size::Eight, 0, 1, 0);
    program.land(missing);
    program.leave(Action::Drop);
    for jump in foreign {
        program.land(jump);
    }
    program.leave(Action::Pass);
    program.into_instructions()
}

/// Checks the packet's length and writes all of it; register 2 is its address afterwards. The jump is taken by a
/// packet that is shorter.
fn write_frame(program: &mut Assembly, frame: &[u8]) -> Jump {
    program.load(Size::Four, 2, 1, 0);
    program.load(Size::Four, 3, 1, 4);
    program.mov(4, 2);
    program.add_immediate(4, frame.len() as i32);
    let too_short = program.jump_if_greater(4, 3);
    let (words, rest) = frame.as_chunks::<8>();
    for (position, word) in words.iter().enumerate() {
        program.load_immediate_8(5, u64::from_ne_bytes(*word));
        program.store(Size::Eight, 2, 5, 8 * position as i16);
    }
    for (position, byte) in rest.iter().enumerate() {
        program.mov_immediate(5, i32::from(*byte));
        program.store(Size::One, 2, 5, (8 * words.len() + position) as i16);
    }
    too_short
}
