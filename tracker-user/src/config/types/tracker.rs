//! What the daemon is, and how it answers announces.

use std::path::PathBuf;

/// Whether the daemon fences itself off from the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// As far as the kernel can.
    #[default]
    Auto,
    /// Or it does not start.
    On,
    /// Not at all.
    Off,
}

impl SandboxMode {
    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// Keys under `tracker.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerConfig {
    /// The user to become after binding; `None`: `nobody` when started as root, else nobody new.
    pub user: Option<String>,
    /// The directory to chroot to (as root) or change to (otherwise) after binding.
    pub rootdir: Option<PathBuf>,
    /// How narrowly the running daemon is fenced off from the host.
    pub sandbox: SandboxMode,
    /// Where `GET /` is redirected.
    pub redirect_url: Option<String>,
    /// Seconds until a client should announce again, before jitter.
    pub interval_secs: u32,
    /// The most seconds by which an interval is shortened or lengthened at random.
    pub interval_jitter_secs: u32,
    /// The most that an overloaded tracker makes of an interval, in percent; 100: it stays as it is.
    pub interval_stretch_max_percent: u16,
    /// Seconds after its last announce when a peer is forgotten.
    pub peer_timeout_secs: u32,
    /// Seconds after its last announce when a torrent without peers is forgotten with its completed count.
    pub torrent_timeout_secs: u32,
    /// Peers in an answer when the client does not say.
    pub peers_wanted_default: u16,
    /// The most peers in an answer.
    pub peers_wanted_max: u16,
    /// Of a hundred peers in an answer, how many are made up.
    pub decoy_peers_percent: u8,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            user: None,
            rootdir: None,
            sandbox: SandboxMode::Auto,
            redirect_url: None,
            interval_secs: 30 * 60,
            interval_jitter_secs: 3 * 60,
            interval_stretch_max_percent: 200,
            peer_timeout_secs: 45 * 60,
            torrent_timeout_secs: 24 * 60 * 60,
            peers_wanted_default: 50,
            peers_wanted_max: 200,
            decoy_peers_percent: 0,
        }
    }
}
