//! Scrapes.

use crate::tracker::{Session, Tracker, row, rules};
use tracker_tests::udp_client::{AnnounceRequest, INFO_HASH, Row, parse_scrape, scrape_request};

rules! {
    a_row_is_seeders_completed_leechers,
    rows_come_in_the_order_asked,
    an_unknown_torrent_is_a_row_of_zeros,
    the_same_hash_twice_gets_two_rows,
    seventy_four_hashes_get_seventy_four_rows,
    more_than_seventy_four_hashes_get_one_unfragmented_packet,
    a_piece_of_a_hash_at_the_end_is_ignored,
    a_scrape_without_a_whole_hash_is_met_with_silence,
    a_scrape_changes_nothing,
}

/// A torrent whose row tells it from all others: seeders, completed, leechers.
fn torrent(session: &mut Session, number: u8, counts: [u16; 3]) -> [u8; 20] {
    let info_hash = [number; 20];
    let [seeders, completed, leechers] = counts;
    for port in 1..=seeders + leechers {
        let event = u32::from(port <= completed);
        let bytes_left = u64::from(port > seeders);
        session.announce(&AnnounceRequest { info_hash, bytes_left, event, ..session.leecher(port) });
    }
    info_hash
}

fn a_row_is_seeders_completed_leechers(tracker: &Tracker) {
    let mut session = tracker.session();
    let info_hash = torrent(&mut session, 1, [3, 2, 4]);
    let answer = session.client.ask(&scrape_request(session.id, 0x0102_0304, &[info_hash]));
    assert_eq!(answer, [0, 0, 0, 2, 1, 2, 3, 4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 4]);
}

fn rows_come_in_the_order_asked(tracker: &Tracker) {
    let mut session = tracker.session();
    let hashes = [[1, 0, 0], [0, 0, 2], [2, 1, 1]];
    let hashes: Vec<[u8; 20]> = hashes
        .into_iter()
        .zip([9, 3, 7])
        .map(|(counts, number)| torrent(&mut session, number, counts))
        .collect();
    let rows = [row(1, 0, 0), row(0, 0, 2), row(2, 1, 1)];
    assert_eq!(session.client.scrape(session.id, &hashes), rows);
    let turned: Vec<_> = hashes.iter().rev().copied().collect();
    assert_eq!(session.client.scrape(session.id, &turned), [rows[2], rows[1], rows[0]]);
}

fn an_unknown_torrent_is_a_row_of_zeros(tracker: &Tracker) {
    let mut session = tracker.session();
    let known = torrent(&mut session, 1, [0, 0, 1]);
    let rows = session.client.scrape(session.id, &[[7; 20], known, [8; 20]]);
    assert_eq!(rows, [Row::default(), row(0, 0, 1), Row::default()]);
    assert_eq!(tracker.total("torrents"), 1);
}

fn the_same_hash_twice_gets_two_rows(tracker: &Tracker) {
    let mut session = tracker.session();
    let known = torrent(&mut session, 1, [1, 0, 1]);
    assert_eq!(session.client.scrape(session.id, &[known, known]), [row(1, 0, 1); 2]);
}

fn seventy_four_hashes_get_seventy_four_rows(tracker: &Tracker) {
    let mut session = tracker.session();
    let hashes: Vec<[u8; 20]> =
        (0..74).map(|number| torrent(&mut session, number, [0, 0, u16::from(number % 5)])).collect();
    let rows = session.client.scrape(session.id, &hashes);
    let leechers: Vec<u32> = rows.iter().map(|row| row.leechers).collect();
    assert_eq!(leechers, (0..74).map(|number| number % 5).collect::<Vec<_>>());
}

fn more_than_seventy_four_hashes_get_one_unfragmented_packet(tracker: &Tracker) {
    let session = tracker.session();
    for count in [75, 100, 120, 1000] {
        let answer = session.client.ask(&scrape_request(session.id, 7, &vec![INFO_HASH; count]));
        assert!(parse_scrape(&answer, 7).len() >= 74);
        assert!(answer.len() <= 1452, "{} bytes for {count} hashes", answer.len());
    }
}

fn a_piece_of_a_hash_at_the_end_is_ignored(tracker: &Tracker) {
    let mut session = tracker.session();
    let known = torrent(&mut session, 1, [1, 0, 0]);
    for piece in 1..20 {
        let mut payload = scrape_request(session.id, 7, &[known, known]);
        payload.truncate(36 + piece);
        assert_eq!(parse_scrape(&session.client.ask(&payload), 7), [row(1, 0, 0)]);
    }
}

fn a_scrape_without_a_whole_hash_is_met_with_silence(tracker: &Tracker) {
    let mut session = tracker.session();
    for length in 16..36 {
        session.client.expect_silence(&scrape_request(session.id, 7, &[INFO_HASH])[..length]);
    }
    tracker.assert_verdicts(&["scrape_too_short"], 20);
}

fn a_scrape_changes_nothing(tracker: &Tracker) {
    let mut session = tracker.session();
    torrent(&mut session, 0x5a, [1, 1, 2]);
    for _ in 0..10 {
        assert_eq!(session.row(), row(1, 1, 2));
    }
    assert_eq!((tracker.peers(), tracker.total("completed"), tracker.total("torrents")), (3, 1, 1));
}
