//! Room for the peers of one answer, filled by the store in the form in which they are sent.

use super::peer::Entry;
use tracker_common::wire::{PEER_V4_LEN, PEER_V6_LEN};

/// Room for the peers of an answer; a family without room gets none.
#[derive(Debug)]
pub struct PeersOut<'a> {
    v4: &'a mut [Entry<PEER_V4_LEN>],
    v6: &'a mut [Entry<PEER_V6_LEN>],
    v4_count: usize,
    v6_count: usize,
}

impl<'a> PeersOut<'a> {
    /// Room for as many whole peers as fit each slice: 6 bytes an IPv4 peer, 18 bytes an IPv6 peer.
    pub fn new(v4: &'a mut [u8], v6: &'a mut [u8]) -> Self {
        Self { v4: v4.as_chunks_mut().0, v6: v6.as_chunks_mut().0, v4_count: 0, v6_count: 0 }
    }

    /// The IPv4 peers: 4 bytes address, 2 bytes port, big-endian (BEP 23).
    pub fn v4(&self) -> &[u8] {
        self.v4[..self.v4_count].as_flattened()
    }

    /// The IPv6 peers: 16 bytes address, 2 bytes port, big-endian (BEP 7).
    pub fn v6(&self) -> &[u8] {
        self.v6[..self.v6_count].as_flattened()
    }

    /// Each family with its room, for whoever changes what was drawn.
    pub fn families(&mut self) -> (Family<'_, PEER_V4_LEN>, Family<'_, PEER_V6_LEN>) {
        let v4 = Family { room: &mut *self.v4, count: &mut self.v4_count };
        (v4, Family { room: &mut *self.v6, count: &mut self.v6_count })
    }

    /// Divides `wanted` between the families and returns a slice for each, to be filled whole.
    ///
    /// Each family gets its part of the available peers, and at least a quarter where it has that many.
    pub(super) fn share(
        &mut self,
        wanted: usize,
        available: Available,
    ) -> (&mut [Entry<PEER_V4_LEN>], &mut [Entry<PEER_V6_LEN>]) {
        let (v4, v6) = (available.v4.min(self.v4.len()), available.v6.min(self.v6.len()));
        let both = v4 + v6;
        if both <= wanted {
            (self.v4_count, self.v6_count) = (v4, v6);
        } else {
            let quarter = wanted / 4;
            let everyone = available.v4 + available.v6;
            let in_proportion = (wanted * available.v4 / everyone).clamp(quarter, wanted - quarter);
            let v6_share = (wanted - in_proportion.min(v4)).min(v6);
            (self.v4_count, self.v6_count) = (wanted - v6_share, v6_share);
        }
        (&mut self.v4[..self.v4_count], &mut self.v6[..self.v6_count])
    }
}

/// The peers of one family in an answer, of this many bytes each.
#[derive(Debug)]
pub struct Family<'a, const N: usize> {
    /// Room for peers; those that are given stand at the front.
    pub room: &'a mut [[u8; N]],
    /// How many are given, never more than there is room for.
    pub count: &'a mut usize,
}

/// How many peers of each family an answer could hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Available {
    pub(super) v4: usize,
    pub(super) v6: usize,
}

#[cfg(test)]
mod tests {
    use super::{Available, PeersOut};

    fn shares(wanted: usize, v4: usize, v6: usize) -> (usize, usize) {
        let (mut room_v4, mut room_v6) = ([0; 200 * 6], [0; 200 * 18]);
        let mut out = PeersOut::new(&mut room_v4, &mut room_v6);
        let (v4, v6) = out.share(wanted, Available { v4, v6 });
        (v4.len(), v6.len())
    }

    #[test]
    fn everyone_is_given_when_there_is_room() {
        assert_eq!(shares(50, 20, 30), (20, 30));
        assert_eq!(shares(0, 20, 30), (0, 0));
    }

    #[test]
    fn a_family_gets_at_least_a_quarter_where_it_has_that_many() {
        assert_eq!(shares(40, 10_000, 200), (30, 10));
        assert_eq!(shares(40, 200, 10_000), (10, 30));
        assert_eq!(shares(40, 10_000, 3), (37, 3));
        assert_eq!(shares(40, 3, 10_000), (3, 37));
    }

    #[test]
    fn every_place_is_used_and_none_is_used_twice() {
        for wanted in 0..60 {
            for v4 in 0..80 {
                for v6 in 0..80 {
                    let (given_v4, given_v6) = shares(wanted, v4, v6);
                    assert!(given_v4 <= v4 && given_v6 <= v6);
                    assert_eq!(given_v4 + given_v6, wanted.min(v4 + v6), "{wanted} of {v4} and {v6}");
                }
            }
        }
    }

    #[test]
    fn a_family_without_room_leaves_all_of_it_to_the_other() {
        let mut room = [0; 100 * 6];
        let mut out = PeersOut::new(&mut room, &mut []);
        let (v4, v6) = out.share(50, Available { v4: 80, v6: 80 });
        assert_eq!((v4.len(), v6.len()), (50, 0));
    }
}
