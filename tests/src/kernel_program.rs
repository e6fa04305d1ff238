//! The kernel program loaded for real and run packet by packet (`BPF_PROG_TEST_RUN`): no interface is touched, and
//! every run tells its action, its packet and the one verdict that it counted.

use crate::skip::{is_root_or_skipped, skipped};
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, Map, MapData, PerCpuArray, XskMap};
use aya::programs::{ProgramError, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, Pod};
use std::io::Error;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracker_common::abi::{
    self, Control, Counter, LISTENERS_PER_BUCKET, ListenBucket, ListenKey, Listener, map,
};
use tracker_common::verdict::Verdict;

/// Where `cargo xtask build-ebpf` leaves the object, from the root of the workspace.
const OBJECT: &str = "target/bpf/tracker-ebpf";

/// The interface on which a test run says that its packet came in: the kernel takes the loopback device of the
/// network namespace, which is always the first.
pub const TEST_RUN_INTERFACE: u32 = 1;

/// Room for the longest packet that a test run gives back.
const MAX_OUTPUT_LEN: usize = 16 * 1024;

/// A value of a map, as the kernel keeps it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Shared<T>(T);

// SAFETY: fixed-width integers without hidden padding, asserted by `tracker_common::abi`; any bytes are a value.
unsafe impl Pod for Shared<Control> {}
// SAFETY: as above.
unsafe impl Pod for Shared<Counter> {}

/// What the program did with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `XDP_TX`.
    Answered,
    /// `XDP_PASS`.
    Passed,
    /// `XDP_DROP`.
    Dropped,
    /// `XDP_REDIRECT`.
    HandedOver,
}

/// One packet's way through the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What became of it.
    pub action: Action,
    /// The packet afterwards.
    pub output: Vec<u8>,
    /// Why.
    pub verdict: Verdict,
    /// By how much the bytes of this verdict rose.
    pub counted_bytes: u64,
}

/// The program and its maps, this process's own.
pub struct KernelProgram {
    ebpf: Ebpf,
    control: Array<MapData, Shared<Control>>,
    listeners: Array<MapData, [[u64; 4]; LISTENERS_PER_BUCKET]>,
    counters: PerCpuArray<MapData, Shared<Counter>>,
    sources: Array<MapData, u64>,
    blocked: LpmTrie<MapData, [u8; 16], u32>,
    xsks: XskMap<MapData>,
    counted: Vec<Counter>,
    load_time: Duration,
}

impl KernelProgram {
    /// Loads the program; without root or without an object, says that the test is skipped.
    ///
    /// # Panics
    /// When the kernel refuses the program.
    pub fn load_or_skipped() -> Option<Self> {
        if !is_root_or_skipped("the kernel program") {
            return None;
        }
        let Some(path) = object() else {
            skipped("the kernel program: not built, see `cargo xtask build-ebpf`");
            return None;
        };
        Some(Self::load(&path))
    }

