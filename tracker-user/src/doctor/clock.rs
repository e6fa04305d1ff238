//! The clock that the kernel program and the daemon must agree on: connection ids carry the time in which they were
//! made.

use super::finding::{Finding, Hinders};
use super::host::Host;

const AREA: &str = "clock";
const SUBJECT: &str = "time namespace";

/// Whether CLOCK_MONOTONIC, as this process reads it, is the one that the XDP program reads.
pub(super) fn examine(host: &Host) -> Vec<Finding> {
    vec![match host.proc("self/timens_offsets") {
        Some(offsets) => offset(&offsets),
        None => compared_with_init(host),
    }]
}

/// The offsets count from the host's own clock, however deep the namespace lies.
fn offset(offsets: &str) -> Finding {
    let line = offsets.lines().find_map(|line| line.strip_prefix("monotonic"));
    let numbers =
        line.map(|line| line.split_whitespace().map(str::parse::<i64>).collect::<Result<Vec<_>, _>>());
    let Some(Ok(numbers)) = numbers else {
        return Finding::warning(AREA, SUBJECT, "/proc/self/timens_offsets cannot be read");
    };
    match numbers[..] {
        [0, 0] => Finding::ok(AREA, SUBJECT, "this process reads the host's CLOCK_MONOTONIC"),
        [secs, nanos] => shifted(&format!("by {secs} s and {nanos} ns")),
        _ => Finding::warning(AREA, SUBJECT, "/proc/self/timens_offsets cannot be read"),
    }
}

/// Where the offsets are not shown, another namespace than that of process 1 is all that can be seen.
fn compared_with_init(host: &Host) -> Finding {
    match (host.proc_link("self/ns/time"), host.proc_link("1/ns/time")) {
        (Ok(own), Ok(init)) if own == init => {
            Finding::ok(AREA, SUBJECT, "this process shares the clock of process 1")
        }
        (Ok(_), Ok(_)) => shifted("by an unknown offset"),
        (Err(_), _) => Finding::ok(AREA, SUBJECT, "this kernel has none: all read the same clock"),
        (Ok(_), Err(_)) => Finding::warning(AREA, SUBJECT, "cannot be compared with that of process 1")
            .mended_by("ask as root"),
    }
}

fn shifted(by: &str) -> Finding {
    let says = format!(
        "CLOCK_MONOTONIC is shifted {by} here, but the XDP program reads the host's: \
         connection ids of the one would be wrong for the other"
    );
    let mend = "start the tracker outside of the time namespace, or with --mode socket";
    Finding::obstacle(AREA, SUBJECT, Hinders::Xdp, says).mended_by(mend)
}
