//! What a tracker has answered, as fields with a name each, and what of it another tracker answers otherwise.

use std::collections::{BTreeMap, BTreeSet};

/// Names and values.
pub(crate) type Fields = BTreeMap<String, String>;

/// A field of two trackers; `None` where one has none of that name.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) field: String,
    pub(crate) theirs: Option<String>,
    pub(crate) ours: Option<String>,
}

impl Compared {
    pub(crate) fn differs(&self) -> bool {
        self.theirs != self.ours
    }

    /// The name of the field with another last part.
    pub(crate) fn beside(&self, part: &str) -> String {
        self.field.strip_suffix(last_part(&self.field)).unwrap_or_default().to_owned() + part
    }
}

/// What stands behind the last slash.
pub(crate) fn last_part(field: &str) -> &str {
    field.rsplit('/').next().unwrap_or(field)
}

/// All fields of two trackers side by side.
pub(crate) fn compared(theirs: &Fields, ours: &Fields) -> Vec<Compared> {
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let compared = names.into_iter().map(|field| Compared {
        field: field.clone(),
        theirs: theirs.get(field).cloned(),
        ours: ours.get(field).cloned(),
    });
    compared.collect()
}

/// The text with every run of digits that stands before one of these words replaced: what depends on the time of asking.
pub(crate) fn without_numbers_before(text: &str, words: &[&str]) -> String {
    let mut rest = text;
    let mut replaced = String::new();
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let digits = rest[start..].chars().take_while(char::is_ascii_digit).count();
        let (number, behind) = rest[start..].split_at(digits);
        replaced.push_str(&rest[..start]);
        replaced.push_str(if words.iter().any(|word| behind.starts_with(word)) { "N" } else { number });
        rest = behind;
    }
    replaced + rest
}

#[test]
fn fields_differ_by_value_and_by_being_there() {
    let fields = |pairs: &[(&str, &str)]| -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let found = compared(
        &fields(&[("a", "1"), ("b", "1"), ("c", "1")]),
        &fields(&[("b", "2"), ("c", "1"), ("d", "1")]),
    );
    let differing = found.iter().filter(|compared| compared.differs()).map(|compared| &*compared.field);
    assert_eq!(differing.collect::<Vec<_>>(), ["a", "b", "d"]);
    let text = without_numbers_before("7 seconds (0 hours), 12 conns/s, 13", &[" seconds", " conns/s"]);
    assert_eq!(text, "N seconds (0 hours), N conns/s, 13");
}
