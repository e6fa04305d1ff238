//! What the kernel program and the daemon agree on: bytes on the wire, connection ids, verdicts.
//!
//! No `std`, no allocation, no panic: the same code is compiled for the BPF target. Nothing lives here
//! that only one of the two sides uses.
#![no_std]

pub mod abi;
pub mod connection_id;
pub mod request;
pub mod siphash;
pub mod verdict;
pub mod wire;
