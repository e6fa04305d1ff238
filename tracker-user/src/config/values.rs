//! From the text of a value to the value; an error says what is expected and what was found.

use super::types::{CopyMode, DEFAULT_PORT, LogLevel, Mode, NatsServer, SandboxMode, XdpAttach};
use crate::scrape_format::Format;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// IPv4 addresses stand in the last 32 bits of the IPv6 addresses that map them (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX_BITS: u8 = 96;
/// Bytes for the path of a Unix socket, with the zero that ends it.
const SOCKET_PATH_ROOM: usize = 108;

/// Every shard of an empty store takes something.
const LEAST_MEMORY_BYTES: u64 = 16 << 20;
/// More than hosts have.
const MOST_MEMORY_BYTES: u64 = 1 << 46;

/// The error of every parser: what would have been right, and what was there.
pub(super) fn expected(wanted: &str, found: &str) -> String {
    format!("expected {wanted}, found {found:?}")
}

/// A whole number of `unit` within a range.
pub(super) fn number<T: TryFrom<u64>>(
    text: &str,
    unit: &str,
    range: RangeInclusive<u64>,
) -> Result<T, String> {
    let parsed = text.parse::<u64>().ok().filter(|value| range.contains(value));
    parsed
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| expected(&format!("{unit} between {} and {}", range.start(), range.end()), text))
}

/// Bytes of memory, bare or with a suffix for powers of 1,024; 0 is no bound, and less than 16 MiB none that anything fits.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    let fits = |bytes: &u64| *bytes == 0 || (LEAST_MEMORY_BYTES..=MOST_MEMORY_BYTES).contains(bytes);
    bytes(text).filter(fits).ok_or_else(|| expected("0, or bytes between 16M and 65536G, such as 512M", text))
}

/// A number of bytes, bare or with a suffix.
fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit))
}

/// Memory for what is told to other sites. It is never without bound, and less than 256 KiB none that the messages of a moment fit.
pub(super) fn sync_memory(text: &str) -> Result<u64, String> {
    let fits = |bytes: &u64| (256 << 10..=MOST_MEMORY_BYTES).contains(bytes);
    bytes(text).filter(fits).ok_or_else(|| expected("bytes between 256K and 65536G, such as 32M", text))
}

/// A server of NATS. What was found is not repeated: there may be a password in it.
pub(super) fn nats_server(text: &str) -> Result<NatsServer, String> {
    text.parse().map_err(|_| {
        "expected a URL such as nats://192.0.2.1:4222 or tls://USER:PASSWORD@nats.example, in which characters that have a \
         meaning stand as %40"
            .to_owned()
    })
}

/// The name of a site: one part of a subject.
pub(super) fn site(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_of_subject);
    if fits { Ok(text.to_owned()) } else { Err(expected("up to 64 letters, digits, - and _", text)) }
}

/// What a subject begins with: parts with dots between them.
pub(super) fn subject(text: &str) -> Result<String, String> {
    let fits =
        text.len() <= 128 && text.split('.').all(|part| !part.is_empty() && part.bytes().all(is_of_subject));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(expected("letters, digits, - and _, in parts with dots between them", text))
    }
}

const fn is_of_subject(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// A port of UDP or TCP; 0 lets the kernel choose.
pub(super) fn port(text: &str) -> Result<u16, String> {
    number(text, "a port", 0..=u64::from(u16::MAX))
}

/// How many workers share an address.
pub(super) fn workers_of_one_address(text: &str) -> Result<u16, String> {
    number(text, "workers", 1..=1024)
}

/// `true` or `false`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| expected("true or false", text))
}

/// Text of at least one character and without control characters.
pub(super) fn text(text: &str, wanted: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_control) {
        return Err(expected(wanted, text));
    }
    Ok(text.to_owned())
}

/// Where a Unix socket is bound: the kernel takes no longer path (unix(7)), and a relative one would be another for everyone.
pub(super) fn socket_path(text: &str) -> Result<PathBuf, String> {
    let fits = text.starts_with('/') && !text.ends_with('/') && text.len() < SOCKET_PATH_ROOM;
    if !fits || text.contains(char::is_control) {
        return Err(expected("an absolute path of at most 107 bytes", text));
    }
    Ok(text.into())
}

/// What a peer id may begin with.
pub(super) fn peer_id_prefix(text: &str) -> Result<String, String> {
    if (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(expected("up to 20 printable ASCII characters without blanks", text))
}

/// `A:P`, `A`, `[v6]:P`, `[v6]` or a bare IPv6 address; without a port, 6969.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    socket_address_or(text, DEFAULT_PORT)
}

/// The multicast group of a cluster.
pub(super) fn multicast_group(text: &str) -> Result<IpAddr, String> {
    let parsed = text.parse::<IpAddr>().ok().filter(IpAddr::is_multicast);
    parsed.ok_or_else(|| expected("a multicast group such as 224.0.42.23 or ff05::9696", text))
}

