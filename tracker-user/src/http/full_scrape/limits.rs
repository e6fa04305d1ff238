//! Who may have a full scrape, and when: it is the one answer that costs more than its question by orders of magnitude.

use crate::clock::Now;
use crate::config::types::HttpConfig;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Addresses that are remembered; beyond, the oldest is forgotten.
const REMEMBERED: usize = 65_536;
/// Seconds after which it may be worth trying again where others are being served.
const BUSY_SECS: u32 = 60;
/// An IPv6 site can choose among as many addresses as it likes.
const IPV6_PREFIX: u128 = !0 << 64;

/// The full scrapes of all workers.
#[derive(Debug)]
pub(in crate::http) struct FullScrapes {
    most: u32,
    interval_secs: u32,
    state: Mutex<State>,
    sent: Sent,
}

#[derive(Debug, Default)]
struct State {
    running: u32,
    /// When each address was last served, in seconds of the host's uptime.
    last: HashMap<IpAddr, u32>,
}

/// What has become of full scrapes.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) whole: AtomicU64,
    pub(super) cut_off: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// Why a full scrape must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum TooMany {
    /// This address had one; there will be another after so many seconds.
    FromAddress(u32),
    /// As many as there may be are running.
    AtOnce,
}

impl TooMany {
    /// Seconds to wait.
    pub(in crate::http) const fn retry_secs(self) -> u32 {
        match self {
            Self::FromAddress(secs) => secs,
            Self::AtOnce => BUSY_SECS,
        }
    }
}

/// The place of one full scrape among those that run; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place(Arc<FullScrapes>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
    }
}

impl Place {
    pub(super) fn sent(&self) -> &Sent {
        &self.0.sent
    }
}

impl FullScrapes {
    /// None so far.
    pub(in crate::http) fn new(config: &HttpConfig) -> Self {
        Self {
            most: config.full_scrapes_max,
            interval_secs: config.full_scrape_interval_secs,
            state: Mutex::default(),
            sent: Sent::default(),
        }
    }

    /// A place for a client, which counts as served from then on.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr, now: Now) -> Result<Place, TooMany> {
        let (key, now_secs) = (site(client), now.seconds());
        let mut state = self.state.lock();
        if let Some(last) = state.last.get(&key) {
            let since = now_secs.saturating_sub(*last);
            if since < self.interval_secs {
                return Err(TooMany::FromAddress(self.interval_secs - since));
            }
        }
        if state.running >= self.most {
            return Err(TooMany::AtOnce);
        }
        if self.interval_secs > 0 {
            state.remember(key, now_secs, self.interval_secs);
        }
        state.running += 1;
        Ok(Place(Arc::clone(self)))
    }

    /// Full scrapes that run, that were sent whole, that were cut off, and the bytes sent in those that have ended.
    pub(in crate::http) fn figures(&self) -> [u64; 4] {
        let Sent { whole, cut_off, bytes } = &self.sent;
        let [whole, cut_off, bytes] = [whole, cut_off, bytes].map(|figure| figure.load(Ordering::Relaxed));
        [u64::from(self.state.lock().running), whole, cut_off, bytes]
    }
}

impl State {
    fn remember(&mut self, key: IpAddr, now_secs: u32, interval_secs: u32) {
        if self.last.len() >= REMEMBERED {
            self.last.retain(|_, last| now_secs.saturating_sub(*last) < interval_secs);
        }
        if self.last.len() >= REMEMBERED
            && let Some(oldest) = self.last.iter().min_by_key(|(_, last)| **last).map(|(key, _)| *key)
        {
            self.last.remove(&oldest);
        }
        self.last.insert(key, now_secs);
    }
}

/// The address of a client, or for IPv6 its network of 64 bits.
fn site(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(client) => client.into(),
        IpAddr::V6(client) => Ipv6Addr::from_bits(client.to_bits() & IPV6_PREFIX).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{FullScrapes, REMEMBERED, TooMany};
    use crate::clock::Now;
    use crate::config::types::HttpConfig;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    fn scrapes(full_scrapes_max: u32, full_scrape_interval_secs: u32) -> Arc<FullScrapes> {
        let config = HttpConfig { full_scrapes_max, full_scrape_interval_secs, ..HttpConfig::default() };
        Arc::new(FullScrapes::new(&config))
    }

    fn refusal(scrapes: &Arc<FullScrapes>, client: &str, now_secs: u32) -> Option<TooMany> {
        scrapes.admit(client.parse().unwrap(), Now::from_seconds(now_secs)).err()
    }

    #[test]
    fn an_address_waits_out_the_interval() {
        let scrapes = scrapes(4, 300);
        assert_eq!(refusal(&scrapes, "192.0.2.1", 1000), None);
        assert_eq!(refusal(&scrapes, "192.0.2.1", 1299), Some(TooMany::FromAddress(1)));
        // A refusal does not begin the interval again.
        assert_eq!(refusal(&scrapes, "::ffff:192.0.2.1", 1299), Some(TooMany::FromAddress(1)));
        assert_eq!(refusal(&scrapes, "192.0.2.2", 1299), None);
        assert_eq!(refusal(&scrapes, "192.0.2.1", 1300), None);
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_address() {
        let scrapes = scrapes(4, 300);
        assert_eq!(refusal(&scrapes, "2001:db8::1", 1), None);
        assert_eq!(refusal(&scrapes, "2001:db8::ffff:0:0:2", 1), Some(TooMany::FromAddress(300)));
        assert_eq!(refusal(&scrapes, "2001:db8:0:1::1", 1), None);
    }

    #[test]
    fn without_an_interval_nobody_waits() {
        let scrapes = scrapes(4, 0);
        assert!((0..10).all(|_| refusal(&scrapes, "192.0.2.1", 1).is_none()));
    }

    #[test]
    fn so_many_run_at_once_and_no_more() {
        let scrapes = scrapes(2, 300);
        let admit = |client: u32| scrapes.admit(IpAddr::V4(client.into()), Now::from_seconds(1));
        let (first, second) = (admit(1).unwrap(), admit(2).unwrap());
        assert_eq!(admit(3).err(), Some(TooMany::AtOnce));
        drop(first);
        // Who was turned away because of others does not wait for the interval.
        assert!(admit(3).is_ok());
        drop(second);
        assert_eq!(scrapes.figures()[0], 0);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let scrapes = scrapes(1, 300);
        let admit = |client: usize, now_secs| {
            scrapes.admit(Ipv4Addr::from(client as u32).into(), Now::from_seconds(now_secs)).err()
        };
        assert_eq!(admit(0, 999), None);
        assert!((1..=REMEMBERED).all(|client| admit(client, 1000).is_none()));
        assert_eq!(scrapes.state.lock().last.len(), REMEMBERED);
        assert_eq!(admit(REMEMBERED, 1000), Some(TooMany::FromAddress(300)));
        assert_eq!(admit(0, 1000), None);
        assert_eq!(admit(0, 1300), None);
        assert_eq!(scrapes.state.lock().last.len(), 1);
    }
}
