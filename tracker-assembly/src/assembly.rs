//! Programs written as instructions.

/// What an XDP program says is to become of its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Action {
    /// `XDP_ABORTED`: a program met a packet that it is not made for.
    Aborted = 0,
    /// `XDP_DROP`.
    Drop = 1,
    /// `XDP_PASS`.
    Pass = 2,
    /// `XDP_TX`.
    Transmit = 3,
}

/// Numbers of helper functions of the kernel (linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Helper {
    /// `bpf_map_lookup_elem`.
    MapLookup = 1,
    /// `bpf_ktime_get_ns`.
    Time = 5,
    /// `bpf_get_prandom_u32`.
    Random = 7,
    /// `bpf_tail_call`.
    TailCall = 12,
    /// `bpf_redirect_map`.
    RedirectMap = 51,
}

/// How many bytes a load or a store moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Size {
    /// Four bytes.
    Four = 0x00,
    /// Two bytes.
    Two = 0x08,
    /// One byte.
    One = 0x10,
    /// Eight bytes.
    Eight = 0x18,
}

/// Where `struct xdp_md` has the number of the receive queue.
const RECEIVE_QUEUE: i16 = 16;

/// Instructions in the order in which they run, each as the kernel takes it. Registers are named by their numbers: 1 holds
/// the packet's context at the start, 0 what is returned, 10 the end of the stack.
#[derive(Debug, Default)]
pub struct Assembly(Vec<u64>);

/// A jump whose distance is not known yet.
#[derive(Debug)]
#[must_use = "a jump that lands nowhere ends at the next instruction"]
pub struct Jump(usize);

impl Assembly {
    /// The program that does nothing: `XDP_PASS` at once.
    pub fn empty() -> Vec<u64> {
        let mut program = Self::default();
        program.leave(Action::Pass);
        program.0
    }

    /// Gives packets to the AF_XDP sockets in the map `sockets`, by the queue on which they came in, if they match one of
    /// the patterns: bytes with the places at which they begin. All others, and those of a queue without a socket, go on.
    pub fn redirect_matching(patterns: &[Vec<(usize, Vec<u8>)>], sockets: i32) -> Vec<u64> {
        let mut program = Self::default();
        for pattern in patterns {
            let len = pattern.iter().map(|(at, bytes)| at + bytes.len()).max().unwrap_or(0);
            program.load(Size::Four, 2, 1, 0);
            program.load(Size::Four, 3, 1, 4);
            program.mov(4, 2);
            program.add_immediate(4, len as i32);
            let mut others = vec![program.jump_if_greater(4, 3)];
            for (at, bytes) in pattern {
                for (position, byte) in bytes.iter().enumerate() {
                    program.load(Size::One, 5, 2, (at + position) as i16);
                    others.push(program.jump_unless_equal(5, i32::from(*byte)));
                }
            }
            program.load(Size::Four, 2, 1, RECEIVE_QUEUE);
            program.load_map(1, sockets);
            program.mov_immediate(3, Action::Pass as i32);
            program.call(Helper::RedirectMap);
            program.exit();
            for jump in others {
                program.land(jump);
            }
        }
        program.leave(Action::Pass);
        program.0
    }

    /// Sends every packet out of the interface in slot 0 of the map `interfaces`, as it came.
    pub fn forward_all(interfaces: i32) -> Vec<u64> {
        let mut program = Self::default();
        program.load_map(1, interfaces);
        program.mov_immediate(2, 0);
        program.mov_immediate(3, Action::Aborted as i32);
        program.call(Helper::RedirectMap);
        program.exit();
        program.0
    }

    /// What the kernel is to load.
    pub fn into_instructions(self) -> Vec<u64> {
        self.0
    }

    /// An instruction by its code, its two registers, its offset and its number.
    pub fn push(&mut self, code: u8, [destination, source]: [u8; 2], offset: i16, immediate: i32) {
        let registers = destination | source << 4;
        let instruction = u64::from(code)
            | u64::from(registers) << 8
            | u64::from(offset as u16) << 16
            | u64::from(immediate as u32) << 32;
        self.0.push(instruction);
    }

    /// Copies a register.
    pub fn mov(&mut self, destination: u8, source: u8) {
        self.push(0xbf, [destination, source], 0, 0);
    }

    /// Sets a register.
    pub fn mov_immediate(&mut self, destination: u8, value: i32) {
        self.push(0xb7, [destination, 0], 0, value);
    }

