//! The example file and the documentation say what the table of settings says.

use super::from_classic;
use crate::config::keys::{Shown, settings};
use crate::config::types::Config;
use std::path::Path;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn the_example_file_sets_nothing_as_it_is() {
    assert_eq!(from_classic(&read("opentracker.conf.example")), (Config::default(), Vec::new()));
}

#[test]
fn the_example_file_shows_every_key_with_its_line_and_its_default() {
    let example = read("opentracker.conf.example");
    for setting in settings() {
        let lines = format!("\n# {}\n# {} {}\n", setting.doc, setting.name, setting.default_or_example());
        assert_eq!(example.matches(&lines).count(), 1, "expected once in the example:{lines}");
    }
}

#[test]
fn every_key_of_the_example_file_can_be_put_in_force() {
    let is_key = |line: &str| {
        line.split_once(' ').is_some_and(|(word, _)| settings().any(|setting| setting.name == word))
    };
    let uncommented = |line: &str| match line.strip_prefix("# ") {
        // Beside a whitelist it is an error.
        Some(rest) if rest.starts_with("access.blacklist ") => String::from("\n"),
        Some(rest) if is_key(rest) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    let text: String = read("opentracker.conf.example").lines().map(uncommented).collect();
    let (config, findings) = from_classic(&text);
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!((config.listen.len(), config.access.stats.len(), config.access.proxy.len()), (4, 1, 1));
    assert!(config.tracker.user.is_some() && config.tracker.rootdir.is_some());
    assert!(config.tracker.redirect_url.is_some());
}

#[test]
fn the_documentation_has_the_line_and_the_default_of_every_key() {
    let documentation = read("docs/configuration.md");
    for setting in settings() {
        let default = match setting.show(&Config::default()) {
            Shown::Unset | Shown::List(_) | Shown::Listen(_) => "none".to_owned(),
            Shown::Number(_) | Shown::Switch(_) | Shown::Text(_) => {
                format!("`{}`", setting.default_or_example())
            }
        };
        let row = format!("\n| `{}` | {default} | {} |\n", setting.name, setting.doc);
        assert!(documentation.contains(&row), "missing in the documentation:{row}");
    }
}
