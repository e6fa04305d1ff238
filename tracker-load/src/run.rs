//! The commands that measure: at one pace, or at several one after the other.

use crate::arguments::{LoadArguments, RunArguments, SweepArguments};
use crate::carrier::Carrier;
use crate::generator::{Event, Generator, Times};
use crate::launch;
use crate::pace::Pace;
use crate::picture::{self, Series};
use crate::report::Report;
use crate::sweeps;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::time::Duration;

/// The rate for which a closed loop keeps room: more than one core sends.
const CLOSED_LOOP_PER_SEC: f64 = 4e6;
/// Requests under way while sources connect and peers are announced.
const FILL_UNDER_WAY: usize = 256;

/// What is measured, one after the other.
enum Plan<'a> {
    One(Pace),
    /// At these rates.
    Rates(&'a [f64]),
    /// In a closed loop, and at these percentages of what it reaches.
    Shares {
        under_way: usize,
        percent: &'a [f64],
    },
}

impl Plan<'_> {
    fn most_per_sec(&self) -> f64 {
        match self {
            Self::One(Pace::Rate(rate)) => *rate,
            Self::Rates(rates) => rates.iter().copied().fold(0.0, f64::max),
            Self::One(Pace::UnderWay(_)) | Self::Shares { .. } => CLOSED_LOOP_PER_SEC,
        }
    }
}

/// Measures at one pace.
pub(crate) fn run(arguments: &RunArguments) -> Result<()> {
    measure_all(&arguments.load, &Plan::One(arguments.pace())).map(drop)
}

/// Measures at several paces, and draws them.
pub(crate) fn sweep(arguments: &SweepArguments) -> Result<()> {
    let SweepArguments { rates, percent, under_way, svg, load } = arguments;
    let plan = match rates[..] {
        [] => Plan::Shares { under_way: *under_way as usize, percent },
        _ => Plan::Rates(rates),
    };
    let reports = measure_all(load, &plan)?;
    if let Some(path) = svg {
        let points = reports.iter().filter(|report| matches!(report.pace, Pace::Rate(_)));
        let points = points.filter_map(|report| sweeps::point(&report.json())).collect();
        let name = load.trackers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let series = [Series { name, points }];
        let picture = picture::svg("Latency at a rate of answers", &series);
        fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn measure_all(arguments: &LoadArguments, plan: &Plan<'_>) -> Result<Vec<Report>> {
    launch::prepare(arguments)?;
    let world = launch::world(arguments, plan.most_per_sec())?;
    match &arguments.way.interface {
        Some(interface) => {
            let carrier = launch::frames(arguments, interface)?;
            tell(
                arguments,
                &json!({ "event": "attached", "place": format!("{:?}", carrier.place).to_lowercase() }),
            );
            measure_with(Generator { carrier, world }, arguments, plan)
        }
        None => measure_with(Generator { carrier: launch::sockets(arguments)?, world }, arguments, plan),
    }
}

fn measure_with<C: Carrier>(
    mut generator: Generator<C>,
    arguments: &LoadArguments,
    plan: &Plan<'_>,
) -> Result<Vec<Report>> {
    generator.connect(FILL_UNDER_WAY)?;
    if arguments.requests.fill {
        let answered = generator.fill(FILL_UNDER_WAY)?;
        tell(
            arguments,
            &json!({ "event": "filled", "answered": answered, "peers": arguments.requests.peers }),
        );
    }
    let mut reports = Vec::new();
    let mut paces = match plan {
        Plan::One(pace) => vec![*pace],
        Plan::Rates(rates) => rates.iter().map(|rate| Pace::Rate(*rate)).collect(),
        Plan::Shares { under_way, .. } => vec![Pace::UnderWay(*under_way)],
    };
    while reports.len() < paces.len() {
        let report = measure(&mut generator, arguments, paces[reports.len()])?;
        if let Plan::Shares { percent, .. } = plan
            && reports.is_empty()
        {
            let highest = report.answers_per_sec();
            if highest <= 0.0 {
                bail!("the tracker answered nothing in the closed loop");
            }
            paces.extend(percent.iter().map(|percent| Pace::Rate(highest * percent / 100.0)));
        }
        reports.push(report);
    }
    Ok(reports)
}

fn measure<C: Carrier>(
    generator: &mut Generator<C>,
    arguments: &LoadArguments,
    pace: Pace,
) -> Result<Report> {
    let times = Times {
        warm_up: Duration::from_secs_f64(arguments.time.warm_up),
        duration: Duration::from_secs_f64(arguments.time.duration),
    };
    let tally = generator.measure(pace, times, |event| {
        let name = match event {
            Event::Measuring => "measuring",
            Event::Measured => "measured",
        };
        tell(arguments, &json!({ "event": name }));
    })?;
    let report = Report { pace, tally };
    match arguments.json {
        true => tell(arguments, &report.json()),
        false => print!("{}", report.text()),
    }
    Ok(report)
}

/// Says what happens, to programs only.
fn tell(arguments: &LoadArguments, event: &Value) {
    if arguments.json {
        let mut output = std::io::stdout().lock();
        // Whoever has gone does not want to know.
        let _ = writeln!(output, "{event}");
        let _ = output.flush();
    }
}
