//! The answers of BEP 15, written in place into the packet that will carry them.

use super::request::TransactionId;
use crate::peer_store::SwarmCounts;
use crate::tracker::Announced;
use std::ops::Range;
use tracker_common::wire::{
    ACTION_ANNOUNCE, ACTION_CONNECT, ACTION_ERROR, ACTION_SCRAPE, MAX_PAYLOAD_V4, response,
};

/// Room for the longest answer.
pub type Packet = [u8; MAX_PAYLOAD_V4];

/// Writes the answer to a connect and returns its length in bytes.
pub(super) fn write_connect(out: &mut Packet, transaction_id: TransactionId, connection_id: u64) -> usize {
    write_header(out, ACTION_CONNECT, transaction_id);
    put(out, response::CONNECTION_ID, &connection_id.to_be_bytes());
    response::CONNECT_LEN
}

/// Writes what stands before the peers of an answer to an announce.
pub(super) fn write_announce(out: &mut Packet, transaction_id: TransactionId, announced: &Announced) {
    write_header(out, ACTION_ANNOUNCE, transaction_id);
    put(out, response::INTERVAL, &announced.interval_secs.to_be_bytes());
    put(out, response::LEECHERS, &announced.counts.leechers.to_be_bytes());
    put(out, response::SEEDERS, &announced.counts.seeders.to_be_bytes());
}

/// Writes the answer to a scrape and returns its length in bytes. Rows that do not fit are left out.
pub(super) fn write_scrape(
    out: &mut Packet,
    transaction_id: TransactionId,
    rows: impl Iterator<Item = SwarmCounts>,
) -> usize {
    write_header(out, ACTION_SCRAPE, transaction_id);
    let mut len = response::SCRAPE_ROWS;
    let (places, _) = out[response::SCRAPE_ROWS..].as_chunks_mut::<{ response::SCRAPE_ROW_LEN }>();
    for (place, row) in places.iter_mut().zip(rows) {
        let figures = [row.seeders, row.completed, row.leechers].map(u32::to_be_bytes);
        place.copy_from_slice(figures.as_flattened());
        len += response::SCRAPE_ROW_LEN;
    }
    len
}

/// Writes an error and returns its length in bytes.
pub(super) fn write_error(out: &mut Packet, transaction_id: TransactionId, message: &[u8]) -> usize {
    write_header(out, ACTION_ERROR, transaction_id);
    let end = (response::ERROR_MESSAGE + message.len()).min(out.len());
    put(out, response::ERROR_MESSAGE..end, &message[..end - response::ERROR_MESSAGE]);
    end
}

fn write_header(out: &mut Packet, action: u32, transaction_id: TransactionId) {
    put(out, response::ACTION, &action.to_be_bytes());
    put(out, response::TRANSACTION_ID, &transaction_id);
}

fn put(out: &mut Packet, range: Range<usize>, value: &[u8]) {
    out[range].copy_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::{write_announce, write_connect, write_error, write_scrape};
    use crate::peer_store::SwarmCounts;
    use crate::tracker::Announced;

    const COUNTS: SwarmCounts = SwarmCounts { seeders: 1, leechers: 2, completed: 3 };
    const TRANSACTION: [u8; 4] = [0xde, 0xad, 0xbe, 0xef];

    #[test]
    fn a_connect_response_is_these_literal_bytes() {
        let mut out = [0xff; 1472];
        let len = write_connect(&mut out, TRANSACTION, 0x0102_0304_0506_0708);
        assert_eq!(out[..len], [0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn an_announce_response_begins_with_these_literal_bytes() {
        let mut out = [0xff; 1472];
        let announced = Announced { counts: COUNTS, interval_secs: 1800, ..Announced::default() };
        write_announce(&mut out, TRANSACTION, &announced);
        let expected = [0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef, 0, 0, 7, 8, 0, 0, 0, 2, 0, 0, 0, 1];
        assert_eq!(out[..20], expected);
    }

    #[test]
    fn a_scrape_response_is_these_literal_bytes() {
        let mut out = [0xff; 1472];
        let len = write_scrape(&mut out, TRANSACTION, [COUNTS, SwarmCounts::default()].into_iter());
        assert_eq!(out[..8], [0, 0, 0, 2, 0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(out[8..20], [0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2]);
        assert_eq!(out[20..len], [0; 12]);
    }

    #[test]
    fn rows_beyond_one_packet_are_left_out() {
        let mut out = [0xff; 1472];
        assert_eq!(write_scrape(&mut out, TRANSACTION, std::iter::repeat_n(COUNTS, 1000)), 8 + 122 * 12);
    }

    #[test]
    fn an_error_is_these_literal_bytes() {
        let mut out = [0xff; 1472];
        let len = write_error(&mut out, TRANSACTION, b"no");
        assert_eq!(out[..len], [0, 0, 0, 3, 0xde, 0xad, 0xbe, 0xef, b'n', b'o']);
        assert_eq!(write_error(&mut out, TRANSACTION, &[b'x'; 3000]), 1472);
    }
}
