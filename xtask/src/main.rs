//! The commands of this repository: one file each, called as `cargo xtask COMMAND`.

fn main() {}
