//! Which torrents are served, as the operator's list has it. Asked for every announce: a lookup takes no lock, allocates
//! nothing and touches two or three cache lines.

use super::hashes::SortedHashes;
use super::list_file::ListedTorrents;
use crate::info_hash::InfoHash;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What a client reads that announces a torrent that is not served, word for word what opentracker says.
pub const NOT_AUTHORIZED: &str = "Requested download is not authorized for use with this tracker.";

/// Changes that are kept beside a list; more than these are worked into it. In tests so few that it happens.
const BESIDE: usize = if cfg!(test) { 100 } else { 4096 };

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

/// A change of one torrent's place on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is put on it.
    Add,
    /// It is taken off it.
    Delete,
}

/// The torrents that are served: a snapshot.
#[derive(Debug, Default)]
pub struct TorrentList {
    /// `None`: every torrent is served.
    list: Option<List>,
    applies_to_scrapes: bool,
    /// Another for each list that comes into force: whoever looks at a list in parts sees by it that it is still the same.
    revision: u64,
}

#[derive(Debug)]
struct List {
    kind: ListKind,
    /// Where it was read from, if it was.
    file: Option<Arc<Path>>,
    listed: Arc<ListedTorrents>,
    /// Torrents whose place on the list has changed since: so a change copies these, not the list.
    flipped: SortedHashes,
}

impl List {
    fn contains(&self, info_hash: &InfoHash) -> bool {
        self.listed.contains(info_hash) != self.flipped.contains(info_hash)
    }
}

impl TorrentList {
    /// Serves by a list; scrapes only where `applies_to_scrapes` says so.
    pub fn new(kind: ListKind, listed: ListedTorrents, applies_to_scrapes: bool) -> Self {
        let list = List { kind, file: None, listed: Arc::new(listed), flipped: SortedHashes::default() };
        Self { list: Some(list), applies_to_scrapes, revision: 0 }
    }

    /// The same, known to be that of a file.
    #[must_use]
    pub fn read_from(mut self, file: &Path) -> Self {
        if let Some(list) = &mut self.list {
            list.file = Some(file.into());
        }
        self
    }

    /// The file that it was read from, if there is a list and it was.
    pub fn file(&self) -> Option<&Path> {
        self.list.as_ref()?.file.as_deref()
    }

    /// The same after some changes, one after the other, and how many of them changed anything; `None` where there is no
    /// list to change.
    pub fn changed(&self, changes: &[(InfoHash, Change)]) -> Option<(Self, usize)> {
        let list = self.list.as_ref()?;
        let mut flipped: BTreeSet<InfoHash> = list.flipped.as_slice().iter().copied().collect();
        let mut count = 0;
        for (info_hash, change) in changes {
            let is_listed = list.listed.contains(info_hash) != flipped.contains(info_hash);
            if is_listed != (*change == Change::Add) {
                count += 1;
                if !flipped.remove(info_hash) {
                    flipped.insert(*info_hash);
                }
            }
        }
        let (listed, flipped) = if flipped.len() > BESIDE {
            (Arc::new(list.listed.with_flipped(&flipped)), SortedHashes::default())
        } else {
            (Arc::clone(&list.listed), SortedHashes::of_sorted(flipped.into_iter().collect()))
        };
        let list = List { kind: list.kind, file: list.file.clone(), listed, flipped };
        let changed = Self { list: Some(list), applies_to_scrapes: self.applies_to_scrapes, revision: 0 };
        Some((changed, count))
    }

