//! The life of the XDP program under the real daemon, over a virtual cable between two network namespaces: attached,
//! left alone, handed over, kept up to date, and out of the way where it cannot be had.

mod af_xdp;
mod attaching;
mod changes;
mod draining;
mod fallback;
mod handover;
mod hosts;
mod queues;
mod settings;
