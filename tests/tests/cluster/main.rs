//! Several trackers, each on a host of its own, that tell each other of their peers.

mod livesync;
mod scene;
mod sealed;
