//! Which request comes next, and the connection ids that the sources have.

use crate::population::{Family, Peers, Population};
use crate::request::{ConnectionId, Kind, Request};
use fastrand::Rng;

/// For how long a client goes on with a connection id (BEP 15: one minute).
const ID_LIFETIME_NS: u64 = 60_000_000_000;

/// How often each kind of request is drawn, in relation to the others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights(pub(crate) [f64; Kind::ALL.len()]);

/// The connection id of each source, and when it came.
pub(crate) struct Connections(Vec<Option<(ConnectionId, u64)>>);

impl Connections {
    pub(crate) fn new(sources: u32) -> Self {
        Self(vec![None; sources as usize])
    }

    /// Keeps the id that a source was given.
    pub(crate) fn set(&mut self, source: u32, id: ConnectionId, now_ns: u64) {
        if let Some(connection) = self.0.get_mut(source as usize) {
            *connection = Some((id, now_ns));
        }
    }

    /// The id of a source, whatever its age; zeros if it has none.
    pub(crate) fn id(&self, source: u32) -> ConnectionId {
        self.0.get(source as usize).copied().flatten().map_or([0; 8], |(id, _)| id)
    }

    /// Whether a source has an id that a client would still use.
    pub(crate) fn is_connected(&self, source: u32, now_ns: u64) -> bool {
        let connection = self.0.get(source as usize).copied().flatten();
        connection.is_some_and(|(_, since_ns)| now_ns.saturating_sub(since_ns) < ID_LIFETIME_NS)
    }

    /// The sources that have no id.
    pub(crate) fn missing(&self) -> Vec<u32> {
        let unconnected = self.0.iter().enumerate().filter(|(_, connection)| connection.is_none());
        unconnected.map(|(source, _)| source as u32).collect()
    }
}

/// Draws requests.
pub(crate) struct Draw {
    weights: Weights,
    /// One or two families, and the share of the requests that go to the last.
    families: Vec<Peers>,
    v6_share: f64,
    random: Rng,
}

impl Draw {
    /// Of these kinds and families, in an order that the seed decides.
    pub(crate) fn new(weights: Weights, families: Vec<Peers>, v6_share: f64, seed: u64) -> Self {
        let sum: f64 = weights.0.iter().sum();
        let weights = Weights(weights.0.map(|weight| weight / sum.max(f64::MIN_POSITIVE)));
        Self { weights, families, v6_share, random: Rng::with_seed(seed) }
    }

    /// The families, each with its peers.
    pub(crate) fn families(&self) -> &[Peers] {
        &self.families
    }

    /// The family of a source.
    pub(crate) fn family(&self, source: u32) -> Family {
        let peers = self.families.iter().find(|peers| peers.sources.contains(&source));
        peers.map_or(Family::V4, |peers| peers.family)
    }

    /// A source, for all requests of a batch.
    pub(crate) fn source(&mut self) -> u32 {
        let sources = self.draw_family().sources.clone();
        self.random.u32(sources)
    }

    /// The next request, of this source if one is given. A source without an id that is still good connects instead of
    /// what it was to do.
    pub(crate) fn request(
        &mut self,
        source: Option<u32>,
        population: &Population,
        connections: &Connections,
        now_ns: u64,
    ) -> Request {
        let source = source.unwrap_or_else(|| self.source());
        let drawn = self.kind();
        let kind = if connections.is_connected(source, now_ns) { drawn } else { Kind::Connect };
        let random = self.random.u64(..);
        let peers = self.families.iter().find(|peers| peers.sources.contains(&source));
        let number = peers.map_or(0, |peers| peers.of_source(source, random));
        Request { kind, source, peer: population.peer(number), is_first: false }
    }

    fn draw_family(&mut self) -> &Peers {
        let is_last = self.families.len() > 1 && self.random.f64() < self.v6_share;
        let place = if is_last { self.families.len() - 1 } else { 0 };
        &self.families[place]
    }

    fn kind(&mut self) -> Kind {
        let mut rest = self.random.f64();
        for kind in Kind::ALL {
            rest -= self.weights.0[kind as usize];
            if rest < 0.0 {
                return kind;
            }
        }
        // What is left by rounding.
        Kind::Announce
    }
}

#[cfg(test)]
mod tests {
    use super::{Connections, Draw, Weights};
    use crate::population::{Family, Peers, Population};
    use crate::request::Kind;

    fn draw(weights: [f64; 5]) -> Draw {
        let families = vec![
            Peers { family: Family::V4, sources: 0..4, count: 1000 },
            Peers { family: Family::V6, sources: 4..8, count: 500 },
        ];
        Draw::new(Weights(weights), families, 0.25, 5)
    }

    const POPULATION: Population = Population { torrents: 100, seed: 1, seeders: 0.5 };

    fn connected() -> Connections {
        let mut connections = Connections::new(8);
        (0..8).for_each(|source| connections.set(source, [1; 8], 1000));
        connections
    }

    #[test]
    fn kinds_and_families_come_in_their_shares() {
        let mut draw = draw([50.0, 40.0, 5.0, 3.0, 2.0]);
        let (mut kinds, mut v6) = ([0; 5], 0);
        for _ in 0..100_000 {
            let request = draw.request(None, &POPULATION, &connected(), 1000);
            kinds[request.kind as usize] += 1;
            v6 += u32::from(draw.family(request.source) == Family::V6);
        }
        for (count, percent) in kinds.iter().zip([50, 40, 5, 3, 2]) {
            assert!((percent * 1000 - 600..percent * 1000 + 600).contains(count), "{kinds:?}");
        }
        assert!((24_000..26_000).contains(&v6), "{v6}");
    }

    #[test]
    fn a_source_without_a_fresh_id_connects_first() {
        let mut draw = draw([0.0, 1.0, 0.0, 0.0, 0.0]);
        let mut connections = Connections::new(8);
        assert_eq!(connections.missing().len(), 8);
        let kind = |draw: &mut Draw, connections: &Connections, now_ns| {
            draw.request(Some(3), &POPULATION, connections, now_ns).kind
        };
        assert_eq!(kind(&mut draw, &connections, 0), Kind::Connect);
        connections.set(3, [9; 8], 0);
        assert_eq!(connections.id(3), [9; 8]);
        assert_eq!(kind(&mut draw, &connections, 59_000_000_000), Kind::Announce);
        assert_eq!(kind(&mut draw, &connections, 60_000_000_000), Kind::Connect);
    }
}
