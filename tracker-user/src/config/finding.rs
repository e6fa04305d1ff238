//! One thing wrong with the configuration: where, what, and how to mend it.

use std::fmt;
use std::path::PathBuf;

/// One thing wrong, written as `place: keyword: what; how to mend`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the daemon may start all the same.
    pub severity: Severity,
    /// Where it stands.
    pub place: Place,
    /// The keyword or option; empty where there is none.
    pub keyword: String,
    /// What is wrong.
    pub what: String,
    /// How to mend it, where `what` does not say it.
    pub remedy: Option<String>,
}

/// What a finding means for the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The daemon must not start.
    Error,
    /// The daemon may start; the operator should know.
    Warning,
}

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the arguments.
    CommandLine,
    /// In a file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, counted from 1; `None`: the file as a whole.
        line: Option<usize>,
    },
}

impl Finding {
    /// An error at a place, about a keyword.
    pub fn error(place: &Place, keyword: &str, what: impl Into<String>) -> Self {
        let (place, keyword) = (place.clone(), keyword.to_owned());
        Self { severity: Severity::Error, place, keyword, what: what.into(), remedy: None }
    }

    /// The same as no more than a warning.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// The same with a way to mend it.
    #[must_use]
    pub fn mended_by(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => formatter.write_str("command line"),
            Self::File { path, line: None } => write!(formatter, "{}", path.display()),
            Self::File { path, line: Some(line) } => write!(formatter, "{}:{line}", path.display()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.place)?;
        if self.severity == Severity::Warning {
            formatter.write_str("warning: ")?;
        }
        if !self.keyword.is_empty() {
            write!(formatter, "{}: ", self.keyword)?;
        }
        formatter.write_str(&self.what)?;
        match &self.remedy {
            Some(remedy) => write!(formatter, "; {remedy}"),
            None => Ok(()),
        }
    }
}
