//! Which torrents are served, as the operator's list has it. Asked for every announce: a lookup takes no lock, allocates
//! nothing and touches two or three cache lines.

use super::list_file::ListedTorrents;
use crate::info_hash::InfoHash;

/// What a client reads that announces a torrent that is not served, word for word what opentracker says.
pub const NOT_AUTHORIZED: &str = "Requested download is not authorized for use with this tracker.";

/// What it means to be on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Only what is listed is served.
    Whitelist,
    /// What is listed is not served.
    Blacklist,
}

impl ListKind {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whitelist => "whitelist",
            Self::Blacklist => "blacklist",
        }
    }
}

/// The torrents that are served: a snapshot.
#[derive(Debug, Default)]
pub struct TorrentList {
    /// `None`: every torrent is served.
    list: Option<(ListKind, ListedTorrents)>,
    applies_to_scrapes: bool,
}

impl TorrentList {
    /// Serves by a list; scrapes only where `applies_to_scrapes` says so.
    pub const fn new(kind: ListKind, listed: ListedTorrents, applies_to_scrapes: bool) -> Self {
        Self { list: Some((kind, listed)), applies_to_scrapes }
    }

    /// Whether there is a list at all.
    pub const fn is_list(&self) -> bool {
        self.list.is_some()
    }

    /// Whether announces of a torrent are taken in and answered.
    pub fn permits(&self, info_hash: &InfoHash) -> bool {
        match &self.list {
            None => true,
            Some((ListKind::Whitelist, listed)) => listed.contains(info_hash),
            Some((ListKind::Blacklist, listed)) => !listed.contains(info_hash),
        }
    }

    /// Whether a scrape tells of a torrent.
    pub fn shows(&self, info_hash: &InfoHash) -> bool {
        !self.applies_to_scrapes || self.permits(info_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::{ListKind, TorrentList};
    use crate::access_list::ListedTorrents;
    use crate::info_hash::InfoHash;

    const LISTED: InfoHash = InfoHash([1; 20]);
    const OTHER: InfoHash = InfoHash([2; 20]);

    fn list(kind: ListKind, applies_to_scrapes: bool) -> TorrentList {
        TorrentList::new(kind, ListedTorrents::of([LISTED]), applies_to_scrapes)
    }

    fn permitted(list: &TorrentList) -> [bool; 2] {
        [LISTED, OTHER].map(|info_hash| list.permits(&info_hash))
    }

    #[test]
    fn a_list_permits_its_torrents_or_all_others() {
        assert_eq!(permitted(&TorrentList::default()), [true, true]);
        assert_eq!(permitted(&list(ListKind::Whitelist, false)), [true, false]);
        assert_eq!(permitted(&list(ListKind::Blacklist, false)), [false, true]);
    }

    #[test]
    fn an_empty_list_permits_nothing_or_everything() {
        let empty = |kind| TorrentList::new(kind, ListedTorrents::of([]), false);
        assert_eq!(permitted(&empty(ListKind::Whitelist)), [false, false]);
        assert_eq!(permitted(&empty(ListKind::Blacklist)), [true, true]);
    }

    #[test]
    fn scrapes_show_everything_unless_the_list_applies_to_them() {
        let shown = |list: &TorrentList| [LISTED, OTHER].map(|info_hash| list.shows(&info_hash));
        assert_eq!(shown(&list(ListKind::Blacklist, false)), [true, true]);
        assert_eq!(shown(&list(ListKind::Blacklist, true)), [false, true]);
        assert_eq!(shown(&list(ListKind::Whitelist, true)), [true, false]);
    }
}
