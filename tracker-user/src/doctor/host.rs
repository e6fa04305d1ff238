//! Where the host's own account of itself is read: `/proc` and `/sys`, or directories of a test in their form.
//!
//! Reads only: nothing on the host is changed by looking at it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The roots of the two file systems in which a kernel describes itself.
#[derive(Clone, Debug)]
pub(super) struct Host {
    proc: PathBuf,
    sys: PathBuf,
}

impl Host {
    /// The host that this process runs on.
    pub(super) fn this() -> Self {
        Self { proc: PathBuf::from("/proc"), sys: PathBuf::from("/sys") }
    }

    /// A host described by the directories `proc` and `sys` below `root`.
    #[cfg(test)]
    pub(super) fn described_in(root: &Path) -> Self {
        Self { proc: root.join("proc"), sys: root.join("sys") }
    }

    /// A file below `/proc`, without the blanks around it; `None`: it is not there or may not be read.
    pub(super) fn proc(&self, path: &str) -> Option<String> {
        read(&self.proc.join(path))
    }

    /// A file below `/sys`, without the blanks around it; `None`: it is not there or may not be read.
    pub(super) fn sys(&self, path: &str) -> Option<String> {
        read(&self.sys.join(path))
    }

    /// A whole number below `/proc/sys`, such as `net/core/rmem_max`.
    pub(super) fn sysctl(&self, path: &str) -> Option<u64> {
        self.proc(&format!("sys/{path}"))?.parse().ok()
    }

    /// Whether there is such a file below `/sys`.
    pub(super) fn has_sys(&self, path: &str) -> bool {
        self.sys.join(path).exists()
    }

    /// Where a link below `/proc` points.
    ///
    /// # Errors
    /// Where there is none, or it may not be read.
    pub(super) fn proc_link(&self, path: &str) -> io::Result<PathBuf> {
        fs::read_link(self.proc.join(path))
    }

    /// The last part of where a link below `/sys` points.
    pub(super) fn sys_link_name(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.sys.join(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// The names in a directory below `/sys`.
    pub(super) fn sys_names(&self, path: &str) -> Option<Vec<String>> {
        let entries = fs::read_dir(self.sys.join(path)).ok()?;
        Some(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    }
}

fn read(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}
