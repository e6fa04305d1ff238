//! A file that is replaced whole: written beside, on the disk before it takes the place of the one before, so that whoever
//! reads it finds the one or the other, however the machine stops.

use crate::same_file::is_same;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What is added to the name of the file that is written.
const BESIDE: &str = ".new";

/// A file that is being written; dropped without [`ReplacedFile::commit`], it is removed and the one before stays.
#[derive(Debug)]
pub struct ReplacedFile {
    path: PathBuf,
    beside: PathBuf,
    file: File,
    is_committed: bool,
}

impl ReplacedFile {
    /// Begins to write what will stand at `path`, with these permissions, whatever the umask is.
    ///
    /// # Errors
    /// Where the directory cannot be written to, or another process is writing the same file.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let beside = beside(path);
        let file = loop {
            let file =
                OpenOptions::new().write(true).create(true).truncate(false).mode(mode).open(&beside)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process is writing it"));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Whoever held the lock may have moved the file to its place meanwhile.
            if fs::metadata(&beside).is_ok_and(|there| is_same(&there, &file)) {
                break file;
            }
        };
        // What is in it is gone before more people may read it, and fewer may before anything is in it.
        file.set_len(0)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(Self { path: path.to_owned(), beside, file, is_committed: false })
    }

    /// Whether a file could be replaced here.
    ///
    /// # Errors
    /// Why not.
    pub fn check(path: &Path, mode: u32) -> io::Result<()> {
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        drop(Self::create(path, mode)?);
        File::open(directory(path)).map(drop)
    }

    /// Puts the file in its place, once all of it is on the disk.
    ///
    /// # Errors
    /// Where it cannot be written to the end; then the one before stays. Or where it is in its place, and the directory is
    /// perhaps not on the disk.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.beside, &self.path)?;
        self.is_committed = true;
        let on_disk = File::open(directory(&self.path)).and_then(|directory| directory.sync_all());
        on_disk.map_err(|error| {
            let what = format!("it is written, but its directory is perhaps not on the disk yet: {error}");
            io::Error::new(error.kind(), what)
        })
    }
}

impl Write for ReplacedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for ReplacedFile {
    fn drop(&mut self) {
        if !self.is_committed {
            // What is left behind is written over by the next.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name: OsString = path.into();
    name.push(BESIDE);
    name.into()
}

/// The directory that a file stands in.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::{ReplacedFile, beside, directory};
    use std::fs;
    use std::io::{ErrorKind, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    #[test]
    fn until_it_is_whole_the_one_before_stands_in_its_place() {
        let path = std::env::temp_dir().join(format!("tracker-user-{}-replaced", std::process::id()));
        fs::write(&path, "before").unwrap();
        // Left behind by a process that was killed.
        fs::write(beside(&path), "half of something much longer").unwrap();
        let mut file = ReplacedFile::create(&path, 0o600).unwrap();
        file.write_all(b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before");
        let other = ReplacedFile::create(&path, 0o600).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::WouldBlock);
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert!(!beside(&path).exists());
        drop(ReplacedFile::create(&path, 0o600).unwrap());
        assert!(!beside(&path).exists());
        assert_eq!(fs::read(&path).unwrap(), b"after");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn its_permissions_are_those_that_were_asked_for() {
        let path = std::env::temp_dir().join(format!("tracker-user-{}-permissions", std::process::id()));
        // One that was left behind has permissions of its own.
        for (left_behind, mode) in [(0o600, 0o666), (0o666, 0o600), (0o640, 0o604)] {
            fs::write(beside(&path), "left behind").unwrap();
            fs::set_permissions(beside(&path), fs::Permissions::from_mode(left_behind)).unwrap();
            ReplacedFile::create(&path, mode).unwrap().commit().unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
        fs::remove_file(&path).unwrap();
        ReplacedFile::create(&path, 0o666).unwrap().commit().unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o666,
            "the umask does not count"
        );
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_name_alone_stands_in_the_working_directory() {
        assert_eq!(directory(Path::new("state")), Path::new("."));
        assert_eq!(directory(Path::new("/var/state")), Path::new("/var"));
    }
}
