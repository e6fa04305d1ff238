//! Snapshots: everything that the store holds, in a file or on its way to another node. `format` has every byte of it;
//! `writer` makes one out of the store, `parser` and `restorer` take it back, `file` knows about files.

pub mod file;
pub mod format;
pub mod parser;
pub mod restorer;
pub mod writer;

#[cfg(test)]
mod tests;
