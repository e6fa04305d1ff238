//! A directory for one test, gone with it.

use std::path::{Path, PathBuf};

/// An empty directory of its own below the system's one for temporary files; dropping it removes it with all that is
/// in it.
#[derive(Debug)]
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    /// Makes it.
    ///
    /// # Panics
    /// When it cannot be made.
    #[expect(clippy::new_without_default, reason = "making a directory is no default value")]
    pub fn new() -> Self {
        let template = std::env::temp_dir().join("tracker-tests-XXXXXX");
        Self(nix::unistd::mkdtemp(&template).expect("the directory for temporary files can be written"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a directory in it and gives its path.
    pub fn subdirectory(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir(&path).expect("the directory is new and ours");
        path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // A leftover in the temporary directory is no reason to fail.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
