//! Measurements of the peer store alone, without sockets: one measurement a process, so that memory is its own. Prints a
//! line `name value` for each figure; `cargo xtask bench store` runs them all and says what they mean.

mod collisions;
mod fill;
mod large_swarm;
mod memory;
mod speed;
mod stalls;

/// A measurement: prints its figures.
type Measurement = fn();

const MEASUREMENTS: &[(&str, Measurement)] = &[
    ("memory", memory::run),
    ("speed", speed::run),
    ("large-swarm", large_swarm::run),
    ("collisions", collisions::run),
    ("stalls", stalls::run),
];

fn main() -> std::process::ExitCode {
    // `cargo bench` adds an argument of its own.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match MEASUREMENTS.iter().find(|(name, _)| wanted == [*name]) {
        Some((_, measurement)) => {
            measurement();
            std::process::ExitCode::SUCCESS
        }
        None => {
            let names: Vec<&str> = MEASUREMENTS.iter().map(|(name, _)| *name).collect();
            eprintln!("error: expected one of: {}", names.join(", "));
            std::process::ExitCode::FAILURE
        }
    }
}

/// Prints a figure.
fn print(name: &str, value: impl std::fmt::Display) {
    println!("{name} {value}");
}

/// The value below which a part of all values lies; sorts them.
fn quantile(values: &mut [u32], part: f64) -> u32 {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * part) as usize).copied().unwrap_or_default()
}
