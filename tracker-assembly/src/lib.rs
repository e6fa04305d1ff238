//! Kernel programs of a few instructions, too small for a compiler of their own, and the calls that load, attach and run
//! them. For the load generator and the benchmarks; the daemon and its own kernel program never use it.

mod assembly;
pub mod bpf;
pub mod interface;

pub use assembly::{Action, Assembly, Helper, Jump, Size};
