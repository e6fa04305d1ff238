//! Giving up what only the start needed: after binding, before any thread or packet.

use crate::config::types::TrackerConfig;
use caps::errors::CapsError;
use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{Gid, Uid, User, chdir, chroot, setfsgid, setfsuid, setgid, setgroups, setuid};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Who the daemon becomes when it is started as root and nothing else is said.
const DEFAULT_USER: &str = "nobody";

/// Why privileges could not be given up; the daemon does not run with more than was asked for.
#[derive(Debug, Error)]
pub enum PrivilegeError {
    /// No such user.
    #[error("there is no user {0:?}; name another with -u or tracker.user")]
    UnknownUser(String),
    /// The user database could not be read.
    #[error("cannot look up user {0:?}: {1}")]
    Lookup(String, Errno),
    /// Only root becomes somebody else.
    #[error("cannot become {0:?}: only root can; start as root, or leave out -u and tracker.user")]
    NotRoot(String),
    /// The directory cannot be entered.
    #[error("cannot {0} to {1}: {2}; check -d or tracker.rootdir")]
    Directory(&'static str, PathBuf, Errno),
    /// The capabilities for the XDP program cannot be kept, or the others not be dropped.
    #[error(
        "cannot keep CAP_NET_ADMIN, CAP_BPF and CAP_NET_RAW alone: {0}; run with --mode socket, or with -u root"
    )]
    Capabilities(CapsError),
    /// What other programs would inherit cannot be dropped.
    #[error("cannot drop the capabilities that other programs would be given: {0}; start without them")]
    Heritage(CapsError),
    /// The kernel refuses one of the steps.
    #[error("cannot give up root ({0}): {1}")]
    Step(&'static str, Errno),
}

/// What is kept of root's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing.
    Nothing,
    /// What it takes to attach the XDP program to an interface that comes later, or comes back: `CAP_NET_ADMIN` and
    /// `CAP_BPF` (Linux 5.8).
    NetworkAdministration,
    /// The same, and what it takes to open an AF_XDP socket there: `CAP_NET_RAW`, and `CAP_IPC_LOCK` where it is there to
    /// be kept, since the frames of a socket are locked memory.
    NetworkAdministrationAndRaw,
}

impl Keeps {
    fn capabilities(self) -> HashSet<Capability> {
        let kept: &[_] = match self {
            Self::Nothing => &[],
            Self::NetworkAdministration => &[Capability::CAP_NET_ADMIN, Capability::CAP_BPF],
            Self::NetworkAdministrationAndRaw => &[
                Capability::CAP_NET_ADMIN,
                Capability::CAP_BPF,
                Capability::CAP_NET_RAW,
                Capability::CAP_IPC_LOCK,
            ],
        };
        kept.iter().copied().collect()
    }
}

/// Opens files as the user that the tracker becomes, while it is still root: what belongs to that user alone, root may not
/// read where a service manager withholds `CAP_DAC_OVERRIDE`.
///
/// # Errors
/// Where there is no such user.
pub fn with_files_of_user<T>(config: &TrackerConfig, work: impl FnOnce() -> T) -> Result<T, PrivilegeError> {
    let is_root = Uid::effective().is_root();
    let user = user_to_become(config, is_root)?.filter(|_| is_root);
    let _as_user = user.map(|user| FilesOf::enter(&user));
    Ok(work())
}

/// This thread opens files as somebody else (setfsuid(2)) for as long as this lives; the kernel lifts root's power over files
/// meanwhile, and leaves the rest.
struct FilesOf {
    uid_before: Uid,
    gid_before: Gid,
}

impl FilesOf {
    fn enter(user: &User) -> Self {
        let gid_before = setfsgid(user.gid);
        Self { uid_before: setfsuid(user.uid), gid_before }
    }
}

impl Drop for FilesOf {
    fn drop(&mut self) {
        setfsuid(self.uid_before);
        setfsgid(self.gid_before);
    }
}

