//! How many connects a second are answered: by the program in the driver, before the stack, and by sockets.
//!
//! Each way in is offered several rates, because sockets answer less when they are offered too much; the best counts.

use super::frames;
use super::scene::{Generator, Receiving, Scene, Setting, WayIn};
use crate::bench::report::Spread;
use anyhow::{Result, anyhow};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const WAYS_IN: [WayIn; 3] = [WayIn::Native, WayIn::Generic, WayIn::Sockets];
/// Connects offered in a second; `None`: all that the generator makes.
const OFFERED: [Option<u32>; 4] = [None, Some(1_000_000), Some(400_000), Some(200_000)];
const WARM_UP: Duration = Duration::from_millis(300);
/// How many times what sockets answer the program is to answer.
const TARGET_RATIO: f64 = 10.0;

/// What one way in did in one round.
#[derive(Clone, Copy)]
struct Sample {
    answers_per_sec: f64,
    offered_per_sec: f64,
}

/// Measures and prints.
pub(super) fn run(setting: &Setting, rounds: u32, seconds: u32) -> Result<()> {
    let mut samples: [Vec<Sample>; WAYS_IN.len()] = Default::default();
    for round in 0..rounds as usize {
        for turn in 0..WAYS_IN.len() {
            let index = (round + turn) % WAYS_IN.len();
            let sample = best(setting, WAYS_IN[index], Duration::from_secs(seconds.into()))?;
            eprintln!(
                "round {} {:11} {:9.0} answers/s of {:9.0} offered",
                round + 1,
                WAYS_IN[index].name(),
                sample.answers_per_sec,
                sample.offered_per_sec
            );
            samples[index].push(sample);
        }
    }
    print!("{}", text(&samples, seconds));
    Ok(())
}

fn best(setting: &Setting, way_in: WayIn, duration: Duration) -> Result<Sample> {
    let mut scene = Scene::new(setting, way_in, Receiving::OnTrackerCore)?;
    let mut best = Sample { answers_per_sec: 0.0, offered_per_sec: 0.0 };
    for offered in OFFERED {
        let sample = measure(&scene, offered, duration)?;
        if sample.answers_per_sec > best.answers_per_sec {
            best = sample;
        }
    }
    scene.check()?;
    Ok(best)
}

fn measure(scene: &Scene<'_>, offered: Option<u32>, duration: Duration) -> Result<Sample> {
    let stop = AtomicBool::new(false);
    let source = Generator::new(&frames::connect(), offered)?;
    thread::scope(|scope| {
        let generator = scope.spawn(|| scene.generate(&source, &stop));
        let read = || Ok((Instant::now(), scene.answers()?[0], source.sent()?));
        thread::sleep(WARM_UP);
        let before: Result<_> = read();
        thread::sleep(duration);
        let after: Result<_> = read();
        stop.store(true, Ordering::Relaxed);
        generator.join().map_err(|_| anyhow!("the generator has panicked"))??;
        let ((start, answers_before, sent_before), (end, answers, sent)) = (before?, after?);
        let secs = (end - start).as_secs_f64();
        Ok(Sample {
            answers_per_sec: (answers - answers_before) as f64 / secs,
            offered_per_sec: (sent - sent_before) as f64 / secs,
        })
    })
}

fn text(samples: &[Vec<Sample>; WAYS_IN.len()], seconds: u32) -> String {
    let spread =
        |samples: &[Sample], value: fn(&Sample) -> f64| Spread::of(samples.iter().map(value).collect());
    let rounds = samples[0].len();
    let mut text = format!("\nconnects, {rounds} rounds of {seconds} s at each rate: median (min–max)\n");
    text += &format!("{:12}  {:>28}  {:>28}\n", "way in", "answers/s", "offered/s");
    for (way_in, samples) in WAYS_IN.iter().zip(samples) {
        let answers = spread(samples, |sample| sample.answers_per_sec);
        let offered = spread(samples, |sample| sample.offered_per_sec);
        text += &format!("{:12}  {answers:>28}  {offered:>28}\n", way_in.name());
    }
    let [native, generic, sockets] = samples;
    for (way_in, samples, target) in [("native", native, Some(TARGET_RATIO)), ("generic", generic, None)] {
        let ratios = samples.iter().zip(sockets);
        let ratio =
            Spread::of(ratios.map(|(one, other)| one.answers_per_sec / other.answers_per_sec).collect());
        let verdict = match target {
            Some(target) if ratio.median >= target => format!(", target {target} reached"),
            Some(target) => format!(", target {target} missed"),
            None => String::new(),
        };
        text += &format!("{way_in} to sockets, round by round: {ratio}{verdict}\n");
    }
    text
}
