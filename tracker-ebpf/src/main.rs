//! Where a packet first meets the tracker: the place of the XDP program, which is not written yet.
//!
//! Built for a host this is an empty binary, so that the workspace holds together; `opentracker-xdp`
//! loads nothing from here and answers every packet from its sockets.

fn main() {}
