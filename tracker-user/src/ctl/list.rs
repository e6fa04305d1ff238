//! The list of a tracker, which comes in pages: put together, and printed once all of it is there and of one list. What is
//! printed may take the place of the file that the list was read from.

use super::client::{Connection, Failure};
use super::wire::Request;
use super::{text, write};
use serde_json::Value;
use std::io;

/// How often it is begun again where the list changes between two pages.
const ATTEMPTS: u32 = 10;

/// Prints every torrent on the list: as lines that a list file could have, or as one object.
pub(super) fn print(connection: &mut Connection, as_json: bool) -> Result<(), Failure> {
    let List { heading, torrents } = whole(|request| connection.ask(request))?;
    if as_json {
        let whole = serde_json::json!({
            "kind": heading["kind"], "total": heading["total"], "torrents": torrents,
        });
        return Ok(write(io::stdout(), format_args!("{whole}\n"))?);
    }
    Ok(write(io::stdout(), text::list_heading(&heading) + &text::lines(torrents.into_iter()))?)
}

/// A list, all of it.
#[derive(Debug)]
struct List {
    /// The first page, without its torrents.
    heading: Value,
    torrents: Vec<Value>,
}

/// Asks for every page, from the first one again where another list has come into force meanwhile.
fn whole(mut ask: impl FnMut(&Request) -> Result<Value, Failure>) -> Result<List, Failure> {
    for _ in 0..ATTEMPTS {
        if let Some(list) = attempt(&mut ask)? {
            let total = list.heading.get("total").and_then(Value::as_u64);
            if total != Some(list.torrents.len() as u64) {
                let why = format!("{} torrents of a list of {total:?}", list.torrents.len());
                return Err(Failure::NotUnderstood(why));
            }
            return Ok(list);
        }
    }
    Err(Failure::Refused("the list changes faster than it can be read; try again when it rests".to_owned()))
}

/// Asks for every page; nothing where two of them are of different lists.
fn attempt(ask: &mut impl FnMut(&Request) -> Result<Value, Failure>) -> Result<Option<List>, Failure> {
    let mut heading = ask(&Request::List { after: None })?;
    let mut torrents = take_torrents(&mut heading)?;
    let mut has_more = heading.get("more") == Some(&Value::Bool(true));
    while has_more {
        let last = torrents.last().and_then(Value::as_str).and_then(|text| text.parse().ok());
        let last = last.ok_or_else(|| Failure::NotUnderstood("a page without a torrent".to_owned()))?;
        let mut page = ask(&Request::List { after: Some(last) })?;
        if page.get("revision") != heading.get("revision") {
            return Ok(None);
        }
        torrents.extend(take_torrents(&mut page)?);
        has_more = page.get("more") == Some(&Value::Bool(true));
    }
    Ok(Some(List { heading, torrents }))
}

fn take_torrents(page: &mut Value) -> Result<Vec<Value>, Failure> {
    match page.get_mut("torrents").map(Value::take) {
        Some(Value::Array(rows)) => Ok(rows),
        _ => Err(Failure::NotUnderstood("a list without torrents".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{ATTEMPTS, Failure, whole};
    use crate::ctl::Request;
    use serde_json::{Value, json};

    fn torrent(number: u32) -> Value {
        format!("{number:040X}").into()
    }

    fn page(revision: u32, total: u32, torrents: &[u32], has_more: bool) -> Value {
        let torrents: Vec<_> = torrents.iter().map(|number| torrent(*number)).collect();
        json!({ "kind": "whitelist", "total": total, "revision": revision, "torrents": torrents, "more": has_more })
    }

    #[test]
    fn pages_of_two_lists_are_never_put_together() {
        // Another list comes into force between the first two pages.
        let pages = [
            (None, page(7, 3, &[1, 2], true)),
            (Some(2), page(8, 3, &[4], false)),
            (None, page(8, 3, &[1, 3], true)),
            (Some(3), page(8, 3, &[4], false)),
        ];
        let mut pages = pages.into_iter();
        let list = whole(|request| {
            let (after, page) = pages.next().expect("no more is asked for");
            let after = after.map(|number: u32| format!("{number:040X}").parse().unwrap());
            assert_eq!(*request, Request::List { after });
            Ok(page)
        });
        assert_eq!(list.unwrap().torrents, [1, 3, 4].map(torrent));
        assert!(pages.next().is_none());
    }

    #[test]
    fn a_list_that_never_rests_is_given_up() {
        let mut asked = 0;
        let refused = whole(|_| {
            asked += 1;
            Ok(page(asked, 2, &[asked], true))
        });
        assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
        assert_eq!(asked, 2 * ATTEMPTS);
    }

    #[test]
    fn a_list_with_less_than_its_total_is_none() {
        let short = whole(|_| Ok(page(1, 3, &[1, 2], false)));
        assert!(matches!(short, Err(Failure::NotUnderstood(_))), "{short:?}");
    }
}
