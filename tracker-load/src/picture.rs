//! A picture of rate against latency, as SVG: plain text, drawn here.

use std::fmt::Write;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 520.0;
/// Space left, above, right and below of the field.
const MARGINS: [f64; 4] = [70.0, 50.0, 170.0, 60.0];
/// One colour for each series, told apart by those who see few colours too.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
/// How the lines of one series differ: median, 99 and 99.9 of a hundred.
const DASHES: [(&str, &str); 3] = [("p50", ""), ("p99", "7 4"), ("p99.9", "2 3")];
/// About how many marks an axis of rates has.
const RATE_MARKS: f64 = 6.0;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) answers_per_sec: f64,
    /// Median, 99 and 99.9 of a hundred, in microseconds.
    pub(crate) latency_us: [f64; 3],
}

/// Measurements that belong together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// Where a value is in the picture.
struct Scale {
    max_rate: f64,
    /// Powers of ten.
    latency: [f64; 2],
}

impl Scale {
    fn of(all: &[Series]) -> Self {
        let points = || all.iter().flat_map(|series| &series.points);
        let latencies = || points().flat_map(|point| point.latency_us).filter(|latency| *latency > 0.0);
        let lowest = latencies().fold(f64::INFINITY, f64::min).min(1e9);
        let highest = latencies().fold(lowest, f64::max);
        let bottom = lowest.log10().floor();
        let top = highest.log10().ceil().max(bottom + 1.0);
        let max_rate = points().map(|point| point.answers_per_sec).fold(0.0, f64::max);
        Self { max_rate: if max_rate > 0.0 { max_rate * 1.05 } else { 1.0 }, latency: [bottom, top] }
    }

    fn x(&self, rate: f64) -> f64 {
        let [left, _, right, _] = MARGINS;
        left + rate / self.max_rate * (WIDTH - left - right)
    }

    fn y(&self, latency_us: f64) -> f64 {
        let [_, above, _, below] = MARGINS;
        let [bottom, top] = self.latency;
        let share = (latency_us.max(1e-3).log10() - bottom) / (top - bottom);
        HEIGHT - below - share * (HEIGHT - above - below)
    }
}

/// Draws all series into one picture.
pub(crate) fn svg(title: &str, all: &[Series]) -> String {
    let scale = Scale::of(all);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut svg, [WIDTH / 2.0, 28.0], "middle", title);
    draw_axes(&mut svg, &scale);
    for (number, series) in all.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        for (place, (_, dash)) in DASHES.iter().enumerate() {
            draw_line(
                &mut svg,
                &scale,
                series,
                place,
                &format!("stroke=\"{colour}\" stroke-dasharray=\"{dash}\""),
            );
        }
        let y = MARGINS[1] + 20.0 + 20.0 * number as f64;
        let x = WIDTH - MARGINS[2] + 15.0;
        line(&mut svg, [x, y - 4.0], [x + 25.0, y - 4.0], &format!("stroke=\"{colour}\" stroke-width=\"3\""));
        text(&mut svg, [x + 32.0, y], "start", &series.name);
    }
    for (place, (name, dash)) in DASHES.iter().enumerate() {
        let y = MARGINS[1] + 40.0 + 20.0 * (all.len() + place) as f64;
        let x = WIDTH - MARGINS[2] + 15.0;
        line(
            &mut svg,
            [x, y - 4.0],
            [x + 25.0, y - 4.0],
            &format!("stroke=\"black\" stroke-dasharray=\"{dash}\""),
        );
        text(&mut svg, [x + 32.0, y], "start", name);
    }
    svg += "</svg>\n";
    svg
}

fn draw_axes(svg: &mut String, scale: &Scale) {
    let [left, above, right, below] = MARGINS;
    let (bottom, end) = (HEIGHT - below, WIDTH - right);
    let grey = "stroke=\"#dddddd\"";
    let step = round_step(scale.max_rate / RATE_MARKS);
    let mut rate = 0.0;
    while rate <= scale.max_rate {
        let x = scale.x(rate);
        line(svg, [x, above], [x, bottom], grey);
        text(svg, [x, bottom + 18.0], "middle", &format!("{rate:.0}"));
        rate += step;
    }
    let [lowest, highest] = scale.latency;
    let mut power = lowest;
    while power <= highest {
        let latency = 10_f64.powf(power);
        let y = scale.y(latency);
        line(svg, [left, y], [end, y], grey);
        text(svg, [left - 8.0, y + 4.0], "end", &format!("{latency}"));
        power += 1.0;
    }
    line(svg, [left, bottom], [end, bottom], "stroke=\"black\"");
    line(svg, [left, above], [left, bottom], "stroke=\"black\"");
    text(svg, [(left + end) / 2.0, HEIGHT - 15.0], "middle", "answers per second");
    text(svg, [left, above - 10.0], "middle", "latency, µs");
}

fn draw_line(svg: &mut String, scale: &Scale, series: &Series, place: usize, style: &str) {
    let mut points = series.points.clone();
    points.sort_by(|one, other| one.answers_per_sec.total_cmp(&other.answers_per_sec));
    let at = |point: &Point| (scale.x(point.answers_per_sec), scale.y(point.latency_us[place]));
    let places: Vec<String> =
        points.iter().map(|point| format!("{:.1},{:.1}", at(point).0, at(point).1)).collect();
    // A string takes everything. Here and below.
    let _ =
        writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke-width=\"2\" {style}/>", places.join(" "));
    for point in &points {
        let (x, y) = at(point);
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"none\" {style}/>");
    }
}

/// The next of 1, 2, 5, 10, 20 … that is no less.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= least).unwrap_or(10.0 * power)
}

fn line(svg: &mut String, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], style: &str) {
    let _ = writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>");
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>");
}

#[cfg(test)]
mod tests {
    use super::{Point, Scale, Series, round_step, svg};

    fn series(name: &str) -> Series {
        let points = [(100.0, [20.0, 50.0, 90.0]), (50.0, [10.0, 30.0, 60.0])];
        let point = |(answers_per_sec, latency_us)| Point { answers_per_sec, latency_us };
        Series { name: name.to_owned(), points: points.map(point).to_vec() }
    }

    #[test]
    fn each_series_has_three_lines_and_its_name() {
        let picture = svg("sockets & <rings>", &[series("one"), series("other")]);
        assert_eq!(picture.matches("<polyline").count(), 6);
        assert!(picture.contains(">one</text>") && picture.contains(">other</text>"));
        assert!(picture.contains("sockets &amp; &lt;rings>"), "{picture}");
    }

    #[test]
    fn more_answers_are_further_right_and_more_latency_further_up() {
        let scale = Scale::of(&[series("one")]);
        assert!(scale.x(100.0) > scale.x(50.0));
        assert!(scale.y(90.0) < scale.y(10.0));
        assert_eq!(scale.latency, [1.0, 2.0]);
    }

    #[test]
    fn nothing_measured_is_a_picture_too() {
        assert!(svg("nothing", &[]).contains("</svg>"));
        let lost = Series {
            name: "lost".into(),
            points: vec![Point { answers_per_sec: 0.0, latency_us: [0.0; 3] }],
        };
        assert!(!svg("lost", &[lost]).contains("NaN"));
    }

    #[test]
    fn marks_are_round_numbers() {
        let steps = [1.0, 1.1, 2.0, 3.0, 7.0, 60_000.0].map(round_step);
        assert_eq!(steps, [1.0, 2.0, 2.0, 5.0, 10.0, 100_000.0]);
    }
}
