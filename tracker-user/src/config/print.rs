//! A configuration as commented TOML that, read back, gives the same configuration.

use super::keys::{Kind, Shown, settings};
use super::types::Config;

/// Every setting under its table, each with its line of documentation; what has no value is commented out.
pub(super) fn as_toml(config: &Config) -> String {
    let mut text = String::from("# The configuration of opentracker-xdp as it takes effect.\n");
    let mut open_group = "";
    for setting in settings().filter(|setting| setting.kind != Kind::ForNextListen) {
        let (group, key) = setting.name.split_once('.').unwrap_or(("", setting.name));
        if group != open_group {
            text.push_str(&format!("\n[{group}]\n"));
            open_group = group;
        }
        text.push_str(&format!("# {}\n", setting.doc));
        match literal(&setting.show(config)) {
            Some(value) => text.push_str(&format!("{key} = {value}\n")),
            None => text.push_str(&format!("# {key} = {}\n", quoted(setting.example))),
        }
    }
    text
}

fn literal(shown: &Shown) -> Option<String> {
    let literal = match shown {
        Shown::Unset => return None,
        Shown::Number(number) => number.to_string(),
        Shown::Switch(switch) => switch.to_string(),
        Shown::Text(text) => quoted(text),
        Shown::List(texts) => array(texts.iter().map(|text| quoted(text))),
        Shown::Listen(addresses) => array(addresses.iter().map(|(address, workers)| match workers {
            None => quoted(address),
            Some(workers) => format!("{{ address = {}, workers = {workers} }}", quoted(address)),
        })),
    };
    Some(literal)
}

fn array(literals: impl Iterator<Item = String>) -> String {
    format!("[{}]", literals.collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
