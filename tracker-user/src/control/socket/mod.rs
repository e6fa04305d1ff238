//! The Unix socket at which an operator reaches the daemon: bound while it still has the rights of whoever started it,
//! served by tasks of the control runtime, never on the packets' way. What comes in may be anything at all: it is bounded in
//! number, length and time, and no answer of it stops anything but what was asked to stop.

mod desk;
mod serve;
mod waiting;

pub use desk::{Desk, Order, Reloaded};
pub use serve::serve;
pub use waiting::Waiting;

use nix::fcntl::{Flock, FlockArg, OFlag, open};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use socket2::{Domain, SockAddr, Socket, Type};
use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;
/// Who may connect: the user who started the daemon, and root.
const PERMISSIONS: u32 = 0o600;
/// Who may look into a directory that is made for the socket.
const DIRECTORY_PERMISSIONS: u32 = 0o755;

/// The socket cannot be had.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Its directory cannot be had.
    #[error(
        "control.socket {0:?}: its directory cannot be opened or made: {1}; make it, or name another path"
    )]
    Directory(PathBuf, io::Error),
    /// Another process listens there.
    #[error("control.socket {0:?} is that of another process that lives; stop it, or name another path")]
    Taken(PathBuf),
    /// Something else is there.
    #[error("control.socket {0:?}: there is something else of that name; remove it, or name another path")]
    NoSocket(PathBuf),
    /// The kernel refuses.
    #[error("control.socket {0:?} cannot be bound: {1}")]
    Bind(PathBuf, io::Error),
}

/// The socket, bound. Dropping it removes it, as far as the daemon still may; one that stays is known to the next daemon as
/// one that nobody listens at.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    file: Option<SocketFile>,
}

/// The socket's name in its directory: reached by a descriptor, since a chroot comes between.
#[derive(Debug)]
struct SocketFile {
    directory: File,
    name: OsString,
    /// Device and number of the file: another daemon's of the same name is left alone.
    identity: (u64, u64),
}

impl ControlSocket {
    /// Binds the socket, in place of one that nobody listens at any more.
    ///
    /// # Errors
    /// Where somebody does, or there is something else, or the kernel refuses.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |error| SocketError::Bind(path.to_owned(), error);
        let directory =
            open_directory(path).map_err(|error| SocketError::Directory(path.to_owned(), error))?;
        // Two daemons that start at once look and bind one after the other.
        let locked =
            Flock::lock(directory, FlockArg::LockExclusive).map_err(|(_, error)| failed(error.into()))?;
        make_room(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
        socket.bind(&SockAddr::unix(path).map_err(failed)?).map_err(failed)?;
        // Before it listens: nobody can have connected yet.
        std::fs::set_permissions(path, Permissions::from_mode(PERMISSIONS)).map_err(failed)?;
        socket.listen(BACKLOG).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let metadata = path.symlink_metadata().map_err(failed)?;
        let directory = locked.unlock().map_err(|(_, error)| failed(error.into()))?;
        let identity = (metadata.dev(), metadata.ino());
        let file = path.file_name().map(|name| SocketFile { directory, name: name.to_owned(), identity });
        Ok(Self { listener: OwnedFd::from(socket).into(), file })
    }

    /// A listening socket of a service manager, who looks after its file.
    ///
    /// # Errors
    /// Where the kernel refuses to set it up.
    pub fn inherited(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener, file: None })
    }

    /// Its directory, where it is to be removed from in the end.
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(|file| file.directory.as_fd())
    }

    /// The socket, to be served. Must be called within a runtime.
    ///
    /// # Errors
    /// Where the runtime cannot take it.
    pub fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let Ok(found) =
            fstatat(&self.directory, self.name.as_os_str(), nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)
        else {
            return;
        };
        if (found.st_dev, found.st_ino) == self.identity
            && let Err(error) = unlinkat(&self.directory, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir)
        {
            log::debug!("the control socket stays where it is, for the next tracker to replace: {error}");
        }
    }
}

/// Opens the directory of the socket, which is made where only the last part of its path is missing, as after every start
/// of a host whose /run is in memory.
fn open_directory(path: &Path) -> io::Result<File> {
    let directory = path.parent().ok_or(ErrorKind::InvalidInput)?;
    match std::fs::create_dir(directory) {
        Ok(()) => {
            std::fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_PERMISSIONS))?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(File::from(open(directory, flags, Mode::empty())?))
}

/// Removes a socket that a daemon has left behind. It is told by that nobody listens there.
fn make_room(path: &Path) -> Result<(), SocketError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SocketError::Bind(path.to_owned(), error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| SocketError::Bind(path.to_owned(), error))
        }
        // Also one that does not take this connection: it may have too many, or be another's.
        _ => Err(SocketError::Taken(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{ControlSocket, SocketError};
    use nix::unistd::mkdtemp;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;

    /// A directory that is removed in the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            Self(mkdtemp(&std::env::temp_dir().join("tracker-user-XXXXXX")).unwrap())
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn a_socket_is_its_owners_alone_and_goes_with_the_daemon() {
        let directory = Directory::new();
        let path = directory.0.join("made/control.sock");
        let socket = ControlSocket::bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_nobody_listens_at_is_replaced_and_a_living_one_is_not() {
        let directory = Directory::new();
        let path = directory.0.join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let living = ControlSocket::bind(&path).unwrap();
        assert!(matches!(ControlSocket::bind(&path), Err(SocketError::Taken(_))));
        UnixStream::connect(&path).unwrap();
        // One that has taken its place is not removed with it.
        std::fs::remove_file(&path).unwrap();
        let successor = UnixListener::bind(&path).unwrap();
        drop(living);
        UnixStream::connect(&path).unwrap();
        drop(successor);
    }

    #[test]
    fn what_is_no_socket_stays() {
        let directory = Directory::new();
        let path = directory.0.join("control.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(ControlSocket::bind(&path), Err(SocketError::NoSocket(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let nowhere = directory.0.join("nowhere/either/control.sock");
        assert!(matches!(ControlSocket::bind(&nowhere), Err(SocketError::Directory(..))));
    }
}
