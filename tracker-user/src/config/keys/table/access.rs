//! Settings of who may do what, and of which torrents are served.

use super::{networks, path, store};
use crate::config::draft::Draft;
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::types::AccessConfig;
use crate::config::values;
use std::path::PathBuf;

/// Every setting under `access.`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "access.stats",
        doc: "A network that may read the statistics; repeatable; without it, everyone may.",
        kind: Kind::List,
        example: "192.0.2.0/24",
        set: |draft, value| {
            draft.config.access.stats.push(values::network(value)?);
            Ok(())
        },
        show: |config| networks(&config.access.stats),
    },
    Setting {
        name: "access.stats_path",
        doc: "The path of the statistics; an unguessable one hides them.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.access.stats_path, values::stats_path(value)),
        show: |config| Shown::Text(config.access.stats_path.clone()),
    },
    Setting {
        name: "access.proxy",
        doc: "A network of proxies whose X-Forwarded-For is believed; repeatable; anyone there can pose as anyone.",
        kind: Kind::List,
        example: "192.0.2.7",
        set: |draft, value| {
            draft.config.access.proxy.push(values::network(value)?);
            Ok(())
        },
        show: |config| networks(&config.access.proxy),
    },
    Setting {
        name: "access.deny",
        doc: "A network that is not served, over UDP or HTTP; repeatable; the kernel drops its packets where XDP runs.",
        kind: Kind::List,
        example: "203.0.113.0/24",
        set: |draft, value| {
            draft.config.access.deny.push(values::network(value)?);
            Ok(())
        },
        show: |config| networks(&config.access.deny),
    },
    Setting {
        name: "access.clients_deny",
        doc: "What the peer id of a client begins with that is not served, as -XL or -AZ2060-; repeatable.",
        kind: Kind::List,
        example: "-XL",
        set: |draft, value| {
            draft.config.access.clients_deny.push(values::peer_id_prefix(value)?);
            Ok(())
        },
        show: |config| Shown::List(config.access.clients_deny.clone()),
    },
    Setting {
        name: "access.whitelist",
        doc: "A file of the torrents that are served, and no others: 40 hexadecimal digits a line.",
        kind: Kind::Text,
        example: "whitelist.txt",
        set: |draft, value| list_file(draft, value, "access.whitelist", |access| &mut access.whitelist),
        show: |config| path(config.access.whitelist.as_deref()),
    },
    Setting {
        name: "access.blacklist",
        doc: "A file of the torrents that are not served; instead of a whitelist, not beside it.",
        kind: Kind::Text,
        example: "blacklist.txt",
        set: |draft, value| list_file(draft, value, "access.blacklist", |access| &mut access.blacklist),
        show: |config| path(config.access.blacklist.as_deref()),
    },
    Setting {
        name: "access.fifo_add",
        doc: "A FIFO that takes lines of a list while the tracker runs, and puts their torrents on it.",
        kind: Kind::Text,
        example: "add.fifo",
        set: |draft, value| list_file(draft, value, "access.fifo_add", |access| &mut access.fifo_add),
        show: |config| path(config.access.fifo_add.as_deref()),
    },
    Setting {
        name: "access.fifo_delete",
        doc: "A FIFO that takes lines of a list while the tracker runs, and takes their torrents off it.",
        kind: Kind::Text,
        example: "delete.fifo",
        set: |draft, value| list_file(draft, value, "access.fifo_delete", |access| &mut access.fifo_delete),
        show: |config| path(config.access.fifo_delete.as_deref()),
    },
    Setting {
        name: "access.lists_apply_to_scrapes",
        doc: "Whether scrapes, too, know nothing of a torrent that is not served.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.access.lists_apply_to_scrapes, values::switch(value)),
        show: |config| Shown::Switch(config.access.lists_apply_to_scrapes),
    },
];

/// Of two lists only one could be in force, and of two FIFOs one be read, so no other replaces the first.
fn list_file(
    draft: &mut Draft,
    value: &str,
    name: &str,
    list: fn(&mut AccessConfig) -> &mut Option<PathBuf>,
) -> Result<(), String> {
    let path = values::text(value, "a file")?;
    let earlier = draft.place_of(name).cloned();
    let list = list(&mut draft.config.access);
    match (list.as_ref(), earlier) {
        (Some(first), Some(place)) => {
            let first = first.display();
            Err(format!("{first:?} is given before ({place}), and there can be one; remove one of them"))
        }
        _ => {
            *list = Some(path.into());
            Ok(())
        }
    }
}
