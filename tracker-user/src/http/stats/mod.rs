//! The statistics (`/stats?mode=M`): what the tracker holds and what became of requests, for people and monitors. It only
//! reads.
//!
//! `figures` gathers the numbers, `text` and `xml` write them as opentracker does, line for line, since scripts read that;
//! `json` writes them for programs. What needs a walk over all torrents or peers is a `survey`: a body that is made in small
//! steps. A full scrape is no page either: it is not written here.

pub(super) mod condition;
mod figures;
mod json;
mod networks;
mod survey;
mod text;
mod xml;

pub(super) use survey::{Survey, Surveys, Walk};

use super::Service;
use super::client_ip::contains;
use super::full_scrape::{self, Format};
use super::query;
use crate::clock::Now;
use figures::Figures;
use ipnet::IpNet;
use std::net::IpAddr;

/// What a request wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// A page.
    Page(Mode, Form),
    /// What a walk finds.
    Survey(Walk, Form),
    /// Every torrent.
    FullScrape(Format),
}

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As opentracker writes it.
    Text,
    /// One JSON object.
    Json,
}

/// What a page is about, in opentracker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Peers and seeders.
    Peer,
    /// Requests over both protocols.
    Conn,
    /// Scrapes.
    Scrp,
    /// Requests over UDP.
    Udp4,
    /// Connections over TCP.
    Tcp4,
    /// Full scrapes.
    Fscr,
    /// Torrents.
    Torr,
    /// Downloads that have finished.
    Completed,
    /// Peers learned from other trackers.
    Syncs,
    /// Requests over HTTP that were refused.
    Herr,
    /// After how many minutes peers come back.
    Renew,
    /// Where announces come from.
    Busy,
    /// Where announces come from that come too early.
    Woodpeckers,
    /// How many peers are wanted.
    Numwants,
    /// The program's own version.
    Version,
    /// Every counter.
    Everything,
}

/// The modes that are pages, by name.
const PAGES: &[(&[u8], Mode)] = &[
    (b"peer", Mode::Peer),
    (b"conn", Mode::Conn),
    (b"scrp", Mode::Scrp),
    (b"udp4", Mode::Udp4),
    (b"tcp4", Mode::Tcp4),
    (b"fscr", Mode::Fscr),
    (b"torr", Mode::Torr),
    (b"completed", Mode::Completed),
    (b"syncs", Mode::Syncs),
    (b"herr", Mode::Herr),
    (b"renew", Mode::Renew),
    (b"busy", Mode::Busy),
    (b"woodpeckers", Mode::Woodpeckers),
    (b"numwants", Mode::Numwants),
    (b"version", Mode::Version),
    (b"everything", Mode::Everything),
];

/// The modes that are walks, by name.
const SURVEYS: &[(&[u8], Walk)] =
    &[(b"top10", Walk::Top(10)), (b"top100", Walk::Top(100)), (b"s24s", Walk::Networks)];

/// A view that does not exist, by the key that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnknownView {
    /// `mode=`.
    Mode,
    /// `format=`.
    Format,
}

impl UnknownView {
    /// What there is instead.
    pub(super) const fn explanation(self) -> &'static str {
        match self {
            Self::Mode => {
                "no such mode; there is mode=peer (the default), conn, scrp, udp4, tcp4, fscr, torr, completed, syncs, \
                 herr, renew, top10, top100, s24s, busy, woodpeckers, numwants, version, everything, tpbs and statedump\n"
            }
            Self::Format => {
                "no such format; there is format=json, and plain text without this key; with mode=tpbs: format=ben (the \
                 default), bin, txt, txtp or url\n"
            }
        }
    }
}

/// Whether this address may see statistics: everyone may where no network is named.
pub(super) fn allows(networks: &[IpNet], client: IpAddr) -> bool {
    networks.is_empty() || contains(networks, client)
}

