//! bpf(2) for programs given as instructions: loaded, attached, run without an interface, and run so that they send what
//! they answer.

use anyhow::{Context, Result, bail};
use std::ffi::c_long;
use std::io::Error;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const MAP_CREATE: c_long = 0;
const MAP_LOOKUP_ELEM: c_long = 1;
const MAP_UPDATE_ELEM: c_long = 2;
const PROG_LOAD: c_long = 5;
const PROG_TEST_RUN: c_long = 10;
const LINK_CREATE: c_long = 28;

const PROG_TYPE_XDP: u32 = 6;
/// `BPF_XDP`, the one kind of attachment of such programs.
const ATTACH_TYPE_XDP: u32 = 37;
/// As the tracker's program has it: programs that call each other must agree.
const HAS_FRAGS: u32 = 1 << 5;
const LIVE_FRAMES: u32 = 1 << 1;
/// Frames of a live run that are handed on together, the most that the kernel takes.
const LIVE_BATCH: u32 = 256;
const VERIFIER_LOG_LEN: usize = 16 * 1024;

/// Kinds of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// 64-bit numbers.
    Numbers = 2,
    /// Programs that others call.
    Programs = 3,
    /// Interfaces (`BPF_MAP_TYPE_DEVMAP`).
    Interfaces = 14,
    /// AF_XDP sockets.
    Sockets = 17,
}

/// Where an interface runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the network stack (`XDP_FLAGS_SKB_MODE`): with every driver.
    Generic = 1 << 1,
    /// In the driver (`XDP_FLAGS_DRV_MODE`).
    Driver = 1 << 2,
}

/// What a test run tells.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The action of the last repetition.
    pub action: i32,
    /// Nanoseconds of one repetition, on average.
    pub nanoseconds: u32,
}

#[derive(Default)]
#[repr(C)]
struct LoadAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_len: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[derive(Default)]
#[repr(C)]
struct RunAttributes {
    program: u32,
    action: u32,
    data_len: u32,
    output_len: u32,
    data: u64,
    output: u64,
    repeat: u32,
    nanoseconds: u32,
    context_len: u32,
    context_output_len: u32,
    context: u64,
    context_output: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    padding: u32,
}

#[derive(Default)]
#[repr(C)]
struct MapAttributes {
    kind: u32,
    key_len: u32,
    value_len: u32,
    entries: u32,
}

