//! The ways in: how packets reach [`crate::udp`] and how its answers leave.

mod batch;
mod destination;
pub mod frame;
mod socket_worker;
pub mod xdp;
pub mod xsk;
mod xsk_worker;

pub use socket_worker::SocketWorker;
pub use xsk_worker::{Ended, XskWorker};
