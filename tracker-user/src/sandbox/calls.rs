//! Which system calls stay open, by seccomp: what the running tracker and its libraries make. Anything else fails with EPERM,
//! and the kernel writes it to its log (audit type 1326): a call that was forgotten here is an error somebody reads, not the
//! end of the tracker. No program is started, no process is made, no memory becomes executable.

use libc::c_long;
use nix::errno::Errno;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

/// Calls that stay open whatever their arguments are.
const OPEN: &[c_long] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads and signals within the process.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    // Time and randomness.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    // Descriptors.
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_fcntl,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    // Files: which of them, Landlock decides.
    libc::SYS_copy_file_range,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_readlinkat,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    // Sockets: which of them, `sockets` decides.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // Questions.
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_prlimit64,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// Older forms of the same, which only this architecture has.
#[cfg(target_arch = "x86_64")]
const OPEN_HERE: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_epoll_wait,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(target_arch = "aarch64")]
const OPEN_HERE: &[c_long] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OPEN_HERE: &[c_long] = &[];

/// Requests of ioctl(2): descriptors made not to wait and not to be inherited, and what waits in them.
const IOCTLS: &[u64] = &[libc::FIONBIO, libc::FIOCLEX, libc::FIONREAD];
/// Requests that ask about interfaces, or set them up for AF_XDP.
const IOCTLS_FOR_XDP: &[u64] = &[
    libc::SIOCETHTOOL,
    libc::SIOCGIFNAME,
    libc::SIOCGIFINDEX,
    libc::SIOCGIFFLAGS,
    libc::SIOCGIFHWADDR,
    libc::SIOCGIFMTU,
];
/// Requests of prctl(2): names of threads and of memory.
const PRCTLS: &[u64] = &[libc::PR_SET_NAME as u64, libc::PR_GET_NAME as u64, libc::PR_SET_VMA as u64];
/// The bits of a socket's type that say what kind it is of.
const SOCKET_KIND: u64 = 0xf;

/// For which threads filters are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    /// Those of the process.
    All,
    /// The one that installs them, and those that it starts.
    #[cfg(test)]
    This,
}

/// The filters: of what they say about a call, the stricter holds.
pub(super) fn filter(has_xdp: bool) -> Result<[BpfProgram; 2], String> {
    compile(has_xdp).map_err(|error| error.to_string())
}

fn compile(has_xdp: bool) -> Result<[BpfProgram; 2], BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        OPEN.iter().chain(OPEN_HERE).map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, sockets(has_xdp)?);
    rules.insert(libc::SYS_socketpair, vec![rule(vec![is(0, libc::AF_UNIX as u64)?])?]);
    let ioctls = IOCTLS.iter().chain(if has_xdp { IOCTLS_FOR_XDP } else { &[] });
    rules.insert(libc::SYS_ioctl, one_of(1, ioctls)?);
    rules.insert(libc::SYS_prctl, one_of(0, PRCTLS.iter())?);
    let not_executable = || has_not(2, libc::PROT_EXEC as u64);
    rules.insert(libc::SYS_mmap, vec![rule(vec![not_executable()?])?]);
    rules.insert(libc::SYS_mprotect, vec![rule(vec![not_executable()?])?]);
    let of_this_process = has(0, libc::CLONE_THREAD as u64)?;
    rules.insert(libc::SYS_clone, vec![rule(vec![of_this_process])?]);
    // Its flags lie in memory, where no filter looks. Below, it does not exist, and the C library takes the other.
    rules.insert(libc::SYS_clone3, Vec::new());
    if has_xdp {
        rules.insert(libc::SYS_bpf, Vec::new());
    }
    let architecture = std::env::consts::ARCH.try_into()?;
    let refused = SeccompAction::Errno(Errno::EPERM as u32);
    let open = SeccompFilter::new(rules, refused, SeccompAction::Allow, architecture)?;
    let absent = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let is_absent = SeccompAction::Errno(Errno::ENOSYS as u32);
    let absent = SeccompFilter::new(absent, SeccompAction::Allow, is_absent, architecture)?;
    Ok([absent.try_into()?, open.try_into()?])
}

/// UDP and TCP, Unix sockets, messages of the kernel about interfaces, and AF_XDP where it may be used. No raw packets, whatever
/// capabilities are left.
fn sockets(has_xdp: bool) -> Result<Vec<SeccompRule>, BackendError> {
    let mut rules = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX] {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            let is_of_kind = condition(1, SeccompCmpOp::MaskedEq(SOCKET_KIND), kind as u64)?;
            rules.push(rule(vec![is(0, family as u64)?, is_of_kind])?);
        }
    }
    // Interfaces and addresses; of a card's queues the kernel tells by ethtool's messages, which are generic ones.
    let netlink = |protocol| rule(vec![is(0, libc::AF_NETLINK as u64)?, is(2, protocol)?]);
    rules.push(netlink(libc::NETLINK_ROUTE as u64)?);
    if has_xdp {
        rules.push(netlink(libc::NETLINK_GENERIC as u64)?);
        rules.push(rule(vec![is(0, libc::AF_XDP as u64)?])?);
    }
    Ok(rules)
}

fn one_of<'a>(argument: u8, values: impl Iterator<Item = &'a u64>) -> Result<Vec<SeccompRule>, BackendError> {
    values.map(|value| rule(vec![is(argument, *value)?])).collect()
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions)
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn has(argument: u8, bits: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::MaskedEq(bits), bits)
}

fn has_not(argument: u8, bits: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::MaskedEq(bits), 0)
}

