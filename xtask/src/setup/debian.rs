//! Debian packages: installed with apt-get for the tests, or only unpacked into a directory for the benchmarks.

use super::Presence;
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The clients that tests drive, what they are driven with, what judges the units for systemd, what sites of a cluster speak
/// through, what makes its certificates, and what builds opentracker with livesync.
const TEST_PACKAGES: [&str; 13] = [
    "aria2",
    "transmission-cli",
    "transmission-daemon",
    "python3",
    "python3-venv",
    "iproute2",
    "systemd",
    "nats-server",
    "openssl",
    "gcc",
    "libc6-dev",
    "make",
    "dpkg-dev",
];

/// The load generator of the benchmark over HTTP.
const BENCH_PACKAGES: [&str; 1] = ["wrk"];

/// Services that come with a test package and that nobody asked to run.
const UNWANTED_SERVICES: [(&str, &str); 2] =
    [("transmission-daemon", "transmission-daemon.service"), ("nats-server", "nats-server.service")];

/// Makes invoke-rc.d and deb-systemd-invoke start nothing while it exists.
const POLICY_FILE: &str = "/usr/sbin/policy-rc.d";

/// Installs the packages that tests need.
pub(super) fn install_test_packages() -> Result<Presence> {
    install_packages(&TEST_PACKAGES)
}

/// Installs the packages that benchmarks need.
pub(super) fn install_bench_packages() -> Result<Presence> {
    install_packages(&BENCH_PACKAGES)
}

/// Installs those of these packages that are missing, and says which.
pub(crate) fn install_packages(packages: &[&str]) -> Result<Presence> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(Presence::Present);
    }
    let names = missing.join(" ");
    if !has_apt_get() {
        return Ok(Presence::Missing(format!("this is no Debian; not looked for: {names}")));
    }
    if !nix::unistd::geteuid().is_root() {
        return Ok(Presence::Missing(format!("only root can install these Debian packages: {names}")));
    }
    eprintln!("setup: installing these Debian packages: {names}");
    match install(&missing) {
        Ok(()) => Ok(Presence::Present),
        Err(error) => Ok(Presence::Missing(format!("could not install {names}: {error:#}"))),
    }
}

/// Downloads packages and unpacks them into `root`, without installing them: no service starts, root is not needed.
pub(super) fn unpack_packages(packages: &[&str], root: &Path) -> Result<()> {
    if !has_apt_get() {
        bail!("this is no Debian");
    }
    let downloads = root.with_extension("downloads");
    remove_directory(&downloads)?;
    fs::create_dir_all(&downloads)?;
    if download(packages, &downloads).is_err() {
        // A fresh machine has no lists of packages yet.
        update_lists()?;
        download(packages, &downloads)?;
    }
    let unpacked = root.with_extension("unpacked");
    remove_directory(&unpacked)?;
    for entry in fs::read_dir(&downloads)? {
        process::run(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(&unpacked))?;
    }
    remove_directory(&downloads)?;
    remove_directory(root)?;
    // Last, so that an interrupted setup is not taken for a finished one.
    fs::rename(&unpacked, root).with_context(|| format!("cannot move {}", unpacked.display()))
}

/// Removes a directory and all in it, if it exists.
pub(super) fn remove_directory(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

pub(super) fn has_apt_get() -> bool {
    process::succeeds(Command::new("apt-get").arg("--version"))
}

fn is_installed(package: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output();
    status.is_ok_and(|output| output.stdout == b"installed")
}

pub(super) fn update_lists() -> Result<()> {
    process::run(apt_get().args(["update", "--quiet"]))
}

fn download(packages: &[&str], directory: &Path) -> Result<()> {
    process::run(apt_get().args(["download", "--quiet"]).args(packages).current_dir(directory))
}

/// Installs packages, with their services neither running nor enabled afterwards.
fn install(packages: &[&str]) -> Result<()> {
    let _policy = NoServiceStarts::begin()?;
    if let Err(error) = update_lists() {
        // One repository that does not answer need not be the one with these packages.
        eprintln!("setup: {error:#}; going on with the lists of packages as they are");
    }
    // What an administrator has installed does not go for it.
    let options = ["install", "--yes", "--quiet", "--no-install-recommends", "--no-remove"];
    process::run(apt_get().args(options).args(packages))?;
    for (package, service) in UNWANTED_SERVICES {
        if packages.contains(&package) && process::succeeds(Command::new("systemctl").arg("--version")) {
            process::run(Command::new("systemctl").args(["disable", "--quiet", service]))?;
        }
    }
    Ok(())
}

/// apt-get, which asks nothing and waits for another one to finish.
pub(super) fn apt_get() -> Command {
    let mut apt_get = Command::new("apt-get");
    apt_get.args(["-o", "DPkg::Lock::Timeout=300", "-o", "APT::Sandbox::User=root"]);
    apt_get.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    apt_get
}

/// While it lives, installing a package starts no service.
struct NoServiceStarts {
    /// The file to remove at the end; `None`: this machine has its own, which stays.
    written: Option<PathBuf>,
}

impl NoServiceStarts {
    fn begin() -> Result<Self> {
        let path = PathBuf::from(POLICY_FILE);
        if path.exists() {
            return Ok(Self { written: None });
        }
        fs::write(&path, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY_FILE}"))?;
        let policy = Self { written: Some(path.clone()) };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(policy)
    }
}

impl Drop for NoServiceStarts {
    fn drop(&mut self) {
        if let Some(path) = &self.written
            && let Err(error) = fs::remove_file(path)
        {
            eprintln!("setup: cannot remove {}: {error}", path.display());
        }
    }
}
