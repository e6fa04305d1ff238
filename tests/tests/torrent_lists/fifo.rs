//! FIFOs change the list of a daemon that runs, without a reload and until the next one.

use crate::scene::{Hash, LISTED, LOOPBACK, Listed, OTHER, line};
use nix::sys::signal::Signal;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;

/// A daemon with a list of one torrent and both FIFOs, which it has to make itself.
struct Changeable {
    listed: Listed,
    add: PathBuf,
    delete: PathBuf,
    _directory: TemporaryDirectory,
}

impl Changeable {
    fn start(option: &str) -> Self {
        let directory = TemporaryDirectory::new();
        let (add, delete) = (directory.path().join("add"), directory.path().join("delete"));
        let set = |name: &str, path: &Path| format!("access.{name}={}", path.display());
        let (add_set, delete_set) = (set("fifo_add", &add), set("fifo_delete", &delete));
        let listed = Listed::start(option, &line(&LISTED), &["--set", &add_set, "--set", &delete_set]);
        Self { listed, add, delete, _directory: directory }
    }

    /// Writes a text as one writer that comes and goes, and waits until the daemon says what came of it.
    fn write(&self, fifo: &Path, text: &str) -> String {
        let seen_lines = self.listed.daemon.log_lines();
        write(fifo, text);
        let name = fifo.to_str().expect("the path is text");
        self.listed.daemon.await_log_line_after(seen_lines, name)
    }

    fn permitted(&self) -> [bool; 2] {
        let mut client = self.listed.client();
        [LISTED, OTHER].map(|hash| client.is_permitted(&hash, 6881))
    }
}

fn write(fifo: &Path, text: &str) {
    let mut writer = OpenOptions::new().write(true).open(fifo).expect("the daemon has made it");
    writer.write_all(text.as_bytes()).expect("the daemon reads it");
}

