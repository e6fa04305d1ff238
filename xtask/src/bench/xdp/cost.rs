//! What a packet costs in the XDP program, by its verdict: test runs beside an empty program, without an interface.
//!
//! A test run repeats a program over one buffer. A connect is its own answer after the first repetition, so another
//! program puts the request back before each one; the same over an empty program is what is subtracted.

use super::frames::{self, Cable};
use super::network::Network;
use super::programs;
use crate::bench::cpu::Core;
use crate::bench::report::Spread;
use anyhow::{Context, Result, bail};
use aya::maps::{Array, Map, MapData, PerCpuArray};
use aya::programs::Xdp;
use aya::{Ebpf, Pod};
use nix::time::{ClockId, clock_gettime};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use tracker_assembly::bpf::{self, MapKind};
use tracker_assembly::{Action, Assembly};
use tracker_common::abi::{
    self, Control, Counter, LISTENERS_PER_BUCKET, ListenBucket, ListenKey, Listener, map,
};
use tracker_common::connection_id::{self, Keys, Slot};
use tracker_common::verdict::Verdict;
use tracker_common::wire::{ACTION_ANNOUNCE, ACTION_SCRAPE, request};

/// Repetitions of one test run.
const REPEAT: u32 = 500_000;
/// What a connect or a proven announce may cost beyond an empty program, in nanoseconds.
const TARGET_NS: f64 = 80.0;
const TRACKER_LINK_ADDRESS: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
const CLIENT_LINK_ADDRESS: [u8; 6] = [0x02, 0, 0, 0, 0, 2];
const TRACKER_V4: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 6969);
const TRACKER_V6: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 6969);
const CLIENT_V4: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 51413);
const CLIENT_V6: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7)), 51413);
const KEYS: [[u64; 2]; 2] =
    [[0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210], [0x0f1e_2d3c_4b5a_6978, 0x8796_a5b4_c3d2_e1f0]];
const LIFETIME_SECS: u32 = 480;
/// An announce as clients send it, with a BEP 41 option of 16 bytes behind it.
const ANNOUNCE_LEN: usize = request::ANNOUNCE_LEN + 18;
const SCRAPE_LEN: usize = request::SCRAPE_HASHES + 20;

/// A value of a map, as the kernel keeps it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Shared<T>(T);

// SAFETY: fixed-width integers without hidden padding, asserted by `tracker_common::abi`; any bytes are a value.
unsafe impl Pod for Shared<Control> {}
// SAFETY: as above.
unsafe impl Pod for Shared<Counter> {}

/// The tracker's program, loaded for this benchmark alone.
struct Program {
    ebpf: Ebpf,
    counters: PerCpuArray<MapData, Shared<Counter>>,
    load_time: Duration,
    /// On which packets come in.
    interface: u32,
}

/// One kind of packet.
struct Row {
    name: &'static str,
    verdict: Verdict,
    action: i32,
    has_target: bool,
    frame: Vec<u8>,
    /// The program to run and the one to subtract.
    measured: Measured,
    above_ns: Vec<f64>,
    multiple: Vec<f64>,
}

enum Measured {
    /// The packet stays as it is.
    Directly,
    /// Each of the two behind a program that puts the packet back.
    Restored { tracker: OwnedFd, empty: OwnedFd, _programs: OwnedFd },
}

/// Measures and prints. On a cable of its own: of packets over loopback the program asks less.
pub(super) fn run(object: &[u8], rounds: u32, core: Core) -> Result<()> {
    let network = Network::new()?;
    let host = &network.tracker;
    host.group_packets(core)?;
    host.run(core, || run_on(object, rounds, host.interface_index()?))
}

fn run_on(object: &[u8], rounds: u32, interface: u32) -> Result<()> {
    let program = Program::load(object, interface)?;
    let empty = bpf::load(&Assembly::empty())?;
    let mut rows = rows(&program, empty.as_fd())?;
    let mut empty_ns = Vec::new();
    for round in 0..rounds as usize {
        for turn in 0..rows.len() {
            let index = (round + turn) % rows.len();
            empty_ns.push(rows[index].measure(&program, empty.as_fd())?);
        }
    }
    print!("{}", text(&program, &rows, Spread::of(empty_ns), rounds)?);
    Ok(())
}

