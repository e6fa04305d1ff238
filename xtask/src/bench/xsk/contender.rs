//! The trackers that are compared, each at the tracker's end of the cable.

use crate::bench::child::{Output, PinnedChild};
use crate::bench::contender::write;
use crate::bench::cpu::Core;
use crate::bench::xdp::network::{Network, TRACKER};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its namespace is its own, so every port is free.
pub(super) const PORT: u16 = 6969;

/// A tracker, or a way to run it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub(super) enum Contender {
    /// This tracker through AF_XDP, its program in the driver
    Xsk,
    /// This tracker through sockets alone
    Sockets,
    /// aquatic_udp with use_io_uring = false
    AquaticMio,
    /// aquatic_udp with use_io_uring = true
    AquaticIoUring,
}

/// Where the binaries are and where they may write.
pub(super) struct Stable {
    /// This tracker; `None` if it is not to run.
    pub(super) daemon: Option<PathBuf>,
    /// The program that it loads.
    pub(super) object: PathBuf,
    /// aquatic_udp.
    pub(super) aquatic: PathBuf,
    /// For configurations and logs.
    pub(super) directory: PathBuf,
}

impl Contender {
    pub(super) const ALL: [Self; 4] = [Self::Xsk, Self::Sockets, Self::AquaticMio, Self::AquaticIoUring];

    /// As it is called on the command line and in the report.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Xsk => "xsk",
            Self::Sockets => "sockets",
            Self::AquaticMio => "aquatic-mio",
            Self::AquaticIoUring => "aquatic-io-uring",
        }
    }

    /// The one with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contender| contender.name() == name)
    }
}

impl Stable {
    /// Those that were asked for, or all that are there.
    pub(super) fn choose(&self, asked: &[Contender]) -> Result<Vec<Contender>> {
        let mut chosen = Vec::new();
        for contender in Contender::ALL {
            let is_there = self.binary(contender).is_some_and(Path::exists);
            match asked.is_empty() {
                true if is_there => chosen.push(contender),
                false if asked.contains(&contender) && !is_there => {
                    bail!("{} is not installed", contender.name())
                }
                false if asked.contains(&contender) => chosen.push(contender),
                _ => {}
            }
        }
        if chosen.is_empty() {
            bail!("no tracker to measure is installed");
        }
        Ok(chosen)
    }

    /// Starts a contender at its end of the cable. Whether it answers, the load generator will see: without a program at the
    /// other end, answers of a program in a virtual cable's driver are lost.
    pub(super) fn start(
        &self,
        contender: Contender,
        network: &Network,
        tracker_core: Core,
    ) -> Result<PinnedChild> {
        let binary =
            self.binary(contender).with_context(|| format!("{} is not installed", contender.name()))?;
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", network.tracker.namespace)).arg(binary);
        match contender {
            Contender::Xsk => {
                self.add_daemon_arguments(&mut command);
                command.args(["--set", "xdp.mode=xsk", "--set", "xdp.attach=native"]);
                // All of the load comes from few addresses.
                command.args(["--set", "xdp.source_packets_per_sec=0"]);
                command.arg("--xdp-object").arg(&self.object);
            }
            Contender::Sockets => {
                self.add_daemon_arguments(&mut command);
                command.args(["--set", "xdp.mode=socket"]);
            }
            Contender::AquaticMio => self.add_aquatic_arguments(&mut command, false)?,
            Contender::AquaticIoUring => self.add_aquatic_arguments(&mut command, true)?,
        }
        let log = self.directory.join(format!("xsk-{}.log", contender.name()));
        PinnedChild::spawn(&command, tracker_core, &log, Output::ToLog)
    }

    fn binary(&self, contender: Contender) -> Option<&Path> {
        match contender {
            Contender::Xsk | Contender::Sockets => self.daemon.as_deref(),
            Contender::AquaticMio | Contender::AquaticIoUring => Some(&self.aquatic),
        }
    }

    fn add_daemon_arguments(&self, command: &mut Command) {
        let address = TRACKER.to_string();
        command.args(["-i", &address, "-P", &PORT.to_string(), "--udp-workers", "1", "-u", "root"]);
    }

    fn add_aquatic_arguments(&self, command: &mut Command, use_io_uring: bool) -> Result<()> {
        let config = format!(
            "socket_workers = 1\n[network]\naddress = \"{TRACKER}:{PORT}\"\nuse_io_uring = {use_io_uring}\n"
        );
        let path = self.directory.join("xsk-aquatic_udp.toml");
        write(&path, &config)?;
        command.arg("-c").arg(path);
        Ok(())
    }
}
