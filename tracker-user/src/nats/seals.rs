//! Messages sealed with the keys of the cluster. What everyone hears and what one node alone hears come by different ways, and may
//! overtake each other by any distance: each way has a session of its own, so that none makes the other look repeated.

use super::outbox::Audience;
use crate::livesync::sealing::{Opener, Sealer, SharedRing, Unopened};
use std::sync::Arc;

/// Seals what this node tells, and opens what others tell.
pub(super) struct Seals {
    to_everyone: Sealer,
    to_one: Sealer,
    opener: Opener,
}

impl Seals {
    /// With these keys.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub(super) fn new(ring: &SharedRing) -> Result<Self, getrandom::Error> {
        let tracker_id = getrandom::u32()?.to_ne_bytes();
        let sealer = || {
            let session = getrandom::u64()?.to_ne_bytes();
            Ok(Sealer::new(Arc::clone(ring), tracker_id, session))
        };
        Ok(Self { to_everyone: sealer()?, to_one: sealer()?, opener: Opener::new(Arc::clone(ring)) })
    }

    /// A message for these.
    pub(super) fn seal(&mut self, audience: Audience, content: &[u8], unix_ms: u64) -> Vec<u8> {
        let sealer = match audience {
            Audience::Everyone => &mut self.to_everyone,
            Audience::Node(_) => &mut self.to_one,
        };
        let mut sealed = Vec::new();
        sealer.seal(content, unix_ms, &mut sealed);
        sealed
    }

    /// What is in a message.
    ///
    /// # Errors
    /// Where it must not be believed.
    pub(super) fn open(&mut self, message: &[u8], unix_ms: u64) -> Result<Vec<u8>, Unopened> {
        self.opener.open(message, unix_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::Seals;
    use crate::livesync::sealing::{KeyRing, SharedRing, Unopened};
    use crate::nats::outbox::Audience;
    use arc_swap::ArcSwap;
    use std::sync::Arc;

    #[test]
    fn what_one_node_is_told_may_overtake_all_that_everyone_is_told() {
        let ring: SharedRing = Arc::new(ArcSwap::from_pointee(KeyRing::new(&[[1; 32]])));
        let [mut here, mut there] = [0; 2].map(|_| Seals::new(&ring).unwrap());
        let mut sealed =
            |audience| -> Vec<_> { (0..300).map(|_| here.seal(audience, b"content", 1)).collect() };
        let to_everyone = sealed(Audience::Everyone);
        let to_one = sealed(Audience::Node(*b"nodenode"));
        for message in to_one.iter().chain(&to_everyone) {
            assert_eq!(there.open(message, 1), Ok(b"content".to_vec()));
        }
        assert_eq!(there.open(&to_everyone[299], 1), Err(Unopened::Replayed));
    }
}
