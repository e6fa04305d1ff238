//! What a daemon knew is known to the next one: snapshots and exports as an operator sees them, stopped in order or killed at
//! any moment.

mod export;
mod kills;
mod restart;
