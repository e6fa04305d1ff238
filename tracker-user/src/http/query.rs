//! The query of a request target, taken apart byte by byte where it lies: no allocation, and no `+` for a blank,
//! because clients send the raw bytes of an info hash and a plus among them is a plus.

use crate::info_hash::InfoHash;
use tracker_common::wire::INFO_HASH_LEN;

/// Longer than every key that is known; a key that does not fit is an unknown one.
const LONGEST_KEY: usize = 16;

/// A `%` without two hexadecimal digits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadEncoding;

/// Why a value is not an info hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadInfoHash {
    /// It cannot be decoded.
    Encoding,
    /// It is not 20 bytes.
    Length,
}

/// A key, decoded, in as much room as a known one needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    bytes: [u8; LONGEST_KEY],
    len: usize,
}

impl Key {
    /// The decoded key; empty for one that no known key can equal.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn decode(raw: &[u8]) -> Self {
        let mut key = Self { bytes: [0; LONGEST_KEY], len: 0 };
        for byte in decoded(raw) {
            match (byte, key.bytes.get_mut(key.len)) {
                (Ok(byte), Some(place)) => *place = byte,
                _ => return Self { len: 0, ..key },
            }
            key.len += 1;
        }
        key
    }
}

/// The pairs of a query in their order: each key decoded, each value as it was sent.
pub(super) fn pairs(query: &[u8]) -> impl Iterator<Item = (Key, &[u8])> {
    query.split(|byte| *byte == b'&').map(|pair| {
        let (key, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&pair[..equals], &pair[equals + 1..]),
            None => (pair, &[][..]),
        };
        (Key::decode(key), value)
    })
}

/// The bytes that percent-encoding (RFC 3986 section 2.1) stands for.
pub(super) fn decoded(raw: &[u8]) -> impl Iterator<Item = Result<u8, BadEncoding>> + '_ {
    let mut rest = raw.iter();
    std::iter::from_fn(move || {
        let byte = *rest.next()?;
        if byte != b'%' {
            return Some(Ok(byte));
        }
        let high = rest.next().copied().and_then(hexadecimal);
        let low = rest.next().copied().and_then(hexadecimal);
        Some(high.zip(low).map(|(high, low)| high << 4 | low).ok_or(BadEncoding))
    })
}

/// Whether a value can be decoded at all.
pub(super) fn check_encoding(raw: &[u8]) -> Result<(), BadEncoding> {
    decoded(raw).try_for_each(|byte| byte.map(drop))
}

/// Whether the decoded value is `expected`.
pub(super) fn is(raw: &[u8], expected: &[u8]) -> Result<bool, BadEncoding> {
    check_encoding(raw)?;
    Ok(decoded(raw).eq(expected.iter().copied().map(Ok)))
}

/// A decimal number of any length, the largest `u64` for whatever exceeds it; `None` where there is anything but
/// digits, or nothing.
pub(super) fn number(raw: &[u8]) -> Result<Option<u64>, BadEncoding> {
    check_encoding(raw)?;
    let mut value = None::<u64>;
    for byte in decoded(raw) {
        let byte = byte?;
        if !byte.is_ascii_digit() {
            return Ok(None);
        }
        value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(u64::from(byte - b'0')));
    }
    Ok(value)
}

/// The first bytes that a value stands for, as many as there is room for, and zeros where there are fewer.
pub(super) fn beginning<const LEN: usize>(raw: &[u8]) -> Result<[u8; LEN], BadEncoding> {
    check_encoding(raw)?;
    let mut beginning = [0; LEN];
    for (place, byte) in beginning.iter_mut().zip(decoded(raw)) {
        *place = byte?;
    }
    Ok(beginning)
}

/// Exactly 20 bytes.
pub(super) fn info_hash(raw: &[u8]) -> Result<InfoHash, BadInfoHash> {
    check_encoding(raw).map_err(|BadEncoding| BadInfoHash::Encoding)?;
    let mut bytes = decoded(raw);
    let mut info_hash = [0; INFO_HASH_LEN];
    for place in &mut info_hash {
        *place = bytes.next().and_then(Result::ok).ok_or(BadInfoHash::Length)?;
    }
    if bytes.next().is_some() { Err(BadInfoHash::Length) } else { Ok(InfoHash(info_hash)) }
}

const fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{BadEncoding, BadInfoHash, beginning, decoded, info_hash, is, number, pairs};
    use crate::info_hash::InfoHash;
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    fn decode(raw: &[u8]) -> Result<Vec<u8>, BadEncoding> {
        decoded(raw).collect()
    }

    #[test]
    fn a_percent_sign_needs_two_hexadecimal_digits() {
        assert_eq!(decode(b"%41%4a%4A"), Ok(b"AJJ".to_vec()));
        for bad in ["%", "%4", "a%", "%zz", "%4z", "%%41", "%+1", "% 1"] {
            assert_eq!(decode(bad.as_bytes()), Err(BadEncoding), "{bad}");
        }
    }

    #[test]
    fn unreserved_and_sub_delimiter_characters_and_the_plus_stand_for_themselves() {
        let raw = b"azAZ09-._~!$'()*+,;:@/?=";
        assert_eq!(decode(raw), Ok(raw.to_vec()));
    }

    #[test]
    fn a_pair_without_a_value_has_an_empty_one_and_empty_pairs_do_no_harm() {
        let found: Vec<_> = pairs(b"&a=1&&b&c==&%64=2&")
            .map(|(key, value)| (key.as_bytes().to_vec(), value.to_vec()))
            .filter(|(key, _)| !key.is_empty())
            .collect();
        let expected: Vec<(Vec<u8>, Vec<u8>)> =
            [("a", "1"), ("b", ""), ("c", "="), ("d", "2")].map(|(k, v)| (k.into(), v.into())).into();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_key_too_long_or_badly_encoded_is_no_known_key() {
        for query in ["info_hash_and_much_more=1", "%zz=1", "info_hash%4=1"] {
            let (key, _) = pairs(query.as_bytes()).next().unwrap();
            assert_eq!(key.as_bytes(), b"", "{query}");
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_the_largest_one() {
        assert_eq!(number(b"0"), Ok(Some(0)));
        assert_eq!(number(b"007"), Ok(Some(7)));
        assert_eq!(number(b"%31%30"), Ok(Some(10)));
        assert_eq!(number(b"9223372036854775808"), Ok(Some(1 << 63)));
        assert_eq!(number(b"10000000000000000000000000"), Ok(Some(u64::MAX)));
        assert_eq!(number(b"00000000000000000000000000000"), Ok(Some(0)));
    }

    #[test]
    fn what_has_no_digits_or_more_than_digits_is_no_number() {
        for nonsense in ["", "-1", "+1", "abc", "1x", "1 ", "0x10", "1.5"] {
            assert_eq!(number(nonsense.as_bytes()), Ok(None), "{nonsense}");
        }
        assert_eq!(number(b"x%"), Err(BadEncoding));
    }

    #[test]
    fn a_word_is_compared_decoded() {
        assert_eq!(is(b"stopped", b"stopped"), Ok(true));
        assert_eq!(is(b"%73topped", b"stopped"), Ok(true));
        assert_eq!(is(b"stopped1", b"stopped"), Ok(false));
        assert_eq!(is(b"stop", b"stopped"), Ok(false));
        assert_eq!(is(b"no%", b"stopped"), Err(BadEncoding));
    }

    #[test]
    fn only_twenty_bytes_make_an_info_hash() {
        assert_eq!(info_hash(b"01234567890123456789"), Ok(InfoHash(*b"01234567890123456789")));
        assert_eq!(info_hash(b"0123456789012345678"), Err(BadInfoHash::Length));
        assert_eq!(info_hash(b"012345678901234567890"), Err(BadInfoHash::Length));
        assert_eq!(info_hash(b""), Err(BadInfoHash::Length));
        assert_eq!(info_hash(b"0123456789012345678%4"), Err(BadInfoHash::Encoding));
    }

    #[test]
    fn the_beginning_of_a_value_is_as_long_as_there_is_room() {
        assert_eq!(beginning(b"%41bcd"), Ok(*b"Abc"));
        assert_eq!(beginning(b"a"), Ok(*b"a\0\0"));
        assert_eq!(beginning::<3>(b"abcd%"), Err(BadEncoding));
    }

    proptest! {
        #[test]
        fn every_byte_survives_percent_encoding_in_both_cases(bytes: Vec<u8>, upper: bool) {
            let encoded: String = bytes
                .iter()
                .map(|byte| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") })
                .collect();
            prop_assert_eq!(decode(encoded.as_bytes()), Ok(bytes));
        }

        #[test]
        fn any_query_is_taken_apart_without_a_panic(query in any::<Vec<u8>>()) {
            for (key, value) in pairs(&query) {
                let _ = (key.as_bytes(), number(value), info_hash(value), is(value, b"started"));
            }
        }
    }
}
