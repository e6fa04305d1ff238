//! What opentracker has and this version has not: named and refused, never ignored; or where
//! opentracker itself does nothing about it any more, named and passed over.
//!
//! A tracker that ignores its list of allowed torrents is worse than one that does not start.

use super::finding::{Finding, Place};

/// A feature with the keywords and the option that ask for it.
pub(super) struct AbsentFeature {
    /// Keywords; one that ends in a dot stands for all that begin with it.
    pub(super) keywords: &'static [&'static str],
    /// The short option of opentracker.
    pub(super) option: Option<&'static str>,
    name: &'static str,
    /// Whether opentracker has no more than the keyword: then a tracker without it is no other than before.
    is_harmless: bool,
}

pub(super) const ABSENT_FEATURES: &[AbsentFeature] = &[
    AbsentFeature {
        keywords: &["livesync."],
        option: Some("s"),
        name: "live synchronisation",
        is_harmless: false,
    },
    AbsentFeature {
        keywords: &["batchsync."],
        option: None,
        name: "batch synchronisation",
        is_harmless: true,
    },
];

impl AbsentFeature {
    /// The feature that a keyword asks for.
    pub(super) fn asked_by(keyword: &str) -> Option<&'static Self> {
        let asks = |known: &&str| match known.strip_suffix('.') {
            Some(group) => keyword == group || keyword.starts_with(*known),
            None => keyword == *known,
        };
        ABSENT_FEATURES.iter().find(|feature| feature.keywords.iter().any(asks))
    }

    /// The feature that one of opentracker's options asks for.
    pub(super) fn asked_by_option(option: &str) -> Option<&'static Self> {
        ABSENT_FEATURES.iter().find(|feature| feature.option == Some(option))
    }

    /// The refusal; no more than a warning where nothing is lost.
    pub(super) fn refuse(&self, place: &Place, keyword: &str) -> Finding {
        if self.is_harmless {
            let what = format!("this has no effect: neither opentracker nor this version has {}", self.name);
            return Finding::error(place, keyword, what).as_warning().mended_by("it can be removed");
        }
        Finding::error(place, keyword, format!("this version does not have {}", self.name))
            .mended_by("remove it to run without")
    }
}
