//! AF_XDP sockets.

/// Keys under `xsk.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XskConfig {
    /// How packets get from the card into the tracker's memory.
    pub zero_copy: CopyMode,
    /// Microseconds for which a system call may look for packets; 0: interrupts bring them.
    pub busy_poll_micros: u32,
    /// Packets that such a call takes in at most.
    pub busy_poll_budget: u16,
    /// Entries of each ring, a power of two.
    pub ring_size: u32,
    /// Packets that one wake-up sends at most where the kernel copies; 0: the kernel's own budget.
    pub transmit_budget: u32,
    /// Receive queues of each interface that get a socket; 0: all of them.
    pub queues: u16,
    /// Cores for the threads of the queues, one after the other; empty: those that the daemon may use.
    pub cpus: Vec<u16>,
}

impl Default for XskConfig {
    fn default() -> Self {
        Self {
            zero_copy: CopyMode::Auto,
            busy_poll_micros: 0,
            busy_poll_budget: 64,
            ring_size: 2048,
            transmit_budget: 64,
            queues: 0,
            cpus: Vec::new(),
        }
    }
}

/// How packets get from the card into the memory of AF_XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CopyMode {
    /// By the card itself where its driver can, else by the kernel.
    #[default]
    Auto,
    /// By the card itself, or not at all.
    ZeroCopy,
    /// By the kernel: every driver with XDP can.
    Copy,
}
