//! What is printed: what was told, heard and lost, and the CPU time of it.

use super::Envelope;
use super::round::Sample;
use crate::bench::report::Spread;

/// The most events that may be lost on a clean link, in percent.
const TARGET_LOST_PERCENT: f64 = 0.1;
/// The least of the rate asked for that is no doubt.
const RATE_SHARE: f64 = 0.99;

/// All samples of one way to tell, one a round.
pub(super) struct Series {
    pub(super) envelope: Envelope,
    pub(super) samples: Vec<Sample>,
}

impl Series {
    pub(super) const fn new(envelope: Envelope) -> Self {
        Self { envelope, samples: Vec::new() }
    }

    fn spread(&self, value: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(self.samples.iter().map(value).collect())
    }
}

/// One measurement as it is made.
pub(super) fn sample_line(envelope: Envelope, sample: &Sample) -> String {
    let told: u64 = sample.figures.iter().map(|node| node.sent_events).sum();
    let untold: u64 = sample.figures.iter().map(|node| node.untold_events).sum();
    let datagrams: u64 = sample.figures.iter().map(|node| node.sent_datagrams).sum();
    let refused: u64 = sample.figures.iter().map(|node| node.refused_datagrams).sum();
    format!(
        "{:8} {:7.0} events/s  told {told} in {datagrams} datagrams, untold {untold}  heard {} of {}  refused datagrams \
         {refused}  lost {:.4} %  CPU {:.1} %",
        envelope.name(),
        sample.events_per_sec(),
        sample.heard(),
        sample.to_hear(),
        sample.lost_percent(),
        100.0 * sample.teller_share(),
    )
}

/// All of it, with medians.
pub(super) fn text(all_series: &[Series], rate: u32) -> String {
    let rounds = all_series.first().map_or(0, |series| series.samples.len());
    let seconds =
        all_series.first().and_then(|series| series.samples.first()).map_or(0.0, |sample| sample.seconds);
    let mut text = format!("\n{rounds} rounds of {seconds:.0} s: median (min–max)\n");
    text += &format!(
        "{:8}  {:>22}  {:>22}  {:>22}  {:>20}  {:>20}\n",
        "", "events/s", "lost %", "events/datagram", "teller CPU %", "hearer µs/event"
    );
    for series in all_series {
        let per_datagram = |sample: &Sample| {
            let told: u64 = sample.figures.iter().map(|node| node.sent_events).sum();
            let datagrams: u64 = sample.figures.iter().map(|node| node.sent_datagrams).sum();
            told as f64 / datagrams.max(1) as f64
        };
        let lost = series.spread(Sample::lost_percent);
        let verdict = if lost.max < TARGET_LOST_PERCENT { "reached" } else { "missed" };
        text += &format!(
            "{:8}  {:>22}  {:>22}  {:>22}  {:>20}  {:>20}  target {TARGET_LOST_PERCENT} % lost {verdict}\n",
            series.envelope.name(),
            series.spread(Sample::events_per_sec),
            lost,
            series.spread(per_datagram),
            series.spread(|sample| 100.0 * sample.teller_share()),
            series.spread(|sample| sample.hearer_micros_per_event().unwrap_or(f64::NAN)),
        );
        let reached = series.spread(Sample::events_per_sec).median;
        if reached < RATE_SHARE * f64::from(rate) {
            text += &format!("doubt: {reached:.0} events a second were announced, not {rate}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Envelope, Series, text};
    use crate::bench::livesync::round::tests::sample;

    #[test]
    fn the_report_says_whether_the_target_is_reached_and_the_rate_was_kept() {
        let of = |told, heard| {
            text(&[Series { envelope: Envelope::Classic, samples: vec![sample(told, heard)] }], 1000)
        };
        let good = of(10_000, 9_999);
        assert!(good.contains("reached") && !good.contains("doubt"), "{good}");
        assert!(of(10_000, 9_990).contains("missed"));
        let samples = [9_999, 9_999, 9_990].map(|heard| sample(10_000, heard)).into();
        let one_missed = text(&[Series { envelope: Envelope::Classic, samples }], 1000);
        assert!(one_missed.contains("missed"), "{one_missed}");
        assert!(of(9_000, 9_000).contains("doubt: 900 events a second were announced, not 1000"));
    }
}
