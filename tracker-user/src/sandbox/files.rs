//! Which paths stay open, by Landlock (Linux 5.13): what the settings name, and nothing else. A rule holds for a directory
//! and all below it: files are replaced by renaming, and a rule for a file would go with the file that it was for.

use super::Needs;
use crate::config::types::{Config, NatsServer, SyncConfig};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use std::fmt::Display;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// What the rules speak of; what an older kernel does not know of goes unruled there.
const FILES_ABI: ABI = ABI::V5;
const NETWORK_ABI: ABI = ABI::V4;

/// What the XDP program's library reads of the host when an interface comes.
const READ_FOR_XDP: &[&str] = &[
    "/proc/self",
    "/proc/version_signature",
    "/sys/devices/system/cpu",
    "/sys/class/net",
    "/sys/kernel/btf",
];
/// Where the files are that say where names are looked up: resolv.conf, hosts, nsswitch.conf. They are replaced when networks
/// change, and the first is often a link to one of the other directories.
const READ_FOR_NAMES: &[&str] = &["/etc", "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf"];
/// The port of name servers.
const NAMES_PORT: u16 = 53;
/// Where a host has the certificates that it believes.
const READ_FOR_CERTIFICATES: &[&str] = &[
    "/etc/ssl",
    "/etc/pki/tls",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];
/// Where the program and its keys are pinned.
const BPF_FILE_SYSTEM: &str = "/sys/fs/bpf";

/// What a path is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It is read, now or at a reload.
    Read,
    /// It is a FIFO, read, and made where there is none.
    Fifo,
    /// It is read, and replaced by another that is written beside it.
    Replace,
}

impl Use {
    fn rights(self) -> BitFlags<AccessFs> {
        match self {
            Self::Read => AccessFs::ReadFile | AccessFs::ReadDir,
            Self::Fifo => AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::MakeFifo,
            Self::Replace => {
                let written =
                    AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
                AccessFs::ReadFile | AccessFs::ReadDir | written
            }
        }
    }
}

/// Every path that a setting names and that is opened after the start, relative ones from where the daemon works.
fn paths(config: &Config) -> Vec<(&Path, Use)> {
    let (access, state) = (&config.access, &config.state);
    let uses = [
        (&access.whitelist, Use::Read),
        (&access.blacklist, Use::Read),
        (&access.fifo_add, Use::Fifo),
        (&access.fifo_delete, Use::Fifo),
        (&state.load, Use::Read),
        (&config.livesync.key_file, Use::Read),
        (&config.udp.connection_id_key_file, Use::Read),
        (&config.sync.nats_credentials, Use::Read),
        (&config.sync.nats_ca, Use::Read),
        (&config.sync.nats_certificate, Use::Read),
        (&config.sync.nats_key, Use::Read),
        (&state.snapshot, Use::Replace),
        (&state.export, Use::Replace),
    ];
    uses.into_iter().filter_map(|(path, kind)| Some((path.as_deref()?, kind))).collect()
}

/// Every port that is connected to.
fn ports(config: &Config) -> Vec<u16> {
    let nodes = config.batchsync.join.iter().map(SocketAddr::port);
    let servers = config.sync.nats.iter().map(|server| server.address().port());
    // A long answer to a question for an address comes by TCP.
    let names = config.sync.nats.iter().any(NatsServer::has_name).then_some(NAMES_PORT);
    nodes.chain(servers).chain(names).collect()
}

/// The certificates that the host believes, where a server of NATS is checked by them.
fn certificates_for_nats(sync: &SyncConfig) -> &'static [&'static str] {
    // Any server may ask for TLS.
    let is_known = sync.nats.is_empty() || sync.nats_ca.is_some();
    if is_known { &[] } else { READ_FOR_CERTIFICATES }
}

