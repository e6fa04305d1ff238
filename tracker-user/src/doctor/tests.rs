//! Findings over hosts that directories describe, and over interfaces that are written down.

mod af_xdp_areas;
mod host_areas;
mod interface_areas;
