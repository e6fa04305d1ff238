//! What outlives a run: snapshots of everything that the store holds, and full scrapes to a file. Written and read by threads
//! of their own, never on the packets' way. Who may have a snapshot over HTTP, and when one is due, is decided elsewhere.

pub mod export;
pub mod moment;
pub mod replaced_file;
pub mod snapshot;
