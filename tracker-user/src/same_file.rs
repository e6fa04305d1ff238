//! Whether a path still names a file that is open: whoever replaces a file leaves the one before to those who have it open.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

/// Whether what is at a path, as its metadata say, is this file.
pub(crate) fn is_same(there: &Metadata, open: &File) -> bool {
    open.metadata().is_ok_and(|open| (open.dev(), open.ino()) == (there.dev(), there.ino()))
}
