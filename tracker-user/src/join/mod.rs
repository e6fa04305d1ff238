//! Joining a cluster: before anything is served, another node is asked for everything that it knows. A connection that breaks
//! is taken up again where it broke; when the time is over, or nobody gives anything, the tracker starts with what there is.

mod fetch;

use crate::config::types::BatchsyncConfig;
use crate::peer_store::Timeouts;
use crate::tracker::Tracker;
use fetch::{Donor, Failure};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The path under which nodes give their state.
pub const PATH: &str = "/cluster/snapshot";
/// The pause before all are asked once more.
const PAUSE: Duration = Duration::from_millis(500);
/// How often all are asked that do not answer or refuse: a node that is being restarted is back by then.
const ROUNDS: u32 = 5;

/// Takes over the state of the first node that gives it.
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
    match asked {
        Ok(Some(donor)) => {
            log::info!("joined: {known} known with those of {donor}, {bytes} bytes in {took} ms")
        }
        Ok(None) => log::warn!("no node of batchsync.cluster.join gives its state: starting with {known}"),
        Err(_) => log::warn!(
            "no node of batchsync.cluster.join has given all of its state in batchsync.cluster.join_timeout_secs \
             ({}): starting with {known}, {bytes} bytes received",
            config.join_timeout_secs
        ),
    }
}

/// Asks one after the other until one has given everything; `None` where none of them gives anything.
async fn ask_all(
    donors: &mut [Donor],
    tracker: &Arc<Tracker>,
    timeouts: Timeouts,
) -> Option<std::net::SocketAddr> {
    let mut fruitless_rounds = 0;
    while fruitless_rounds < ROUNDS {
        fruitless_rounds += 1;
        for donor in &mut *donors {
            let before = donor.bytes();
            match donor.fetch(tracker, timeouts).await {
                Ok(()) => return Some(donor.address()),
                Err(failure) => report(donor, &failure, fruitless_rounds),
            }
            if donor.bytes() > before {
                fruitless_rounds = 0;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

/// Says why a node has not given its state; what is the same in every round, once.
fn report(donor: &Donor, failure: &Failure, round: u32) {
    let (address, parts) = (donor.address(), donor.parts_done());
    match failure {
        Failure::BrokenOff(_) | Failure::Damaged(_) => {
            log::warn!("the state of {address}: {failure}; it goes on behind part {parts}");
        }
        _ if round == 1 => log::warn!("the state of {address}: {failure}"),
        _ => log::debug!("the state of {address}: {failure}"),
    }
}
