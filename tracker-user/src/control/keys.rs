//! The keys of the connection ids: where they come from, and how they are replaced.

use super::Kernel;
use crate::udp::SharedKeys;
use getrandom::Error;
use std::sync::Arc;
use tracker_common::connection_id::Keys;
use tracker_common::siphash::Key;

/// A secret key from the kernel's randomness.
///
/// # Errors
/// Where the kernel has none.
pub fn random_key() -> Result<Key, Error> {
    Ok([getrandom::u64()?, getrandom::u64()?])
}

/// Two fresh keys.
///
/// # Errors
/// Where the kernel has no randomness.
pub fn fresh() -> Result<Keys, Error> {
    Ok(Keys::new([random_key()?, random_key()?]))
}

/// Makes new ids with a new key; those of the key before hold until the next rotation.
///
/// Whoever issues comes after whoever checks: at no moment is an id given out that the other side refuses.
///
/// # Errors
/// Where the kernel has no randomness; the keys are then as before.
pub(super) fn rotate(keys: &SharedKeys, kernel: &Kernel) -> Result<(), Error> {
    let rotated = keys.load().rotated(random_key()?);
    kernel.prepare_keys(&rotated);
    keys.store(Arc::new(rotated));
    kernel.publish_keys(&rotated);
    Ok(())
}
