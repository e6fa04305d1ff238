//! The form of an announce and of its answer.

use crate::tracker::{Tracker, row, rules};
use std::net::IpAddr;
use tracker_tests::udp_client::{AnnounceRequest, INFO_HASH};

rules! {
    an_announce_is_98_bytes,
    every_shorter_announce_is_met_with_silence_and_stores_nothing,
    bytes_of_any_shape_behind_an_announce_do_no_harm,
    the_answer_is_20_bytes_and_whole_peers,
    the_interval_is_one_that_clients_keep,
    a_port_is_handed_out_in_network_order,
    the_ip_field_is_not_believed,
    info_hashes_of_any_value_are_torrents,
    counters_of_any_value_are_taken,
    events_4_and_unknown_ones_are_ordinary_announces,
}

fn an_announce_is_98_bytes(tracker: &Tracker) {
    let mut session = tracker.session();
    let payload = session.leecher(6881).payload();
    assert_eq!(payload.len(), 98);
    assert_eq!(session.client.ask(&payload).len(), 20);
    assert_eq!(session.row(), row(0, 0, 1));
}

fn every_shorter_announce_is_met_with_silence_and_stores_nothing(tracker: &Tracker) {
    let mut session = tracker.session();
    let payload = session.leecher(6881).payload();
    for length in 16..98 {
        session.client.expect_silence(&payload[..length]);
    }
    tracker.assert_verdicts(&["announce_too_short"], 98 - 16);
    assert_eq!(tracker.peers(), 0);
}

fn bytes_of_any_shape_behind_an_announce_do_no_harm(tracker: &Tracker) {
    let mut session = tracker.session();
    let url = |length: u8| [&[2, length][..], &b"/announce"[..]].concat();
    let tails = [
        vec![0],
        vec![1; 100],
        vec![2],
        url(9),
        [url(9), vec![0]].concat(),
        url(255),
        url(0),
        vec![2, 255],
        vec![0xff; 1400 - 98],
        vec![0; 1400],
        [vec![2, 255], vec![b'/'; 255]].concat().repeat(5),
    ];
    for options in tails {
        let request = AnnounceRequest { options, ..session.leecher(6881) };
        let announced = session.announce(&request);
        assert_eq!((announced.leechers, announced.seeders, announced.peers), (1, 0, Vec::new()));
    }
}

fn the_answer_is_20_bytes_and_whole_peers(tracker: &Tracker) {
    let session = tracker.session();
    for others in 0..30_u16 {
        let request = AnnounceRequest { transaction_id: 0x0a0b_0c0d, ..session.leecher(1000 + others) };
        let answer = session.client.ask(&request.payload());
        assert_eq!(answer.len(), 20 + usize::from(others) * tracker.family.peer_len());
        assert_eq!(answer[..8], [0, 0, 0, 1, 0x0a, 0x0b, 0x0c, 0x0d]);
        // Leechers stand before seeders, the other way round than in a scrape.
        assert_eq!(answer[12..20], [(u32::from(others) + 1).to_be_bytes(), [0; 4]].concat());
    }
}

fn the_interval_is_one_that_clients_keep(tracker: &Tracker) {
    let mut session = tracker.session();
    let intervals: Vec<u32> =
        (0..200).map(|_| session.announce(&session.leecher(6881)).interval_secs).collect();
    assert!(intervals.iter().all(|interval| (1620..=1980).contains(interval)), "{intervals:?}");
    assert!(intervals.iter().any(|interval| *interval != intervals[0]), "clients spread out");
}

fn a_port_is_handed_out_in_network_order(tracker: &Tracker) {
    let mut session = tracker.session();
    session.announce(&session.leecher(0x1ae1));
    let answer = session.client.ask(&session.leecher(7).payload());
    assert_eq!(answer[answer.len() - 2..], [0x1a, 0xe1]);
    let address = match tracker.client_address() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    assert_eq!(answer[20..answer.len() - 2], address);
}

fn the_ip_field_is_not_believed(tracker: &Tracker) {
    let mut session = tracker.session();
    for ip in [[203, 0, 113, 9], [255; 4], [127, 0, 0, 9]] {
        session.announce(&AnnounceRequest { ip, ..session.leecher(6881) });
    }
    let announced = session.announce(&session.leecher(7));
    assert_eq!(announced.peers, [(session.client.address().ip(), 6881).into()]);
}

fn info_hashes_of_any_value_are_torrents(tracker: &Tracker) {
    let mut session = tracker.session();
    let mut last_bit = INFO_HASH;
    last_bit[19] ^= 1;
    let mut first_bit = INFO_HASH;
    first_bit[0] ^= 0x80;
    let hashes = [[0; 20], [0xff; 20], INFO_HASH, last_bit, first_bit];
    for (position, info_hash) in hashes.iter().enumerate() {
        for port in 0..=position as u16 {
            session.announce(&AnnounceRequest { info_hash: *info_hash, ..session.leecher(1 + port) });
        }
    }
    let rows = session.client.scrape(session.id, &hashes);
    assert_eq!(rows.iter().map(|row| row.leechers).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(tracker.total("torrents"), 5);
}

fn counters_of_any_value_are_taken(tracker: &Tracker) {
    let mut session = tracker.session();
    for value in [0, 1, u64::from(u32::MAX), 1 << 63, u64::MAX] {
        let request = AnnounceRequest {
            downloaded: value,
            uploaded: value,
            key: value as u32,
            peer_id: [value as u8; 20],
            ..session.leecher(6881)
        };
        let announced = session.announce(&request);
        assert_eq!((announced.leechers, announced.seeders), (1, 0));
    }
}

fn events_4_and_unknown_ones_are_ordinary_announces(tracker: &Tracker) {
    let mut session = tracker.session();
    session.announce(&session.seeder(1));
    for (position, event) in [4, 5, 255, 0x0300_0000, 0x8000_0003, u32::MAX].into_iter().enumerate() {
        let port = 100 + position as u16;
        let announced = session.announce(&session.leecher(port).event(event));
        assert_eq!((announced.leechers as usize, announced.seeders), (position + 1, 1));
        assert_eq!(announced.peers.len(), position + 1, "event {event} gets peers");
    }
    assert_eq!(session.row(), row(1, 0, 6));
}
