//! The program with a daemon's settings in its maps, and a clock that stands still for as long as a table is run.

use crate::frames::{OUR_MAC, Way};
use nix::time::{ClockId, clock_gettime};
use std::net::IpAddr;
use std::time::Duration;
use tracker_common::abi::Control;
use tracker_common::connection_id::{Keys, Slot, issue};
use tracker_tests::kernel_program::{KernelProgram, Run, TEST_RUN_INTERFACE, mapped};

/// Few, so that the oldest valid id is younger than a host that has just started.
pub(crate) const LIFETIME_SLOTS: u32 = 2;

/// Nanoseconds of a slot.
const SLOT_NS: u64 = 1 << 34;

/// A daemon that lives and has no budgets, no blocked networks, and answers no wrong id.
pub(crate) struct Scene {
    pub(crate) program: KernelProgram,
    pub(crate) control: Control,
}

impl Scene {
    /// Listens on the trackers' addresses of both families.
    pub(crate) fn new_or_skipped() -> Option<Self> {
        let mut program = KernelProgram::load_or_skipped()?;
        for way in Way::both() {
            program.listen(way.tracker, TEST_RUN_INTERFACE, OUR_MAC);
        }
        let control = Control {
            // As from the future: a slow machine is no silent daemon.
            heartbeat_ns: u64::MAX,
            keys: Keys::new([[0x1111, 0x2222], [0x3333, 0x4444]]),
            lifetime_slots: LIFETIME_SLOTS,
            flags: 0,
            source_cost_ns: 0,
            source_burst_ns: 0,
            connect_cost_ns: 0,
            connect_burst_ns: 0,
            source_hash_key: 0x5555_6666_7777_8888,
        };
        let mut scene = Self { program, control };
        scene.change(|_| ());
        Some(scene)
    }

    /// Changes what the daemon says.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Control)) {
        change(&mut self.control);
        self.program.set_control(&self.control);
    }

    /// Runs one packet.
    pub(crate) fn run(&mut self, frame: &[u8]) -> Run {
        self.program.run(frame)
    }

    /// The id that an address was given so many slots ago; negative: that it will be given.
    pub(crate) fn id(&self, address: IpAddr, slots_ago: i64, now_ns: u64) -> u64 {
        id(&self.control.keys, address, slots_ago, now_ns)
    }
}

/// The id that an address was given so many slots ago by a tracker with these keys.
pub(crate) fn id(keys: &Keys, address: IpAddr, slots_ago: i64, now_ns: u64) -> u64 {
    let ago_ns = (slots_ago * SLOT_NS as i64) as u64;
    issue(keys, mapped(address), keys.issuing_slot(now_ns.wrapping_sub(ago_ns)))
}

/// The clock that the program reads, in nanoseconds.
pub(crate) fn clock_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).expect("Linux has this clock");
    Duration::from(time).as_nanos() as u64
}

/// Does what `act` does within one slot: again where the slot changed under it.
pub(crate) fn in_one_slot<T>(mut act: impl FnMut(u64) -> T) -> T {
    loop {
        let now_ns = clock_ns();
        let result = act(now_ns);
        if Slot::from_monotonic_ns(clock_ns()) == Slot::from_monotonic_ns(now_ns) {
            return result;
        }
    }
}
