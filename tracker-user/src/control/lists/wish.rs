//! What others want of the thread that looks after the lists, and how they hear what came of it.

use crate::access_list::{Change, ListKind};
use crate::config::types::AccessConfig;
use crate::info_hash::InfoHash;
use tokio::sync::oneshot::Sender;

/// What is wanted: of several configurations the last counts, of everything else each.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) config: AccessConfig,
    pub(super) reload: bool,
    /// Whoever waits for the end of the reload: what is in force then, or why that of before still is.
    pub(super) reloaded: Vec<Sender<Result<Option<String>, String>>>,
    pub(super) verdicts: Vec<Verdict>,
}

/// Torrents that an operator wants served, or not served.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) torrents: Vec<InfoHash>,
    pub(super) wanted: Wanted,
    pub(super) done: Sender<Result<Changed, NoList>>,
}

/// Whether torrents shall be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// They shall.
    Allow,
    /// They shall not.
    Deny,
}

impl Wanted {
    /// What that means for a list of this kind.
    pub(super) const fn change(self, kind: ListKind) -> Change {
        match (self, kind) {
            (Self::Allow, ListKind::Whitelist) | (Self::Deny, ListKind::Blacklist) => Change::Add,
            (Self::Allow, ListKind::Blacklist) | (Self::Deny, ListKind::Whitelist) => Change::Delete,
        }
    }
}

/// What a change of the list came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The list that is in force.
    pub kind: ListKind,
    /// Torrents whose place on it has changed; the others had the wanted one before.
    pub changed: usize,
}

/// There is no list that could be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no list is in force; name an access.whitelist or access.blacklist, the file may be empty")]
pub struct NoList;

impl Wish {
    pub(super) const fn nothing(config: AccessConfig) -> Self {
        Self { config, reload: false, reloaded: Vec::new(), verdicts: Vec::new() }
    }

    /// Lets everyone know that nothing will come of it.
    pub(super) fn give_up(&mut self) {
        self.reloaded.clear();
        self.verdicts.clear();
    }
}
