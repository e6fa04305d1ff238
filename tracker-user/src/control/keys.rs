//! The keys of the connection ids: where they come from, and how they are replaced.

mod schedule;
mod secrets;

pub use secrets::SecretsError;

use super::Kernel;
use crate::config::types::Config;
use crate::privileges::with_files_of_user;
use crate::udp::SharedKeys;
use getrandom::Error;
use nix::unistd::Uid;
use schedule::{Clocks, KeySchedule, clocks_differ, keys_differ};
use secrets::Secrets;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracker_common::connection_id::{Keys, SharedClock};
use tracker_common::siphash::Key;

/// A secret key from the kernel's randomness.
///
/// # Errors
/// Where the kernel has none.
pub fn random_key() -> Result<Key, Error> {
    Ok([getrandom::u64()?, getrandom::u64()?])
}

/// Two fresh keys.
fn fresh() -> Result<Keys, Error> {
    Ok(Keys::new([random_key()?, random_key()?]))
}

/// Where keys come from: the kernel's randomness, or secrets that several nodes share. Not `Debug`: these must not reach a
/// log.
pub struct KeySource {
    shared: Option<Shared>,
}

/// Secrets that several nodes share, and the keys made of them.
struct Shared {
    path: PathBuf,
    schedule: KeySchedule,
}

impl KeySource {
    /// As the configuration says. Read before root is given up: the XDP program needs its keys by then.
    ///
    /// # Errors
    /// Where the file of secrets cannot be used, or there is no user to become.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let Some(path) = &config.udp.connection_id_key_file else { return Ok(Self { shared: None }) };
        let is_root = Uid::effective().is_root();
        let place = within(config.tracker.rootdir.as_deref(), path, is_root);
        let read = || Secrets::read(&place);
        // As every reload will; else as root, to whom alone the directories above its own root may be open.
        let secrets = with_files_of_user(&config.tracker, read)?.or_else(|_| read())?;
        let schedule = KeySchedule::new(secrets, config.udp.connection_id_rotation_secs);
        Ok(Self { shared: Some(Shared { path: path.clone(), schedule }) })
    }

    /// Whether other nodes make the same keys.
    pub const fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// To be called once root is given up and `tracker.rootdir` is entered: reads the file as every reload will.
    ///
    /// # Errors
    /// Where no reload could.
    pub fn enter_root(&mut self) -> Result<(), SecretsError> {
        let Some(Shared { path, schedule }) = &mut self.shared else { return Ok(()) };
        schedule.replace_secrets(Secrets::read(path)?);
        log::info!("connection ids are those of every node that has the secrets of {path:?}");
        Ok(())
    }

    /// The keys to start with. Those that an earlier start has left behind are good where both are nobody else's.
    ///
    /// # Errors
    /// Where the kernel has no randomness, or no clock.
    pub fn first(&self, left_behind: Option<Keys>) -> anyhow::Result<Keys> {
        if let Some(shared) = &self.shared {
            return Ok(shared.schedule.keys_at(Clocks::read()?));
        }
        match left_behind.filter(|keys| keys.clock() == SharedClock::LOCAL) {
            Some(keys) => Ok(keys),
            None => Ok(fresh()?),
        }
    }

    /// Makes new ids with a new key; those of the key before hold until the next rotation. Shared keys follow the time of
    /// day instead.
    ///
    /// # Errors
    /// Where the kernel has no randomness; the keys are then as before.
    pub(super) fn rotate(&self, keys: &SharedKeys, kernel: &Kernel) -> Result<(), Error> {
        if self.is_shared() {
            return Ok(());
        }
        publish(keys.load().rotated(random_key()?), keys, kernel);
        log::info!("connection ids are made with a new key");
        Ok(())
    }

    /// Follows the time of day, by which shared keys are in force.
    pub(super) fn follow_clock(&self, keys: &SharedKeys, kernel: &Kernel) {
        let Some((before, now)) = self.now(keys) else { return };
        if keys_differ(&before, &now) || clocks_differ(&before, &now) {
            publish(now, keys, kernel);
        }
        if clocks_differ(&before, &now) {
            log::info!(
                "the time of day has been set, or has drifted, by {} ms: connection ids follow",
                before.clock().distance_ns(now.clock()) / 1_000_000
            );
        } else if before.words().last() != now.words().last() {
            log::info!("connection ids are made with the key of a new period");
        }
    }

    /// The shared keys that are published, and those in force.
    fn now(&self, keys: &SharedKeys) -> Option<(Keys, Keys)> {
        let shared = self.shared.as_ref()?;
        let clocks =
            Clocks::read().inspect_err(|error| log::error!("the time cannot be read: {error}")).ok()?;
        Some((**keys.load(), shared.schedule.keys_at(clocks)))
    }

    /// Reads the secrets again; a file with a mistake changes nothing.
    ///
    /// # Errors
    /// Where it cannot be read, for the log: those of before go on.
    pub(super) fn reload(&mut self, keys: &SharedKeys, kernel: &Kernel) -> Result<(), String> {
        self.follow_clock(keys, kernel);
        let Some(Shared { path, schedule }) = &mut self.shared else { return Ok(()) };
        let path = path.clone();
        let read = Secrets::read(&path).map(|secrets| schedule.replace_secrets(secrets));
        let changed = self.now(keys).filter(|(before, now)| keys_differ(before, now));
        if let Some((_, now)) = changed {
            publish(now, keys, kernel);
        }
        // Only what is in force is said to be.
        if read.is_ok() {
            log::info!("secrets of connection ids read again from {path:?}");
        }
        if changed.is_some() {
            log::warn!(
                "other secrets count for the present: connection ids given out with those of before are refused; a line \
                 with a time to come changes secrets without that"
            );
        }
        read.map_err(|error| format!("connection ids go on with the secrets of before: {error}"))
    }
}

