//! The units that come with the tracker.

use std::path::{Path, PathBuf};
use std::process::Command;
use tracker_tests::daemon::Daemon;
use tracker_tests::skip::skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;

const BINARY: &str = "/usr/local/bin/opentracker-xdp";

fn unit(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/systemd").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (path, text)
}

/// The values of a key.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_daemon_understands_how_the_service_starts_it() {
    let (_, text) = unit("opentracker-xdp.service");
    let [start] = values(&text, "ExecStart")[..] else { panic!("one ExecStart") };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../opentracker.conf.example");
    let example = example.to_str().expect("the path is text");
    let words: Vec<_> = start.split(' ').map(|word| word.replace("/etc/opentracker.conf", example)).collect();
    let (program, arguments) = words.split_first().expect("it starts something");
    assert_eq!(program, BINARY);
    let mut command = Daemon::command_as_given(&[]);
    let checked = command.args(arguments).arg("--check-config").output().expect("the binary runs");
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn the_service_is_reloaded_through_the_socket_that_it_starts_with() {
    let (_, text) = unit("opentracker-xdp.service");
    assert_eq!(values(&text, "ExecReload"), [format!("{BINARY} ctl reload")]);
    let socket = format!("control.socket={}", tracker_user::ctl::DEFAULT_SOCKET);
    assert!(values(&text, "ExecStart")[0].contains(&socket));
    let directory = Path::new(tracker_user::ctl::DEFAULT_SOCKET).parent().expect("it is in a directory");
    let [made] = values(&text, "RuntimeDirectory")[..] else { panic!("one RuntimeDirectory") };
    assert_eq!(Path::new("/run").join(made), directory);
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skipped("systemd-analyze verify: it is not installed");
    }
    // It wants to find the program, which is installed nowhere.
    let directory = TemporaryDirectory::new();
    let program = directory.path().join("opentracker-xdp");
    std::os::unix::fs::symlink("/bin/true", &program).expect("the directory is ours");
    let names = ["opentracker-xdp.service", "opentracker-xdp.socket"];
    for name in names {
        let text = unit(name).1.replace(BINARY, program.to_str().expect("the path is text"));
        std::fs::write(directory.path().join(name), text).expect("the directory is ours");
    }
    let paths = names.map(|name| directory.path().join(name));
    let mut command = Command::new("systemd-analyze");
    let verified = command.args(["verify", "--man=no"]).args(&paths).output().expect("it is installed");
    let text = String::from_utf8_lossy(&verified.stderr).into_owned();
    let about_ours = |line: &&str| names.iter().any(|name| line.contains(name));
    assert_eq!(text.lines().filter(about_ours).collect::<Vec<_>>(), Vec::<&str>::new());
}
