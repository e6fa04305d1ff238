//! Figures of all rounds, and what they are to be.

use crate::bench::report::Spread;
use std::collections::BTreeMap;
use std::fmt;

/// What a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    /// At most this.
    Most(f64),
    /// At least this.
    Least(f64),
    /// At most so many times another figure.
    Times(f64, &'static str),
}

const TARGETS: &[(&str, Target)] = &[
    ("udp.opentracker-xdp_bytes_per_peer", Target::Most(22.0)),
    ("memory.growth_bytes", Target::Most(1_073_741_824.0)),
    ("memory.left_bytes", Target::Times(1.2, "memory.start_bytes")),
    ("speed.median_ns", Target::Most(300.0)),
    ("speed.two_threads_ratio", Target::Least(1.8)),
    ("large_swarm.announce_median_ns", Target::Most(2000.0)),
    ("large_swarm.renew_median_ns", Target::Most(2000.0)),
    ("large_swarm.stop_median_ns", Target::Most(2000.0)),
    ("large_swarm.expiry_median_ns", Target::Most(2000.0)),
    ("large_swarm.announce_max_ns", Target::Most(1_000_000.0)),
    ("large_swarm.renew_max_ns", Target::Most(1_000_000.0)),
    ("large_swarm.stop_max_ns", Target::Most(1_000_000.0)),
    ("large_swarm.expiry_max_ns", Target::Most(1_000_000.0)),
    ("collisions.ratio", Target::Most(1.1)),
    ("stalls.expiry_p999_ns", Target::Times(3.0, "stalls.idle_p999_ns")),
    ("stalls.listing_p999_ns", Target::Times(3.0, "stalls.idle_p999_ns")),
    ("udp_stalls.scrape_plain_p999_ratio", Target::Most(3.0)),
    ("udp_stalls.scrape_gzip_p999_ratio", Target::Most(3.0)),
    ("udp_stalls.reload_p999_ratio", Target::Most(3.0)),
    ("udp_stalls.expiry_p999_ratio", Target::Most(3.0)),
];

/// All figures by name, a value for each round.
#[derive(Debug, Default)]
pub(super) struct Figures(BTreeMap<String, Vec<f64>>);

impl Figures {
    /// Adds a value.
    pub(super) fn add(&mut self, name: &str, value: f64) {
        self.0.entry(name.to_owned()).or_default().push(value);
    }

    fn median(&self, name: &str) -> Option<f64> {
        self.0.get(name).map(|values| Spread::of(values.clone()).median)
    }

    /// What the target of a figure says of it; nothing where there is none.
    fn judgement(&self, name: &str, median: f64) -> String {
        let Some((_, target)) = TARGETS.iter().find(|(targeted, _)| *targeted == name) else {
            return String::new();
        };
        let (limit, is_met) = match *target {
            Target::Most(most) => (format!("at most {most}"), median <= most),
            Target::Least(least) => (format!("at least {least}"), median >= least),
            Target::Times(times, other) => {
                let most = self.median(other).map(|other| times * other);
                (format!("at most {times} × {other}"), most.is_some_and(|most| median <= most))
            }
        };
        format!("target {limit}: {}", if is_met { "met" } else { "missed" })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.0.values().map(Vec::len).max().unwrap_or_default();
        writeln!(formatter, "\n{rounds} rounds: median (min–max)")?;
        for (name, values) in &self.0 {
            let spread = Spread::of(values.clone());
            let judgement = self.judgement(name, spread.median);
            writeln!(formatter, "{name:42} {spread:>40}  {judgement}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Figures, TARGETS};

    #[test]
    fn a_figure_is_judged_by_its_median() {
        let mut figures = Figures::default();
        for value in [250.0, 290.0, 900.0] {
            figures.add("speed.median_ns", value);
        }
        figures.add("speed.two_threads_ratio", 1.79);
        let text = figures.to_string();
        assert!(text.contains("target at most 300: met"), "{text}");
        assert!(text.contains("target at least 1.8: missed"), "{text}");
    }

    #[test]
    fn a_target_beside_another_figure_is_missed_without_that_figure() {
        let mut figures = Figures::default();
        figures.add("stalls.expiry_p999_ns", 10.0);
        assert!(figures.to_string().contains("missed"));
        figures.add("stalls.idle_p999_ns", 4.0);
        assert!(figures.to_string().contains("met"));
    }

    #[test]
    fn no_figure_has_two_targets() {
        for (position, (name, _)) in TARGETS.iter().enumerate() {
            assert!(TARGETS[..position].iter().all(|(other, _)| other != name), "{name}");
        }
    }
}
