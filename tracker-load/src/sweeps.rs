//! What sweeps have printed, read again and drawn.

use crate::arguments::PictureArguments;
use crate::picture::{self, Point, Series};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;

/// Draws the sweeps that the arguments name.
pub(crate) fn draw(arguments: &PictureArguments) -> Result<()> {
    let PictureArguments { sweeps, title, svg } = arguments;
    let all = sweeps.iter().map(|sweep| read(sweep)).collect::<Result<Vec<_>>>()?;
    fs::write(svg, picture::svg(title, &all)).with_context(|| format!("cannot write {}", svg.display()))
}

fn read(sweep: &str) -> Result<Series> {
    let (name, path) = sweep.split_once('=').with_context(|| format!("{sweep:?} is not NAME=FILE"))?;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let points = points(&text).with_context(|| format!("{path} is not what a sweep prints"))?;
    if points.is_empty() {
        bail!("{path} has no measurement at a set rate: it takes what `sweep --json` prints");
    }
    Ok(Series { name: name.to_owned(), points })
}

/// The measurements at set rates; a closed loop decides by itself when it sends, and is no point of the line.
fn points(text: &str) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let event: Value = serde_json::from_str(line)?;
        if event["event"] == "result" && event["offered_per_sec"].is_number() {
            points.push(point(&event).context("a measurement without its figures")?);
        }
    }
    Ok(points)
}

/// A measurement as it is drawn.
pub(crate) fn point(result: &Value) -> Option<Point> {
    let latency = |name: &str| result["latency_us"][name].as_f64();
    Some(Point {
        answers_per_sec: result["answers_per_sec"].as_f64()?,
        latency_us: [latency("p50")?, latency("p99")?, latency("p99.9")?],
    })
}

#[cfg(test)]
mod tests {
    use super::{Point, points};

    #[test]
    fn open_loops_are_points_and_everything_else_is_not() {
        let text = r#"{"event":"measuring"}
            {"event":"result","offered_per_sec":null,"answers_per_sec":9.0,"latency_us":{"p50":1,"p99":2,"p99.9":3}}

            {"event":"result","offered_per_sec":5.0,"answers_per_sec":4.5,"latency_us":{"p50":1.5,"p99":2,"p99.9":3}}"#;
        let expected = Point { answers_per_sec: 4.5, latency_us: [1.5, 2.0, 3.0] };
        assert_eq!(points(text).unwrap(), [expected]);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(points("rate,latency\n1,2\n").is_err());
        assert!(points(r#"{"event":"result","offered_per_sec":5.0}"#).is_err());
    }
}
