//! The command line, read in its order: a file counts where it stands, what follows overrides it, addresses add up.

mod options;

use super::draft::Draft;
use super::finding::{Finding, Place, Severity};
use super::types::{DEFAULT_PORT, Transport};
use super::{Command, EXIT_CHECK_FAILED, EXIT_REFUSED, file, print, values};
use clap::ArgMatches;
use clap::error::ErrorKind;
use options::{OptionId, SHORTCUTS};
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What the arguments and the files that they name ask of the program.
pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Command {
    let matches = match options::program().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return usage(&error),
    };
    let mut reader = Reader { draft: Draft::default(), address: None };
    for (option, value) in in_order(&matches) {
        reader.option(option, value);
    }
    reader.close_address();
    let (config, findings) = reader.draft.finish();
    let checking = matches.get_flag(options::CHECK_CONFIG);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Command::Refuse {
            findings,
            exit_code: if checking { EXIT_CHECK_FAILED } else { EXIT_REFUSED },
        };
    }
    if checking {
        Command::Print { text: "ok\n".to_owned(), warnings: findings }
    } else if matches.get_flag(options::PRINT_CONFIG) {
        Command::Print { text: print::as_toml(&config), warnings: findings }
    } else {
        Command::Run { config: Box::new(config), warnings: findings }
    }
}

/// The files that are read.
pub(super) fn files_named(arguments: impl IntoIterator<Item = OsString>) -> Vec<PathBuf> {
    let matches = options::program().try_get_matches_from(arguments);
    let named = matches.iter().flat_map(in_order).filter(|(option, _)| *option == OptionId::Config.name());
    named.map(|(_, file)| file.into()).collect()
}

/// Help and version are no errors; of an error, the part that does not repeat the help.
fn usage(error: &clap::Error) -> Command {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Command::Print { text, warnings: Vec::new() };
    }
    let what = text.split("\n\nUsage:").next().unwrap_or(&text);
    let what = what.split("\n\nFor more information").next().unwrap_or(what);
    let lines: Vec<_> = what.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let what = lines.join("; ");
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    let finding = Finding::error(&Place::CommandLine, "", what).mended_by("--help lists the options");
    Command::Refuse { findings: vec![finding], exit_code: EXIT_REFUSED }
}

/// Every option that has a value, with it, in the order of the command line.
fn in_order(matches: &ArgMatches) -> Vec<(&str, &OsStr)> {
    let mut given = Vec::new();
    for id in matches.ids() {
        // The flags have no text.
        let Ok(Some(values)) = matches.try_get_many::<OsString>(id.as_str()) else { continue };
        let indices = matches.indices_of(id.as_str()).into_iter().flatten();
        given.extend(indices.zip(values).map(|(index, value)| (index, id.as_str(), value.as_os_str())));
    }
    given.sort_by_key(|(index, ..)| *index);
    given.into_iter().map(|(_, id, value)| (id, value)).collect()
}

/// The arguments on their way into the draft.
struct Reader {
    draft: Draft,
    /// The last `-i`.
    address: Option<BindAddress>,
}

/// An `-i`, and whether a port was bound on it.
#[derive(Clone, Copy)]
struct BindAddress {
    /// `None`: it was no address; its ports are not bound elsewhere instead.
    ip: Option<IpAddr>,
    has_port: bool,
}

impl Reader {
    fn option(&mut self, id: &str, value: &OsStr) {
        if id == OptionId::Config.name() {
            return file::read(&mut self.draft, Path::new(value));
        }
        let Some(text) = value.to_str() else {
            let found = value.to_string_lossy();
            return self.refuse(&options::shown(id), values::expected("UTF-8", &found));
        };
        if id == OptionId::Ip.name() {
            self.bind_address(text);
        } else if id == OptionId::TcpPort.name() {
            self.port(Transport::Tcp, id, text);
        } else if id == OptionId::UdpPort.name() {
            self.port(Transport::Udp, id, text);
        } else if id == OptionId::LivesyncPort.name() {
            self.livesync_port(id, text);
        } else if id == OptionId::Set.name() {
            self.set(text);
        } else if let Some(shortcut) = SHORTCUTS.iter().find(|shortcut| shortcut.long == id) {
            self.draft.apply(&Place::CommandLine, &options::shown(id), shortcut.setting, text);
        }
    }

    /// `-i`: where the ports that follow are bound.
    fn bind_address(&mut self, text: &str) {
        self.close_address();
        let ip = values::ip_address(text);
        self.address = Some(BindAddress { ip: ip.as_ref().ok().copied(), has_port: false });
        if let Err(what) = ip {
            self.refuse(&options::shown(OptionId::Ip.name()), what);
        }
    }

    /// The end of what an `-i` stands for: alone, it means its default port.
    fn close_address(&mut self) {
        if let Some(BindAddress { ip: Some(ip), has_port: false }) = self.address {
            for transport in [Transport::Tcp, Transport::Udp] {
                self.draft.listen_from(&Place::CommandLine, transport, SocketAddr::new(ip, DEFAULT_PORT));
            }
        }
    }

    /// `-p` or `-P`: on the last `-i`, or on every address of both families.
    fn port(&mut self, transport: Transport, id: &str, text: &str) {
        if let Some(address) = &mut self.address {
            address.has_port = true;
        }
        let port = match values::port(text) {
            Ok(port) => port,
            Err(what) => return self.refuse(&options::shown(id), what),
        };
        let addresses = match self.address {
            Some(address) => address.ip.into_iter().collect(),
            None => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
        };
        for ip in addresses {
            self.draft.listen_from(&Place::CommandLine, transport, SocketAddr::new(ip, port));
        }
    }

    /// `-s`: livesync on the network of the last `-i`, or on whichever the kernel chooses.
    fn livesync_port(&mut self, id: &str, text: &str) {
        let port = match values::port(text) {
            Ok(port) => port,
            Err(what) => return self.refuse(&options::shown(id), what),
        };
        let any = BindAddress { ip: Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), has_port: false };
        if let Some(ip) = self.address.unwrap_or(any).ip {
            let (address, name) = (SocketAddr::new(ip, port).to_string(), "livesync.cluster.listen");
            self.draft.apply(&Place::CommandLine, &options::shown(id), name, &address);
        }
    }

    /// `--set KEY=VALUE`.
    fn set(&mut self, text: &str) {
        let Some((name, value)) = text.split_once('=') else {
            return self.refuse("--set", values::expected("KEY=VALUE", text));
        };
        let (name, value) = (name.trim(), value.trim());
        self.draft.apply(&Place::CommandLine, &format!("--set {name}"), name, value);
    }

    fn refuse(&mut self, shown: &str, what: String) {
        self.draft.findings.push(Finding::error(&Place::CommandLine, shown, what));
    }
}
