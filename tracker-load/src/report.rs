//! What a measurement says, for people and for programs.

use crate::pace::Pace;
use crate::request::Kind;
use crate::tally::Tally;
use serde_json::{Value, json};

/// The shares of answers whose latency is told, and what they are called.
const SHARES: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];
/// Requests that were not sent although they were due, of all: above it the generator was the limit.
const DOUBT_SHARE: f64 = 0.001;

/// One measurement at one pace.
pub(crate) struct Report {
    pub(crate) pace: Pace,
    pub(crate) tally: Tally,
}

impl Report {
    /// Answers in a second of the measured time.
    pub(crate) fn answers_per_sec(&self) -> f64 {
        self.tally.answers_in_time as f64 / self.tally.seconds()
    }

    /// As JSON: rates per second, latencies in microseconds, loss from 0 to 1.
    pub(crate) fn json(&self) -> Value {
        let Self { pace, tally } = self;
        let mut latency = serde_json::Map::new();
        for (share, name) in SHARES {
            latency.insert(name.to_owned(), micros(tally.latency_ns(share)).into());
        }
        latency.insert("max".to_owned(), micros(tally.worst_latency_ns()).into());
        let kinds = Kind::ALL.iter().map(|kind| {
            let counts = tally.kinds[*kind as usize];
            let counts =
                json!({ "sent": counts.sent, "answered": counts.answered, "refused": counts.refused });
            (kind.name().to_owned(), counts)
        });
        json!({
            "event": "result",
            "offered_per_sec": offered(*pace),
            "under_way": under_way(*pace),
            "seconds": tally.seconds(),
            "requests": tally.expected(),
            "requests_per_sec": tally.expected() as f64 / tally.seconds(),
            "answers": tally.answered(),
            "answers_per_sec": self.answers_per_sec(),
            "errors": self.errors(),
            "lost": tally.lost,
            "loss": tally.loss(),
            "unknown_answers": tally.unknown,
            "broken_answers": tally.broken,
            "never_sent": tally.never_sent,
            "worst_send_delay_us": micros(tally.worst_delay_ns),
            "peers_per_announce": self.peers_per_announce(),
            "latency_us": latency,
            "kinds": kinds.collect::<serde_json::Map<_, _>>(),
        })
    }

    /// As text of several lines.
    pub(crate) fn text(&self) -> String {
        let Self { pace, tally } = self;
        let pace = match pace {
            Pace::Rate(rate) => format!("open loop, {rate:.0} requests/s"),
            Pace::UnderWay(count) => format!("closed loop, {count} under way"),
        };
        let mut text = format!(
            "{pace}, {:.1} s: {} requests, {} answers ({:.0}/s), {} errors, {} lost ({:.3} %), {:.1} peers/announce\n",
            tally.seconds(),
            tally.expected(),
            tally.answered(),
            self.answers_per_sec(),
            self.errors(),
            tally.lost,
            100.0 * tally.loss(),
            self.peers_per_announce(),
        );
        text += "latency µs:";
        for (share, name) in SHARES {
            text += &format!(" {name} {:.1}", micros(tally.latency_ns(share)));
        }
        text += &format!(" max {:.1}\n", micros(tally.worst_latency_ns()));
        for kind in Kind::ALL {
            let counts = tally.kinds[kind as usize];
            if counts.sent > 0 {
                let name = kind.name();
                let (sent, answered, refused) = (counts.sent, counts.answered, counts.refused);
                text += &format!("{name:9} {sent} sent, {answered} answered, {refused} refused\n");
            }
        }
        if tally.unknown + tally.broken > 0 {
            text += &format!("beside: {} unknown, {} broken answers\n", tally.unknown, tally.broken);
        }
        text + &self.doubt()
    }

    /// What speaks against the figures.
    fn doubt(&self) -> String {
        let tally = &self.tally;
        let late = tally.never_sent as f64 / (tally.expected() + tally.never_sent).max(1) as f64;
        if late > DOUBT_SHARE {
            return format!(
                "doubt: {:.1} % of the requests were due and never sent: this generator could not keep the rate\n",
                100.0 * late
            );
        }
        String::new()
    }

    fn errors(&self) -> u64 {
        self.tally.kinds.iter().map(|kind| kind.refused).sum()
    }

    fn peers_per_announce(&self) -> f64 {
        let announces: u64 = [Kind::Announce, Kind::Forged, Kind::Stale]
            .iter()
            .map(|kind| self.tally.kinds[*kind as usize].answered)
            .sum();
        self.tally.peers as f64 / announces.max(1) as f64
    }
}

fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

const fn offered(pace: Pace) -> Option<f64> {
    match pace {
        Pace::Rate(per_sec) => Some(per_sec),
        Pace::UnderWay(_) => None,
    }
}

const fn under_way(pace: Pace) -> Option<usize> {
    match pace {
        Pace::Rate(_) => None,
        Pace::UnderWay(count) => Some(count),
    }
}

#[cfg(test)]
mod tests {
    use super::Report;
    use crate::outstanding::Pending;
    use crate::pace::Pace;
    use crate::request::{Answer, Kind};
    use crate::tally::Tally;

    fn report() -> Report {
        let mut tally = Tally::new(0..2_000_000_000).unwrap();
        for number in 0..4_u64 {
            let announce = Pending { due_ns: 10 + number, kind: Kind::Announce, source: 0 };
            tally.add_sent(&announce, 20);
            match number {
                0 => tally.add_given_up(&announce),
                1 => tally.add_answer(&announce, Some(Answer::Refused), 50_010),
                _ => tally.add_answer(&announce, Some(Answer::Announced(10)), 50_010 + number),
            }
        }
        Report { pace: Pace::Rate(2.0), tally }
    }

    #[test]
    fn both_forms_say_the_same() {
        let json = report().json();
        assert_eq!(json["requests"], 4);
        assert_eq!(json["answers"], 2);
        assert_eq!(json["answers_per_sec"], 1.0);
        assert_eq!(json["errors"], 1);
        assert_eq!(json["lost"], 1);
        assert_eq!(json["loss"], 0.25);
        assert_eq!(json["offered_per_sec"], 2.0);
        assert_eq!(json["peers_per_announce"], 10.0);
        assert_eq!(json["kinds"]["announce"]["sent"], 4);
        assert!((49.9..50.1).contains(&json["latency_us"]["p50"].as_f64().unwrap()), "{json}");
        let text = report().text();
        assert!(text.contains(
            "open loop, 2 requests/s, 2.0 s: 4 requests, 2 answers (1/s), 1 errors, 1 lost (25.000 %)"
        ));
        assert!(text.contains("announce  4 sent, 2 answered, 1 refused"), "{text}");
        assert!(!text.contains("doubt"), "{text}");
    }

    #[test]
    fn a_generator_that_cannot_keep_the_rate_says_so() {
        let mut report = report();
        report.tally.never_sent = 4;
        assert!(report.text().contains("doubt: 50.0 % of the requests"), "{}", report.text());
    }
}