impl Program {
    fn load(object: &[u8], interface: u32) -> Result<Self> {
        let mut ebpf = Ebpf::load(object).context("cannot read the XDP program")?;
        let program: &mut Xdp = ebpf.program_mut(abi::PROGRAM).context("no program")?.try_into()?;
        let started = Instant::now();
        program.load().context("the kernel refuses the XDP program")?;
        let load_time = started.elapsed();
        let mut control: Array<MapData, Shared<Control>> = take(&mut ebpf, map::CONTROL)?;
        control.set(0, Shared(settings()), 0)?;
        let mut listeners: Array<MapData, [[u64; 4]; LISTENERS_PER_BUCKET]> =
            take(&mut ebpf, map::LISTENERS)?;
        for tracker in [TRACKER_V4, TRACKER_V6] {
            let key = ListenKey {
                address: frames::mapped(tracker.ip()),
                interface,
                port_be: tracker.port().to_be_bytes(),
                padding: [0; 2],
            };
            let (key, mut bucket) = (key.words(), ListenBucket::default());
            let listener = Listener { link_address: TRACKER_LINK_ADDRESS, flags: 0 };
            if !bucket.add(key, &listener) {
                bail!("an empty bucket is full");
            }
            listeners.set(ListenKey::bucket(key), bucket.entries, 0)?;
        }
        Ok(Self { counters: take(&mut ebpf, map::COUNTERS)?, ebpf, load_time, interface })
    }

    fn xdp(&self) -> Result<&Xdp> {
        Ok(self.ebpf.program(abi::PROGRAM).context("no program")?.try_into()?)
    }

    fn counted(&self, verdict: Verdict) -> Result<u64> {
        let of_cpus = self.counters.get(&(verdict.index() as u32), 0)?;
        Ok(of_cpus.iter().map(|Shared(counter)| counter.packets).sum())
    }
}

impl Row {
    fn new(name: &'static str, verdict: Verdict, frame: Vec<u8>) -> Self {
        let passed = [Verdict::NotListening, Verdict::NotUdp, Verdict::AnnounceProven, Verdict::ScrapeProven];
        Self {
            name,
            verdict,
            action: if passed.contains(&verdict) { Action::Pass } else { Action::Drop } as i32,
            has_target: verdict == Verdict::AnnounceProven,
            frame,
            measured: Measured::Directly,
            above_ns: Vec::new(),
            multiple: Vec::new(),
        }
    }

    /// A row whose packet the program changes.
    fn connect(name: &'static str, program: &Program, empty: BorrowedFd<'_>, frame: Vec<u8>) -> Result<Self> {
        let programs = bpf::create_map(MapKind::Programs, 2)?;
        bpf::set_descriptor(programs.as_fd(), 0, program.xdp()?.fd()?.as_fd())?;
        bpf::set_descriptor(programs.as_fd(), 1, empty)?;
        let restore = |slot| bpf::load(&programs::restore(&frame, programs.as_raw_fd(), slot));
        let measured = Measured::Restored { tracker: restore(0)?, empty: restore(1)?, _programs: programs };
        let row = Self::new(name, Verdict::ConnectAnswered, frame);
        Ok(Self { action: Action::Transmit as i32, has_target: true, measured, ..row })
    }

    /// Takes one sample, and returns what the empty program alone took.
    fn measure(&mut self, program: &Program, empty: BorrowedFd<'_>) -> Result<f64> {
        let fd = program.xdp()?.fd()?.as_fd();
        let (tracker, subtracted) = match &self.measured {
            Measured::Directly => (fd, empty),
            Measured::Restored { tracker, empty, .. } => (tracker.as_fd(), empty.as_fd()),
        };
        let before = program.counted(self.verdict)?;
        let run = bpf::run(tracker, &self.frame, program.interface, REPEAT)?;
        let counted = program.counted(self.verdict)? - before;
        if run.action != self.action || counted != u64::from(REPEAT) {
            let name = self.name;
            bail!("{name}: action {}, and {counted} of {REPEAT} had that verdict", run.action);
        }
        let subtracted_ns =
            f64::from(bpf::run(subtracted, &self.frame, program.interface, REPEAT)?.nanoseconds);
        let empty_ns = f64::from(bpf::run(empty, &self.frame, program.interface, REPEAT)?.nanoseconds);
        let above = f64::from(run.nanoseconds) - subtracted_ns;
        self.above_ns.push(above);
        self.multiple.push((above + empty_ns) / empty_ns);
        Ok(empty_ns)
    }
}

