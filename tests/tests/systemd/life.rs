//! States and signs of life.

use crate::manager::Manager;
use nix::sys::ptrace::{Options, detach, interrupt, seize};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::temporary_directory::TemporaryDirectory;

const LOOPBACK: &[&str] =
    &["-i", "127.0.0.1", "-p", "0", "-P", "0", "--udp-workers", "2", "--http-workers", "1"];
const PATIENCE: Duration = Duration::from_millis(1500);

/// With livesync, so that there are threads of all kinds. Its port is none that the kernel gives to whoever asks for any, and
/// nodes of one host share it.
fn start_watched(manager: &Manager) -> Daemon {
    let (listen, nodes) =
        ("livesync.cluster.listen=127.96.0.1:9696", "livesync.cluster.node_ip=127.96.0.1/32");
    let mut command = manager.command(&[LOOPBACK, &["--set", listen, "--set", nodes]].concat(), &[]);
    let daemon = Daemon::start_command(command.env("WATCHDOG_USEC", PATIENCE.as_micros().to_string()));
    manager.await_line("READY=1");
    daemon
}

#[test]
fn an_idle_daemon_gives_signs_of_life_in_time() {
    let manager = Manager::new();
    let _daemon = start_watched(&manager);
    manager.await_line("WATCHDOG=1");
    for _ in 0..3 {
        assert!(manager.heard(PATIENCE).is_some_and(|notified| notified.text == "WATCHDOG=1"));
    }
}

#[test]
fn no_sign_of_life_is_given_while_a_worker_hangs() {
    for worker in ["udp-1", "http-0", "livesync", "relay"] {
        let manager = Manager::new();
        let daemon = start_watched(&manager);
        manager.await_line("WATCHDOG=1");
        let thread = thread_named(&daemon, worker);
        seize(thread, Options::empty()).expect("the daemon is this process's child");
        interrupt(thread).expect("it is traced");
        waitpid(thread, Some(WaitPidFlag::__WALL)).expect("it stops");
        daemon.await_log_line(&format!("no sign of life from worker {worker}"));
        // What has been said before it was known.
        while manager.heard(Duration::from_millis(1)).is_some() {}
        assert!(manager.heard(PATIENCE).is_none(), "{worker} hangs, and a sign of life is given");
        detach(thread, None).expect("it is traced");
        manager.await_line("WATCHDOG=1");
    }
}

/// The thread of this name.
fn thread_named(daemon: &Daemon, name: &str) -> Pid {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("the daemon runs");
    let paths = tasks.map(|task| task.expect("the daemon runs").path());
    let mut named = paths
        .filter(|path| std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name));
    let path = named.next().unwrap_or_else(|| panic!("no thread {name}"));
    let number = path.file_name().and_then(|name| name.to_str()?.parse().ok());
    Pid::from_raw(number.expect("a thread's directory is its number"))
}

#[test]
fn without_a_watchdog_nothing_is_said_between_states() {
    let manager = Manager::new();
    let daemon = Daemon::start_command(&mut manager.command(LOOPBACK, &[]));
    manager.await_line("READY=1");
    daemon.signal(Signal::SIGTERM);
    let next = manager.heard(DEADLINE).expect("the daemon stops");
    assert_eq!(next.text, "STOPPING=1");
}

#[test]
fn a_reload_is_said_with_its_time_and_its_end() {
    let manager = Manager::new();
    let daemon = Daemon::start_command(&mut manager.command(LOOPBACK, &[]));
    manager.await_line("READY=1");
    let before = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has it"));
    daemon.signal(Signal::SIGHUP);
    let reloading = manager.await_line("RELOADING=1");
    let time = reloading.text.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse().ok());
    assert!(time.map(Duration::from_micros).is_some_and(|time| time >= before), "{reloading:?}");
    manager.await_line("READY=1");
}

#[test]
fn a_start_that_may_take_long_asks_for_the_time() {
    let (manager, directory) = (Manager::new(), TemporaryDirectory::new());
    // Takes connections, as the kernel does for whoever listens, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let join = format!("batchsync.cluster.join={}", silent.local_addr().expect("it is bound"));
    let snapshot = format!("state.snapshot={}", directory.path().join("snapshot").display());
    let settings = ["--set", &join, "--set", "batchsync.cluster.join_timeout_secs=600", "--set", &snapshot];
    let _daemon = Daemon::spawn(&mut manager.command(&[LOOPBACK, &settings].concat(), &[]));
    manager.await_line("STATUS=loading the state of before");
    let joining = manager.await_line("STATUS=joining the cluster");
    assert!(joining.text.lines().any(|line| line == "EXTEND_TIMEOUT_USEC=630000000"), "{joining:?}");
}

#[test]
fn a_service_manager_that_does_not_listen_holds_nothing_up() {
    let manager = Manager::new();
    let begun = Instant::now();
    let mut command = manager.command(LOOPBACK, &[]);
    let mut daemon = Daemon::start_command(command.env("WATCHDOG_USEC", "3000"));
    // Far more signs of life than its socket holds.
    daemon.await_log_line("systemd could not be notified");
    assert!(daemon.terminate().success());
    assert!(begun.elapsed() < DEADLINE);
}