    /// The same, as what comes into force after `before`.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        Self { revision: before.revision + 1, ..self }
    }

    /// Which of the lists that were in force one after the other it is.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// What kind of list there is, if there is one.
    pub fn kind(&self) -> Option<ListKind> {
        self.list.as_ref().map(|list| list.kind)
    }

    /// How many torrents are on the list; 0 where there is none.
    pub fn len(&self) -> usize {
        let Some(list) = &self.list else { return 0 };
        let flipped = list.flipped.as_slice();
        let taken_off = flipped.iter().filter(|hash| list.listed.contains(hash)).count();
        list.listed.len() + flipped.len() - 2 * taken_off
    }

    /// Whether no torrent is on the list.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next torrents on the list in the order of their hashes, `most` of them, behind `after`.
    pub fn page(&self, after: Option<&InfoHash>, most: usize) -> Vec<InfoHash> {
        let Some(list) = &self.list else { return Vec::new() };
        let behind =
            |hashes: &'_ [InfoHash]| after.map_or(0, |after| hashes.partition_point(|hash| hash <= after));
        let (listed, flipped) = (list.listed.as_slice(), list.flipped.as_slice());
        let mut listed = listed[behind(listed)..].iter().copied().peekable();
        let mut flipped = flipped[behind(flipped)..].iter().copied().peekable();
        // What is in one of the two and not in both.
        let merged = std::iter::from_fn(|| {
            loop {
                match (listed.peek(), flipped.peek()) {
                    (Some(one), Some(other)) if one == other => {
                        listed.next();
                        flipped.next();
                    }
                    (Some(one), Some(other)) if other < one => return flipped.next(),
                    (None, _) => return flipped.next(),
                    _ => return listed.next(),
                }
            }
        });
        merged.take(most).collect()
    }

    /// What stands behind a torrent in the file of the list. Reads the file.
    pub fn note(&self, info_hash: &InfoHash) -> Option<String> {
        self.list.as_ref()?.listed.note(info_hash)
    }

    /// Whether a torrent is on the list.
    pub fn lists(&self, info_hash: &InfoHash) -> bool {
        self.list.as_ref().is_some_and(|list| list.contains(info_hash))
    }

    /// Whether announces of a torrent are taken in and answered.
    pub fn permits(&self, info_hash: &InfoHash) -> bool {
        match &self.list {
            None => true,
            Some(list) => list.contains(info_hash) == (list.kind == ListKind::Whitelist),
        }
    }

    /// Whether a scrape tells of a torrent.
    pub fn shows(&self, info_hash: &InfoHash) -> bool {
        !self.applies_to_scrapes || self.permits(info_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, ListKind, TorrentList};
    use crate::access_list::ListedTorrents;
    use crate::info_hash::InfoHash;
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};
    use std::collections::BTreeSet;

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

    fn numbered(number: u16) -> InfoHash {
        let mut hash = [0x77; 20];
        hash[..2].copy_from_slice(&number.to_le_bytes());
        InfoHash(hash)
    }

    #[test]
    fn without_a_list_there_is_nothing_to_change() {
        assert!(TorrentList::default().changed(&[(LISTED, Change::Add)]).is_none());
    }

    #[test]
    fn a_change_holds_for_its_torrent_and_says_whether_it_was_one() {
        let list = list(ListKind::Whitelist, true);
        let changes = [(OTHER, Change::Add), (OTHER, Change::Add), (LISTED, Change::Delete)];
        let (changed, count) = list.changed(&changes).unwrap();
        assert_eq!((permitted(&changed), count), ([false, true], 2));
        let (back, count) = changed.changed(&[(LISTED, Change::Add), (OTHER, Change::Delete)]).unwrap();
        assert_eq!((permitted(&back), count), ([true, false], 2));
        // The one that was changed is as it was.
        assert_eq!(permitted(&list), [true, false]);
        assert!(!back.shows(&OTHER));
    }

    proptest! {
        /// Sometimes more changes than are kept beside a list.
        #[test]
        fn any_changes_lead_to_what_a_plain_set_has(
            batches in vec(vec((0..900_u16, any::<bool>()), 0..200), 1..9),
        ) {
            let listed: BTreeSet<u16> = (0..900).step_by(3).collect();
            let hashes: Vec<_> = listed.iter().copied().map(numbered).collect();
            let mut list = TorrentList::new(ListKind::Whitelist, ListedTorrents::of(hashes), false);
            let mut expected = listed;
            for batch in batches {
                let change = |is_added| if is_added { Change::Add } else { Change::Delete };
                let changes: Vec<_> =
                    batch.iter().map(|(number, is_added)| (numbered(*number), change(*is_added))).collect();
                let mut differences = 0;
                for (number, is_added) in batch {
                    let is_new = if is_added { expected.insert(number) } else { expected.remove(&number) };
                    differences += usize::from(is_new);
                }
                let (changed, count) = list.changed(&changes).unwrap();
                prop_assert_eq!(count, differences);
                list = changed;
                prop_assert_eq!(list.len(), expected.len());
                let (mut pages, mut after) = (Vec::new(), None);
                loop {
                    let page = list.page(after.as_ref(), 37);
                    after = page.last().copied();
                    pages.extend_from_slice(&page);
                    if page.len() < 37 {
                        break;
                    }
                }
                let mut sorted: Vec<_> = expected.iter().copied().map(numbered).collect();
                sorted.sort_unstable();
                prop_assert_eq!(pages, sorted);
                for number in 0..900 {
                    prop_assert_eq!(list.permits(&numbered(number)), expected.contains(&number));
                }
            }
        }
    }
}
