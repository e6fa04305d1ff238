//! The options in their order, with files among them.

use super::{is_error, tcp, udp, written};
use crate::config::types::{Config, Listen, Mode};
use crate::config::{Command, from_arguments};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that goes when the test does.
struct File(PathBuf);

impl File {
    fn new(extension: &str, content: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("opentracker-xdp-test-{}-{number}.{extension}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // Nothing depends on it: the name is never used again.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn command(arguments: &[&str]) -> Command {
    from_arguments(std::iter::once("opentracker-xdp").chain(arguments.iter().copied()).map(OsString::from))
}

fn config(arguments: &[&str]) -> Config {
    match command(arguments) {
        Command::Run { config, warnings } if warnings.is_empty() => *config,
        other => panic!("{arguments:?} gave {other:?}"),
    }
}

fn refused(arguments: &[&str]) -> (Vec<String>, u8) {
    match command(arguments) {
        Command::Refuse { findings, exit_code } => {
            assert!(findings.iter().any(is_error));
            (written(&findings), exit_code)
        }
        other => panic!("{arguments:?} gave {other:?}"),
    }
}

fn printed(arguments: &[&str]) -> String {
    match command(arguments) {
        Command::Print { text, .. } => text,
        other => panic!("{arguments:?} gave {other:?}"),
    }
}

#[test]
fn without_arguments_everything_has_its_default() {
    assert_eq!(config(&[]), Config::default());
}

#[test]
fn ports_are_bound_on_the_last_address_before_them() {
    let listen =
        config(&["-i", "192.0.2.1", "-p", "80", "-P6969", "-P", "6970", "-i", "2001:db8::1", "-P", "0"]);
    let udp_first = vec![udp("192.0.2.1:6969"), udp("192.0.2.1:6970"), udp("[2001:db8::1]:0")];
    assert_eq!(listen.listen, [udp_first, vec![tcp("192.0.2.1:80")]].concat());
}

#[test]
fn an_address_without_ports_is_bound_on_the_default_port() {
    let listen = config(&["-i", "192.0.2.1", "-i", "192.0.2.2", "-p", "80", "--ip", "::1"]).listen;
    let udp_first = [udp("192.0.2.1:6969"), udp("[::1]:6969")];
    let tcp_then = [tcp("192.0.2.1:6969"), tcp("192.0.2.2:80"), tcp("[::1]:6969")];
    assert_eq!(listen, [udp_first.to_vec(), tcp_then.to_vec()].concat());
}

#[test]
fn ports_without_an_address_are_bound_on_every_address() {
    let config = config(&["--tcp-port", "80", "-P", "81"]);
    assert_eq!(config.listen, [udp("0.0.0.0:81"), udp("[::]:81"), tcp("0.0.0.0:80"), tcp("[::]:80")]);
    assert!(config.listen.iter().all(|listen| config.may_lack_family(listen)));
}

#[test]
fn what_follows_a_file_overrides_it_and_what_stands_before_does_not() {
    let file =
        File::new("conf", b"tracker.user alice\ntracker.redirect_url http://a/\nlisten.udp 192.0.2.1:1\n");
    let before = config(&["-u", "bob", "-r", "http://b/", "-f", file.path()]);
    assert_eq!(before.tracker.user.as_deref(), Some("alice"));
    let after = config(&["-u", "carol", "-f", file.path(), "-u", "bob", "-P", "2"]);
    assert_eq!(after.tracker.user.as_deref(), Some("bob"));
    assert_eq!(after.tracker.redirect_url.as_deref(), Some("http://a/"));
    assert_eq!(after.listen, [udp("192.0.2.1:1"), udp("0.0.0.0:2"), udp("[::]:2")]);
    let toml = File::new("toml", b"[tracker]\nuser = \"dave\"\n[listen]\ntcp = [\"192.0.2.1:3\"]\n");
    let both = config(&["-f", file.path(), "--config", toml.path()]);
    assert_eq!(both.tracker.user.as_deref(), Some("dave"));
    assert_eq!(both.listen, [udp("192.0.2.1:1"), tcp("192.0.2.1:3")]);
}

#[test]
fn every_option_sets_its_setting() {
    let mut expected = Config::default();
    expected.tracker.redirect_url = Some("https://x/?a=b".to_owned());
    expected.tracker.rootdir = Some("/srv/t".into());
    expected.tracker.user = Some("root".to_owned());
    expected.access.stats = vec!["192.0.2.1/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    expected.xdp.mode = Mode::Socket;
    expected.udp.workers = 2;
    expected.http.workers = 3;
    expected.http.max_connections = 7;
    expected.log_level = crate::config::types::LogLevel::Debug;
    let rest = ["--mode", "socket", "--udp-workers", "2", "--http-workers=3", "--log-level", "debug"];
    let short =
        ["-r", "https://x/?a=b", "-d", "/srv/t", "-u", "root", "-A", "192.0.2.1", "-A", "2001:db8::/32"];
    let set = ["--set", "http.max_connections=7"];
    assert_eq!(config(&[&short[..], &rest, &set].concat()), expected);
    let long = ["--redirect", "https://x/?a=b", "--dir", "/srv/t", "--user", "root", "--access-stats"];
    let long = [&long[..], &["192.0.2.1", "--access-stats", "2001:db8::/32"], &rest, &set].concat();
    assert_eq!(config(&long), expected);
}

#[test]
fn workers_of_an_address_can_be_set_before_it() {
    let listen =
        config(&["-P", "1", "--set", "listen.udp.workers=2", "-i", "::1", "-P", "2", "-p", "2"]).listen;
    let workers = Listen { udp_workers: Some(2), ..udp("[::1]:2") };
    assert_eq!(listen, [udp("0.0.0.0:1"), udp("[::]:1"), workers, tcp("[::1]:2")]);
}

#[test]
fn mistakes_of_options_and_files_are_found_all_at_once() {
    let file = File::new("conf", b"tracker.usr x\nudp.workers x\n");
    let arguments = [
        "-p",
        "70000",
        "-f",
        file.path(),
        "-f",
        "/nowhere/x.conf",
        "--mode",
        "xks",
        "-w",
        "list",
        "-l",
        "dump",
        "-w",
        "other",
        "-i",
        "x",
        "-P",
        "1",
        "-s",
        "70000",
        "--set",
        "udp.workers",
        "--set",
        "udp.wrkers=2",
        "-A",
        "1.2.3.4/40",
        "-u",
        "",
        "--set",
        "http.workers=",
    ];
    let (findings, exit_code) = refused(&arguments);
    assert_eq!(exit_code, 2);
    let expected = [
        "command line: -p: expected a port between 0 and 65535, found \"70000\"".to_owned(),
        format!("{}:1: tracker.usr: unknown keyword; did you mean tracker.user?", file.path()),
        format!("{}:2: udp.workers: expected workers between 0 and 1024, found \"x\"", file.path()),
        "/nowhere/x.conf: cannot be read: No such file or directory (os error 2)".to_owned(),
        "command line: --mode: expected auto, xsk, xdp or socket, found \"xks\"".to_owned(),
        "command line: -w: \"list\" is given before (command line), and there can be one; remove one of them"
            .to_owned(),
        "command line: -i: expected an address without a port, such as 192.0.2.1 or 2001:db8::1, found \"x\""
            .to_owned(),
        "command line: -s: expected a port between 0 and 65535, found \"70000\"".to_owned(),
        "command line: --set: expected KEY=VALUE, found \"udp.workers\"".to_owned(),
        "command line: --set udp.wrkers: unknown keyword; did you mean udp.workers?".to_owned(),
        "command line: -A: expected a network such as 192.0.2.1 or 2001:db8::/32, found \"1.2.3.4/40\""
            .to_owned(),
        "command line: -u: expected a value, found none".to_owned(),
        "command line: --set http.workers: expected a value, found none".to_owned(),
    ];
    assert_eq!(findings, expected);
}

#[test]
fn livesync_is_on_the_network_of_the_last_address_or_of_whichever_the_kernel_chooses() {
    let node = ["-A", "10.0.0.0/8", "--set", "livesync.cluster.node_ip=10.0.0.0/8"];
    let listen =
        |arguments: &[&str]| config(&[arguments, &node].concat()).livesync.listen.unwrap().to_string();
    assert_eq!(listen(&["-i", "10.0.0.1", "-P", "1", "-s", "9797"]), "10.0.0.1:9797");
    assert_eq!(listen(&["-s", "9797", "-i", "10.0.0.1"]), "0.0.0.0:9797");
}

#[test]
fn an_address_of_a_file_given_again_is_found_with_both_places() {
    let file = File::new("conf", b"\nlisten.udp 0.0.0.0:5\n");
    let (findings, _) = refused(&["-f", file.path(), "-P", "5"]);
    let expected = format!(
        "command line: listen.udp: 0.0.0.0:5 is listed before ({}:2); remove one of them",
        file.path()
    );
    assert_eq!(findings, [expected]);
}

#[test]
fn what_is_not_utf_8_is_refused() {
    let file = File::new("conf", b"tracker.user x\n\xff\n");
    let expected = format!("{}:2: expected UTF-8, found other bytes", file.path());
    assert_eq!(refused(&["-f", file.path()]).0, [expected]);
    let arguments = [OsString::from("x"), OsString::from("-d"), OsString::from_vec(b"/\xff".to_vec())];
    assert!(matches!(from_arguments(arguments), Command::Refuse { exit_code: 2, .. }));
}

#[test]
fn unknown_options_are_refused_with_a_hint() {
    let (findings, exit_code) = refused(&["--udp-worker", "1"]);
    let expected = "command line: unexpected argument '--udp-worker' found; tip: a similar argument exists: \
                    '--udp-workers'; --help lists the options";
    assert_eq!((findings, exit_code), (vec![expected.to_owned()], 2));
    let (findings, _) = refused(&["-p"]);
    assert_eq!(
        findings,
        [
            "command line: a value is required for '--tcp-port <PORT>' but none was supplied; --help lists the options"
        ]
    );
    assert_eq!(refused(&["stray"]).1, 2);
}

#[test]
fn checking_says_ok_or_lists_every_finding() {
    assert_eq!(printed(&["--check-config", "-p", "0"]), "ok\n");
    let (findings, exit_code) = refused(&["--check-config", "-p", "x", "-P", "y"]);
    assert_eq!((findings.len(), exit_code), (2, 1));
    let short_ids = ["--check-config", "--set", "udp.connection_id_lifetime_secs=30"];
    assert!(
        matches!(command(&short_ids), Command::Print { text, warnings } if text == "ok\n" && warnings.len() == 1)
    );
}

#[test]
fn the_printed_configuration_can_be_started_with() {
    let arguments =
        ["-i", "::1", "-P", "0", "-p", "1", "-A", "10.0.0.0/8", "-d", "/a \"b\"\\c", "--mode", "socket"];
    let printed = printed(&[&arguments[..], &["--print-config"]].concat());
    let file = File::new("toml", printed.as_bytes());
    assert_eq!(config(&["-f", file.path()]), config(&arguments));
}

#[test]
fn help_and_version_are_printed() {
    assert_eq!(printed(&["-v"]), format!("opentracker-xdp {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(printed(&["--version"]), printed(&["-v"]));
    let help = printed(&["-h"]);
    assert_eq!(printed(&["--help"]), help);
    let options =
        ["-f, --config", "-i, --ip", "-p, --tcp-port", "-P, --udp-port", "-r, --redirect", "-d, --dir"];
    let more = [
        "-u, --user",
        "-A, --access-stats",
        "-w, --whitelist",
        "-b, --blacklist",
        "--mode",
        "--log-level",
        "-s, --livesync-port",
    ];
    let rest =
        ["--set <KEY=VALUE>", "--check-config", "--print-config", "-h, --help", "-v, --version", "Examples:"];
    for option in options.iter().chain(&more).chain(&rest) {
        assert!(help.contains(option), "{option} is missing in:\n{help}");
    }
}
