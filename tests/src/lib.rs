//! What the tests of the real daemon share: starting it, speaking to it, reading its counters.

pub mod daemon;
pub mod skip;