    /// Adds to a register.
    pub fn add_immediate(&mut self, destination: u8, value: i32) {
        self.push(0x07, [destination, 0], 0, value);
    }

    /// Keeps these bits of a register.
    pub fn and_immediate(&mut self, destination: u8, value: i32) {
        self.push(0x57, [destination, 0], 0, value);
    }

    /// Turns these bits of a register round.
    pub fn xor_immediate(&mut self, destination: u8, value: i32) {
        self.push(0xa7, [destination, 0], 0, value);
    }

    /// Loads from memory at the address in a register.
    pub fn load(&mut self, size: Size, destination: u8, address: u8, offset: i16) {
        self.push(0x61 | size as u8, [destination, address], offset, 0);
    }

    /// Stores to memory at the address in a register.
    pub fn store(&mut self, size: Size, address: u8, source: u8, offset: i16) {
        self.push(0x63 | size as u8, [address, source], offset, 0);
    }

    /// Stores a number of four bytes to memory at the address in a register.
    pub fn store_immediate_4(&mut self, address: u8, offset: i16, value: i32) {
        self.push(0x62, [address, 0], offset, value);
    }

    /// Sets a register to a number of eight bytes.
    pub fn load_immediate_8(&mut self, destination: u8, value: u64) {
        self.push(0x18, [destination, 0], 0, value as i32);
        self.push(0, [0, 0], 0, (value >> 32) as i32);
    }

    /// Sets a register to the map with this descriptor.
    pub fn load_map(&mut self, destination: u8, descriptor: i32) {
        self.push(0x18, [destination, 1], 0, descriptor);
        self.push(0, [0, 0], 0, 0);
    }

    /// Calls the kernel with registers 1 to 5, which are lost; register 0 has what it returns.
    pub fn call(&mut self, helper: Helper) {
        self.push(0x85, [0, 0], 0, helper as i32);
    }

    /// Looks an element of a map up by a constant index; register 0 is its address. The jump is taken if there is none.
    pub fn look_up(&mut self, map: i32, index: i32) -> Jump {
        self.store_immediate_4(10, -4, index);
        self.load_map(1, map);
        self.mov(2, 10);
        self.add_immediate(2, -4);
        self.call(Helper::MapLookup);
        self.jump_if_zero(0)
    }

    /// Ends with this action.
    pub fn leave(&mut self, action: Action) {
        self.mov_immediate(0, action as i32);
        self.exit();
    }

    /// Ends with the action in register 0.
    pub fn exit(&mut self) {
        self.push(0x95, [0, 0], 0, 0);
    }

    /// Jumps in any case.
    pub fn jump(&mut self) -> Jump {
        self.push(0x05, [0, 0], 0, 0);
        Jump(self.0.len())
    }

    /// Jumps if one register is greater than another.
    pub fn jump_if_greater(&mut self, left: u8, right: u8) -> Jump {
        self.push(0x2d, [left, right], 0, 0);
        Jump(self.0.len())
    }

    /// Jumps if a register is zero.
    pub fn jump_if_zero(&mut self, register: u8) -> Jump {
        self.push(0x15, [register, 0], 0, 0);
        Jump(self.0.len())
    }

    /// Jumps unless a register has this value.
    pub fn jump_unless_equal(&mut self, register: u8, value: i32) -> Jump {
        self.push(0x55, [register, 0], 0, value);
        Jump(self.0.len())
    }

    /// Makes the jump end at the next instruction. Distances count from the instruction behind the jump.
    pub fn land(&mut self, Jump(origin): Jump) {
        let distance = (self.0.len() - origin) as u64;
        self.0[origin - 1] |= distance << 16;
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Assembly};

    #[test]
    fn an_instruction_is_what_the_kernel_documents() {
        let mut program = Assembly::default();
        let over = program.jump_unless_equal(5, 17);
        program.leave(Action::Drop);
        program.land(over);
        program.leave(Action::Pass);
        let bytes: Vec<[u8; 8]> = program.into_instructions().into_iter().map(u64::to_ne_bytes).collect();
        // if r5 != 17 goto +2; r0 = 1; exit; r0 = 2; exit (Documentation/bpf/standardization/instruction-set.rst)
        let expected = [
            [0x55, 0x05, 2, 0, 17, 0, 0, 0],
            [0xb7, 0x00, 0, 0, 1, 0, 0, 0],
            [0x95, 0x00, 0, 0, 0, 0, 0, 0],
            [0xb7, 0x00, 0, 0, 2, 0, 0, 0],
            [0x95, 0x00, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(bytes, expected);
    }
}
