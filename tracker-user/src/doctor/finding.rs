//! What was found about the host: one fact, what it means for the tracker, and the command that mends it.
//!
//! Beside the packets' way, never on it; findings are words for an operator and are built from facts alone.

use serde::Serialize;

/// How a fact bears on the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Nothing to do.
    Ok,
    /// The tracker works, but not as well as it could.
    Warning,
    /// Something that was asked for does not work.
    Obstacle,
}

impl Status {
    /// The word in the text.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Obstacle => "obstacle",
        }
    }
}

/// What a finding makes impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Hinders {
    /// The tracker does not start.
    Start,
    /// No XDP program answers, be it native or generic.
    Xdp,
    /// No native XDP.
    NativeXdp,
    /// No AF_XDP sockets.
    AfXdp,
    /// What the XDP program answers is lost.
    XdpAnswers,
    /// Requests are lost, however they come in.
    Requests,
}

impl Hinders {
    /// Whether a tracker that uses nothing but sockets does not feel it.
    const fn concerns_xdp_alone(self) -> bool {
        match self {
            Self::Xdp | Self::NativeXdp | Self::AfXdp | Self::XdpAnswers => true,
            Self::Start | Self::Requests => false,
        }
    }
}

/// One fact about the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The part of the host, such as `kernel` or `interface`.
    pub area: &'static str,
    /// What of that part, such as a setting or an interface's name.
    pub subject: String,
    /// How it bears on the tracker.
    pub status: Status,
    /// What is so, and what follows from it.
    pub says: String,
    /// A command that mends it, or else what to do.
    pub mend: Option<String>,
    /// What it makes impossible.
    pub hinders: Option<Hinders>,
}

impl Finding {
    /// A fact that is as it should be.
    pub(super) fn ok(area: &'static str, subject: impl Into<String>, says: impl Into<String>) -> Self {
        let (subject, says) = (subject.into(), says.into());
        Self { area, subject, status: Status::Ok, says, mend: None, hinders: None }
    }

    /// A fact that costs something.
    pub(super) fn warning(area: &'static str, subject: impl Into<String>, says: impl Into<String>) -> Self {
        Self { status: Status::Warning, ..Self::ok(area, subject, says) }
    }

    /// A fact because of which the tracker does not start, or starts without XDP.
    pub(super) fn obstacle(
        area: &'static str,
        subject: impl Into<String>,
        hinders: Hinders,
        says: impl Into<String>,
    ) -> Self {
        Self { status: Status::Obstacle, hinders: Some(hinders), ..Self::ok(area, subject, says) }
    }

    /// With the command that mends it.
    pub(super) fn mended_by(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// With what it makes impossible, the rest being as good as it was.
    pub(super) fn hindering(mut self, hinders: Hinders) -> Self {
        self.hinders = Some(hinders);
        self
    }

    /// As a tracker sees it that is told to use nothing but sockets.
    pub(super) fn for_sockets_alone(mut self) -> Self {
        let concerns_xdp_alone = self.hinders.is_some_and(Hinders::concerns_xdp_alone);
        if self.status == Status::Obstacle && concerns_xdp_alone {
            self.status = Status::Warning;
            self.says.push_str(" (mode socket does without)");
        }
        self
    }
}
