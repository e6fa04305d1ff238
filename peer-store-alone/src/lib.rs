//! The daemon's peer store and its tests, and nothing else of the daemon: the same files, as a package that is built with its
//! dependencies in seconds. `cargo xtask test` runs its tests once more with all of it, the standard library included, under
//! a thread sanitizer. Nothing depends on this package.

#[path = "../../tracker-user/src/clock.rs"]
pub mod clock;
#[path = "../../tracker-user/src/info_hash.rs"]
pub mod info_hash;
#[path = "../../tracker-user/src/peer_store/mod.rs"]
pub mod peer_store;
