//! The name of a torrent.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use tracker_common::wire::INFO_HASH_LEN;

/// The 20 bytes by which a torrent is known (BEP 3; BEP 52 truncates to as many). As text, 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash(pub [u8; INFO_HASH_LEN]);

/// A text that is not 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an info hash of 40 hexadecimal digits")]
pub struct NotAnInfoHash;

impl fmt::Debug for InfoHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02X}"))
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

impl FromStr for InfoHash {
    type Err = NotAnInfoHash;

    fn from_str(text: &str) -> Result<Self, NotAnInfoHash> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != INFO_HASH_LEN || !rest.is_empty() {
            return Err(NotAnInfoHash);
        }
        let digit = |character: u8| char::from(character).to_digit(16).ok_or(NotAnInfoHash);
        let mut info_hash = [0; INFO_HASH_LEN];
        for (byte, [high, low]) in info_hash.iter_mut().zip(pairs) {
            *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
        }
        Ok(Self(info_hash))
    }
}

impl Serialize for InfoHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InfoHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{InfoHash, NotAnInfoHash};

    #[test]
    fn its_text_is_forty_digits_in_either_case() {
        let text = "00112233445566778899AABBCCDDEEFF01234567";
        let info_hash: InfoHash = text.parse().unwrap();
        assert_eq!(info_hash.0[..3], [0x00, 0x11, 0x22]);
        assert_eq!(info_hash.to_string(), text);
        assert_eq!(text.to_lowercase().parse(), Ok(info_hash));
        assert_eq!(serde_json::from_str::<InfoHash>(&format!("\"{text}\"")).unwrap(), info_hash);
        assert_eq!(serde_json::to_string(&info_hash).unwrap(), format!("\"{text}\""));
        for wrong in ["", "00", &text[1..], &format!("{text}0"), &text.replace('A', "G"), &"é".repeat(20)] {
            assert_eq!(wrong.parse::<InfoHash>(), Err(NotAnInfoHash), "{wrong}");
        }
    }
}
