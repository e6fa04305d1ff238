//! What a comparison prints: medians with their spread, and this tracker's ratio to the better of the others.

use super::contender::Contender;
use super::load::Sample;
use std::fmt;

/// How much better this tracker is to be than the better of the others, in answers for a second of CPU time.
const TARGET_RATIO: f64 = 1.15;
/// A core that is busier than its tracker by more than this share of its time has other work.
const OTHER_WORK_LIMIT: f64 = 0.1;
/// A tracker that works less of its time than this was not kept busy by the load.
const SATURATED_SHARE: f64 = 0.9;

/// All samples of one tracker, one a round.
pub(super) struct Series {
    contender: Contender,
    pub(super) samples: Vec<Sample>,
}

impl Series {
    pub(super) fn new(contender: Contender) -> Self {
        Self { contender, samples: Vec::new() }
    }

    fn spread(&self, value: fn(&Sample) -> f64) -> Spread {
        Spread::of(self.samples.iter().map(value).collect())
    }
}

/// The middle and the ends of some values.
#[derive(Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Self { median, min: values[0], max: values[values.len() - 1] }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = if self.max >= 1000.0 { 0 } else { 2 };
        let text = format!("{:.decimals$} ({:.decimals$}–{:.decimals$})", self.median, self.min, self.max);
        formatter.pad(&text)
    }
}

/// One measurement as it is made.
pub(super) fn sample_line(contender: Contender, sample: &Sample) -> String {
    format!(
        "{:16} {:8.0} answers/s  {:8.0} answers/CPU s  {:5.1} % answered  {:4.1} peers/announce  \
         CPU {:5.1} %  core {:5.1} %",
        contender.name(),
        sample.answers_per_sec,
        sample.answers_per_cpu_sec(),
        100.0 * sample.answered_share,
        sample.peers_per_announce,
        100.0 * sample.process_share,
        100.0 * sample.core_share,
    )
}

/// The whole comparison.
pub(super) fn text(all_series: &[Series], measured_secs: u32) -> String {
    let rounds = all_series.first().map_or(0, |series| series.samples.len());
    let mut text = format!("\n{rounds} rounds of {measured_secs} s: median (min–max)\n");
    text += &format!(
        "{:16}  {:>26}  {:>26}  {:>18}  {:>22}  {:>17}  {:>22}  {:>22}\n",
        "tracker",
        "answers/s",
        "answers/CPU s",
        "CPU µs/answer",
        "answered %",
        "peers/announce",
        "process CPU %",
        "core busy %"
    );
    for series in all_series {
        text += &format!(
            "{:16}  {:>26}  {:>26}  {:>18}  {:>22}  {:>17}  {:>22}  {:>22}\n",
            series.contender.name(),
            series.spread(|sample| sample.answers_per_sec),
            series.spread(Sample::answers_per_cpu_sec),
            series.spread(Sample::cpu_micros_per_answer),
            series.spread(|sample| 100.0 * sample.answered_share),
            series.spread(|sample| sample.peers_per_announce),
            series.spread(|sample| 100.0 * sample.process_share),
            series.spread(|sample| 100.0 * sample.core_share),
        );
    }
    text += &doubts(all_series);
    let (ours, others): (Vec<_>, Vec<_>) =
        all_series.iter().partition(|series| series.contender == Contender::OpentrackerXdp);
    if let [ours] = ours[..]
        && !others.is_empty()
    {
        let per_sec = ratio_to_better(ours, &others, |sample| sample.answers_per_sec);
        let per_cpu_sec = ratio_to_better(ours, &others, Sample::answers_per_cpu_sec);
        let verdict = if per_cpu_sec.median >= TARGET_RATIO { "reached" } else { "missed" };
        text += "opentracker-xdp to the better of the others, round by round:\n";
        text += &format!("  answers/s      {per_sec}\n");
        text += &format!("  answers/CPU s  {per_cpu_sec}, target {TARGET_RATIO} {verdict}\n");
    }
    text
}

/// What speaks against the figures above.
fn doubts(all_series: &[Series]) -> String {
    let mut text = String::new();
    for series in all_series {
        let name = series.contender.name();
        let process = series.spread(|sample| sample.process_share).median;
        let other = series.spread(|sample| sample.core_share - sample.process_share).median;
        if other > OTHER_WORK_LIMIT {
            let percent = 100.0 * other;
            text += &format!("doubt: other work took {percent:.0} % of the core of {name}\n");
        } else if process < SATURATED_SHARE {
            let percent = 100.0 * process;
            text += &format!("doubt: the load kept {name} busy for only {percent:.0} % of the time\n");
        }
    }
    text
}

/// In each round, this tracker's value divided by the best of the others in the same round.
fn ratio_to_better(ours: &Series, others: &[&Series], value: fn(&Sample) -> f64) -> Spread {
    let ratios = ours.samples.iter().enumerate().map(|(round, sample)| {
        let best = others.iter().map(|series| value(&series.samples[round])).fold(0.0, f64::max);
        value(sample) / best
    });
    Spread::of(ratios.collect())
}

#[cfg(test)]
mod tests {
    use super::{Contender, Sample, Series, Spread, doubts, ratio_to_better, text};

    fn series(contender: Contender, answers_per_sec: &[f64]) -> Series {
        let samples = answers_per_sec.iter().map(|answers_per_sec| Sample {
            answers_per_sec: *answers_per_sec,
            answered_share: 0.9,
            peers_per_announce: 30.0,
            process_share: 0.5,
            core_share: 0.55,
        });
        Series { contender, samples: samples.collect() }
    }

    #[test]
    fn the_median_of_an_even_count_is_between_the_middle_two() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 8.0]), Spread { median: 3.0, min: 1.0, max: 8.0 });
        assert_eq!(Spread::of(vec![5.0]), Spread { median: 5.0, min: 5.0, max: 5.0 });
    }

    #[test]
    fn each_round_is_compared_with_the_best_of_that_round() {
        let ours = series(Contender::OpentrackerXdp, &[200.0, 300.0]);
        let one = series(Contender::Opentracker, &[100.0, 50.0]);
        let other = series(Contender::AquaticMio, &[50.0, 100.0]);
        let ratio = ratio_to_better(&ours, &[&one, &other], |sample| sample.answers_per_sec);
        assert_eq!(ratio, Spread { median: 2.5, min: 2.0, max: 3.0 });
    }

    #[test]
    fn the_report_says_whether_the_target_is_reached() {
        let other = || series(Contender::Opentracker, &[100.0]);
        assert!(text(&[series(Contender::OpentrackerXdp, &[115.1]), other()], 5).contains("1.15 reached"));
        assert!(text(&[series(Contender::OpentrackerXdp, &[114.9]), other()], 5).contains("1.15 missed"));
    }

    #[test]
    fn a_shared_core_and_an_idle_tracker_are_doubted() {
        let mut tracker = series(Contender::Opentracker, &[100.0]);
        assert!(doubts(&[series(Contender::Opentracker, &[100.0])]).contains("busy for only 50 %"));
        tracker.samples[0].core_share = 1.0;
        assert!(doubts(std::slice::from_ref(&tracker)).contains("other work took 50 %"));
        tracker.samples[0].process_share = 0.95;
        assert_eq!(doubts(&[tracker]), "");
    }
}
