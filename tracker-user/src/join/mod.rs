//! Joining a cluster: before anything is served, other nodes are asked for everything that they know. A connection that breaks
//! is taken up again where it broke; when the time is over, or nobody gives anything, the tracker starts with what there is.

mod fetch;

use crate::config::types::BatchsyncConfig;
use crate::peer_store::Timeouts;
use crate::tracker::Tracker;
use fetch::{Donor, Standing};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The path under which nodes give their state.
pub const PATH: &str = "/cluster/snapshot";
/// The pause before those are asked once more that have not given everything.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes over the state of all nodes that give it: one that has just started knows little, and of two words on a peer the
/// later counts.
pub async fn join(config: &BatchsyncConfig, tracker: &Arc<Tracker>, timeouts: Timeouts) {
    if config.join.is_empty() {
        return;
    }
    let (begun, limit) = (Instant::now(), Duration::from_secs(u64::from(config.join_timeout_secs)));
    let mut donors: Vec<Donor> = config.join.iter().map(|address| Donor::new(*address)).collect();
    let asked = tokio::time::timeout(limit, ask_all(&mut donors, tracker, timeouts)).await;
    let (totals, took) = (tracker.store().totals(), begun.elapsed().as_millis());
    let bytes: u64 = donors.iter().map(Donor::bytes).sum();
    let known = format!("{} torrents and {} peers", totals.torrents, totals.peers);
    let (given, others): (Vec<_>, Vec<_>) =
        donors.iter().partition(|donor| donor.standing() == Standing::Given);
    let limit = format!("batchsync.cluster.join_timeout_secs ({})", config.join_timeout_secs);
    match (asked, given.is_empty()) {
        (Ok(()), true) => {
            log::warn!("no node of batchsync.cluster.join gives its state: starting with {known}");
        }
        (Ok(()), false) => {
            log::info!("joined: {known} known with those of {}, {bytes} bytes in {took} ms", list(&given));
        }
        (Err(_), true) => log::warn!(
            "no node of batchsync.cluster.join has given all of its state in {limit}: starting with {known}, {bytes} bytes \
             received"
        ),
        (Err(_), false) => log::warn!(
            "joined: {known} known with those of {}, {bytes} bytes; {} did not give all of it in {limit}",
            list(&given),
            list(&others)
        ),
    }
}

fn list(donors: &[&Donor]) -> String {
    let addresses: Vec<_> = donors.iter().map(|donor| donor.address().to_string()).collect();
    addresses.join(", ")
}

/// Asks one after the other, again and again, until there is nothing more to be waited for.
async fn ask_all(donors: &mut [Donor], tracker: &Arc<Tracker>, timeouts: Timeouts) {
    let mut complaints = Complaints::default();
    loop {
        for donor in &mut *donors {
            if is_done(donor.standing()) {
                continue;
            }
            if let Err(failure) = donor.fetch(tracker, timeouts).await {
                complaints.hear(donor, failure.to_string());
            }
        }
        // Those that may never come are not worth the time where others have given what they know.
        let is_enough = donors.iter().any(Donor::has_enriched);
        let is_over = |standing| is_done(standing) || standing == Standing::Away && is_enough;
        if donors.iter().all(|donor| is_over(donor.standing())) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

const fn is_done(standing: Standing) -> bool {
    matches!(standing, Standing::Given | Standing::Refused)
}

/// Why nodes have not given their state, as far as it has been said: what is the same in every round, once.
#[derive(Default)]
struct Complaints(HashMap<SocketAddr, String>);

impl Complaints {
    fn hear(&mut self, donor: &Donor, mut failure: String) {
        let (address, parts) = (donor.address(), donor.parts_done());
        match donor.standing() {
            Standing::Refused => {}
            _ if parts == 0 => failure.push_str("; it is asked again"),
            _ => failure.push_str(&format!("; it goes on behind part {parts}")),
        }
        if self.0.get(&address) != Some(&failure) {
            log::warn!("the state of {address}: {failure}");
            self.0.insert(address, failure);
        }
    }
}
