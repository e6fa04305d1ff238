//! Memory of 50,000,000 peers of both families in 5,000,000 torrents, and how much of it comes back when all are gone.

use crate::fill::{NOW_SECS, Population, fill, store, sweep_until};
use crate::print;
use tracker_user::peer_store::PeerStore;

const POPULATION: Population = Population { torrents: 5_000_000, peers: 50_000_000, v6_percent: 20 };

pub(crate) fn run() {
    let store = store();
    let start = resident_bytes();
    fill(&store, POPULATION);
    let full = resident_bytes();
    print("memory.peers", POPULATION.peers);
    print("memory.torrents", POPULATION.torrents);
    print("memory.start_bytes", start);
    print("memory.full_bytes", full);
    print("memory.growth_bytes", full.saturating_sub(start));
    print("memory.accounted_bytes", store.pressure().memory_bytes);
    sweep_until(&store, NOW_SECS + 50 * 60);
    PeerStore::give_memory_back();
    assert_eq!(store.totals().peers, 0);
    print("memory.left_bytes", resident_bytes());
    print("memory.left_accounted_bytes", store.pressure().memory_bytes);
}

/// Resident memory of this process, without pages of files.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.expect("/proc/self/status has RssAnon since Linux 4.5") * 1024
}