/// Enters `tracker.rootdir` and becomes `tracker.user`.
///
/// # Errors
/// Where any step fails; some may have been taken by then, so the caller must end.
pub fn give_up(config: &TrackerConfig, keeps: Keeps) -> Result<(), PrivilegeError> {
    let is_root = Uid::effective().is_root();
    drop_heritage().map_err(PrivilegeError::Heritage)?;
    // The user database is not there any more after a chroot.
    let user = user_to_become(config, is_root)?;
    if let Some(directory) = &config.rootdir {
        // One that belongs to the user alone, root may be kept from.
        enter(directory, is_root)
            .or_else(|error| with_files_of_user(config, || enter(directory, is_root))?.map_err(|_| error))?;
    }
    if let Some(user) = user
        && is_root
        && !user.uid.is_root()
    {
        if keeps != Keeps::Nothing {
            caps::securebits::set_keepcaps(true).map_err(PrivilegeError::Capabilities)?;
        }
        setgroups(&[user.gid]).map_err(|error| PrivilegeError::Step("setgroups", error))?;
        setgid(user.gid).map_err(|error| PrivilegeError::Step("setgid", error))?;
        setuid(user.uid).map_err(|error| PrivilegeError::Step("setuid", error))?;
        if keeps != Keeps::Nothing {
            keep(&keeps.capabilities()).map_err(PrivilegeError::Capabilities)?;
        }
        log::info!("running as {}", user.name);
    } else {
        // Somebody else with some of root's rights, or root, who was asked to stay.
        drop_others(&keeps.capabilities()).map_err(PrivilegeError::Capabilities)?;
    }
    // Whatever is started from here on gets no more than this process has.
    set_no_new_privs().map_err(|error| PrivilegeError::Step("no_new_privs", error))
}

/// Whatever another program would be given that took this one's place: nothing is started here, so nothing is to be.
fn drop_heritage() -> Result<(), CapsError> {
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    // Only who has this one may narrow the bounding set.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        caps::clear(None, CapSet::Bounding)?;
    }
    Ok(())
}

/// Of the capabilities that somebody else than root was given to start with, such as to bind a low port, keeps these.
fn drop_others(kept: &HashSet<Capability>) -> Result<(), CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept = permitted.intersection(kept).copied().collect();
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)
}

/// Of all that changing the user has left permitted, keeps these and drops the rest.
fn keep(kept: &HashSet<Capability>) -> Result<(), CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    // Without it, the limit of locked memory counts.
    let can_be_done_without = |capability: &Capability| *capability == Capability::CAP_IPC_LOCK;
    let mut kept = kept.clone();
    kept.retain(|capability| permitted.contains(capability) || !can_be_done_without(capability));
    caps::set(None, CapSet::Permitted, &kept)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::securebits::set_keepcaps(false)
}

fn user_to_become(config: &TrackerConfig, is_root: bool) -> Result<Option<User>, PrivilegeError> {
    let name = match &config.user {
        Some(name) => name.as_str(),
        None if is_root => DEFAULT_USER,
        None => return Ok(None),
    };
    let found = User::from_name(name).map_err(|error| PrivilegeError::Lookup(name.to_owned(), error))?;
    let user = found.ok_or_else(|| PrivilegeError::UnknownUser(name.to_owned()))?;
    if !is_root && user.uid != Uid::effective() {
        return Err(PrivilegeError::NotRoot(name.to_owned()));
    }
    Ok(Some(user))
}

fn enter(directory: &Path, is_root: bool) -> Result<(), PrivilegeError> {
    let failed = |what| move |error| PrivilegeError::Directory(what, directory.to_owned(), error);
    if is_root {
        chroot(directory).map_err(failed("chroot"))?;
        chdir("/").map_err(failed("chroot"))
    } else {
        chdir(directory).map_err(failed("change"))
    }
}
