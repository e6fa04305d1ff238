//! Which binary is tested: the one of this source tree, built here and now, never a stale one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names another binary to test instead, such as a release build or an installed package.
const BINARY_VARIABLE: &str = "OPENTRACKER_XDP_BINARY";

/// The binary under test, built once per test process.
///
/// # Panics
/// When it does not build.
pub(super) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os(BINARY_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => build("tracker-user", "opentracker-xdp"),
    })
}

/// Builds a binary of this source tree with the profile of the test, into the target directory of the test.
pub(crate) fn build(package: &str, binary: &str) -> PathBuf {
    let profile_directory = profile_directory();
    let profile = match profile_directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => panic!("no profile in {}", profile_directory.display()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", package, "--bin", binary, "--profile", profile])
        .arg("--target-dir")
        .arg(target_directory())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs: it has started this test");
    assert!(output.status.success(), "{binary} does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    profile_directory.join(binary)
}

/// The target directory that this test was built into.
pub(crate) fn target_directory() -> PathBuf {
    let profile_directory = profile_directory();
    profile_directory.parent().expect("the profile lies in the target directory").to_owned()
}

/// A test is `PROFILE/deps/TEST-HASH` in the target directory.
fn profile_directory() -> PathBuf {
    let test = std::env::current_exe().expect("/proc is mounted");
    test.parent().and_then(Path::parent).expect("a test lies in PROFILE/deps").to_owned()
}
