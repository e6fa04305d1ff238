//! How the tracker fares, for the JSON of the statistics and for operators: what the store holds of what it may, and when
//! clients are told to come back.

use crate::http::Service;
use crate::peer_store::{Limits, Pressure};
use crate::tracker::{Protocol, Tracker};
use serde::Serialize;

/// The store against its limits; of these 0 is none.
#[derive(Serialize)]
pub(in crate::http) struct StoreFigures {
    memory_bytes: u64,
    max_memory_bytes: u64,
    max_peers: u64,
    max_torrents: u64,
    torrents_per_source: u32,
    ports_per_source: u16,
    evicted_peers: u64,
    evicted_torrents: u64,
    refused_by_source_limit: u64,
    refused_for_room: u64,
}

impl StoreFigures {
    pub(in crate::http) fn of(tracker: &Tracker) -> Self {
        let Limits { max_memory_bytes, max_peers, max_torrents, torrents_per_source, ports_per_source } =
            *tracker.limits();
        let Pressure {
            evicted_peers,
            evicted_torrents,
            refused_by_source_limit,
            refused_for_room,
            memory_bytes,
            ..
        } = tracker.store().pressure();
        Self {
            memory_bytes,
            max_memory_bytes,
            max_peers,
            max_torrents,
            torrents_per_source,
            ports_per_source,
            evicted_peers,
            evicted_torrents,
            refused_by_source_limit,
            refused_for_room,
        }
    }
}

/// Announce intervals as they are now, before jitter, and what stretches them.
#[derive(Serialize)]
pub(in crate::http) struct IntervalFigures {
    udp_secs: u32,
    http_secs: u32,
    stretch_percent: u32,
    /// Connections that were closed for another one.
    connections_closed_for_room: u64,
}

impl IntervalFigures {
    pub(in crate::http) fn of(service: &Service) -> Self {
        let tracker = &service.tracker;
        Self {
            udp_secs: tracker.interval_secs(Protocol::Udp),
            http_secs: tracker.interval_secs(Protocol::Http),
            stretch_percent: tracker.interval_stretch_percent(),
            connections_closed_for_room: service.counters.closed_for_room(),
        }
    }
}