/// All of these arguments are taken by the kernel as 32 bits, or have nothing above them.
fn condition(argument: u8, operation: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)
}

/// Installs filters. There is no way back.
///
/// # Errors
/// Where the kernel has no seccomp, or a thread has filters of its own.
pub(super) fn install(filters: &[BpfProgram], threads: Threads) -> Result<(), String> {
    nix::sys::prctl::set_no_new_privs().map_err(|error| error.to_string())?;
    let flags = match threads {
        Threads::All => libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_LOG,
        #[cfg(test)]
        Threads::This => libc::SECCOMP_FILTER_FLAG_LOG,
    };
    filters.iter().try_for_each(|filter| install_one(filter, flags))
}

/// The crate that compiles filters installs them as well, but without having what they refuse logged.
fn install_one(filter: &BpfProgram, flags: libc::c_ulong) -> Result<(), String> {
    let len = u16::try_from(filter.len()).map_err(|_| "the filter is too long".to_owned())?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut().cast() };
    // SAFETY: the program points at `len` instructions of the layout of `struct sock_filter`, which the kernel copies.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    match result {
        0 => Ok(()),
        -1 => Err(Errno::last().to_string()),
        thread => Err(format!("thread {thread} has other filters")),
    }
}

const _: () = assert!(size_of::<seccompiler::sock_filter>() == size_of::<libc::sock_filter>());

#[cfg(test)]
mod tests {
    use super::{Threads, filter, install};
    use crate::sandbox::skipped::skipped;
    use nix::errno::Errno;
    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket, socketpair};
    use std::num::NonZeroUsize;
    use std::process::Command;

    fn opened(family: AddressFamily, kind: SockType, protocol: Option<SockProtocol>) -> Result<(), Errno> {
        socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol).map(drop)
    }

    fn mapped(protection: ProtFlags) -> Result<(), Errno> {
        let length = NonZeroUsize::new(4096).unwrap();
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS;
        // SAFETY: the kernel chooses where.
        let memory = unsafe { mmap_anonymous(None, length, protection, flags) }?;
        // SAFETY: it is what has just been mapped, and nothing lies in it.
        let outcome = unsafe { mprotect(memory, 4096, ProtFlags::PROT_READ | ProtFlags::PROT_EXEC) };
        assert_eq!(outcome, Err(Errno::EPERM));
        Ok(())
    }

    /// The filters are on a thread of their own, and on what it starts.
    fn within(has_xdp: bool, work: impl FnOnce() + Send + 'static) {
        if !std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists() {
            return skipped("system calls that are closed: this kernel has no seccomp");
        }
        let thread = std::thread::spawn(move || {
            install(&filter(has_xdp).unwrap(), Threads::This).unwrap();
            work();
        });
        thread.join().unwrap();
    }

    #[test]
    fn no_program_is_started_and_no_memory_becomes_executable() {
        within(false, || {
            let started = Command::new("/bin/true").status();
            assert_eq!(started.map_err(|error| error.raw_os_error()).unwrap_err(), Some(Errno::EPERM as i32));
            let read_write = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            assert_eq!(mapped(read_write), Ok(()));
            assert_eq!(mapped(read_write | ProtFlags::PROT_EXEC), Err(Errno::EPERM));
            // SAFETY: it takes no memory.
            let mounted = unsafe { libc::umount2(c"/nonexistent".as_ptr(), 0) };
            assert_eq!((mounted, Errno::last()), (-1, Errno::EPERM));
        });
    }

    #[test]
    fn threads_and_their_names_and_files_and_randomness_work() {
        within(false, || {
            let thread = std::thread::Builder::new().name("within".to_owned());
            let random =
                thread.spawn(|| getrandom::u64().is_ok() && std::fs::read("/proc/self/comm").is_ok());
            assert!(random.unwrap().join().unwrap());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                tokio::task::spawn_blocking(|| {}).await.unwrap();
            });
        });
    }

    #[test]
    fn sockets_are_those_of_the_tracker() {
        for has_xdp in [false, true] {
            within(has_xdp, move || {
                for family in [AddressFamily::Inet, AddressFamily::Inet6, AddressFamily::Unix] {
                    // A host may lack a family, which is another error.
                    for kind in [SockType::Datagram, SockType::Stream] {
                        assert_ne!(opened(family, kind, None), Err(Errno::EPERM), "{family:?}");
                    }
                    let raw = opened(family, SockType::Raw, None);
                    assert_eq!(raw, Err(Errno::EPERM), "{family:?}");
                }
                let (netlink, raw) = (AddressFamily::Netlink, SockType::Raw);
                assert_eq!(opened(netlink, raw, Some(SockProtocol::NetlinkRoute)), Ok(()));
                assert_eq!(opened(netlink, raw, Some(SockProtocol::NetlinkAudit)), Err(Errno::EPERM));
                let generic = opened(netlink, raw, Some(SockProtocol::NetlinkGeneric));
                assert_eq!(generic, if has_xdp { Ok(()) } else { Err(Errno::EPERM) });
                assert_eq!(opened(AddressFamily::Packet, raw, None), Err(Errno::EPERM));
                let pair =
                    socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).map(drop);
                assert_eq!(pair, Ok(()));
                // SAFETY: it takes no memory, and what it returns is closed with the process.
                let xdp = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW, 0) };
                // Root alone may have one.
                let is_open = xdp >= 0 || Errno::last() != Errno::EPERM || !nix::unistd::geteuid().is_root();
                assert!(is_open || !has_xdp);
                assert!(xdp < 0 || has_xdp);
            });
        }
    }
}