/// Closes everything else, for this thread and those that it starts.
///
/// # Errors
/// Where the kernel has no Landlock, or refuses a rule.
pub(super) fn fence(needs: &Needs<'_>) -> Result<(), String> {
    let restricted = rules(needs).and_then(RulesetCreated::restrict_self);
    match restricted {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => {
            Err("the kernel has no Landlock, or it is not among `lsm=` of its command line".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn rules(needs: &Needs<'_>) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(FILES_ABI))?
        // Ports are bound already; of others only those of nodes whose state is asked for, and of servers, are connected to.
        .handle_access(AccessNet::from_all(NETWORK_ABI))?
        .scope(Scope::Signal)?
        .create()?;
    for port in ports(needs.config) {
        rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    if needs.config.sync.nats.iter().any(NatsServer::has_name) {
        for path in READ_FOR_NAMES {
            rules = open(rules, Path::new(path), AccessFs::ReadFile.into())?;
        }
    }
    for path in certificates_for_nats(&needs.config.sync) {
        rules = open(rules, Path::new(path), Use::Read.rights())?;
    }
    let of_files = needs.config_files.iter().map(|path| (path.as_path(), Use::Read));
    for (path, kind) in paths(needs.config).into_iter().chain(of_files) {
        for directory in directories(path) {
            rules = open(rules, &directory, kind.rights())?;
        }
    }
    if let Some(directory) = needs.control_directory {
        rules = rules.add_rule(PathBeneath::new(directory, AccessFs::RemoveFile))?;
    }
    if needs.has_xdp {
        for path in READ_FOR_XDP {
            rules = open(rules, Path::new(path), Use::Read.rights())?;
        }
        if needs.config.xdp.pin {
            rules = open(rules, Path::new(BPF_FILE_SYSTEM), AccessFs::from_all(FILES_ABI))?;
        }
    }
    Ok(rules)
}

/// Adds a rule. What is not there cannot be opened later either, within a chroot above all.
fn open(
    rules: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let closed = |error: &dyn Display| log::debug!("sandbox: {} stays closed: {error}", path.display());
    match PathFd::new(path) {
        Ok(directory) => {
            let is_file = path.is_file();
            let rights = if is_file { rights & AccessFs::from_file(FILES_ABI) } else { rights };
            rules.add_rule(PathBeneath::new(directory.as_fd(), rights))
        }
        Err(error) => {
            closed(&error);
            Ok(rules)
        }
    }
}

/// The directory of a path, and that of the file that it leads to where it is a link.
fn directories(path: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let linked = path.canonicalize().ok().map(|path| parent(&path));
    let mut directories = vec![parent(path)];
    directories.extend(linked);
    directories
}

#[cfg(test)]
mod tests {
    use super::{Needs, directories, fence};
    use crate::config::types::Config;
    use crate::sandbox::skipped::skipped;
    use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
    use nix::errno::Errno;
    use nix::sys::stat::Mode;
    use nix::unistd::{mkdtemp, mkfifo};
    use std::fs::{File, read, read_dir, remove_file, rename, write};
    use std::io::ErrorKind::PermissionDenied;
    use std::net::TcpListener;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_directory_of_a_path_is_its_own_and_that_of_its_target() {
        assert_eq!(directories(Path::new("list")), [Path::new(".")]);
        assert_eq!(directories(Path::new("/nowhere/list")), [Path::new("/nowhere")]);
        let place = mkdtemp(&std::env::temp_dir().join("tracker-user-XXXXXX")).unwrap();
        let (link, target) = (place.join("link"), PathBuf::from("/etc/passwd"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert_eq!(directories(&link), [place.as_path(), Path::new("/etc")]);
        std::fs::remove_dir_all(&place).unwrap();
    }

    /// The fence is around the thread that puts it up, and every test has its own.
    #[test]
    fn what_the_settings_name_stays_open_and_nothing_else() {
        let place = mkdtemp(&std::env::temp_dir().join("tracker-user-XXXXXX")).unwrap();
        let [lists, fifos, state, other] = ["lists", "fifos", "state", "other"].map(|name| place.join(name));
        for directory in [&lists, &fifos, &state, &other] {
            std::fs::create_dir(directory).unwrap();
            write(directory.join("file"), "x").unwrap();
        }
        let mut config = Config::default();
        config.access.whitelist = Some(lists.join("file"));
        config.access.fifo_add = Some(fifos.join("fifo"));
        config.state.snapshot = Some(state.join("file"));
        // What the kernel lacks is no reason; what it refuses of these rules is.
        let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        if rules.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create).is_err() {
            return skipped("paths that are closed: this kernel has no Landlock");
        }
        let fenced =
            fence(&Needs { config: &config, config_files: &[], control_directory: None, has_xdp: false });
        fenced.unwrap();
        let denied = |outcome: std::io::Result<()>| {
            assert_eq!(outcome.map_err(|error| error.kind()), Err(PermissionDenied));
        };
        // By whatever name it has by then.
        assert_eq!(read(lists.join("file")).unwrap(), b"x");
        assert!(read_dir(&lists).is_ok());
        denied(write(lists.join("file"), "y"));
        denied(remove_file(lists.join("file")));
        denied(rename(lists.join("file"), lists.join("new")));
        mkfifo(&fifos.join("fifo"), Mode::S_IRUSR).unwrap();
        assert_eq!(mkfifo(&lists.join("fifo"), Mode::S_IRUSR), Err(Errno::EACCES));
        write(state.join("beside"), "y").unwrap();
        rename(state.join("beside"), state.join("file")).unwrap();
        assert_eq!(read(state.join("file")).unwrap(), b"y");
        remove_file(state.join("file")).unwrap();
        denied(std::fs::create_dir(state.join("directory")));
        denied(File::create(fifos.join("new")).map(drop));
        denied(read(other.join("file")).map(drop));
        denied(read("/etc/passwd").map(drop));
        // Since Linux 6.7.
        let bound = TcpListener::bind("127.0.0.1:0");
        assert!(bound.is_err_and(|error| error.kind() == PermissionDenied));
        drop(std::thread::spawn(move || drop(read(other.join("file")).unwrap_err())).join());
        // Only from without.
        drop(std::process::Command::new("rm").arg("-r").arg(&place).status());
    }
}
