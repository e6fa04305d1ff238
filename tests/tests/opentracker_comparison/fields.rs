//! What a tracker has answered, as fields with a name each, and what of it another tracker answers otherwise.

use std::collections::{BTreeMap, BTreeSet};

/// Names and values.
pub(crate) type Fields = BTreeMap<String, String>;

/// A field in which two trackers differ; `None` where one has none of that name.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) field: String,
    pub(crate) theirs: Option<String>,
    pub(crate) ours: Option<String>,
}

/// All fields in which two trackers differ.
pub(crate) fn mismatches(theirs: &Fields, ours: &Fields) -> Vec<Mismatch> {
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let compared = names.into_iter().map(|field| Mismatch {
        field: field.clone(),
        theirs: theirs.get(field).cloned(),
        ours: ours.get(field).cloned(),
    });
    compared.filter(|mismatch| mismatch.theirs != mismatch.ours).collect()
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
    let found = mismatches(
        &fields(&[("a", "1"), ("b", "1"), ("c", "1")]),
        &fields(&[("b", "2"), ("c", "1"), ("d", "1")]),
    );
    assert_eq!(found.iter().map(|mismatch| &*mismatch.field).collect::<Vec<_>>(), ["a", "b", "d"]);
    let text = without_numbers_before("7 seconds (0 hours), 12 conns/s, 13", &[" seconds", " conns/s"]);
    assert_eq!(text, "N seconds (0 hours), N conns/s, 13");
}
