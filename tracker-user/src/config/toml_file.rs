//! The TOML format: the dotted names of the table of settings as nested tables, with the line of every finding.

use super::draft::{Draft, unknown};
use super::file::line_of;
use super::finding::{Finding, Place};
use super::keys::{self, Kind, Setting};
use super::values::{expected, workers_of_one_address};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Takes the text of a file in; `path` is for the findings.
pub(super) fn read(draft: &mut Draft, path: &Path, text: &str) {
    let mut reader = Reader { draft, path, text };
    let (document, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().unwrap_or_default().start);
    if errors.is_empty() {
        reader.table("", document.get_ref());
    }
    for error in errors {
        // What recovery made of the rest is guesswork: findings about it would mislead.
        let place = reader.place(error.span().unwrap_or_default());
        reader.draft.findings.push(Finding::error(&place, "", format!("not TOML: {}", error.message())));
    }
}

/// One file on its way into the draft.
struct Reader<'a> {
    draft: &'a mut Draft,
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    /// The entries of a table in the order of the file.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = format!("{prefix}{}", key.get_ref());
            let in_file = Setting::named(&name).filter(|setting| setting.kind != Kind::ForNextListen);
            match (in_file, value.get_ref()) {
                (Some(setting), _) => self.setting(setting, value),
                (None, DeValue::Table(inner)) if keys::is_group(&name) => {
                    self.table(&format!("{name}."), inner);
                }
                (None, _) if keys::is_group(&name) => self.refuse(key.span(), &name, "expected a table"),
                (None, other) => {
                    let mut finding = unknown(&self.place(key.span()), &name, &name);
                    if let (DeValue::Table(_), Some(group)) = (other, keys::nearest_group(&name)) {
                        finding = finding.mended_by(format!("did you mean {group}?"));
                    }
                    self.draft.findings.push(finding);
                }
            }
        }
    }

    /// One setting, of whatever type its value has.
    fn setting(&mut self, setting: &'static Setting, value: &Spanned<DeValue<'_>>) {
        let (wanted, text) = match (setting.kind, value.get_ref()) {
            (Kind::List | Kind::Listen, DeValue::Array(elements)) => {
                for element in elements.iter() {
                    self.element(setting, element);
                }
                return;
            }
            (Kind::Number | Kind::Bytes, DeValue::Integer(integer)) => {
                let number = i128::from_str_radix(integer.as_str(), integer.radix());
                ("an integer", Some(number.map_or_else(|_| integer.to_string(), |number| number.to_string())))
            }
            (Kind::Switch, DeValue::Boolean(value)) => ("true or false", Some(value.to_string())),
            (Kind::Text, DeValue::String(text)) => ("a string", Some(text.to_string())),
            (Kind::Bytes, DeValue::String(text)) => ("a string", Some(text.to_string())),
            (Kind::Number, _) => ("an integer", None),
            (Kind::Bytes, _) => ("an integer or a string such as \"512M\"", None),
            (Kind::Switch, _) => ("true or false", None),
            (Kind::Text, _) => ("a string", None),
            (Kind::List | Kind::Listen | Kind::ForNextListen, _) => ("an array of strings", None),
        };
        match text {
            Some(text) => {
                let place = self.place(value.span());
                self.draft.apply(&place, setting.name, setting.name, &text);
            }
            None => {
                let place = self.place(value.span());
                let what = wrong_type(wanted, value.get_ref());
                self.draft.refuse(&place, setting.name, setting.name, what);
            }
        }
    }

    /// One element of a list: a string, or for UDP also `{ address = "…", workers = 4 }`.
    fn element(&mut self, setting: &'static Setting, element: &Spanned<DeValue<'_>>) {
        match element.get_ref() {
            DeValue::String(text) => {
                let place = self.place(element.span());
                self.draft.apply(&place, setting.name, setting.name, text);
            }
            DeValue::Table(table) if setting.kind == Kind::Listen && setting.name != "listen.tcp" => {
                self.listen_table(setting, element.span(), table);
            }
            other => self.refuse(element.span(), setting.name, &wrong_type("a string", other)),
        }
    }

    /// An address to listen on with the number of its workers.
    fn listen_table(&mut self, setting: &'static Setting, span: Range<usize>, table: &DeTable<'_>) {
        let mut address = None;
        let mut workers = None;
        for (key, value) in table.iter() {
            let name = format!("{}.{}", setting.name, key.get_ref());
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("address", DeValue::String(text)) => address = Some(text),
                ("address", other) => self.refuse(value.span(), &name, &wrong_type("a string", other)),
                ("workers", DeValue::Integer(number)) => match workers_of_one_address(&number.to_string()) {
                    Ok(number) => workers = Some(number),
                    Err(what) => self.refuse(value.span(), &name, &what),
                },
                ("workers", other) => self.refuse(value.span(), &name, &wrong_type("an integer", other)),
                (found, _) => self.refuse(key.span(), setting.name, &expected("address or workers", found)),
            }
        }
        let Some(address) = address else {
            return self.refuse(span, setting.name, "expected an address in the table, found none");
        };
        let place = self.place(span);
        let outside = std::mem::replace(&mut self.draft.udp_workers_of_next, workers);
        self.draft.apply(&place, setting.name, setting.name, address);
        self.draft.udp_workers_of_next = outside;
    }

    fn refuse(&mut self, span: Range<usize>, name: &str, what: &str) {
        let finding = Finding::error(&self.place(span), name, what);
        self.draft.findings.push(finding);
    }

    fn place(&self, span: Range<usize>) -> Place {
        let line = line_of(self.text.as_bytes(), span.start);
        Place::File { path: self.path.to_owned(), line: Some(line) }
    }
}

fn wrong_type(wanted: &str, found: &DeValue<'_>) -> String {
    let article = if matches!(found, DeValue::Integer(_) | DeValue::Array(_)) { "an" } else { "a" };
    format!("expected {wanted}, found {article} {}", found.type_str())
}
