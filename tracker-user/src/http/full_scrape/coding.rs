//! Compression of a full scrape, as far as the client understands it (RFC 9110, section 12.5.3), and piece by piece: what
//! is held is the state of the compressor and what it has not given out yet.

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, HeaderValue};
use std::io::{self, Write};

/// Info hashes do not compress; what can be gained around them the fastest levels gain already.
const GZIP_LEVEL: Compression = Compression::fast();
const ZSTD_LEVEL: i32 = 1;
/// A block is as long as the window, and is compressed in one go: 32 KiB, as much as gzip looks back.
const ZSTD_WINDOW_LOG: u32 = 15;

/// How the bytes of an answer are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// The coding that the client likes best; of those that it likes alike, the one that costs least.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|line| line.to_str().ok());
        let offers = lines.flat_map(|line| line.split(',')).filter_map(offer);
        let best =
            offers.max_by_key(|(coding, weight)| (*weight, *coding == Self::Zstd, *coding == Self::Gzip));
        best.map_or(Self::Identity, |(coding, _)| coding)
    }

    /// The value of `Content-Encoding`, where there is one.
    pub(super) const fn name(self) -> Option<HeaderValue> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Zstd => Some(HeaderValue::from_static("zstd")),
        }
    }
}

/// One element of `Accept-Encoding`: a coding that is known and accepted, and its weight in thousandths.
fn offer(element: &str) -> Option<(Coding, u32)> {
    let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
    let coding = match name.trim().to_ascii_lowercase().as_str() {
        "identity" => Coding::Identity,
        "gzip" | "x-gzip" => Coding::Gzip,
        "zstd" => Coding::Zstd,
        _ => return None,
    };
    let weight = match parameters.trim().split_once('=') {
        Some((key, value)) if key.trim().eq_ignore_ascii_case("q") => value.trim().parse::<f32>().ok()?,
        _ => 1.0,
    };
    let thousandths = (weight.clamp(0.0, 1.0) * 1000.0) as u32;
    (thousandths > 0).then_some((coding, thousandths))
}

/// A compressor, or none.
pub(super) enum Encoder {
    Identity(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// # Errors
    /// Where there is no memory for it.
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Identity => Self::Identity(Vec::new()),
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), GZIP_LEVEL)),
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(ZSTD_WINDOW_LOG)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Takes a piece in.
    ///
    /// # Errors
    /// Where the compressor fails, which it has no reason to.
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Identity(out) => out.write_all(piece),
            Self::Gzip(encoder) => encoder.write_all(piece),
            Self::Zstd(encoder) => encoder.write_all(piece),
        }
    }

    /// Ends the stream: what follows is nothing.
    ///
    /// # Errors
    /// Where the compressor fails, which it has no reason to.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Identity(_) => Ok(()),
            Self::Gzip(encoder) => encoder.try_finish(),
            Self::Zstd(encoder) => encoder.do_finish(),
        }
    }

    /// Bytes that can be sent.
    pub(super) fn ready(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Identity(out) => out,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Coding, Encoder};
    use hyper::HeaderMap;
    use hyper::header::{ACCEPT_ENCODING, HeaderValue};
    use std::io::Read;

    fn wanted(lines: &[&str]) -> Coding {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
        }
        Coding::wanted(&headers)
    }

    #[test]
    fn the_client_chooses_the_coding() {
        for (lines, expected) in [
            (&[][..], Coding::Identity),
            (&[""], Coding::Identity),
            (&["gzip"], Coding::Gzip),
            (&["GZIP, deflate"], Coding::Gzip),
            (&["gzip, deflate, br, zstd"], Coding::Zstd),
            (&["gzip", "zstd"], Coding::Zstd),
            (&["zstd;q=0.5, gzip"], Coding::Gzip),
            (&["zstd; q=0.5 ,gzip ; Q=0.25"], Coding::Zstd),
            (&["gzip;q=0"], Coding::Identity),
            (&["gzip;q=0.000, zstd;q=0"], Coding::Identity),
            (&["identity, gzip;q=0.9"], Coding::Identity),
            (&["identity;q=0.1, gzip;q=0.2"], Coding::Gzip),
            (&["*"], Coding::Identity),
            (&["br, deflate"], Coding::Identity),
            (&["gzip;q=x"], Coding::Identity),
            (&["gzipped"], Coding::Identity),
        ] {
            assert_eq!(wanted(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_comes_out_decodes_to_what_went_in() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|number| (number / 7).to_be_bytes()).collect();
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            let mut encoder = Encoder::new(coding).unwrap();
            let mut sent = Vec::new();
            for piece in text.chunks(1000) {
                encoder.write(piece).unwrap();
                sent.append(encoder.ready());
            }
            encoder.finish().unwrap();
            sent.append(encoder.ready());
            let mut decoded = Vec::new();
            match coding {
                Coding::Identity => decoded.clone_from(&sent),
                Coding::Gzip => drop(flate2::read::GzDecoder::new(&*sent).read_to_end(&mut decoded).unwrap()),
                Coding::Zstd => decoded = zstd::decode_all(&*sent).unwrap(),
            }
            assert!(decoded == text, "{coding:?}");
            assert!(coding == Coding::Identity || sent.len() < text.len());
        }
    }
}
