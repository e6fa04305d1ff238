//! Frames on the wire as hosts and routers send them, good and bad: one test per rule and way in, against the real
//! daemon at the other end of a virtual cable.

mod addresses;
mod answers;
mod headers;
mod neighbours;
mod payloads;
mod wire;
