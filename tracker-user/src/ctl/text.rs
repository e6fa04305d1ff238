//! Answers as people read them: a name and a value on each line, or a table.

use super::wire::Request;
use serde_json::Value;

/// What is printed for an answer.
pub(super) fn of(request: &Request, answer: &Value) -> String {
    match request {
        Request::Top { .. } => top(answer),
        _ => {
            let mut rows = Vec::new();
            flatten("", answer, &mut rows);
            let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
        }
    }
}

/// The line above a list, as a comment of a list file.
pub(super) fn list_heading(page: &Value) -> String {
    let kind = page.get("kind").map_or_else(|| "list".to_owned(), scalar);
    format!("# {kind} of {} torrents\n", page.get("total").map_or_else(String::new, scalar))
}

/// A line for each value.
pub(super) fn lines(values: impl Iterator<Item = Value>) -> String {
    values.map(|value| scalar(&value) + "\n").collect()
}

fn top(answer: &Value) -> String {
    let columns = ["peers", "seeders", "leechers", "completed"];
    let mut text: String = columns.iter().map(|name| format!("{name:>10} ")).collect();
    text.push_str(" torrent\n");
    for row in answer.get("torrents").and_then(Value::as_array).into_iter().flatten() {
        let value = |name: &str| row.get(name).map_or_else(String::new, scalar);
        text.extend(columns.iter().map(|name| format!("{:>10} ", value(name))));
        text.push_str(&format!(" {}\n", value("torrent")));
    }
    text
}

/// Names of objects within objects are joined by dots; so are the positions in an array of objects.
fn flatten(name: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| flatten(&below(key), value, rows)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(at, item)| flatten(&below(&at.to_string()), item, rows));
        }
        Value::Array(items) => {
            rows.push((name.to_owned(), items.iter().map(scalar).collect::<Vec<_>>().join(", ")));
        }
        value => rows.push((name.to_owned(), scalar(value))),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{list_heading, of};
    use crate::ctl::Request;
    use serde_json::json;

    #[test]
    fn an_answer_is_a_name_and_a_value_on_each_line() {
        let answer = json!({
            "state": "serving", "list": { "kind": "whitelist", "torrents": 3 }, "listening": ["udp a", "tcp b"],
            "xsk": [{ "queue": 0 }], "file": null,
        });
        let expected = "file           none\nlist.kind      whitelist\nlist.torrents  3\n\
                        listening      udp a, tcp b\nstate          serving\nxsk.0.queue    0\n";
        assert_eq!(of(&Request::Status, &answer), expected);
    }

    #[test]
    fn the_largest_swarms_are_a_table() {
        let row = json!({ "torrent": "AB", "peers": 3, "seeders": 2, "leechers": 1, "completed": 9 });
        let expected = "     peers    seeders   leechers  completed  torrent\n         \
                        3          2          1          9  AB\n";
        assert_eq!(of(&Request::Top { count: 1 }, &json!({ "torrents": [row] })), expected);
    }

    #[test]
    fn a_list_begins_with_a_comment() {
        assert_eq!(list_heading(&json!({ "kind": "blacklist", "total": 2 })), "# blacklist of 2 torrents\n");
    }
}
