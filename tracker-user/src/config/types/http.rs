//! The HTTP workers.

/// Keys under `http.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Worker threads; 0: one per core.
    pub workers: u16,
    /// Seconds until a client should announce again, before jitter; 0: as `tracker.interval_secs` says.
    pub interval_secs: u32,
    /// Open connections of all workers; one more closes the oldest.
    pub max_connections: u32,
    /// Seconds for a whole request to arrive, and for an idle connection to send the next.
    pub request_timeout_secs: u32,
    /// Seconds for a client to take some bytes of an answer.
    pub response_timeout_secs: u32,
    /// The most bytes of a request line and its headers.
    pub max_request_bytes: u32,
    /// Whether full scrapes are served.
    pub full_scrape: bool,
    /// Seconds from one full scrape to the next of the same address; 0: no bound.
    pub full_scrape_interval_secs: u32,
    /// Full scrapes of all workers that run at a time.
    pub full_scrapes_max: u32,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            interval_secs: 0,
            max_connections: 16_384,
            request_timeout_secs: 30,
            response_timeout_secs: 60,
            max_request_bytes: 16_384,
            full_scrape: true,
            full_scrape_interval_secs: 5 * 60,
            full_scrapes_max: 4,
        }
    }
}
