//! The UDP tracker protocol (BEP 15) as strict clients expect it: one test per rule and address family, against the
//! real daemon over real sockets.

mod announce;
mod connect;
mod counters;
mod peers;
mod scrape;
mod swarm;
mod tracker;
