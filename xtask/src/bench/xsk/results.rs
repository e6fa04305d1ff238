//! All rounds, kept in a file between calls: on a machine that others use too, rounds are measured when it is quiet.

use super::cable::Kind;
use super::contender::Contender;
use super::measure::{Sample, picture_data};
use crate::bench::report::Spread;
use crate::process;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One round: the samples of each contender.
pub(super) type Round = BTreeMap<Contender, Vec<Sample>>;

/// All rounds.
pub(super) struct Results {
    file: PathBuf,
    pub(super) rounds: Vec<Round>,
}

impl Results {
    /// In this directory, over this kind of cable: those that are there already, if they are to be kept.
    pub(super) fn at(directory: &Path, cable: Kind, keep: bool) -> Result<Self> {
        let file = directory.join(match cable {
            Kind::Pages => "xsk-rounds.jsonl",
            Kind::Packets => "xsk-rounds-packets.jsonl",
        });
        let mut rounds = Vec::new();
        if keep {
            let text =
                fs::read_to_string(&file).with_context(|| format!("no rounds in {}", file.display()))?;
            for line in text.lines() {
                let round = read_round(line);
                rounds.push(round.with_context(|| format!("{} is no list of rounds", file.display()))?);
            }
        } else {
            fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(Self { file, rounds })
    }

    /// Keeps a round.
    pub(super) fn add(&mut self, round: Round) -> Result<()> {
        let text = written(&round).to_string();
        let mut file = File::options().append(true).open(&self.file)?;
        writeln!(file, "{text}").with_context(|| format!("cannot write {}", self.file.display()))?;
        self.rounds.push(round);
        Ok(())
    }

    /// Values of a contender in all rounds, at a percentage of its highest rate or at the highest.
    pub(super) fn spread(
        &self,
        contender: Contender,
        percent: Option<u32>,
        value: impl Fn(&Sample) -> f64,
    ) -> Option<Spread> {
        let samples = self.rounds.iter().filter_map(|round| sample(round, contender, percent));
        let values: Vec<f64> = samples.map(value).collect();
        (!values.is_empty()).then(|| Spread::of(values))
    }

    /// In each round, a value of AF_XDP divided by the best of these others in the same round.
    pub(super) fn ratio(&self, others: &[Contender], value: impl Fn(&Sample) -> f64) -> Option<Spread> {
        let ratios = self.rounds.iter().filter_map(|round| {
            let ours = value(sample(round, Contender::Xsk, None)?);
            let others = others.iter().filter_map(|other| sample(round, *other, None)).map(&value);
            let best = others.reduce(f64::max)?;
            Some(ours / best)
        });
        let ratios: Vec<f64> = ratios.collect();
        (!ratios.is_empty()).then(|| Spread::of(ratios))
    }

    /// The percentages that were measured.
    pub(super) fn percents(&self) -> Vec<u32> {
        let samples = self.rounds.iter().flat_map(|round| round.values().flatten());
        let mut percents: Vec<u32> = samples.filter_map(|sample| sample.percent).collect();
        percents.sort_unstable();
        percents.dedup();
        percents
    }

    /// Draws rate against latency: the medians of all rounds.
    pub(super) fn draw(&self, generator: &Path, directory: &Path) -> Result<()> {
        let mut picture = Command::new(generator);
        picture.args([
            "picture",
            "--title",
            "Latency at a rate of answers, one core, 1 : 1 connects and announces",
        ]);
        for contender in Contender::ALL {
            let mut text = String::new();
            for percent in self.percents() {
                let median = |value: &dyn Fn(&Sample) -> f64| {
                    self.spread(contender, Some(percent), value).map(|spread| spread.median)
                };
                let Some(answers_per_sec) = median(&Sample::answers_per_sec) else { continue };
                let latency = |share: &'static str| median(&move |sample| sample.latency_us(share));
                let latencies =
                    json!({ "p50": latency("p50"), "p99": latency("p99"), "p99.9": latency("p99.9") });
                let point = json!({
                    "event": "result", "offered_per_sec": answers_per_sec, "answers_per_sec": answers_per_sec,
                    "latency_us": latencies,
                });
                text += &format!("{point}\n");
            }
            if !text.is_empty() {
                let path = picture_data(directory, contender);
                fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
                picture.arg(format!("{}={}", contender.name(), path.display()));
            }
        }
        let svg = directory.join("xsk-latency.svg");
        process::run(picture.arg("--svg").arg(&svg))?;
        println!("picture: {}", svg.display());
        Ok(())
    }
}

fn sample(round: &Round, contender: Contender, percent: Option<u32>) -> Option<&Sample> {
    round.get(&contender)?.iter().find(|sample| sample.percent == percent)
}

fn written(round: &Round) -> Value {
    let contenders = round.iter().map(|(contender, samples)| {
        let samples: Vec<Value> = samples
            .iter()
            .map(|sample| {
                json!({
                    "percent": sample.percent, "process_share": sample.process_share,
                    "core_share": sample.core_share, "result": sample.result,
                })
            })
            .collect();
        (contender.name().to_owned(), Value::from(samples))
    });
    Value::Object(contenders.collect())
}

fn read_round(line: &str) -> Option<Round> {
    let value: Value = serde_json::from_str(line).ok()?;
    let mut round = Round::new();
    for (name, samples) in value.as_object()? {
        let samples = samples.as_array()?.iter().map(|sample| {
            Some(Sample {
                percent: sample["percent"].as_u64().map(|percent| percent as u32),
                result: sample["result"].clone(),
                process_share: sample["process_share"].as_f64()?,
                core_share: sample["core_share"].as_f64()?,
            })
        });
        round.insert(Contender::named(name)?, samples.collect::<Option<_>>()?);
    }
    Some(round)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Contender, Results, Round, Sample, read_round, written};
    use serde_json::json;
    use std::path::PathBuf;

