//! What no single value shows: settings that contradict each other. All contradictions are found at once.

mod nats;

use super::draft::Draft;
use super::finding::Finding;
use super::types::{Listen, LogLevel, TrackerConfig};

/// The least time for which a client may use a connection id (BEP 15: one minute, and one more for its answer).
const BEP_15_LIFETIME_SECS: u32 = 120;

/// How far apart the clocks of nodes that share keys of connection ids may be, with the slots by which a lifetime is rounded up.
const CLOCK_SKEW_SECS: u32 = 60;

/// Every contradiction in a draft.
pub(super) fn check(draft: &Draft) -> Vec<Finding> {
    let checks = [
        intervals,
        stretched_intervals,
        refused_addresses,
        peers_wanted,
        connection_ids,
        workers,
        lists,
        fifos,
        refused_log,
        state_files,
        livesync,
        nats::check,
    ];
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
        Some(Finding::error(place, &format!("listen.{transport}"), what).mended_by("remove one of them"))
    });
    repeats.collect()
}

fn intervals(draft: &Draft) -> Vec<Finding> {
    let config = &draft.config;
    let own =
        [("udp.interval_secs", config.udp.interval_secs), ("http.interval_secs", config.http.interval_secs)];
    // 0 is that of both, which comes first.
    let own = own.into_iter().filter(|(_, secs)| *secs != 0);
    let all = [("tracker.interval_secs", config.tracker.interval_secs)].into_iter().chain(own);
    all.flat_map(|(name, interval)| interval_findings(draft, name, interval)).collect()
}

fn interval_findings(draft: &Draft, name: &str, interval: u32) -> Vec<Finding> {
    let tracker = &draft.config.tracker;
    let jitter = tracker.interval_jitter_secs;
    let mut findings = Vec::new();
    if jitter >= interval {
        findings.extend(disagreement(
            draft,
            &["tracker.interval_jitter_secs", name],
            format!("a jitter of {jitter} s would turn an interval of {interval} s into none"),
            &format!("set tracker.interval_jitter_secs below {name}"),
        ));
    }
    let longest = u64::from(interval) + u64::from(jitter);
    let timeout = tracker.peer_timeout_secs;
    if u64::from(timeout) <= longest {
        findings.extend(disagreement(
            draft,
            &["tracker.peer_timeout_secs", name, "tracker.interval_jitter_secs"],
            format!("peers are forgotten after {timeout} s, but announce as rarely as every {longest} s"),
            &format!("set tracker.peer_timeout_secs above {name} and its jitter together"),
        ));
    }
    findings
}

/// An overloaded tracker does not stretch intervals beyond the time for which it remembers peers. The default is for as much as
/// that allows.
fn stretched_intervals(draft: &Draft) -> Vec<Finding> {
    let config = &draft.config;
    let (wanted, reached) = (config.tracker.interval_stretch_max_percent, config.stretch_most_percent());
    if reached >= u32::from(wanted) || wanted == TrackerConfig::default().interval_stretch_max_percent {
        return Vec::new();
    }
    let (timeout, most) = (config.tracker.peer_timeout_secs, config.stretched_interval_most_secs());
    let what = format!(
        "peers are forgotten after {timeout} s, so that no interval is stretched beyond {most} s, which is {reached} %"
    );
    let remedy = "set a longer tracker.peer_timeout_secs, or a stretch that fits";
    let finding = disagreement(draft, &["tracker.interval_stretch_max_percent"], what, remedy);
    finding.map(Finding::as_warning).into_iter().collect()
}

/// Who comes over the loopback interface is no peer for anybody else.
fn refused_addresses(draft: &Draft) -> Vec<Finding> {
    let config = &draft.config;
    let is_reached_from_outside = |listen: &Listen| !listen.address.ip().is_loopback();
    let comes_from_outside =
        config.listeners().iter().any(is_reached_from_outside) || !config.access.proxy.is_empty();
    if !config.store.refuse_bogons || comes_from_outside {
        return Vec::new();
    }
    let what = "all listen addresses are loopback addresses, so every announce would be refused".to_owned();
    let remedy = "listen on another address, name the access.proxy in front, or set it to false";
    let finding = disagreement(draft, &["store.refuse_bogons"], what, remedy);
    finding.map(Finding::as_warning).into_iter().collect()
}

