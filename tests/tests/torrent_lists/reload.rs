//! A list is replaced while announces go on: what both lists agree on is answered alike at every moment.

use crate::scene::{Client, Hash, LISTED, LOOPBACK, Listed, OTHER, line};
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tracker_tests::daemon::Daemon;
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;

const LONG: u32 = 300_000;
const RELOADS: usize = 6;
/// On one list and not on the next.
const CHANGING: Hash = [0x33; 20];

/// Different hashes, scattered over all there are.
fn many() -> String {
    let mut random = fastrand::Rng::with_seed(1);
    (0..LONG).map(|_| line(&std::array::from_fn(|_| random.u8(..)))).collect()
}

#[test]
fn announces_during_reloads_of_a_long_list_get_no_wrong_answer() {
    let without = many() + &line(&LISTED);
    let with = without.clone() + &line(&CHANGING);
    let listed = Listed::start("-w", &without, &["--udp-workers", "2"]);
    listed.daemon.await_log_line("300001 torrents");
    let (done, announced) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let announcers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| announce_until(&done, &announced, listed.client()))).collect();
        let mut client = listed.client();
        for reload in 0..RELOADS {
            let is_on_it = reload % 2 == 0;
            let before = announced.load(Ordering::Relaxed);
            listed.reload(if is_on_it { &with } else { &without });
            assert_eq!(client.is_permitted(&CHANGING, 1), is_on_it, "after reload {reload}");
            // There was something to go wrong.
            assert!(announced.load(Ordering::Relaxed) > before);
        }
        done.store(true, Ordering::Relaxed);
        announcers.into_iter().for_each(|announcer| announcer.join().expect("every answer was right"));
    });
}

fn announce_until(done: &AtomicBool, announced: &AtomicU32, mut client: Client) {
    while !done.load(Ordering::Relaxed) {
        assert!(client.is_permitted(&LISTED, 6881), "refused what both lists permit");
        assert!(!client.is_permitted(&OTHER, 6881), "permitted what both lists refuse");
        announced.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn many_reloads_at_once_end_with_the_last_list() {
    let listed = Listed::start("-w", "", &[]);
    for _ in 0..20 {
        listed.replace(&line(&OTHER));
        listed.replace("");
    }
    // Signals may be merged, so there is no line for each; the one of this reload has a count of its own.
    listed.replace(&[LISTED, OTHER, CHANGING].map(|hash| line(&hash)).concat());
    listed.daemon.await_log_line("3 torrents");
    let mut client = listed.client();
    assert_eq!([LISTED, OTHER].map(|hash| client.is_permitted(&hash, 6881)), [true, true]);
}

#[test]
fn a_list_that_cannot_be_read_at_a_reload_leaves_the_one_of_before_in_force() {
    let listed = Listed::start("-w", &line(&LISTED), &[]);
    let seen_lines = listed.daemon.log_lines();
    std::fs::remove_file(&listed.list).expect("the directory is ours");
    listed.daemon.signal(Signal::SIGHUP);
    let line_of_log = listed.daemon.await_log_line_after(seen_lines, "the list of before stays in force");
    assert!(line_of_log.contains(listed.list.to_str().expect("the path is text")), "{line_of_log}");
    let mut client = listed.client();
    assert_eq!([LISTED, OTHER].map(|hash| client.is_permitted(&hash, 6881)), [true, false]);
    listed.reload(&line(&OTHER));
    assert_eq!([LISTED, OTHER].map(|hash| client.is_permitted(&hash, 6881)), [false, true]);
}

#[test]
fn a_list_comes_goes_and_moves_with_the_configuration() {
    let directory = TemporaryDirectory::new();
    let path = |name: &str| directory.path().join(name).to_str().expect("the path is text").to_owned();
    let (config, list) = (path("opentracker.conf"), path("list"));
    std::fs::write(&config, "").expect("the directory is ours");
    std::fs::write(&list, line(&LISTED)).expect("the directory is ours");
    let daemon = Daemon::start(&[LOOPBACK, &["-f", &config]].concat());
    let listed = Listed { daemon, list: list.clone().into(), _directory: directory };
    let mut client = listed.client();
    assert!(client.is_permitted(&OTHER, 6881));
    for (text, permitted) in [
        (format!("access.whitelist {list}\n"), [true, false]),
        (format!("access.blacklist {list}\n"), [false, true]),
        (String::new(), [true, true]),
    ] {
        std::fs::write(&config, &text).expect("the directory is ours");
        let seen_lines = listed.daemon.log_lines();
        listed.daemon.signal(Signal::SIGHUP);
        listed.daemon.await_log_line_after(seen_lines, " in force");
        assert_eq!([LISTED, OTHER].map(|hash| client.is_permitted(&hash, 6881)), permitted, "{text}");
    }
}

#[test]
fn within_a_root_directory_the_list_is_read_again_though_the_configuration_is_out_of_reach() {
    if !is_root_or_skipped("chroot") {
        return;
    }
    let (inside, outside) = (TemporaryDirectory::new(), TemporaryDirectory::new());
    std::fs::set_permissions(inside.path(), PermissionsExt::from_mode(0o755)).expect("the directory is ours");
    let config = outside.path().join("opentracker.conf");
    let root = inside.path().display();
    std::fs::write(&config, format!("tracker.rootdir {root}\naccess.whitelist list\n")).expect("it is ours");
    let list = inside.path().join("list");
    std::fs::write(&list, line(&LISTED)).expect("the directory is ours");
    let arguments = [LOOPBACK, &["-f", config.to_str().expect("the path is text")]].concat();
    let daemon = Daemon::start_command(&mut Daemon::command_as_given(&arguments));
    let listed = Listed { daemon, list, _directory: inside };
    let mut client = listed.client();
    assert_eq!([LISTED, OTHER].map(|hash| client.is_permitted(&hash, 6881)), [true, false]);
    listed.reload(&line(&OTHER));
    assert_eq!([LISTED, OTHER].map(|hash| client.is_permitted(&hash, 6881)), [false, true]);
}
