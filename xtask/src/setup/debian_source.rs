//! Sources of Debian packages. apt gets lists of its own for them, so that those of the machine, which seldom name sources,
//! stay as they are; root is not needed.

use super::debian::{apt_get, has_apt_get, remove_directory, update_lists};
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a source is looked for, in this order, whatever release the machine has: what is built is the same on all of them.
const SUITES: [&str; 2] = ["testing", "unstable"];
/// What Debian signs its lists with, which name the digest of every source.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Downloads the source of a package and unpacks it into `root`.
pub(super) fn unpack(package: &str, root: &Path) -> Result<()> {
    if !has_apt_get() {
        bail!("this is no Debian");
    }
    let mirror = mirror_of(package)?;
    let downloads = root.with_extension("downloads");
    let mut failure = None;
    for suite in SUITES {
        remove_directory(&downloads)?;
        match download(package, &mirror, suite, &downloads) {
            Ok(()) => {
                let unpacked = extract(&downloads.join("source"))?;
                remove_directory(root)?;
                fs::rename(&unpacked, root).with_context(|| format!("cannot move {}", unpacked.display()))?;
                return remove_directory(&downloads);
            }
            Err(error) => failure = Some(error.context(format!("no source in {suite}"))),
        }
    }
    remove_directory(&downloads)?;
    Err(failure.context("no suite to look in")?)
}

/// Where apt has a package from.
fn mirror_of(package: &str) -> Result<String> {
    // `'http://deb.debian.org/debian/pool/main/o/…' NAME SIZE DIGEST`
    let ask = || process::printed_by(apt_get().args(["download", "--print-uris", "--quiet=2", package]));
    let printed = match ask() {
        Some(printed) => printed,
        None => {
            // A fresh machine has no lists of packages yet.
            update_lists()?;
            ask().with_context(|| format!("apt-get knows no package {package}"))?
        }
    };
    let mirror = printed.strip_prefix('\'').and_then(|uri| uri.split_once("/pool/"));
    mirror.map(|(mirror, _)| mirror.to_owned()).with_context(|| format!("no mirror in {printed}"))
}

/// Downloads the files of a source into a new directory.
fn download(package: &str, mirror: &str, suite: &str, directory: &Path) -> Result<()> {
    for empty in ["lists/partial", "cache/archives/partial", "source"] {
        fs::create_dir_all(directory.join(empty))?;
    }
    let list = directory.join("sources.list");
    fs::write(&list, format!("deb-src [signed-by={KEYRING}] {mirror} {suite} main\n"))?;
    let apt_get = || {
        let mut apt_get = apt_get();
        for (option, value) in [
            ("Dir::Etc::sourcelist", list.as_path()),
            ("Dir::Etc::sourceparts", Path::new("-")),
            ("Dir::State::lists", &directory.join("lists")),
            ("Dir::Cache", &directory.join("cache")),
        ] {
            apt_get.arg("-o").arg(format!("{option}={}", value.display()));
        }
        apt_get.arg("--quiet=2");
        apt_get
    };
    process::run(apt_get().args(["-o", "APT::Update::Error-Mode=any", "update"]))?;
    process::run(apt_get().args(["source", "--download-only", package]).current_dir(directory.join("source")))
}

/// Unpacks what was downloaded into a directory, with Debian's patches, and says where.
fn extract(directory: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths = files.into_iter().map(|file| file.path());
    let description = paths.find(|path| path.extension().is_some_and(|extension| extension == "dsc"));
    let description = description.context("the source has no .dsc")?;
    let unpacked = directory.join("unpacked");
    // apt has compared its digest with the signed list; the keys of maintainers are not on every machine.
    process::run(
        Command::new("dpkg-source").args(["--no-check", "--extract"]).arg(description).arg(&unpacked),
    )?;
    Ok(unpacked)
}