fn peers_wanted(draft: &Draft) -> Vec<Finding> {
    let (default, max) = (draft.config.tracker.peers_wanted_default, draft.config.tracker.peers_wanted_max);
    if default <= max {
        return Vec::new();
    }
    let names = ["tracker.peers_wanted_default", "tracker.peers_wanted_max"];
    let what = format!("a client that does not ask would get {default} peers, one that asks at most {max}");
    let remedy = "set tracker.peers_wanted_default to no more than tracker.peers_wanted_max";
    disagreement(draft, &names, what, remedy).into_iter().collect()
}

fn connection_ids(draft: &Draft) -> Vec<Finding> {
    let udp = &draft.config.udp;
    let (lifetime, rotation) = (udp.connection_id_lifetime_secs, udp.connection_id_rotation_secs);
    let names = ["udp.connection_id_lifetime_secs", "udp.connection_id_rotation_secs"];
    let mut findings = Vec::new();
    if lifetime > rotation {
        // Two keys are kept: an id outlives one rotation and dies with the second.
        findings.extend(disagreement(
            draft,
            &names,
            format!("ids hold for {lifetime} s, but their keys change every {rotation} s"),
            "set udp.connection_id_lifetime_secs to no more than udp.connection_id_rotation_secs",
        ));
    }
    let least = (lifetime + CLOCK_SKEW_SECS) * 2;
    if udp.connection_id_key_file.is_some() && lifetime <= rotation && rotation < least {
        // From the middle of a period on, the key of the next takes the place of that of the one before.
        let what = format!(
            "nodes that share keys need {least} s from one key to the next for ids that hold for {lifetime} s, not {rotation} s"
        );
        let names = [names[1], names[0], "udp.connection_id_key_file"];
        let remedy = format!("set udp.connection_id_rotation_secs to {least} or more, on all nodes");
        findings.extend(disagreement(draft, &names, what, &remedy));
    }
    if lifetime < BEP_15_LIFETIME_SECS {
        let what =
            format!("ids hold for {lifetime} s, but clients count on {BEP_15_LIFETIME_SECS} s (BEP 15)");
        let finding = disagreement(draft, &names[..1], what, "set it to 120 or more");
        findings.extend(finding.map(Finding::as_warning));
    }
    findings
}

fn workers(draft: &Draft) -> Vec<Finding> {
    let running = draft.config.udp.workers;
    let too_many = |listen: &Listen| listen.udp_workers.filter(|workers| running != 0 && *workers > running);
    let findings = draft.listen_with_places().filter_map(|(listen, place)| {
        let what = format!("{} should have {} workers of {running}", listen.address, too_many(listen)?);
        let finding = Finding::error(place, "listen.udp", what).as_warning();
        Some(finding.mended_by("udp.workers says how many there are"))
    });
    findings.collect()
}

/// Listed torrents would be both the only ones that are served and those that are not.
fn lists(draft: &Draft) -> Vec<Finding> {
    let access = &draft.config.access;
    let (Some(whitelist), Some(blacklist)) = (&access.whitelist, &access.blacklist) else {
        return Vec::new();
    };
    let what = format!("there is a whitelist ({whitelist:?}) and a blacklist ({blacklist:?})");
    let names = ["access.blacklist", "access.whitelist"];
    disagreement(draft, &names, what, "remove one of them").into_iter().collect()
}