#[derive(Default)]
#[repr(C)]
struct ElementAttributes {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[derive(Default)]
#[repr(C)]
struct LinkAttributes {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// What a live run says of where its packets come in: `struct xdp_md`.
#[repr(C)]
struct XdpContext {
    data: u32,
    data_end: u32,
    data_meta: u32,
    interface: u32,
    queue: u32,
    egress_interface: u32,
}

/// Loads a program.
///
/// # Errors
/// With what the verifier says.
pub fn load(instructions: &[u64]) -> Result<OwnedFd> {
    let mut log = vec![0_u8; VERIFIER_LOG_LEN];
    let mut attributes = LoadAttributes {
        kind: PROG_TYPE_XDP,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 1,
        log_len: log.len() as u32,
        log: log.as_mut_ptr() as u64,
        flags: HAS_FRAGS,
        attach_type: ATTACH_TYPE_XDP,
        ..LoadAttributes::default()
    };
    match call(PROG_LOAD, &mut attributes) {
        Ok(descriptor) => Ok(owned(descriptor)),
        Err(error) => {
            let log = String::from_utf8_lossy(&log);
            bail!("the kernel refuses a program: {error}\n{}", log.trim_end_matches('\0'))
        }
    }
}

/// Makes a map of `entries`, all zero.
///
/// # Errors
/// Those of `bpf`: it takes root.
pub fn create_map(kind: MapKind, entries: u32) -> Result<OwnedFd> {
    let value_len = match kind {
        MapKind::Numbers => 8,
        MapKind::Programs | MapKind::Interfaces | MapKind::Sockets => 4,
    };
    let mut attributes = MapAttributes { kind: kind as u32, key_len: 4, value_len, entries };
    call(MAP_CREATE, &mut attributes).map(owned).context("cannot make a map")
}

/// Puts a program or a socket into a slot of a map of such.
///
/// # Errors
/// What the kernel says: programs that call each other must agree, a socket must be bound to the queue of its slot.
pub fn set_descriptor(map: BorrowedFd<'_>, slot: u32, value: BorrowedFd<'_>) -> Result<()> {
    set_slot(map, slot, value.as_raw_fd() as u32)
}

/// Puts an interface of this thread's network namespace, by its index, into a slot of a map of such.
///
/// # Errors
/// Where there is no such interface.
pub fn set_interface(map: BorrowedFd<'_>, slot: u32, interface: u32) -> Result<()> {
    set_slot(map, slot, interface)
}

fn set_slot(map: BorrowedFd<'_>, slot: u32, value: u32) -> Result<()> {
    let mut attributes = element(map, &raw const slot, (&raw const value) as u64);
    call(MAP_UPDATE_ELEM, &mut attributes)
        .with_context(|| format!("the kernel refuses what is to be in slot {slot} of a map"))?;
    Ok(())
}

/// Writes an element of a map of numbers.
///
/// # Errors
/// Where there is no such element.
pub fn set_number(map: BorrowedFd<'_>, index: u32, value: u64) -> Result<()> {
    let mut attributes = element(map, &raw const index, (&raw const value) as u64);
    call(MAP_UPDATE_ELEM, &mut attributes).context("cannot write a map")?;
    Ok(())
}

/// Reads an element of a map of numbers.
///
/// # Errors
/// Where there is no such element.
pub fn number(map: BorrowedFd<'_>, index: u32) -> Result<u64> {
    let mut value = 0_u64;
    let mut attributes = element(map, &raw const index, (&raw mut value) as u64);
    call(MAP_LOOKUP_ELEM, &mut attributes).context("cannot read a map")?;
    Ok(value)
}

/// Runs a program `repeat` times over one buffer that begins as `frame`, as if it came in on `interface`.
///
/// # Errors
/// Those of `bpf`.
pub fn run(program: BorrowedFd<'_>, frame: &[u8], interface: u32, repeat: u32) -> Result<Run> {
    test_run(program, frame, interface, RunAttributes { repeat, ..RunAttributes::default() })
        .context("a test run failed")
}

/// Runs a program over `count` packets of its own as if they came in on `interface`, and does with them what it says
/// (Linux 5.18).
///
/// # Errors
/// Those of `bpf`.
pub fn run_live(program: BorrowedFd<'_>, frame: &[u8], interface: u32, count: u32) -> Result<()> {
    let attributes =
        RunAttributes { repeat: count, flags: LIVE_FRAMES, batch: LIVE_BATCH, ..RunAttributes::default() };
    test_run(program, frame, interface, attributes).context("the kernel does not send packets by itself")?;
    Ok(())
}

fn test_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    interface: u32,
    attributes: RunAttributes,
) -> Result<Run, Error> {
    let context = XdpContext {
        data: 0,
        data_end: frame.len() as u32,
        data_meta: 0,
        interface,
        queue: 0,
        egress_interface: 0,
    };
    let mut attributes = RunAttributes {
        program: program.as_raw_fd() as u32,
        data_len: frame.len() as u32,
        data: frame.as_ptr() as u64,
        context_len: size_of::<XdpContext>() as u32,
        context: (&raw const context) as u64,
        ..attributes
    };
    call(PROG_TEST_RUN, &mut attributes)?;
    Ok(Run { action: attributes.action as i32, nanoseconds: attributes.nanoseconds })
}

/// Attaches a program to an interface of this thread's network namespace, until the link is dropped.
///
/// # Errors
/// Where this process may not, the driver cannot, or another program is there.
pub fn attach(program: BorrowedFd<'_>, interface: u32, place: Place) -> Result<OwnedFd> {
    let mut attributes = LinkAttributes {
        program: program.as_raw_fd() as u32,
        interface,
        attach_type: ATTACH_TYPE_XDP,
        flags: place as u32,
    };
    call(LINK_CREATE, &mut attributes).map(owned).context("cannot attach a program to the interface")
}

fn element(map: BorrowedFd<'_>, key: *const u32, value: u64) -> ElementAttributes {
    let map = map.as_fd().as_raw_fd() as u32;
    ElementAttributes { map, key: key as u64, value, ..ElementAttributes::default() }
}

fn owned(descriptor: i32) -> OwnedFd {
    // SAFETY: the kernel has just made it for this call, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Only called with the attributes that belong to the command.
fn call<T>(command: c_long, attributes: &mut T) -> Result<i32, Error> {
    let address = std::ptr::from_mut(attributes);
    // SAFETY: the structures above are prefixes of the kernel's `union bpf_attr`, and what they point to is alive, of
    // the length that they give, and writable where the command writes.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, address, size_of::<T>()) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result as i32) }
}