/// Reads which view a query asks for.
pub(super) fn parse(query: &[u8]) -> Result<View, UnknownView> {
    let (mut mode, mut format) = (None, None);
    for (key, value) in query::pairs(query) {
        match key.as_bytes() {
            b"mode" => mode = Some(value),
            b"format" => format = Some(value),
            _ => {}
        }
    }
    let is_mode = |name| mode.is_some_and(|mode| query::is(mode, name) == Ok(true));
    if is_mode(b"tpbs") {
        let format = format.map_or(Some(Format::Bencoded), full_scrape::format_named);
        return format.map(View::FullScrape).ok_or(UnknownView::Format);
    }
    if is_mode(b"statedump") {
        return if format.is_none() {
            Ok(View::FullScrape(Format::StateDump))
        } else {
            Err(UnknownView::Format)
        };
    }
    let page = match mode {
        // Without a mode, JSON holds everything there is.
        None if format.is_some() => Some(Mode::Everything),
        None => Some(Mode::Peer),
        Some(_) => PAGES.iter().find(|(name, _)| is_mode(name)).map(|(_, mode)| *mode),
    };
    let survey = SURVEYS.iter().find(|(name, _)| is_mode(name)).map(|(_, walk)| *walk);
    let form = match format {
        None => Ok(Form::Text),
        Some(format) if query::is(format, b"json") == Ok(true) => Ok(Form::Json),
        Some(_) => Err(UnknownView::Format),
    };
    match (page, survey) {
        (Some(page), _) => form.map(|form| View::Page(page, form)),
        (None, Some(walk)) => form.map(|form| View::Survey(walk, form)),
        (None, None) => Err(UnknownView::Mode),
    }
}

impl Form {
    /// The content type.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Json => "application/json",
        }
    }
}

/// Writes a page.
pub(super) fn write(out: &mut Vec<u8>, mode: Mode, form: Form, service: &Service, now: Now) {
    let figures = Figures::gather(service, now);
    match (form, mode) {
        (Form::Text, Mode::Everything) => xml::write(out, &figures),
        (Form::Text, _) => text::write(out, mode, &figures),
        (Form::Json, _) => json::write(out, mode, &figures),
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Mode, PAGES, UnknownView, View, Walk, allows, parse};
    use crate::http::full_scrape::Format;

    #[test]
    fn a_query_names_its_view() {
        let text = |mode| Ok(View::Page(mode, Form::Text));
        let json = |mode| Ok(View::Page(mode, Form::Json));
        assert_eq!(parse(b""), text(Mode::Peer));
        assert_eq!(parse(b"mode=peer"), text(Mode::Peer));
        assert_eq!(parse(b"mode=%65verything"), text(Mode::Everything));
        assert_eq!(parse(b"format=json"), json(Mode::Everything));
        assert_eq!(parse(b"mode=peer&format=json&x=1"), json(Mode::Peer));
        assert_eq!(parse(b"mode=top10"), Ok(View::Survey(Walk::Top(10), Form::Text)));
        assert_eq!(parse(b"format=json&mode=top100"), Ok(View::Survey(Walk::Top(100), Form::Json)));
        assert_eq!(parse(b"mode=s24s"), Ok(View::Survey(Walk::Networks, Form::Text)));
        assert_eq!(parse(b"mode=statedump"), Ok(View::FullScrape(Format::StateDump)));
        assert_eq!(parse(b"mode=tpbs"), Ok(View::FullScrape(Format::Bencoded)));
        assert_eq!(parse(b"format=txtp&mode=tpbs"), Ok(View::FullScrape(Format::TextWithDownloads)));
        for (name, mode) in PAGES {
            assert_eq!(parse(&[b"mode=", *name].concat()), text(*mode));
        }
    }

    #[test]
    fn a_view_that_does_not_exist_is_refused_by_what_is_wrong_with_it() {
        let formats: [&[u8]; 5] = [
            b"mode=tpbs&format=json",
            b"format=txt",
            b"format=xml",
            b"mode=conn&format=",
            b"mode=top10&format=txt",
        ];
        for query in formats {
            assert_eq!(parse(query), Err(UnknownView::Format), "{}", String::from_utf8_lossy(query));
        }
        for query in [&b"mode=top1000"[..], b"mode=", b"mode", b"mode=PEER", b"mode=nonsense&format=json"] {
            assert_eq!(parse(query), Err(UnknownView::Mode), "{}", String::from_utf8_lossy(query));
        }
    }

    #[test]
    fn everyone_sees_statistics_until_a_network_is_named() {
        let networks = ["192.0.2.0/24".parse().unwrap()];
        assert!(allows(&[], "198.51.100.1".parse().unwrap()));
        assert!(allows(&networks, "192.0.2.9".parse().unwrap()));
        assert!(!allows(&networks, "198.51.100.1".parse().unwrap()));
        assert!(!allows(&networks, "2001:db8::1".parse().unwrap()));
    }
}
