//! What the comparison prints: medians with their spread, and what of the targets is met.

use super::contender::Contender;
use super::measure::Sample;
use super::results::Results;
use crate::bench::report::Spread;

/// How many times its own sockets AF_XDP is to answer.
const TARGET_SOCKETS: f64 = 3.0;
/// How many times aquatic_udp.
const TARGET_AQUATIC: f64 = 4.0;
/// Lost requests of a hundred at [`LOSS_AT_PERCENT`] of the highest rate.
const TARGET_LOSS_PERCENT: f64 = 0.1;
const LOSS_AT_PERCENT: u32 = 70;
const AQUATIC: [Contender; 2] = [Contender::AquaticMio, Contender::AquaticIoUring];
/// A core that is idle for more than this share was not kept busy.
const BUSY_SHARE: f64 = 0.9;

/// One measurement as it is made.
pub(super) fn sample_line(contender: Contender, sample: &Sample) -> String {
    let at = sample.percent.map_or("highest".to_owned(), |percent| format!("{percent} %"));
    format!(
        "{:16} {at:>8} {:8.0} answers/s  loss {:.3} %  p50 {:.0} p99 {:.0} p99.9 {:.0} µs  core {:.2} µs/answer, \
         process {:.2}",
        contender.name(),
        sample.answers_per_sec(),
        sample.loss_percent(),
        sample.latency_us("p50"),
        sample.latency_us("p99"),
        sample.latency_us("p99.9"),
        sample.core_micros_per_answer(),
        sample.process_micros_per_answer(),
    )
}

/// The whole comparison.
pub(super) fn text(results: &Results) -> String {
    let mut text = format!("\n{} rounds: median (min–max)\n", results.rounds.len());
    text += &highest(results);
    text += &below(results);
    text += &targets(results);
    text
}

fn highest(results: &Results) -> String {
    let mut text = format!(
        "{:16}  {:>26}  {:>20}  {:>20}  {:>20}\n",
        "highest rate", "answers/s", "core µs/answer", "process µs/answer", "core busy %"
    );
    for contender in Contender::ALL {
        let spread = |value: fn(&Sample) -> f64| results.spread(contender, None, value);
        let Some(answers) = spread(Sample::answers_per_sec) else { continue };
        let other = |value| shown(spread(value).as_ref());
        text += &format!(
            "{:16}  {answers:>26}  {:>20}  {:>20}  {:>20}\n",
            contender.name(),
            other(Sample::core_micros_per_answer),
            other(Sample::process_micros_per_answer),
            other(|sample| 100.0 * sample.core_share),
        );
        let busy = spread(|sample| sample.core_share).map_or(1.0, |busy| busy.median);
        if busy < BUSY_SHARE {
            let (name, percent) = (contender.name(), 100.0 * busy);
            text += &format!(
                "doubt: the load kept the core of {name} busy for only {percent:.0} % of the time\n"
            );
        }
    }
    text
}

fn below(results: &Results) -> String {
    let mut text = format!(
        "\n{:16}  {:>5}  {:>26}  {:>20}  {:>24}  {:>26}  {:>26}\n",
        "below it", "%", "answers/s", "loss %", "p50 µs", "p99 µs", "p99.9 µs"
    );
    for percent in results.percents() {
        for contender in Contender::ALL {
            let spread = |value: &dyn Fn(&Sample) -> f64| results.spread(contender, Some(percent), value);
            let Some(answers) = spread(&Sample::answers_per_sec) else { continue };
            let latency =
                |share: &'static str| shown(spread(&move |sample| sample.latency_us(share)).as_ref());
            text += &format!(
                "{:16}  {percent:>5}  {answers:>26}  {:>20}  {:>24}  {:>26}  {:>26}\n",
                contender.name(),
                shown(spread(&Sample::loss_percent).as_ref()),
                latency("p50"),
                latency("p99"),
                latency("p99.9"),
            );
        }
    }
    text
}

fn targets(results: &Results) -> String {
    let mut text = String::from("\nAF_XDP, round by round:\n");
    for (name, others, target) in [
        ("its own sockets", &[Contender::Sockets][..], TARGET_SOCKETS),
        ("the better aquatic_udp", &AQUATIC, TARGET_AQUATIC),
    ] {
        if let Some(ratio) = results.ratio(others, Sample::answers_per_sec) {
            let verdict = verdict(ratio.median >= target);
            text += &format!("  answers/s to {name}: {ratio}, target {target} {verdict}\n");
        }
        // Of what is to be small the best is the smallest: answers for a second of the core are compared.
        if let Some(ratio) = results.ratio(others, |sample| 1.0 / sample.core_micros_per_answer()) {
            text += &format!("  answers for a second of the core to {name}: {ratio}\n");
        }
    }
    if let Some(loss) = results.spread(Contender::Xsk, Some(LOSS_AT_PERCENT), Sample::loss_percent) {
        let verdict = verdict(loss.median < TARGET_LOSS_PERCENT);
        text += &format!(
            "  loss at {LOSS_AT_PERCENT} % of the highest rate: {loss} %, target below {TARGET_LOSS_PERCENT} % {verdict}\n"
        );
    }
    text
}

const fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

fn shown(spread: Option<&Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::super::contender::Contender;
    use super::super::results::Round;
    use super::super::results::tests::{results, sample};
    use super::text;

    fn report(ours: f64, loss_percent: f64) -> String {
        text(&results(vec![Round::from([
            (Contender::Xsk, vec![sample(None, ours, 0.0), sample(Some(70), ours * 0.7, loss_percent)]),
            (Contender::Sockets, vec![sample(None, 100.0, 0.0)]),
            (Contender::AquaticMio, vec![sample(None, 90.0, 0.0)]),
        ])]))
    }

    #[test]
    fn each_target_is_met_or_missed() {
        let met = report(361.0, 0.09);
        assert!(met.contains("3.61 (3.61–3.61), target 3 met"), "{met}");
        assert!(met.contains("4.01 (4.01–4.01), target 4 met"), "{met}");
        assert!(met.contains("target below 0.1 % met"), "{met}");
        let missed = report(299.0, 0.11);
        assert!(missed.contains("target 3 missed") && missed.contains("target 4 missed"), "{missed}");
        assert!(missed.contains("target below 0.1 % missed"), "{missed}");
    }
}
