//! The ways in: how packets reach [`crate::udp`] and how its answers leave.

mod batch;
mod destination;
mod socket_worker;
pub mod xdp;

pub use socket_worker::SocketWorker;
