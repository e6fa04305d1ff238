//! The service manager.

use command_fds::{CommandFdExt, FdMapping};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::temporary_directory::TemporaryDirectory;

/// The first descriptor that is passed.
const FIRST: RawFd = 3;
/// Sets the process id, which is known only there, and becomes the daemon, which keeps it.
const BECOME: &str = "LISTEN_PID=$$; export LISTEN_PID; exec \"$@\"";

/// What listens to a daemon.
pub(crate) struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _directory: TemporaryDirectory,
}

/// What a daemon has said.
#[derive(Debug)]
pub(crate) struct Notified {
    pub(crate) text: String,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let directory = TemporaryDirectory::new();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("the directory is ours");
        Self { socket, path, _directory: directory }
    }

    /// The command of a daemon to which these descriptors are passed, with their names.
    pub(crate) fn command(&self, arguments: &[&str], passed: &[(&str, &OwnedFd)]) -> Command {
        let daemon = Daemon::command(arguments);
        let mut command = Command::new("sh");
        command.args(["-c", BECOME, "sh"]).arg(daemon.get_program()).args(daemon.get_args());
        command.env("NOTIFY_SOCKET", &self.path).env("LISTEN_FDS", passed.len().to_string());
        let names: Vec<_> = passed.iter().map(|(name, _)| *name).collect();
        command.env("LISTEN_FDNAMES", names.join(":"));
        let mappings = passed.iter().zip(FIRST..).map(|((_, descriptor), child_fd)| {
            let parent_fd = descriptor.try_clone().expect("there are free descriptors");
            FdMapping { parent_fd, child_fd }
        });
        command.fd_mappings(mappings.collect()).expect("no two are passed as the same");
        command
    }

    /// The next that a daemon says, if it says anything in time.
    pub(crate) fn heard(&self, within: Duration) -> Option<Notified> {
        self.socket.set_read_timeout(Some(within)).expect("the time is not zero");
        let (mut bytes, mut rights) = ([0; 4096], cmsg_space!([RawFd; 4]));
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(self.socket.as_raw_fd(), &mut buffers, Some(&mut rights), flags).ok()?;
        let length = message.bytes;
        let received = message.cmsgs().expect("there is room for all").flat_map(|message| match message {
            ControlMessageOwned::ScmRights(descriptors) => descriptors,
            _ => Vec::new(),
        });
        let descriptors = received
            // SAFETY: each has just been received, and is taken by nobody else.
            .map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) })
            .collect();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        Some(Notified { text, descriptors })
    }

    /// Waits until a daemon says something with this line in it; what it says before is passed over.
    pub(crate) fn await_line(&self, line: &str) -> Notified {
        loop {
            let notified = self.heard(DEADLINE).unwrap_or_else(|| panic!("the daemon does not say {line}"));
            if notified.text.lines().any(|said| said == line) {
                return notified;
            }
        }
    }
}
