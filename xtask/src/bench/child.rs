//! Processes of a benchmark: pinned to a core, and gone when the benchmark ends, however it ends.

use super::cpu::Core;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;

/// Children that are to be killed when this process is told to end.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A running process; dropping it kills it and waits until it is gone.
pub(super) struct PinnedChild {
    child: Child,
    pid: Pid,
    log: PathBuf,
}

/// Whether the child's standard output goes to its log or to whoever started it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    ToLog,
    ToCaller,
}

impl PinnedChild {
    /// Starts `command` on `core`; what it writes to standard error goes to the file `log`.
    pub(super) fn spawn(command: &Command, core: Core, log: &Path, output: Output) -> Result<Self> {
        Self::spawn_on(command, &[core], log, output)
    }

    /// The same on any of some cores.
    pub(super) fn spawn_on(command: &Command, cores: &[Core], log: &Path, output: Output) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        // taskset becomes the command, so the process id is the command's own.
        let mut taskset = Command::new("taskset");
        let list: Vec<String> = cores.iter().map(ToString::to_string).collect();
        taskset.args(["--cpu-list", &list.join(",")]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            taskset.env(name, value.unwrap_or_default());
        }
        taskset.stdin(Stdio::null()).stderr(file.try_clone()?);
        taskset.stdout(match output {
            Output::ToLog => Stdio::from(file),
            Output::ToCaller => Stdio::piped(),
        });
        // Locked over the start, so that a signal finds every child in the list.
        let mut running = lock_running();
        let child =
            taskset.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        running.push(pid);
        Ok(Self { child, pid, log: log.to_owned() })
    }

    /// The process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child's standard output, once, if it was kept for the caller.
    pub(super) fn take_output(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().context("the child's output was taken before")
    }

    /// Waits for the end of a child that has closed its output; fails, with what it wrote, unless it ended well.
    pub(super) fn await_failure(&mut self) -> Result<()> {
        if self.child.wait()?.success() {
            return Ok(());
        }
        self.check_running()
    }

    /// Fails, with the end of what the child wrote, if the child has ended.
    pub(super) fn check_running(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let written = fs::read(&self.log).unwrap_or_default();
        let last = &written[written.len().saturating_sub(1000)..];
        bail!("it ended with {status}; {} ends:\n{}", self.log.display(), String::from_utf8_lossy(last));
    }
}

impl Drop for PinnedChild {
    fn drop(&mut self) {
        // Off the list before it is waited for: its id may belong to another process afterwards.
        lock_running().retain(|pid| *pid != self.pid);
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// From now on, a signal that ends this process ends its children first, and then does what `clean_up` does.
///
/// Signals are caught and not blocked: children would inherit blocked ones, and a tracker would never hear of its SIGHUP.
pub(super) fn end_on_signal(clean_up: fn()) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        // Held until the end of the process: no child starts any more.
        let running = lock_running();
        for pid in running.iter() {
            // It may have ended by itself.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        clean_up();
        std::process::exit(128 + signal);
    })?;
    Ok(())
}

fn lock_running() -> std::sync::MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