/// A daemon that has just given a sign of life, and will not have to for the rest of time.
fn settings() -> Control {
    Control {
        heartbeat_ns: u64::MAX,
        keys: Keys::new(KEYS),
        lifetime_slots: Slot::lifetime(LIFETIME_SECS),
        flags: 0,
        // As the daemon sets it by default, but never used up.
        source_cost_ns: 1,
        source_burst_ns: u64::MAX >> 1,
        connect_cost_ns: 0,
        connect_burst_ns: 0,
        source_hash_key: KEYS[0][0],
    }
}

fn rows(program: &Program, empty: BorrowedFd<'_>) -> Result<Vec<Row>> {
    let cable = Cable { source: CLIENT_LINK_ADDRESS, destination: TRACKER_LINK_ADDRESS };
    let v4 = |payload: &[u8]| frames::udp(cable, CLIENT_V4, TRACKER_V4, payload);
    let v6 = |payload: &[u8]| frames::udp(cable, CLIENT_V6, TRACKER_V6, payload);
    let elsewhere = SocketAddr::new(TRACKER_V4.ip(), 53);
    let (v4_id, v6_id) = (id_of(CLIENT_V4, 0)?, id_of(CLIENT_V6, 0)?);
    let stale = id_of(CLIENT_V4, Slot::lifetime(LIFETIME_SECS) + 1)?;
    let announce = |id| frames::request_of(id, ACTION_ANNOUNCE, ANNOUNCE_LEN);
    let scrape = |id| frames::request_of(id, ACTION_SCRAPE, SCRAPE_LEN);
    Ok(vec![
        Row::new("not UDP", Verdict::NotUdp, frames::tcp(cable, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)),
        Row::new(
            "unrelated UDP",
            Verdict::NotListening,
            frames::udp(cable, CLIENT_V4, elsewhere, &announce(v4_id)),
        ),
        Row::connect("connect IPv4", program, empty, v4(&frames::connect()))?,
        Row::connect("connect IPv6", program, empty, v6(&frames::connect()))?,
        Row::new("announce IPv4", Verdict::AnnounceProven, v4(&announce(v4_id))),
        Row::new("announce IPv6", Verdict::AnnounceProven, v6(&announce(v6_id))),
        Row { has_target: false, ..Row::new("scrape IPv4", Verdict::ScrapeProven, v4(&scrape(v4_id))) },
        Row::new("forged id", Verdict::ConnectionIdForged, v4(&announce(v4_id ^ 1 << 40))),
        Row::new("stale id", Verdict::ConnectionIdStale, v4(&announce(stale))),
        Row::new("too short", Verdict::TooShort, v4(&[0; 8])),
    ])
}

/// The id that the program gave to an address so many slots ago.
fn id_of(client: SocketAddr, age_slots: u32) -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let now_ns = Duration::from(now).as_nanos() as u64;
    // A machine that has been up for less than a lifetime counts from before its start.
    let issued_ns = now_ns.wrapping_sub(u64::from(age_slots) << 34);
    Ok(connection_id::issue(
        &Keys::new(KEYS),
        frames::mapped(client.ip()),
        Slot::from_monotonic_ns(issued_ns),
    ))
}

fn text(program: &Program, rows: &[Row], empty_ns: Spread, rounds: u32) -> Result<String> {
    let info = program.xdp()?.info()?;
    let mut text = format!(
        "\nloaded in {:.1} ms; {} instructions verified, {} bytes of BPF, {} bytes of machine code\n",
        program.load_time.as_secs_f64() * 1e3,
        info.verified_instruction_count().unwrap_or(0),
        info.size_translated().unwrap_or(0),
        info.size_jitted(),
    );
    text += &format!("{rounds} rounds of {REPEAT} packets: median (min–max); empty program {empty_ns} ns\n");
    text += &format!("{:14}  {:>24}  {:>20}\n", "packet", "ns above empty", "times empty");
    for row in rows {
        let (above, multiple) = (Spread::of(row.above_ns.clone()), Spread::of(row.multiple.clone()));
        text += &format!("{:14}  {above:>24}  {multiple:>20}", row.name);
        if row.has_target {
            let verdict = if above.median <= TARGET_NS { "reached" } else { "missed" };
            text += &format!("  target {TARGET_NS:.0} ns {verdict}");
        }
        text.push('\n');
    }
    Ok(text)
}

fn take<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T> {
    ebpf.take_map(name).and_then(|map| T::try_from(map).ok()).with_context(|| format!("no map {name}"))
}
