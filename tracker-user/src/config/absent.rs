//! What opentracker has and this version has not: named and refused, never ignored.
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
}

pub(super) const ABSENT_FEATURES: &[AbsentFeature] =
    &[AbsentFeature { keywords: &["livesync."], option: Some("s"), name: "live synchronisation" }];

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

    /// The refusal.
    pub(super) fn refuse(&self, place: &Place, keyword: &str) -> Finding {
        Finding::error(place, keyword, format!("this version does not have {}", self.name))
            .mended_by("remove it to run without")
    }
}
