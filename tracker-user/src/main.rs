//! The daemon's entry: arguments, configuration, run.

fn main() {}