/// The same with another port where the text has none.
pub(super) fn socket_address_or(text: &str, port: u16) -> Result<SocketAddr, String> {
    let without_port = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let parsed = text
        .parse::<SocketAddr>()
        .or_else(|_| without_port.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)));
    match parsed {
        // A socket for IPv6 alone could not be bound to a mapped address.
        Ok(SocketAddr::V6(v6)) if v6.ip().to_ipv4_mapped().is_some() => {
            Ok(SocketAddr::new(v6.ip().to_canonical(), v6.port()))
        }
        Ok(address) => Ok(address),
        Err(_) => {
            Err(expected("an address such as 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80", text))
        }
    }
}

/// Where a node speaks HTTP, also as a URL of it.
pub(super) fn http_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("http://").map_or(text, |rest| rest.trim_end_matches('/'));
    let wanted = "an address such as 192.0.2.1:6969, [2001:db8::1]:6969 or http://192.0.2.1:6969";
    socket_address(address).ok().filter(|address| address.port() != 0).ok_or_else(|| expected(wanted, text))
}

/// An address without a port.
pub(super) fn ip_address(text: &str) -> Result<IpAddr, String> {
    let parsed = text.parse::<IpAddr>().map(|ip| ip.to_canonical());
    parsed.map_err(|_| expected("an address without a port, such as 192.0.2.1 or 2001:db8::1", text))
}

/// A network, or one address, without the bits behind its prefix.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network = parsed.map_err(|_| expected("a network such as 192.0.2.1 or 2001:db8::/32", text))?;
    let mapped = match network {
        IpNet::V6(v6) if v6.prefix_len() >= MAPPED_PREFIX_BITS => v6.addr().to_ipv4_mapped(),
        _ => None,
    };
    let canonical = mapped
        .and_then(|v4| Ipv4Net::new(v4, network.prefix_len() - MAPPED_PREFIX_BITS).ok())
        .map_or(network, IpNet::V4);
    Ok(canonical.trunc())
}

/// Where to send browsers. Nothing that could end the header line that it is put in.
pub(super) fn redirect_url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let has_host = host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
    if has_host && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(expected("a URL that starts with http:// or https://, without blanks", text))
}

/// The path of the statistics without its leading slash, which must not hide the tracker's own.
pub(super) fn stats_path(text: &str) -> Result<String, String> {
    let path = text.trim_start_matches('/');
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte));
    let first_word = path.split(['.', '/']).next().unwrap_or_default();
    if first_word.is_empty() || !plain || ["a", "announce", "scrape"].contains(&first_word) {
        let wanted = "a path of letters, digits, and -_.~/ other than those of announce and scrape";
        return Err(expected(wanted, text));
    }
    Ok(path.to_owned())
}

/// The ways in.
pub(super) fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "auto" => Ok(Mode::Auto),
        "xdp" => Ok(Mode::Xdp),
        "socket" => Ok(Mode::Socket),
        "xsk" => Ok(Mode::Xsk),
        _ => Err(expected("auto, xsk, xdp or socket", text)),
    }
}

/// How an export is written.
pub(super) fn export_format(text: &str) -> Result<Format, String> {
    let formats = Format::SCRAPES.into_iter().chain([Format::StateDump]);
    formats
        .into_iter()
        .find(|format| format.name() == text)
        .ok_or_else(|| expected("ben, bin, txt, txtp, url or statedump", text))
}

/// How packets get into the memory of AF_XDP.
pub(super) fn zero_copy(text: &str) -> Result<CopyMode, String> {
    match text {
        "auto" => Ok(CopyMode::Auto),
        "on" => Ok(CopyMode::ZeroCopy),
        "off" => Ok(CopyMode::Copy),
        _ => Err(expected("auto, on or off", text)),
    }
}

/// The entries of a ring of AF_XDP.
pub(super) fn ring_size(text: &str) -> Result<u32, String> {
    let parsed = text.parse::<u32>().ok();
    parsed
        .filter(|size| size.is_power_of_two() && (64..=65_536).contains(size))
        .ok_or_else(|| expected("a power of two between 64 and 65536", text))
}

/// Whether the daemon fences itself off from the host.
pub(super) fn sandbox(text: &str) -> Result<SandboxMode, String> {
    match text {
        "auto" => Ok(SandboxMode::Auto),
        "on" => Ok(SandboxMode::On),
        "off" => Ok(SandboxMode::Off),
        _ => Err(expected("auto, on or off", text)),
    }
}

/// Where the XDP program runs.
pub(super) fn xdp_attach(text: &str) -> Result<XdpAttach, String> {
    match text {
        "auto" => Ok(XdpAttach::Auto),
        "native" => Ok(XdpAttach::Native),
        "generic" => Ok(XdpAttach::Generic),
        _ => Err(expected("auto, native or generic", text)),
    }
}

/// The least severe messages that are written.
pub(super) fn log_level(text: &str) -> Result<LogLevel, String> {
    match text {
        "error" => Ok(LogLevel::Error),
        "warn" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        _ => Err(expected("error, warn, info or debug", text)),
    }
}
