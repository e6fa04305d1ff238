//! The one table of settings: name, reason, type, parser and printer of each stand in one entry of it.

mod table;

use super::draft::Draft;
use super::types::Config;
pub use table::settings;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The dotted name: `keyword value` in a classic file, `[group]` and `key = value` in TOML.
    pub name: &'static str,
    /// What it does, and why one would change it; one line.
    pub doc: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// A value to show where the default is to have none; empty where there is a default.
    pub example: &'static str,
    /// Parses a value and stores it.
    set: fn(&mut Draft, &str) -> Result<(), String>,
    /// The value that a configuration has.
    show: fn(&Config) -> Shown,
}

/// What kind of value a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// A number of bytes, or one with a suffix such as `512M`.
    Bytes,
    /// `true` or `false`.
    Switch,
    /// Text.
    Text,
    /// Text, any number of times.
    List,
    /// An address to listen on, any number of times.
    Listen,
    /// A number for the addresses that follow: only where there is an order.
    ForNextListen,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It has none.
    Unset,
    /// A whole number.
    Number(u64),
    /// `true` or `false`.
    Switch(bool),
    /// Text.
    Text(String),
    /// Every text of a list.
    List(Vec<String>),
    /// Every address, with the number of its UDP workers if it has its own.
    Listen(Vec<(String, Option<u16>)>),
}

impl Setting {
    /// The setting of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        settings().find(|setting| setting.name == name)
    }

    /// Whether a second value replaces the first.
    pub fn is_scalar(&self) -> bool {
        matches!(self.kind, Kind::Number | Kind::Bytes | Kind::Switch | Kind::Text)
    }

    /// Parses a value and stores it, or says what was expected.
    pub(super) fn set(&self, draft: &mut Draft, value: &str) -> Result<(), String> {
        (self.set)(draft, value)
    }

    /// The value that a configuration has.
    pub fn show(&self, config: &Config) -> Shown {
        (self.show)(config)
    }

    /// The default, or the example where the default is to have none, as a classic file has it.
    pub fn default_or_example(&self) -> String {
        match self.show(&Config::default()) {
            Shown::Number(number) => number.to_string(),
            Shown::Switch(switch) => switch.to_string(),
            Shown::Text(text) => text,
            Shown::Unset | Shown::List(_) | Shown::Listen(_) => self.example.to_owned(),
        }
    }
}

/// Whether a name is the part before a dot of some setting's name.
pub fn is_group(name: &str) -> bool {
    settings().any(|setting| setting.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// The known name nearest to an unknown one, if one is near.
pub fn nearest(unknown: &str) -> Option<&'static str> {
    let compared = |name: &'static str| if unknown.contains('.') { name } else { last_part(name) };
    let names = settings().map(|setting| (setting.name, compared(setting.name)));
    // A unit that was left out is no misspelling.
    let without_unit = |name: &'static str| name.trim_end_matches("_secs").trim_end_matches("_bytes");
    nearest_of(unknown, names.flat_map(|(name, compared)| [(name, compared), (name, without_unit(compared))]))
}

/// The group of settings nearest to an unknown one, if one is near.
pub fn nearest_group(unknown: &str) -> Option<&'static str> {
    let groups = settings().filter_map(|setting| setting.name.split('.').next());
    nearest_of(unknown, groups.map(|group| (group, group)))
}

/// The first of the pair whose second is nearest, if that takes few changes.
fn nearest_of(
    unknown: &str,
    candidates: impl Iterator<Item = (&'static str, &'static str)>,
) -> Option<&'static str> {
    let unknown = unknown.to_ascii_lowercase();
    let near_enough = (unknown.len() / 4).max(1);
    candidates
        .map(|(name, compared)| (strsim::damerau_levenshtein(&unknown, compared), name))
        .filter(|(distance, _)| *distance <= near_enough)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn last_part(name: &'static str) -> &'static str {
    name.rsplit('.').next().unwrap_or(name)
}
