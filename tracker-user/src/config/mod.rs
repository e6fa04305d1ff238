//! From files and arguments to one [`types::Config`]; everything wrong with them is found at once.

pub mod types;