/// Whoever issues comes after whoever checks: at no moment is an id given out that the other side refuses.
fn publish(now: Keys, keys: &SharedKeys, kernel: &Kernel) {
    kernel.prepare_keys(&now);
    keys.store(Arc::new(now));
    kernel.publish_keys(&now);
}

/// Where a file is, before `tracker.rootdir` is entered, that will be at `path` then: root is locked into it, others only go
/// there.
fn within(rootdir: Option<&Path>, path: &Path, is_root: bool) -> PathBuf {
    match rootdir {
        Some(rootdir) if is_root => rootdir.join(path.strip_prefix("/").unwrap_or(path)),
        Some(rootdir) => rootdir.join(path),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{KeySchedule, KeySource, Secrets, Shared, within};
    use std::path::Path;
    use tracker_common::connection_id::{Keys, SharedClock};

    #[test]
    fn a_file_is_found_before_its_root_is_entered() {
        let of = |rootdir, path, is_root| within(Some(Path::new(rootdir)), Path::new(path), is_root);
        assert_eq!(of("/srv/t", "/ids", true), Path::new("/srv/t/ids"));
        assert_eq!(of("/srv/t", "ids", true), Path::new("/srv/t/ids"));
        assert_eq!(of("/srv/t", "/ids", false), Path::new("/ids"));
        assert_eq!(of("/srv/t", "ids", false), Path::new("/srv/t/ids"));
        assert_eq!(within(None, Path::new("ids"), true), Path::new("ids"));
    }

    #[test]
    fn keys_left_behind_that_were_shared_are_not_taken_for_ones_own() {
        let source = KeySource { shared: None };
        let own = Keys::new([[1, 2], [3, 4]]);
        assert_eq!(source.first(Some(own)).unwrap().words(), own.words());
        let shared = Keys::shared([[1, 2], [3, 4]], 0, SharedClock::ahead_of_monotonic(5));
        let first = source.first(Some(shared)).unwrap();
        assert_eq!(first.clock(), SharedClock::LOCAL);
        assert_ne!(first.words()[..4], shared.words()[..4]);
    }

    #[test]
    fn keys_left_behind_are_not_used_where_keys_are_shared() {
        let path = Path::new("file");
        let secrets =
            Secrets::of_lines(&[(1, "0".repeat(32))], path).map_err(|error| error.to_string()).unwrap();
        let schedule = KeySchedule::new(secrets, 604_800);
        let source = KeySource { shared: Some(Shared { path: path.to_owned(), schedule }) };
        let left_behind = Keys::new([[1, 2], [3, 4]]);
        let first = source.first(Some(left_behind)).unwrap();
        assert_ne!(first.words()[..4], left_behind.words()[..4]);
        assert_ne!(first.clock(), SharedClock::LOCAL);
        assert_eq!(first.words()[..4], source.first(None).unwrap().words()[..4], "the week may have changed");
    }
}