#[test]
fn torrents_are_put_on_a_whitelist_and_taken_off_it_until_a_reload() {
    let changeable = Changeable::start("-w");
    for fifo in [&changeable.add, &changeable.delete] {
        let metadata = fifo.metadata().expect("the daemon has made it");
        assert!(metadata.file_type().is_fifo());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(changeable.permitted(), [true, false]);
    // The line is not ended.
    let log = changeable.write(&changeable.add, line(&OTHER).trim());
    assert!(log.contains("1 of 1 torrents put on the list"), "{log}");
    assert_eq!(changeable.permitted(), [true, true]);
    let both = format!("{}{} asked for\n", line(&LISTED), line(&[9; 20]).trim());
    let log = changeable.write(&changeable.delete, &both);
    assert!(log.contains("1 of 2 torrents taken off the list"), "{log}");
    assert_eq!(changeable.permitted(), [false, true]);
    changeable.listed.reload(&line(&LISTED));
    assert_eq!(changeable.permitted(), [true, false]);
    // And they go on after it.
    changeable.write(&changeable.add, &line(&OTHER));
    assert_eq!(changeable.permitted(), [true, true]);
}

#[test]
fn torrents_are_put_on_a_blacklist_and_taken_off_it() {
    let changeable = Changeable::start("-b");
    assert_eq!(changeable.permitted(), [false, true]);
    changeable.write(&changeable.add, &line(&OTHER));
    changeable.write(&changeable.delete, &line(&LISTED));
    assert_eq!(changeable.permitted(), [true, false]);
}

#[test]
fn bad_lines_are_counted_and_the_others_taken() {
    let changeable = Changeable::start("-w");
    let seen_lines = changeable.listed.daemon.log_lines();
    write(&changeable.add, &format!("nonsense\n{}\u{0}\n{}", line(&[9; 20]).replace('9', "x"), line(&OTHER)));
    changeable.listed.daemon.await_log_line_after(seen_lines, "skipped 3 lines");
    changeable.listed.daemon.await_log_line_after(seen_lines, "1 of 1 torrents");
    assert_eq!(changeable.permitted(), [true, true]);
}

#[test]
fn what_was_written_before_a_reload_does_not_outlive_it() {
    let changeable = Changeable::start("-w");
    let daemon = &changeable.listed.daemon;
    let fillers: String = (0..1400)
        .map(|number: u16| {
            line(&[&number.to_be_bytes()[..], &[7; 18]].concat().try_into().expect("20 bytes"))
        })
        .collect();
    for _ in 0..3 {
        // All of it is there before the daemon looks at any of it.
        daemon.pause();
        let mut writer =
            OpenOptions::new().write(true).open(&changeable.add).expect("the daemon has made it");
        writer.write_all((fillers.clone() + &line(&OTHER)).as_bytes()).expect("a pipe holds 64 KiB");
        let seen_lines = daemon.log_lines();
        daemon.signal(Signal::SIGHUP);
        daemon.signal(Signal::SIGCONT);
        daemon.await_log_line_after(seen_lines, "1 torrents, read in");
        drop(writer);
        // Of this line the daemon says when it has been read: whatever was before it has been.
        let log = changeable.write(&changeable.add, &line(&[9; 20]));
        assert!(log.contains("1 of 1 torrents put on the list"), "{log}");
        assert_eq!(changeable.permitted(), [true, false]);
    }
}

#[test]
fn megabytes_at_once_are_taken_in_their_order() {
    const MANY: u32 = 30_000;
    let numbered = |number: u32| -> Hash {
        let mut hash = [7; 20];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        hash
    };
    let changeable = Changeable::start("-w");
    let text: String = (0..MANY).map(|number| line(&numbered(number))).collect();
    write(&changeable.add, &text);
    let mut client = changeable.listed.client();
    let deadline = Instant::now() + DEADLINE;
    while !client.is_permitted(&numbered(MANY - 1), 1) {
        assert!(Instant::now() < deadline, "the last line is not in force");
    }
    for number in (0..MANY).step_by(97) {
        assert!(client.is_permitted(&numbered(number), 1), "{number}");
    }
}

#[test]
fn below_a_root_directory_they_work_as_the_user_that_the_daemon_becomes() {
    if !is_root_or_skipped("chroot") {
        return;
    }
    let directory = TemporaryDirectory::new();
    // `nobody` must be able to make them here.
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777))
        .expect("the directory is ours");
    let list = directory.path().join("list");
    std::fs::write(&list, line(&LISTED)).expect("the directory is ours");
    let root = directory.path().to_str().expect("the path is text").to_owned();
    let arguments = [LOOPBACK, &["-d", &root, "-w", "/list", "--set", "access.fifo_add=add"]].concat();
    let daemon = Daemon::start_command(&mut Daemon::command_as_given(&arguments));
    let add = directory.path().join("add");
    let listed = Listed { daemon, list, _directory: directory };
    write(&add, &line(&OTHER));
    listed.daemon.await_log_line("1 of 1 torrents put on the list");
    let mut client = listed.client();
    assert_eq!([LISTED, OTHER].map(|hash| client.is_permitted(&hash, 6881)), [true, true]);
}

#[test]
fn it_does_not_start_with_a_file_that_is_no_fifo() {
    let directory = TemporaryDirectory::new();
    let list = directory.path().join("list");
    std::fs::write(&list, "").expect("the directory is ours");
    let list = list.to_str().expect("the path is text");
    let set = format!("access.fifo_add={list}");
    let ended = Daemon::start_refused(&[LOOPBACK, &["-w", list, "--set", &set]].concat());
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.log.contains("access.fifo_add") && ended.log.contains("it is no FIFO"), "{}", ended.log);
    assert!(ended.log.contains("mkfifo"), "{}", ended.log);
}

#[test]
fn it_does_not_start_with_a_fifo_that_has_no_list_to_change() {
    let ended = Daemon::start_refused(&[LOOPBACK, &["--set", "access.fifo_add=add"]].concat());
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.log.contains("there is no list for it to change"), "{}", ended.log);
}
