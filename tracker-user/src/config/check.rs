//! What no single value shows: settings that contradict each other. All contradictions are found at once.

use super::draft::Draft;
use super::finding::{Finding, Place};
use super::types::Listen;

/// The least time for which a client may use a connection id (BEP 15: one minute, and one more for its answer).
const BEP_15_LIFETIME_SECS: u32 = 120;

/// Every contradiction in a draft.
pub(super) fn check(draft: &Draft) -> Vec<Finding> {
    let checks = [intervals, peers_wanted, connection_ids, workers];
    let mut findings = addresses_listed_twice(draft);
    findings.extend(checks.iter().flat_map(|check| check(draft)));
    findings
}

/// An address could be bound once only, or two sockets would share its packets in secret.
fn addresses_listed_twice(draft: &Draft) -> Vec<Finding> {
    let listen: Vec<_> = draft.listen_with_places().collect();
    let same =
        |one: &Listen, other: &Listen| one.transport == other.transport && one.address == other.address;
    let repeats = listen.iter().enumerate().filter_map(|(index, (repeated, place))| {
        let fixed_port = repeated.address.port() != 0;
        let (_, first_place) =
            listen[..index].iter().find(|(earlier, _)| fixed_port && same(earlier, repeated))?;
        let transport = format!("{:?}", repeated.transport).to_lowercase();
        let what = format!("{} is listed before ({first_place})", repeated.address);
        Some(Finding::error(place, &format!("listen.{transport}"), what).mended_by("take one of them out"))
    });
    repeats.collect()
}

fn intervals(draft: &Draft) -> Vec<Finding> {
    let tracker = &draft.config.tracker;
    let (interval, jitter) = (tracker.interval_secs, tracker.interval_jitter_secs);
    let mut findings = Vec::new();
    if jitter >= interval {
        let names = ["tracker.interval_jitter_secs", "tracker.interval_secs"];
        let what = format!("a jitter of {jitter} s would turn an interval of {interval} s into none");
        findings.push(
            disagreement(draft, &names, what).mended_by(format!("set {} below {}", names[0], names[1])),
        );
    }
    let longest = u64::from(interval) + u64::from(jitter);
    if u64::from(tracker.peer_timeout_secs) <= longest {
        let names = ["tracker.peer_timeout_secs", "tracker.interval_secs", "tracker.interval_jitter_secs"];
        let what = format!(
            "peers would be forgotten after {} s, while they announce as rarely as every {longest} s",
            tracker.peer_timeout_secs
        );
        let finding = disagreement(draft, &names, what);
        findings.push(finding.mended_by(format!("set {} above the sum of the other two", names.join(", "))));
    }
    findings
}

fn peers_wanted(draft: &Draft) -> Vec<Finding> {
    let tracker = &draft.config.tracker;
    if tracker.peers_wanted_default <= tracker.peers_wanted_max {
        return Vec::new();
    }
    let names = ["tracker.peers_wanted_default", "tracker.peers_wanted_max"];
    let what = format!(
        "{} peers without asking are more than the {} that a client can ask for",
        tracker.peers_wanted_default, tracker.peers_wanted_max
    );
    vec![
        disagreement(draft, &names, what).mended_by(format!("set {} to no more than {}", names[0], names[1])),
    ]
}

fn connection_ids(draft: &Draft) -> Vec<Finding> {
    let (lifetime, rotation) =
        (draft.config.udp.connection_id_lifetime_secs, draft.config.udp.connection_id_rotation_secs);
    let names = ["udp.connection_id_lifetime_secs", "udp.connection_id_rotation_secs"];
    let mut findings = Vec::new();
    if lifetime > rotation {
        // Two keys are kept: an id outlives one rotation and dies with the second.
        let what = format!(
            "ids that should hold {lifetime} s would lose their key, which changes every {rotation} s"
        );
        findings.push(
            disagreement(draft, &names, what)
                .mended_by(format!("set {} to no more than {}", names[0], names[1])),
        );
    }
    if lifetime < BEP_15_LIFETIME_SECS {
        let what = format!("clients count on {BEP_15_LIFETIME_SECS} s (BEP 15), found {lifetime} s");
        findings.push(disagreement(draft, &names[..1], what).as_warning());
    }
    findings
}

fn workers(draft: &Draft) -> Vec<Finding> {
    let running = draft.config.udp.workers;
    let too_many = |listen: &Listen| listen.udp_workers.filter(|workers| running != 0 && *workers > running);
    let findings = draft.listen_with_places().filter_map(|(listen, place)| {
        let what = format!("{} should have {} workers of {running}", listen.address, too_many(listen)?);
        Some(
            Finding::error(place, "listen.udp", what)
                .as_warning()
                .mended_by("udp.workers says how many there are"),
        )
    });
    findings.collect()
}

/// An error at the first of the settings that was given: the others have their defaults.
fn disagreement(draft: &Draft, names: &[&str], what: String) -> Finding {
    let given = names.iter().find_map(|name| Some((*name, draft.place_of(name)?)));
    let (name, place) = given.unwrap_or((names.first().copied().unwrap_or_default(), &Place::CommandLine));
    Finding::error(place, name, what)
}