    fn load(path: &Path) -> Self {
        let mut ebpf = Ebpf::load_file(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let started = Instant::now();
        let program: &mut Xdp =
            ebpf.program_mut(abi::PROGRAM).expect("the program").try_into().expect("an XDP program");
        program.load().unwrap_or_else(|error| panic!("the verifier refuses the program: {error:?}"));
        let load_time = started.elapsed();
        Self {
            control: typed(&mut ebpf, map::CONTROL),
            listeners: typed(&mut ebpf, map::LISTENERS),
            counters: typed(&mut ebpf, map::COUNTERS),
            sources: typed(&mut ebpf, map::SOURCES),
            blocked: typed(&mut ebpf, map::BLOCKED),
            xsks: typed(&mut ebpf, map::XSKS),
            counted: vec![Counter::default(); Verdict::COUNT],
            load_time,
            ebpf,
        }
    }

    /// How long the kernel took to verify and compile it.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// Instructions that the verifier walked through.
    ///
    /// # Panics
    /// Before Linux 5.16, which does not tell.
    pub fn verified_instructions(&self) -> u32 {
        let info = self.program().info().expect("information on a loaded program");
        info.verified_instruction_count().expect("Linux 5.16 or newer")
    }

    /// Replaces what the daemon says.
    ///
    /// # Panics
    /// When the kernel refuses it, as do the other methods on maps.
    pub fn set_control(&mut self, control: &Control) {
        self.control.set(0, Shared(*control), 0).expect("writing CONTROL");
    }

    /// Listens on an address of an interface with a link address.
    pub fn listen(&mut self, address: SocketAddr, interface: u32, link_address: [u8; 6]) {
        self.listen_with_slot(address, interface, link_address, 0);
    }

    /// The same where the interface has this slot among those with AF_XDP sockets.
    pub fn listen_with_slot(
        &mut self,
        address: SocketAddr,
        interface: u32,
        link_address: [u8; 6],
        slot: u16,
    ) {
        let key = ListenKey {
            address: mapped(address.ip()),
            interface,
            port_be: address.port().to_be_bytes(),
            padding: [0; 2],
        };
        let listener = Listener { link_address, flags: Listener::xsk_flag(slot) };
        let index = ListenKey::bucket(key.words());
        let entries = self.listeners.get(&index, 0).expect("reading LISTENERS");
        let mut bucket = ListenBucket { entries };
        // A key that is there gets another value.
        if let Some(entry) = bucket.entries.iter_mut().find(|entry| entry[..3] == key.words()) {
            *entry = [0; 4];
        }
        assert!(bucket.add(key.words(), &listener), "a bucket is full");
        self.listeners.set(index, bucket.entries, 0).expect("writing LISTENERS");
    }

    /// Gives a receive queue of the interface in a slot an AF_XDP socket, which is bound to nothing: for the program's
    /// verdict it need not be. It leaves the map when it is dropped.
    pub fn add_socket(&mut self, slot: u16, queue: u32) -> OwnedFd {
        // SAFETY: a call without pointers.
        let socket = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        assert!(socket >= 0, "an AF_XDP socket: {}", Error::last_os_error());
        // SAFETY: the kernel has just made this descriptor for us.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        self.xsks.set(abi::xsk_index(slot, queue), socket.as_raw_fd(), 0).expect("writing XSKS");
        socket
    }

    /// Blocks a network.
    pub fn block(&mut self, network: IpAddr, prefix_len: u32) {
        self.blocked.insert(&blocked_key(network, prefix_len), 1, 0).expect("writing BLOCKED");
    }

    /// Blocks it no longer.
    pub fn unblock(&mut self, network: IpAddr, prefix_len: u32) {
        self.blocked.remove(&blocked_key(network, prefix_len)).expect("removing from BLOCKED");
    }

    /// The budgets from which a source has spent: index, and when what was spent is earned again.
    pub fn touched_budgets(&self) -> Vec<(u32, u64)> {
        let touched = |index| {
            let earned_at = self.sources.get(&index, 0).expect("reading SOURCES");
            (earned_at != 0).then_some((index, earned_at))
        };
        (0..abi::SOURCE_BUDGETS).filter_map(touched).collect()
    }

    /// Sets when what was spent of one budget is earned again.
    pub fn set_budget(&mut self, index: u32, earned_at_ns: u64) {
        self.sources.set(index, earned_at_ns, 0).expect("writing SOURCES");
    }

    /// Runs one packet of at least 14 bytes.
    ///
    /// # Panics
    /// When not exactly one verdict was counted, and by exactly one.
    pub fn run(&mut self, frame: &[u8]) -> Run {
        self.run_with_context(frame, None).unwrap_or_else(|error| panic!("{error:?} on {frame:02x?}"))
    }

    /// The same for a packet of which only the first `first_len` bytes lie in its first buffer; `None`: the kernel divides
    /// packets as it likes (before Linux 6.18).
    ///
    /// # Panics
    /// As [`Self::run`].
    pub fn run_in_several_buffers(&mut self, frame: &[u8], first_len: u32) -> Option<Run> {
        // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context = [0, first_len, 0, TEST_RUN_INTERFACE, 0, 0];
        let context: Vec<u8> = context.iter().flat_map(|number| number.to_ne_bytes()).collect();
        self.run_with_context(frame, Some(&context)).ok()
    }

    fn run_with_context(&mut self, frame: &[u8], context: Option<&[u8]>) -> Result<Run, ProgramError> {
        let mut output = vec![0; MAX_OUTPUT_LEN];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut output),
            ctx_in: context,
            ..TestRunOptions::default()
        };
        let result = self.program().test_run(options)?;
        output.truncate(result.data_size_out as usize);
        let action = match result.return_value {
            1 => Action::Dropped,
            2 => Action::Passed,
            3 => Action::Answered,
            4 => Action::HandedOver,
            other => panic!("action {other} on {frame:02x?}"),
        };
        let (verdict, counted_bytes) = self.newly_counted(frame);
        Ok(Run { action, output, verdict, counted_bytes })
    }

    fn newly_counted(&mut self, frame: &[u8]) -> (Verdict, u64) {
        let mut risen = Vec::new();
        for &verdict in Verdict::ALL {
            let (now, before) = (self.counter(verdict), self.counted[verdict.index()]);
            if now != before {
                risen.push((verdict, now.packets - before.packets, now.bytes - before.bytes));
                self.counted[verdict.index()] = now;
            }
        }
        match risen[..] {
            [(verdict, 1, bytes)] => (verdict, bytes),
            _ => panic!("not one verdict but {risen:?} on {frame:02x?}"),
        }
    }

    /// One counter, all CPUs together.
    fn counter(&self, verdict: Verdict) -> Counter {
        let per_cpu = self.counters.get(&(verdict.index() as u32), 0).expect("reading COUNTERS");
        per_cpu.iter().fold(Counter::default(), |sum, Shared(counter)| Counter {
            packets: sum.packets + counter.packets,
            bytes: sum.bytes + counter.bytes,
        })
    }

    fn program(&self) -> &Xdp {
        self.ebpf.program(abi::PROGRAM).expect("the program").try_into().expect("an XDP program")
    }
}

/// An address as the maps hold it.
pub fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn blocked_key(network: IpAddr, prefix_len: u32) -> Key<[u8; 16]> {
    let mapped_bits = if network.is_ipv4() { 96 } else { 0 };
    Key::new(mapped_bits + prefix_len, mapped(network))
}

fn object() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package lies in its workspace");
    Some(workspace.join(OBJECT)).filter(|object| object.exists())
}

fn typed<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &str) -> T
where
    T::Error: std::fmt::Debug,
{
    let map = ebpf.take_map(name).unwrap_or_else(|| panic!("the object has no map {name}"));
    T::try_from(map).unwrap_or_else(|error| panic!("{name}: {error:?}"))
}