    /// A sample of this many answers, lost requests in a hundred, and latency.
    pub(in crate::bench::xsk) fn sample(percent: Option<u32>, answers_per_sec: f64, loss: f64) -> Sample {
        let result = json!({
            "answers_per_sec": answers_per_sec, "loss": loss / 100.0,
            "latency_us": { "p50": 10.0, "p99": 20.0, "p99.9": 30.0 },
        });
        Sample { percent, result, process_share: 0.5, core_share: 1.0 }
    }

    pub(in crate::bench::xsk) fn results(rounds: Vec<Round>) -> Results {
        Results { file: PathBuf::new(), rounds }
    }

    #[test]
    fn a_round_that_is_kept_is_the_same_when_it_is_read() {
        let round = Round::from([
            (Contender::Xsk, vec![sample(None, 400.0, 0.0), sample(Some(50), 200.0, 0.1)]),
            (Contender::AquaticMio, vec![sample(None, 100.0, 0.0)]),
        ]);
        assert_eq!(read_round(&written(&round).to_string()), Some(round));
        assert_eq!(read_round("{\"other\": []}"), None);
    }

    #[test]
    fn each_round_is_compared_with_the_best_of_that_round() {
        let round = |ours, mio, io_uring| {
            Round::from([
                (Contender::Xsk, vec![sample(None, ours, 0.0)]),
                (Contender::AquaticMio, vec![sample(None, mio, 0.0)]),
                (Contender::AquaticIoUring, vec![sample(None, io_uring, 0.0)]),
            ])
        };
        let results = results(vec![round(400.0, 100.0, 80.0), round(600.0, 100.0, 120.0)]);
        let others = [Contender::AquaticMio, Contender::AquaticIoUring];
        let ratio = results.ratio(&others, Sample::answers_per_sec).unwrap();
        assert!((ratio.median - 4.5).abs() < 1e-9, "{ratio}");
        assert!(results.ratio(&[Contender::Sockets], Sample::answers_per_sec).is_none());
    }
}