/// What comes through a FIFO changes the list that there is.
fn fifos(draft: &Draft) -> Vec<Finding> {
    let access = &draft.config.access;
    if access.whitelist.is_some() || access.blacklist.is_some() {
        return Vec::new();
    }
    let given = [("access.fifo_add", &access.fifo_add), ("access.fifo_delete", &access.fifo_delete)];
    let given = given.into_iter().filter(|(_, path)| path.is_some());
    let findings = given.filter_map(|(name, _)| {
        let lists = [name, "access.whitelist", "access.blacklist"];
        let remedy = "name an access.whitelist or access.blacklist; the file may be empty";
        disagreement(draft, &lists, "there is no list for it to change".to_owned(), remedy)
    });
    findings.collect()
}

/// One would be written over the other.
fn state_files(draft: &Draft) -> Vec<Finding> {
    let state = &draft.config.state;
    let files =
        [("state.snapshot", &state.snapshot), ("state.export", &state.export), ("state.load", &state.load)];
    let findings = files.iter().enumerate().flat_map(|(index, (name, path))| {
        let same = files[index + 1..].iter().filter(move |(_, other)| path.is_some() && path == other);
        same.filter_map(move |(other, _)| {
            let what = format!("{other} is the same file");
            disagreement(draft, &[name, other], what, "name another file for one of them")
        })
    });
    findings.collect()
}

/// What is to be written must not be kept back by the level.
fn refused_log(draft: &Draft) -> Vec<Finding> {
    let config = &draft.config;
    if !config.log_refused || matches!(config.log_level, LogLevel::Info | LogLevel::Debug) {
        return Vec::new();
    }
    let what = format!(
        "refused announces are written at level info, which log.level {} leaves out",
        config.log_level.name()
    );
    let finding = disagreement(draft, &["log.refused"], what, "set log.level to info");
    finding.map(Finding::as_warning).into_iter().collect()
}

/// A group of the family of our address, and somebody to believe.
fn livesync(draft: &Draft) -> Vec<Finding> {
    let livesync = &draft.config.livesync;
    let listen_and_others =
        ["livesync.cluster.listen", "livesync.cluster.node_ip", "livesync.cluster.key_file"];
    let Some(listen) = livesync.listen else {
        let given = ["livesync.cluster.node_ip", "livesync.cluster.key_file"];
        // Keys seal what goes through NATS as well.
        let given = if draft.config.sync.nats.is_empty() { &given[..] } else { &given[..1] };
        let what = "livesync is off, so this has no effect".to_owned();
        let finding = disagreement(draft, given, what, "set livesync.cluster.listen, or give -s PORT");
        return finding.map(Finding::as_warning).into_iter().collect();
    };
    let mut findings = Vec::new();
    if listen.is_ipv4() != livesync.group.is_ipv4() {
        let what = format!("{listen} cannot be in the group {}, which is of another family", livesync.group);
        let names = ["livesync.cluster.group", "livesync.cluster.listen"];
        let remedy = "name a group of the same family, such as 224.0.42.23 or ff05::9696";
        findings.extend(disagreement(draft, &names, what, remedy));
    }
    if listen.port() == 0 {
        let what = "all nodes of a cluster have the same port, and 0 is none".to_owned();
        findings.extend(disagreement(draft, &listen_and_others[..1], what, "name a port, such as 9696"));
    }
    if livesync.node_ip.is_empty() && livesync.key_file.is_none() {
        let what = "this node tells others of its peers, but believes nobody".to_owned();
        let remedy = "set livesync.cluster.node_ip to the networks of the other nodes";
        let finding = disagreement(draft, &listen_and_others, what, remedy);
        findings.extend(finding.map(Finding::as_warning));
    }
    findings
}

/// An error at the first of the settings that was given: the others have their defaults.
///
/// None if one of them was refused: what it will be is not known.
fn disagreement(draft: &Draft, names: &[&str], what: String, remedy: &str) -> Option<Finding> {
    if names.iter().any(|name| draft.was_refused(name)) {
        return None;
    }
    let (name, place) = names.iter().find_map(|name| Some((name, draft.place_of(name)?)))?;
    Some(Finding::error(place, name, what).mended_by(remedy))
}
