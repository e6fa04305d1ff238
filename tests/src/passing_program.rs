//! The smallest XDP program: it passes every packet. To the daemon it is somebody else's, which it must leave alone;
//! on the far end of a virtual cable it makes the driver take what a program on the near end sends back.

use std::ffi::CString;
use std::io::Error;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The name that the kernel shows for it.
pub const NAME: &str = "somebody_else";

/// Commands of bpf(2), and values of linux/bpf.h and linux/if_link.h that belong to them.
const LOAD: libc::c_long = 5;
const CREATE_LINK: libc::c_long = 28;
const TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const HAS_FRAGS: u32 = 1 << 5;
const XDP_PASS: i32 = 2;
const GENERIC: u32 = 1 << 1;
const NATIVE: u32 = 1 << 2;

/// The program on an interface. Dropping it detaches it.
#[derive(Debug)]
pub struct PassingProgram {
    _link: OwnedFd,
}

/// One instruction of BPF.
#[repr(C)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    value: i32,
}

/// What [`LOAD`] is told.
#[repr(C)]
struct LoadRequest {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// What [`CREATE_LINK`] is told.
#[repr(C)]
struct LinkRequest {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

impl PassingProgram {
    /// Attaches it to an interface of this thread's namespace, in the driver.
    ///
    /// # Panics
    /// When this process may not, the driver cannot, or another program is there.
    pub fn attach_native(interface: &str) -> Self {
        Self::attach(interface, NATIVE)
    }

    /// Attaches it to an interface of this thread's namespace, before the network stack.
    ///
    /// # Panics
    /// When this process may not, or another program is there.
    pub fn attach_generic(interface: &str) -> Self {
        Self::attach(interface, GENERIC)
    }

    fn attach(interface: &str, flags: u32) -> Self {
        let program = load();
        let request = LinkRequest {
            program: program.as_raw_fd() as u32,
            interface: nix::net::if_::if_nametoindex(interface).expect("the interface exists"),
            attach_type: ATTACH_XDP,
            flags,
        };
        Self { _link: bpf(CREATE_LINK, &request) }
    }
}

fn load() -> OwnedFd {
    // `r0 = XDP_PASS; exit`
    let instructions = [
        Instruction { code: 0xb7, registers: 0, offset: 0, value: XDP_PASS },
        Instruction { code: 0x95, registers: 0, offset: 0, value: 0 },
    ];
    let license = CString::new("GPL").expect("no NUL in it");
    let mut name = [0; 16];
    name[..NAME.len()].copy_from_slice(NAME.as_bytes());
    let request = LoadRequest {
        program_type: TYPE_XDP,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: HAS_FRAGS,
        name,
    };
    bpf(LOAD, &request)
}

/// Calls bpf(2) with a command that gives a descriptor.
fn bpf<T>(command: libc::c_long, request: &T) -> OwnedFd {
    // SAFETY: the request is one of the structures above, made for its command, and all that it points to is alive.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, request, size_of::<T>()) };
    assert!(result >= 0, "bpf({command}): {}", Error::last_os_error());
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(result as i32) }
}
